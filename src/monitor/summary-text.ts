import { type Percentiles, STAGES } from "../desk/latency.ts";
import { stabilityLines } from "./quote-stability.ts";
import type { BooksSummary, LoadSummary, RunSummary } from "./summary.ts";

/** The summary of a run for people. */
export function summaryLines(
  summary: RunSummary & { readonly seconds: number; readonly load?: LoadSummary | null },
): string[] {
  const count = (value: number): string => value.toLocaleString("en-US");
  const reasons = Object.entries(summary.reasons)
    .sort((a, b) => b[1] - a[1])
    .map(([name, times]) => `${name} ${count(times)}`);
  return [
    `${summary.seconds.toFixed(1)} s, ${count(summary.frames)} frames, ${count(summary.events)} events, ${count(summary.levelUpdates)} level updates`,
    `gaps ${summary.gaps}, crossed ${summary.crossed}, unparsable ${summary.unparsable}, resyncs ${summary.resyncs}, reconnects ${summary.reconnects}, silences ${summary.silences}`,
    `instruments ${summary.instruments}: ${named(summary.feedStates) || "none"}`,
    ...(summary.signals === null
      ? []
      : [
          `signals: ${count(summary.signals.frames)} frames, unparsable ${summary.signals.unparsable}, of other names ${summary.signals.ignored}, reconnects ${summary.signals.reconnects}`,
        ]),
    ...summary.problems.map((problem) => `last trouble: ${problem}`),
    `predictions ${count(summary.predictions)}, conflated ${count(summary.conflated)}`,
    `quotes sent ${count(summary.quotesSent)}, acknowledged ${count(summary.quotesAcked)}, rejected ${count(summary.quotesRejected)}, changed by the model ${count(summary.widened)}; fills ${count(summary.executions)}`,
    `reasons: ${reasons.join(", ") || "none"}`,
    ...stabilityLines(summary.stability),
    booksLine(summary.books),
    ...loadLines(summary.load ?? null),
    ...(summary.killed === null ? [] : [`kill switch: ${summary.killed}`]),
    "latency, µs          p50        p99      p99.9        max      count",
    ...[...STAGES, "quoted" as const].map((stage) => percentileLine(stage, summary.latencyUs[stage])),
    "age of the state behind the quotes, µs",
    percentileLine("freshness", summary.freshnessUs),
    `resident ${summary.rssMb} MB`,
  ];
}

/** Nothing where nothing was shed. */
function loadLines(load: LoadSummary | null): string[] {
  if (load === null || load.entries.conflate === 0) return [];
  const { entries, seconds, stage, conflatedFrames } = load;
  const stages = (["conflate", "widen", "pull"] as const).map(
    (name) => `${name} ${entries[name]} times, ${seconds[name].toFixed(1)} s`,
  );
  const end = stage === "normal" ? "" : `; ${stage} at the end`;
  return [
    `load beyond capacity: ${stages.join("; ")}; frames answered with later ones ${conflatedFrames.toLocaleString("en-US")}${end}`,
  ];
}

function percentileLine(name: string, { p50, p99, p999, max, count }: Percentiles): string {
  const cells = [p50, p99, p999, max].map((value) => value.toFixed(2).padStart(11));
  return `  ${name.padEnd(11)}${cells.join("")}${count.toLocaleString("en-US").padStart(11)}`;
}

function named(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([name, count]) => `${name} ${count}`)
    .join(", ");
}

function booksLine({ state, held, profit, sources, hedgesSent }: BooksSummary): string {
  const parts = Object.entries(sources)
    .filter(([, amount]) => Math.abs(amount) >= 0.005)
    .map(([source, amount]) => `${source} ${amount.toFixed(2)}`);
  const from = parts.length === 0 ? "" : ` (${parts.join(", ")})`;
  return `${state}; positions ${held}, profit ${profit.toFixed(2)}${from}; hedges ${hedgesSent}`;
}
