import { EVENT, type EventBatch, FEED_STATE, UNSOUND } from "../../market/event-batch.ts";
import type { InstrumentSpec } from "../../market/instrument.ts";
import { type FeedOptions, FRAME, type FrameOutcome } from "../feed.ts";
import { MAX_OLD_IN_A_ROW, SupervisedFeed } from "../supervised-feed.ts";
import { RelayDecoder } from "./decoder.ts";
import { names, venueSubscription } from "./subscription.ts";

/** What another keel received longer ago than this, by its clock and ours, is no market any more: the book is stale until it is fresh. */
const AGE_US_MAX = 2_000_000;

/** A message's place among those of its instrument: a session may begin with any, and taken once it goes on one by one. */
const PLACE = { old: 0, next: 1, gap: 2, taken: 3 } as const;
type Place = (typeof PLACE)[keyof typeof PLACE];

/**
 * A venue as another keel tells of it. Instruments are known by their first snapshot. Each one's messages are numbered without gaps in a
 * session of the publisher: one that is not the next makes the book unsound until the next snapshot, which comes by itself; one that is not
 * newer is a repetition and passed over. A later session takes over with its first snapshot, an earlier one only when the
 * later has fallen silent. What the publisher does not trust is not trusted here.
 */
export class RelayFeed extends SupervisedFeed {
  protected readonly decoder: RelayDecoder;
  readonly #ids = new Map<string, number>();
  readonly #wanted: readonly string[];
  readonly #sessions: Float64Array;
  readonly #numbers: Float64Array;
  /** Messages of the session, one after the other, that were not newer. */
  readonly #oldInARow: Float64Array;
  /** When the last message of the session came. */
  readonly #heardUs: Float64Array;

  constructor(options: FeedOptions) {
    super(options);
    const { capacity } = options.instruments;
    this.#wanted = options.subscriptions.map(venueSubscription);
    this.#sessions = new Float64Array(capacity).fill(Number.NaN);
    this.#numbers = new Float64Array(capacity).fill(Number.NaN);
    this.#oldInARow = new Float64Array(capacity);
    this.#heardUs = new Float64Array(capacity).fill(Number.NaN);
    this.decoder = new RelayDecoder(options.venue, this.#ids, (spec) => this.#describe(spec));
  }

  start(timeUs: number): void {
    this.connection.start(timeUs);
  }

  /** Nothing is asked over HTTP. */
  onResponse(): void {}

  override onFrame(frame: string, timeUs: number, out: EventBatch): FrameOutcome {
    const outcome = super.onFrame(frame, timeUs, out);
    if (outcome === FRAME.unparsable)
      this.problem = `${this.venue}: a relayed message with ${this.decoder.fault}, starting ${JSON.stringify(frame.slice(0, 60))}`;
    return outcome;
  }

  protected connected(_timeUs: number, out: EventBatch): void {
    for (const { id } of this.carried) this.states.toSnapshot(id, out);
  }

  protected admit(row: number, level: number, timeUs: number, out: EventBatch): FrameOutcome {
    const id = out.instrument[row];
    const kind = out.kind[row];
    const place = this.#judge(id, kind === EVENT.bookSnapshot, timeUs);
    const ageUs = timeUs - this.decoder.mark.receivedUs;
    if (place === PLACE.old || ageUs > AGE_US_MAX) {
      out.rewind(row, level);
      if (place !== PLACE.old) this.#onLate(id, ageUs, timeUs, out);
      return FRAME.ok;
    }
    const wasLive = this.states.isLive(id);
    this.states.onData(id, timeUs);
    switch (kind) {
      case EVENT.bookSnapshot:
        // One that comes in its turn tells nothing new.
        if (wasLive && place === PLACE.next && !this.decoder.mark.anew) out.rewind(row, level);
        else this.states.toLive(id, timeUs, out);
        return FRAME.ok;
      case EVENT.bookDelta:
      case EVENT.top:
        if (!wasLive || place === PLACE.gap) out.rewind(row, level);
        break;
      case EVENT.status: {
        const [state, reason] = [out.code[row], out.reason[row]];
        out.rewind(row, level);
        if (state !== FEED_STATE.live && wasLive) this.distrust(id, reason, timeUs, out);
        break;
      }
    }
    if (place === PLACE.gap && this.states.isLive(id)) this.distrust(id, UNSOUND.gap, timeUs, out);
    return FRAME.ok;
  }

  protected control(): void {}

  protected tick(): void {}

  protected disconnected(): void {
    this.#numbers.fill(Number.NaN);
    this.#sessions.fill(Number.NaN);
  }

  /** The next snapshot comes without being asked for. */
  protected resync(): void {}

  #onLate(id: number, ageUs: number, timeUs: number, out: EventBatch): void {
    this.problem = `${this.venue}: the relay is ${Math.round(ageUs / 1_000)} ms behind`;
    if (this.states.isLive(id)) this.distrust(id, UNSOUND.silence, timeUs, out);
  }

  /** Where the message decoded last stands among the instrument's. */
  #judge(id: number, isSnapshot: boolean, timeUs: number): Place {
    const { session, number } = this.decoder.mark;
    const [own, last] = [this.#sessions[id], this.#numbers[id]];
    if (session === own && number <= last && !this.#hasRunAhead(id, isSnapshot)) return PLACE.old;
    this.#oldInARow[id] = 0;
    if (session !== own && !this.#mayTakeOver(id, session, isSnapshot, timeUs)) return PLACE.old;
    this.#sessions[id] = session;
    this.#numbers[id] = number;
    this.#heardUs[id] = timeUs;
    if (session !== own || number <= last) return PLACE.taken;
    if (number === last + 1) return PLACE.next;
    this.counters.gaps += 1;
    const { symbol } = this.options.instruments.get(id);
    this.problem = `${this.venue}: relayed ${symbol} goes from number ${last} to ${number}`;
    return PLACE.gap;
  }

  /** So many messages that are not newer are no repetitions: the number that they are held against is wrong. */
  #hasRunAhead(id: number, isSnapshot: boolean): boolean {
    this.#oldInARow[id] += 1;
    return isSnapshot && this.#oldInARow[id] > MAX_OLD_IN_A_ROW && !this.states.isLive(id);
  }

  #mayTakeOver(id: number, session: number, isSnapshot: boolean, timeUs: number): boolean {
    const own = this.#sessions[id];
    if (Number.isNaN(own)) return true;
    const mayReplace = session > own || timeUs - this.#heardUs[id] > this.options.silenceMs * 1_000;
    return isSnapshot ? mayReplace || !this.states.isLive(id) : mayReplace && !this.states.isLive(id);
  }

  /** @returns the instrument's number, −1 when it is not wanted or there is no room */
  #describe(spec: InstrumentSpec): number {
    if (!this.#wanted.some((subscription) => names(subscription, spec))) return -1;
    const instrument = this.options.instruments.add(spec);
    if (instrument === undefined) {
      this.counters.overflows += 1;
      this.problem = `${this.venue}: no room for ${spec.symbol} among ${this.options.instruments.capacity} instruments`;
      return -1;
    }
    this.states.carry(instrument);
    this.#ids.set(instrument.symbol, instrument.id);
    return instrument.id;
  }
}
