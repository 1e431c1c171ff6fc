import type { Clock } from "../core/clock.ts";
import { type JournalSink, RECORD, type RecordType } from "../journal/record.ts";
import type { ControlCommand } from "../journal/replay.ts";

/** Times what is about to be handed to the desk, and writes it to the journal first. */
export class LiveInputs {
  readonly #clock: Clock;
  readonly #journal: JournalSink;

  constructor(clock: Clock, journal: JournalSink) {
    this.#clock = clock;
    this.#journal = journal;
  }

  /** @returns the time that the input is to be handed on with, epoch µs */
  take(type: RecordType, subject: number, payload: string): number {
    const timeUs = this.#clock.wallUs();
    this.#journal.text(type, subject, timeUs, payload);
    return timeUs;
  }

  /** {@link take} for what an operator or the process itself commands. */
  control(command: ControlCommand, reason: string): number {
    return this.take(RECORD.control, 0, JSON.stringify({ command, reason }));
  }
}
