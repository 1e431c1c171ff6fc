import { loadConfig } from "../config.ts";
import { Histogram } from "../core/histogram.ts";
import { UNDERLYING_CAPACITY } from "../desk/desk.ts";
import { STAGE, STAGES, StageHistograms } from "../desk/latency.ts";
import { runDeskPass } from "./desk-pass.ts";
import { startBenchEngine } from "./engine.ts";
import { benchInput } from "./input.ts";
import { type BenchReport, benchHost, ratioOf, rowOf } from "./report.ts";

export interface TickBenchOptions {
  readonly capture: string | undefined;
  readonly seed: number;
  /** Passes over the capture that are measured, after one that is not. */
  readonly rounds: number;
  readonly log: (line: string) => void;
}

/** Frame in memory → encoded FIX bytes, by stage: the whole desk over a capture, without sockets. */
export async function runTickBench(options: TickBenchOptions): Promise<BenchReport> {
  const input = benchInput(options.capture, options.seed);
  // The environment decides nothing here but device, model, quoting and risk, as in `run`.
  const config = loadConfig(process.env);
  const { engine, model } = await startBenchEngine({
    device: config.device,
    config,
    slots: UNDERLYING_CAPACITY,
    log: options.log,
  });
  try {
    const timer = new StageHistograms(() => Bun.nanoseconds());
    const parse = new Histogram();
    let checksum = "";
    let encodedBytes = 0;
    for (let round = 0; round <= options.rounds; round += 1) {
      if (round === 1) {
        timer.reset();
        parse.reset();
      }
      for (let slot = 0; slot < engine.slotCount; slot += 1) engine.resetSlot(slot);
      let frames = 0;
      const pass = await runDeskPass({
        ...{ path: input.path, seed: options.seed, engine, config, timer },
        onFrame: (desk, feed, text, timeUs) => {
          frames += 1;
          // Whoever comes second finds the text in the cache, so they take turns.
          if (frames % 2 === 0) parseAlone(text, parse);
          timer.begin(Bun.nanoseconds());
          desk.onFrame(feed, text, timeUs);
          if (frames % 2 === 1) parseAlone(text, parse);
        },
      });
      checksum = pass.checksum;
      encodedBytes = pass.encodedBytes;
    }
    const rows = STAGES.map((stage, at) => rowOf(`tick/${stage}`, timer.stages[at], "us"));
    const total = rows[STAGE.total];
    const decode = rows[STAGE.decode];
    const quoted = rowOf("tick/quoted", timer.quoted, "us");
    const floor = rowOf("tick/json-parse", parse, "us");
    return {
      bench: "tick",
      host: benchHost(),
      seed: options.seed,
      checksum,
      input: input.name,
      rows: [...rows, quoted, floor],
      ratios: [
        ratioOf("tick/json-parse:decode", floor, decode),
        ratioOf("tick/json-parse:decode/p99", floor, decode),
        ratioOf("tick/total:json-parse/p99", total, floor),
      ],
      notes: [
        `engine ${engine.name}, model ${model.card.name}; ${encodedBytes} bytes of FIX in a pass`,
        "tick/quoted: events that sent quotes; tick/json-parse: JSON.parse alone of the same frames, in turn",
      ],
    };
  } finally {
    await engine.dispose();
    input.remove();
  }
}

let kept: unknown;

function parseAlone(text: string, into: Histogram): void {
  const before = Bun.nanoseconds();
  kept = JSON.parse(text);
  into.record(Bun.nanoseconds() - before);
}

/** Keeps the parsed value alive, so that the parse is not optimised away. */
export function lastParsed(): unknown {
  return kept;
}
