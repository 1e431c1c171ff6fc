/**
 * Time for each row (a level or a trade) of keel's matching and of hftbacktest, in one run on the same rows:
 *
 *     bun test/backtest/interop/bench.ts CAPTURE
 *
 * @module
 */
import { type Parameters, rowsOf, runHftBacktest, runKeel } from "./compare.ts";
import { whyNoHftBacktest } from "./hftbacktest.ts";

const [capture] = process.argv.slice(2);
const missing = whyNoHftBacktest();
if (capture === undefined || missing !== null) {
  console.error(missing ?? "a capture is needed");
  process.exit(1);
}
const rows = await rowsOf(capture);
const shared = { exponent: 3, lots: 1, everyUs: 100_000, orderUs: 5_000, responseUs: 5_000, rounds: 5 };
const runs: readonly Parameters[] = (["conservative", "power", "log"] as const).flatMap((queue) =>
  [5, 0.5].map((offsetTicks) => ({ ...shared, queue, offsetTicks })),
);
// One untimed, so that both are compiled: hftbacktest's runner does the same.
runKeel(rows, { ...(runs[0] ?? { ...shared, queue: "power", offsetTicks: 5 }), rounds: 2 });
const ours = runs.map((parameters) => runKeel(rows, parameters));
const theirs = runHftBacktest(rows, runs);
console.log(`${rows.count} rows`);
for (const [at, { queue, offsetTicks }] of runs.entries()) {
  const [mine, peer] = [ours[at], theirs[at]];
  if (mine === undefined || peer === undefined) continue;
  const nsPerRow = ({ ns }: { ns: number }): string => (ns / rows.count).toFixed(0);
  console.log(
    `${queue}, offset ${offsetTicks} ticks: fills ${mine.fills.length} / ${peer.fills.length}, position ${mine.position} / ${peer.position}, ` +
      `profit ${mine.profit.toFixed(4)} / ${peer.profit.toFixed(4)}, ns per row ${nsPerRow(mine)} / ${nsPerRow(peer)}, ` +
      `hftbacktest:keel ${(peer.ns / mine.ns).toFixed(2)}`,
  );
}
