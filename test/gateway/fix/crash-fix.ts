/** Kills a quoting process at random points: `bun run crash:fix [kills] [seed]`, 200 kills unless told otherwise. */
import { runCrashes } from "./crash-run.ts";

const [kills = "200", seed = "1"] = process.argv.slice(2);
const report = await runCrashes(Number(kills), Number(seed));
console.log(JSON.stringify(report));
const clean =
  report.reusedNumbers.length +
  report.quotesBeforeCancel +
  report.lostOrders.length +
  report.lostExecutions.length;
process.exitCode = clean === 0 && report.repeatedExecutions <= report.kills ? 0 : 1;
