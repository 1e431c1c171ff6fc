import type { CellOutcome } from "../../backtest/grid.ts";

/** One run on one line, for people. */
export function outcomeLines({ spec, digest, result, timing, resumed, error }: CellOutcome): string[] {
  const head = `${digest.slice(0, 12) || "–"}  ${spec.recordings.join("+")}  ${spec.strategy}`;
  if (result === null) return [head, `  ${error ?? "no result"}`];
  const { summary } = result;
  const markouts = summary.markouts
    .map(({ horizonMs, markoutBp }) => `${horizonMs} ms ${markoutBp === null ? "–" : markoutBp.toFixed(3)}`)
    .join(", ");
  const number = (value: number): string => value.toFixed(2);
  const took = timing === null ? (resumed ? "there already" : "") : `${(timing.wallMs / 1_000).toFixed(1)} s`;
  return [
    `${head}  ${took}`,
    `  profit ${number(summary.profit)}, fees ${number(summary.fees)}, fills ${summary.fills} (${summary.takerFills} taking), volume ${number(summary.volume)}, ${summary.seconds.toFixed(0)} s`,
    `  spread captured ${number(summary.spreadCaptured)} (${summary.spreadCapturedBp?.toFixed(3) ?? "–"} bp), drawdown ${number(summary.drawdown)}, delta at most ${number(summary.deltaMax)}`,
    `  markout, bp: ${markouts}`,
    `  quotes ${summary.desk.quotesSent}, rejected ${summary.desk.quotesRejected}, predictions ${summary.desk.predictions}${summary.killed === null ? "" : `, stopped: ${summary.killed}`}`,
    ...summary.problems.map((problem) => `  note: ${problem}`),
  ];
}
