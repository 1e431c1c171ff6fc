import { BadInputError, EXIT } from "../core/errors.ts";
import { ENGINES } from "../inference/engine.ts";
import type { JournalReader } from "../journal/reader.ts";
import type { JournalRecord } from "../journal/record.ts";
import { defineCommand, UsageError } from "./command.ts";

/** The run's records. @throws BadInputError when not even the first one can be read. */
function* readable(reader: JournalReader): Generator<JournalRecord> {
  yield* reader.records();
  if (reader.count > 0 || reader.damage === null) return;
  const { file, reason } = reader.damage;
  throw new BadInputError(file, reason, "a segment of a journal that begins with the start of its run");
}

export const replay = defineCommand({
  name: "replay",
  summary: "Run a journal's inputs through a fresh desk, and compare every decision",
  usage: "DIR [--run ID] [--verify]",
  details: `Reads the run's journal in DIR (the latest run unless --run names another), feeds its inputs to a fresh desk with the same
model and parameters, on the recorded engine, instruction set and GPU where this host has them, as fast as it goes; KEEL_GPU and
KEEL_VULKAN_DIR name another GPU. With --verify every decision must be the recorded one, bit for bit; the first difference is shown with its context and the exit code is 1. A damaged tail is reported and everything before it is used.

The result holds \`identical\` (null without --verify), \`compared\`, \`difference\`, \`inputs\`, \`predictions\`,
\`predictionsDifferent\`, \`recordedWith\` and \`replayedWith\` (engine, instruction set and adapter), \`mayDiffer\` (why probabilities may
differ in their last bits, or null), \`damage\`, \`missing\`, and counters of the replayed desk.

\`predictions\` and \`predictionsDifferent\` count the journalled answers of an engine that answers after its turn; there
are none with the cpu engine, whose predictions are made again and show in the decisions.`,
  options: {
    run: { type: "string", value: "ID", description: "Run to replay; the latest when left out" },
    verify: { type: "boolean", description: "Compare every decision with the recorded one" },
    device: {
      type: "string",
      value: "NAME",
      description:
        "Engine to use instead of the recorded one; probabilities may then differ in their last bits",
    },
  },
  positionals: ["DIR"],
  environment: false,
  async run({ options, positionals, env, log, out }) {
    const [directory = "."] = positionals;
    const { JournalReader } = await import("../journal/reader.ts");
    const { DecisionComparer } = await import("../journal/verify.ts");
    const { replay: run } = await import("../journal/replay.ts");
    const { gpuSelection } = await import("../inference/probe.ts");
    const { engineForReplay } = await import("../live/replay-engine.ts");
    const { showDecision } = await import("../journal/show.ts");

    const device = ENGINES.find((name) => name === options.device);
    if (options.device !== undefined && device === undefined) {
      throw new UsageError(`--device: found ${options.device}, expected one of ${ENGINES.join(", ")}`);
    }
    const reader = new JournalReader(directory, options.run);
    const comparer = new DecisionComparer(showDecision);
    let mayDiffer: string | null = null;
    let replayedWith: { engine: string; isa: string | null; adapter: string | null } | null = null;
    const startedNs = Bun.nanoseconds();
    const result = await run(readable(reader), {
      engineFor: async (start) => {
        const lines = {
          info: (line: string) => log.info(line),
          warn: (line: string) => {
            mayDiffer = line;
          },
        };
        const engine = await engineForReplay(start, device, lines, { gpu: gpuSelection(env) });
        replayedWith =
          engine === null
            ? null
            : { engine: engine.name, isa: engine.isa ?? null, adapter: engine.adapter?.name ?? null };
        return engine;
      },
      decisions: comparer,
      ...(options.verify
        ? { onRecord: (record) => comparer.recorded(record), stop: () => comparer.differs }
        : {}),
    });
    const seconds = (Bun.nanoseconds() - startedNs) / 1e9;
    const verification = options.verify ? comparer.finish() : null;
    const { counters } = result.desk;
    const { model } = result.start;
    const recordedSeconds = (result.lastTimeUs - result.firstTimeUs) / 1e6;

    out.line(`run ${reader.run.runId}: ${reader.count} records over ${recordedSeconds.toFixed(1)} s`);
    const answers = result.predictions === 0 ? "" : ` and ${result.predictions} later answers of the engine`;
    out.line(`replayed ${result.inputs} inputs${answers} in ${seconds.toFixed(2)} s`);
    out.line(
      `quotes ${counters.quotesSent}, predictions ${counters.predictions}, events ${counters.events}, level updates ${counters.levelUpdates}, fills ${counters.executions}`,
    );
    if (reader.missing > 0) out.line(`${reader.missing} records were dropped when the journal was written`);
    if (reader.damage !== null) {
      const { file, offset, reason } = reader.damage;
      out.line(`the journal is readable up to byte ${offset} of ${file}: ${reason}`);
      if (!reader.damage.tail) out.line("what lies behind it was not replayed");
    }
    if (mayDiffer !== null) out.line(mayDiffer);
    if (result.predictionsDifferent > 0) {
      out.line(`${result.predictionsDifferent} predictions differ from the recorded bits`);
    }
    if (verification !== null) {
      out.line(`${verification.compared} decisions compared`);
      out.line(`identical: ${verification.identical}`);
      if (verification.difference !== null) out.line(JSON.stringify(verification.difference, null, 2));
    }
    out.result({
      run: reader.run.runId,
      records: reader.count,
      inputs: result.inputs,
      predictions: result.predictions,
      predictionsDifferent: result.predictionsDifferent,
      recordedWith:
        model === null
          ? null
          : { engine: model.engine, isa: model.isa, adapter: model.adapter?.name ?? null },
      replayedWith,
      mayDiffer,
      identical: verification?.identical ?? null,
      compared: verification?.compared ?? null,
      difference: verification?.difference ?? null,
      missing: reader.missing,
      damage: reader.damage,
      seconds,
      recordedSeconds,
      counters,
    });
    const whole = reader.damage === null || reader.damage.tail;
    return verification === null || (verification.identical && whole) ? EXIT.ok : EXIT.failed;
  },
});
