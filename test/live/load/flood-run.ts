/**
 * Floods `keel run` with more than it can take and prints what it does about it, look by look: the venue offers half as much again every
 * two seconds, until the desk has pulled its quotes, for as long as is asked for in all, and then no more than usual.
 *
 * @example bun test/live/load/flood-run.ts 30              # seconds of flood
 * @example bun test/live/load/flood-run.ts 30 --shards 2   # with the feeds on threads of their own
 * @example bun test/live/load/flood-run.ts 10 --journal    # with a journal of it, some 70 MB a second, which is replayed afterwards
 * @example bun test/live/load/flood-run.ts 30 --cut        # at its end the venue cuts the connection off, as venues do
 *
 * Ends with 1 when a stage was left out, the session was lost, the desk does not quote again or its journal replays otherwise.
 *
 * @module
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { LOAD_STAGE, LOAD_STAGES } from "../../../src/risk/load-shedder.ts";
import { type FloodSample, FloodScene, MAIN } from "./flood-scene.ts";

const FIRST_RATE = 20_000;
const STEP_MS = 2_000;
const COLUMNS = [
  "s",
  "offered/s",
  "taken/s",
  "waiting",
  "stage",
  "loop ms",
  "age ms",
  "queued KiB",
  "ring",
  "RSS MB",
  "quotes/s",
  "held",
  "/metrics ms",
];
const WIDTHS = [6, 10, 9, 10, 9, 8, 8, 11, 6, 7, 9, 6, 12];

function row(cells: readonly (string | number)[]): string {
  return cells.map((cell, at) => String(cell).padStart(WIDTHS[at])).join("");
}

function shown(value: number, digits = 0): string {
  return Number.isNaN(value) ? "–" : value.toFixed(digits);
}

/** Prints a look each half second. */
function table(): (sample: FloodSample) => void {
  let before: FloodSample | null = null;
  console.log(row(COLUMNS));
  return (sample) => {
    const isNews = before === null || before.stage !== sample.stage || sample.seconds - before.seconds > 0.5;
    if (!isNews) return;
    const passed = before === null ? Number.NaN : sample.seconds - before.seconds;
    const perSecond = (read: (of: FloodSample) => number) =>
      before === null ? Number.NaN : (read(sample) - read(before)) / passed;
    console.log(
      row([
        sample.seconds.toFixed(1),
        sample.offered,
        shown(perSecond(({ frames }) => frames)),
        sample.waiting,
        LOAD_STAGES[sample.stage] ?? "–",
        shown(sample.loopMs),
        shown(sample.ageMs),
        shown(sample.queuedKb),
        shown(sample.ringFill, 2),
        shown(sample.residentMb),
        shown(perSecond(({ quotesSent }) => quotesSent)),
        sample.held,
        shown(sample.answerMs),
      ]),
    );
    before = sample;
  };
}

const { values, positionals } = parseArgs({
  args: Bun.argv.slice(2),
  allowPositionals: true,
  options: {
    shards: { type: "string", default: "1" },
    rate: { type: "string", default: String(FIRST_RATE) },
    cut: { type: "boolean", default: false },
    journal: { type: "boolean", default: false },
  },
});
const seconds = Number(positionals[0] ?? 20);
const folder = values.journal ? mkdtempSync(join(tmpdir(), "keel-flood-journal-")) : null;
await using scene = await FloodScene.start(
  { KEEL_SHARDS: values.shards, ...(folder === null ? {} : { KEEL_JOURNAL_DIR: folder }) },
  table(),
);
await scene.untilQuoting();
const quiet = scene.last;
const fromMs = performance.now();
let rate = Number(values.rate);
while (performance.now() - fromMs < seconds * 1_000) {
  scene.venue.offer(rate);
  await Bun.sleep(STEP_MS);
  if ((scene.last?.stage ?? 0) < LOAD_STAGE.pull) rate = Math.round(rate * 1.5);
}
if (values.cut) scene.venue.cutOff();
else scene.venue.offer(0);
console.log("the flood is over");
await scene.until("the venue has sent all", ({ waiting }) => waiting === 0, 600_000);
await scene.until("load is within capacity", ({ stage }) => stage === LOAD_STAGE.normal, 120_000);
await scene.untilQuoting();
const { samples, stages, counterparty } = scene;
const summary = await scene.stop();
const most = (read: (of: FloodSample) => number) =>
  Math.max(...samples.map(read).filter((value) => !Number.isNaN(value)));
const causes = scene.log.flatMap(({ stage, cause }) => (cause ? [`${stage} by ${cause}`] : []));
const fullest = Math.max(
  0,
  most(({ ringFill }) => ringFill),
);
console.log(`stages: ${stages.join(" ")}; ${[...new Set(causes)].join(", ")}`);
console.log(
  `resident ${shown(quiet?.residentMb ?? Number.NaN)} MB before, ${shown(most(({ residentMb }) => residentMb))} MB at most, ${shown(samples.at(-1)?.residentMb ?? Number.NaN)} MB at the end; in sockets ${shown(most(({ queuedKb }) => queuedKb))} KiB at most; fullest ring ${shown(fullest, 2)}; /metrics after ${shown(most(({ answerMs }) => answerMs))} ms at most`,
);
console.log(
  `FIX logons ${counterparty.counters.logons}; load ${JSON.stringify(summary.load)}; gaps ${summary.gaps}, crossed ${summary.crossed}, reconnects ${summary.reconnects}`,
);
let replaysTheSame = true;
if (folder !== null) {
  console.log(`journal ${JSON.stringify(summary.journal)}`);
  const replay = Bun.spawn([process.execPath, MAIN, "replay", folder, "--verify"], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  replaysTheSame = (await replay.exited) === 0;
  rmSync(folder, { recursive: true });
}
const first = stages.filter((stage, at) => stages.indexOf(stage) === at && stage !== "normal");
const isRight = first.join() === "conflate,widen,pull" && counterparty.counters.logons === 1;
process.exitCode = isRight && replaysTheSame ? 0 : 1;
