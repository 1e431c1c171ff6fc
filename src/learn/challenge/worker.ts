/**
 * The thread on which challengers run beside the champion. It takes the desk's events out of a ring, by polling, so that whatever it
 * does, the desk's thread neither waits for it nor wakes it.
 *
 * @module
 */
import { join } from "node:path";
import packageJson from "../../../package.json";
import { Collector, yieldToLine } from "../../core/background.ts";
import { UNDERLYING_CAPACITY } from "../../desk/desk-options.ts";
import { FEATURE_COUNT, SCHEMA_HASH } from "../../feature/schema.ts";
import { parseModel } from "../../inference/model.ts";
import { startEngine } from "../../inference/registry.ts";
import { OutcomeWriter, outcomeHeaderOf } from "../outcomes/file.ts";
import { ObservationReader } from "../outcomes/observation-ring.ts";
import type { OutcomeSink } from "../outcomes/table.ts";
import { Challenge } from "./challenge.ts";
import type { ChallengeMessage, ChallengeReply, SentModel } from "./control.ts";

declare const self: Worker;

/** Sleep between looks at the ring. */
const POLL_MS = 10;
/** Observations after which what they left is collected. */
const COLLECT_OBSERVATIONS = 16_384;

yieldToLine();
/** Observations taken before messages are looked at. */
const BURST = 4_096;
const REPORT_MS = 1_000;

class Challengers {
  readonly #reader: ObservationReader;
  readonly #challenge: Challenge;
  readonly #files: Extract<ChallengeMessage, { do: "start" }>["files"];
  readonly #writers = new Map<string, OutcomeWriter>();
  readonly #collector = new Collector(COLLECT_OBSERVATIONS);
  #taken = 0;
  #reportedMs = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor({ ring, quote, policy, files }: Extract<ChallengeMessage, { do: "start" }>) {
    this.#reader = new ObservationReader(ring);
    this.#challenge = new Challenge({ quote, policy, nowNs: Bun.nanoseconds });
    this.#files = files;
    this.#poll();
  }

  async take(message: ChallengeMessage): Promise<void> {
    if (message.do === "add") await this.#add(message.model);
    else if (message.do === "remove") await this.#remove(message.version);
    else if (message.do === "compareWith") this.#challenge.compareWith(message.version);
    else if (message.do === "beginAnew") this.#challenge.beginAnew(message.version);
    else if (message.do === "stop") this.#stop(message.timeUs);
    this.#taken += 1;
    this.#report(message.do === "stop");
  }

  async #add({ version, card, onnx }: SentModel): Promise<void> {
    try {
      const schema = { schemaHash: SCHEMA_HASH, featureCount: FEATURE_COUNT };
      const model = parseModel(version, card, onnx, version, schema);
      const { engine } = await startEngine({
        ...{ device: "cpu", model, slotCount: UNDERLYING_CAPACITY, maxBatch: 1 },
        log: () => {},
      });
      for (let slot = 0; slot < engine.slotCount; slot += 1) engine.resetSlot(slot);
      this.#challenge.add({ version, engine, outcomes: this.#recorded(version) });
    } catch (error) {
      tell({ is: "refused", version, why: error instanceof Error ? error.message : String(error) });
    }
  }

  /** A full disk ends the recording, not the comparison. */
  #recorded(version: string): OutcomeSink | null {
    if (this.#files === null) return null;
    const { directory, run, partBytes, totalBytes } = this.#files;
    const header = outcomeHeaderOf({
      keel: packageJson.version,
      run,
      schemaHash: SCHEMA_HASH,
      model: version,
    });
    let writer: OutcomeWriter;
    try {
      writer = new OutcomeWriter({ directory: join(directory, version), header, partBytes, totalBytes });
    } catch (error) {
      this.#unrecorded(version, error);
      return null;
    }
    this.#writers.set(version, writer);
    return {
      outcome: (table, row) => {
        if (!this.#writers.has(version)) return;
        try {
          writer.outcome(table, row);
        } catch (error) {
          this.#unrecorded(version, error);
        }
      },
    };
  }

  #unrecorded(version: string, error: unknown): void {
    this.#writers.delete(version);
    tell({ is: "unrecorded", why: `${version}: ${error instanceof Error ? error.message : String(error)}` });
  }

  async #remove(version: string): Promise<void> {
    await this.#challenge.remove(version)?.dispose();
    this.#writers.get(version)?.close();
    this.#writers.delete(version);
  }

  #stop(timeUs: number): void {
    clearTimeout(this.#timer);
    while (this.#reader.drain(this.#challenge, BURST) === BURST);
    this.#challenge.finish(timeUs);
    for (const writer of this.#writers.values()) writer.close();
  }

  #poll(): void {
    const taken = this.#reader.drain(this.#challenge, BURST);
    const nowMs = performance.now();
    for (const [version, writer] of this.#writers) {
      try {
        writer.flush(nowMs);
      } catch (error) {
        this.#unrecorded(version, error);
      }
    }
    if (nowMs - this.#reportedMs >= REPORT_MS) this.#report(false);
    if (taken < BURST) this.#collector.worked(taken);
    this.#timer = setTimeout(() => this.#poll(), taken === BURST ? 0 : POLL_MS);
  }

  #report(ended: boolean): void {
    this.#reportedMs = performance.now();
    tell({ is: "report", report: this.#challenge.report(), taken: this.#taken, ended });
  }
}

function tell(reply: ChallengeReply): void {
  self.postMessage(reply);
}

let challengers: Challengers | null = null;
/** Messages are taken one after the other, though loading a model takes more than a turn. */
let before: Promise<void> = Promise.resolve();
self.onmessage = ({ data }: MessageEvent<ChallengeMessage>) => {
  if (data.do === "start") challengers = new Challengers(data);
  else before = before.then(() => challengers?.take(data));
};
