import { EngineLostError } from "../inference/engine.ts";
import { EngineAround } from "../inference/engine-around.ts";
import { type JournalRecord, RECORD } from "./record.ts";
import { isDecision } from "./verify.ts";

const decoder = new TextDecoder();

/** A record, and the step of the run that its turn lost the synchronous engine in; null when it did not. */
export interface ForetoldRecord {
  readonly record: JournalRecord;
  readonly lostStep: number | null;
}

/**
 * A journal tells that a synchronous engine was lost behind the input in whose turn that was, and the replayed engine does not
 * fail by itself. So each record is held until the next one that is no decision, and comes with the loss that follows it.
 */
export function* foretold(records: Iterable<JournalRecord>): Generator<ForetoldRecord> {
  let held: JournalRecord[] = [];
  for (const transient of records) {
    const record = { ...transient, payload: new Uint8Array(transient.payload) };
    if (!isDecision(record.type)) {
      yield* release(held, record.type === RECORD.engineLost ? lostStepOf(record) : null);
      held = [];
    }
    held.push(record);
  }
  yield* release(held, null);
}

function* release(held: readonly JournalRecord[], lostStep: number | null): Generator<ForetoldRecord> {
  for (const record of held) yield { record, lostStep };
}

/** The step in which a synchronous engine was lost; null for one that ended a submit with the loss. */
export function lostStepOf({ payload }: JournalRecord): number | null {
  if (payload.length === 0) return null;
  const { step } = JSON.parse(decoder.decode(payload)) as { step: number | null };
  return step;
}

/** The engine of a replay: fails in the steps in which the recorded one was lost. */
export class FailingEngine extends EngineAround {
  #steps = 0;
  #failsAt: number | null = null;

  /** Fails in this step of the run, counted from 1; null for none. */
  failAt(step: number | null): void {
    this.#failsAt = step;
  }

  override step(count: number): void {
    this.#count();
    this.inner.step(count);
  }

  override async submit(count: number): Promise<void> {
    this.#count();
    await this.inner.submit(count);
  }

  #count(): void {
    this.#steps += 1;
    if (this.#steps === this.#failsAt) throw new EngineLostError(this.name, "as recorded");
  }
}
