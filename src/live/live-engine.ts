import type { Config } from "../config.ts";
import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/log.ts";
import { type Desk, UNDERLYING_CAPACITY } from "../desk/desk.ts";
import type { Scaling } from "../inference/calibration.ts";
import type { StepEngine } from "../inference/engine.ts";
import { startEngine } from "../inference/registry.ts";
import type { StepModel } from "../inference/step-model.ts";
import { type JournalSink, RECORD } from "../journal/record.ts";

const RESTART_MS = 1_000;

export interface LiveEngineOptions {
  readonly config: Config;
  readonly log: Logger;
  readonly clock: Clock;
  readonly journal: JournalSink;
  readonly model: StepModel;
  readonly engine: StepEngine;
}

/** The desk's engine while it lives, is lost, and is started again. */
export class LiveEngine {
  readonly #options: LiveEngineOptions;
  #engine: StepEngine;
  #probabilityBytes: Uint8Array;
  #desk: Desk | null = null;
  #stopped = false;

  constructor(options: LiveEngineOptions) {
    this.#options = options;
    this.#engine = options.engine;
    this.#probabilityBytes = bytesOf(options.engine.probabilities);
  }

  get name(): string {
    return this.#engine.name;
  }

  /** To be called before anything is submitted. */
  attach(desk: Desk): void {
    this.#desk = desk;
  }

  /** Probabilities of a slot are calibrated otherwise from its next step on. */
  calibrate(slot: number, head: number, scaling: Scaling): void {
    this.#engine.calibration?.set(slot, head, scaling);
  }

  /** What comes back after the stop has begun is of no more use. */
  submit(rows: number): void {
    const engine = this.#engine;
    const { clock, journal } = this.#options;
    engine.submit(rows).then(
      () => {
        if (this.#stopped) return;
        const timeUs = clock.wallUs();
        const bytes = this.#probabilityBytes.subarray(0, rows * engine.card.heads.length * 4);
        journal.bytes(RECORD.inference, rows, timeUs, bytes);
        this.#desk?.onInference(timeUs);
      },
      (error: unknown) => {
        if (this.#stopped) return;
        const timeUs = clock.wallUs();
        this.lost(null, error, timeUs);
        this.#desk?.onEngineLost(timeUs);
      },
    );
  }

  /** @param step the step in which a synchronous engine was lost; null when a submit ended with the loss */
  lost(step: number | null, error: unknown, timeUs: number): void {
    const { config, journal, log } = this.#options;
    journal.text(RECORD.engineLost, 0, timeUs, JSON.stringify({ step }));
    const answer = config.quote.engineLostPull === 1 ? "all quotes are pulled" : "quoting defensively";
    log.error(`the inference engine is lost; ${answer}`, { error });
    void this.#restart();
  }

  /** Results and restarts are of no interest any more. */
  stop(): void {
    this.#stopped = true;
  }

  dispose(): Promise<void> {
    return this.#engine.dispose();
  }

  async #restart(): Promise<void> {
    const { clock, config, journal, log, model } = this.#options;
    await this.#engine.dispose().catch(() => {});
    while (!this.#stopped) {
      await Bun.sleep(RESTART_MS);
      try {
        const { engine } = await startEngine({
          device: this.#engine.name,
          settings: config.engines,
          model,
          slotCount: UNDERLYING_CAPACITY,
          maxBatch: UNDERLYING_CAPACITY,
          sweep: true,
          calibration: this.#engine.calibration,
          log: (line) => log.info(line),
        });
        this.#engine = engine;
        this.#probabilityBytes = bytesOf(engine.probabilities);
        const timeUs = clock.wallUs();
        journal.text(RECORD.engineRestored, 0, timeUs, "");
        this.#desk?.onEngineRestored(engine, timeUs);
        return;
      } catch (error) {
        log.error("the inference engine does not start again", { error });
      }
    }
  }
}

function bytesOf(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
