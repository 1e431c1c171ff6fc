/**
 * Time for each row (a level or a trade) of keel's matching and of hftbacktest, in one run on the same rows:
 *
 *     bun test/backtest/interop/bench.ts CAPTURE
 *
 * @module
 */
import { type Parameters, rowsOf, runHftBacktest, runKeel, sameFills } from "./compare.ts";
import { whyNoHftBacktest } from "./hftbacktest.ts";

const [capture] = process.argv.slice(2);
const missing = whyNoHftBacktest();
if (capture === undefined || missing !== null) {
  console.error(missing ?? "a capture is needed");
  process.exit(1);
}
const rows = await rowsOf(capture);
const shared = { exponent: 3, everyUs: 100_000, orderUs: 5_000, responseUs: 5_000, rounds: 5 };
const queues = ["conservative", "power", "log", "log-as-peer"] as const;
const runs: readonly Parameters[] = [
  ...queues.flatMap((queue) =>
    [5, 0.5].map((offsetTicks) => ({ ...shared, queue, offsetTicks, lots: 1, partial: false })),
  ),
  // 50 lots and a half.
  ...queues.map((queue) => ({ ...shared, queue, offsetTicks: 0.5, lots: 101, partial: true })),
];
// One untimed, so that both are compiled: hftbacktest's runner does the same.
for (const run of runs.slice(0, 1)) runKeel(rows, { ...run, rounds: 2 });
const ours = runs.map((parameters) => runKeel(rows, parameters));
const theirs = runHftBacktest(rows, runs);
console.log(`${rows.count} rows`);
for (const [at, { queue, offsetTicks, lots, partial }] of runs.entries()) {
  const [mine, peer] = [ours[at], theirs[at]];
  if (mine === undefined || peer === undefined) continue;
  const nsPerRow = ({ ns }: { ns: number }): string => (ns / rows.count).toFixed(0);
  const { same, most } = sameFills(mine, peer, partial);
  console.log(
    `${queue}, offset ${offsetTicks} ticks, ${partial ? lots / 2 : lots} lots: fills ${mine.fills.length} / ${peer.fills.length}, the same ${same} of ${most}, ` +
      `volume ${mine.volume} / ${peer.volume}, position ${mine.position} / ${peer.position}, ` +
      `profit ${mine.profit.toFixed(4)} / ${peer.profit.toFixed(4)}, ns per row ${nsPerRow(mine)} / ${nsPerRow(peer)}, ` +
      `hftbacktest:keel ${(peer.ns / mine.ns).toFixed(2)}`,
  );
}
