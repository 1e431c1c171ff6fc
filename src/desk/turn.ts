import { EngineLostError } from "../inference/engine.ts";
import type { EventBatch } from "../market/event-batch.ts";
import type { DeskCounters } from "./counters.ts";
import type { DeskFeeds } from "./desk-feeds.ts";
import type { DeskPort } from "./desk-port.ts";
import type { StageTimer } from "./latency.ts";
import type { MarketState } from "./market-state.ts";
import type { Predictor } from "./predictor.ts";
import type { Publisher } from "./publisher.ts";
import type { Distrusted } from "./trusted-books.ts";

/** For events that were judged where they were decoded: who distrusts a book has been told there. */
export const JUDGED: Distrusted = { onUnsound: () => {} };

export interface TurnOptions {
  readonly line: DeskFeeds;
  readonly market: MarketState;
  readonly predictor: Predictor;
  readonly publisher: Publisher;
  readonly counters: DeskCounters;
  readonly timer: StageTimer;
  readonly port: DeskPort;
}

/** What follows an input: its events are applied, the model steps, what that calls for leaves, and whoever looks on is told. */
export class Turn {
  /** Beyond capacity: frames are applied, and the model and the quotes follow when the frames that came in together have all been handed in. */
  sheds = false;
  readonly #line: DeskFeeds;
  readonly #market: MarketState;
  readonly #predictor: Predictor;
  readonly #publisher: Publisher;
  readonly #counters: DeskCounters;
  readonly #timer: StageTimer;
  readonly #port: DeskPort;
  /** Time of the input whose events nobody who looks on was told of yet; NaN when there is none. */
  #untoldUs = Number.NaN;

  constructor(options: TurnOptions) {
    this.#line = options.line;
    this.#market = options.market;
    this.#predictor = options.predictor;
    this.#publisher = options.publisher;
    this.#counters = options.counters;
    this.#timer = options.timer;
    this.#port = options.port;
  }

  /** Begins an input of a feed. @returns the batch that its events go into */
  begin(): EventBatch {
    this.tell();
    this.#publisher.published = false;
    return this.#line.begin();
  }

  /** What follows every input of a feed, which may have put events into the batch. */
  after(feed: number, timeUs: number): void {
    if (this.#line.apply(feed, timeUs)) this.answer(timeUs, false);
    else this.#timer.end(false);
  }

  /** Applies all rows of a batch as they are. */
  take(batch: EventBatch, timeUs: number): void {
    const { count } = batch;
    this.#line.takeAll(batch, JUDGED, timeUs);
    if (count > 0) this.answer(timeUs, false, batch);
    else this.#timer.end(false);
  }

  /**
   * Events have been applied: what they call for leaves, now or with the batch, and whoever looks on is told. Where a book has
   * lost its trust nothing waits for the batch.
   */
  answer(timeUs: number, withBatch: boolean, batch = this.#line.batch): void {
    const hasBroken = this.#market.takeBroken();
    this.infer(timeUs, withBatch && !hasBroken);
    this.#untoldUs = timeUs;
    // What was decoded elsewhere is valid during this call only.
    if (!withBatch || batch !== this.#line.batch) this.tell(batch);
  }

  /** Tells whoever looks on what the last input came to: when its quotes have left, at the latest before the next input. */
  tell(batch = this.#line.batch): void {
    this.#predictor.tell(this.#market);
    const timeUs = this.#untoldUs;
    if (Number.isNaN(timeUs)) return;
    this.#untoldUs = Number.NaN;
    const { applied, appliedCount } = this.#line;
    if (appliedCount > 0) this.#port.observed?.(batch, applied, appliedCount, timeUs);
  }

  /** Steps the model for every underlying that moved, then requotes, now or with the batch; or begins a submit, and the turn ends there. */
  infer(timeUs: number, withBatch: boolean): void {
    if (withBatch && this.sheds) {
      this.#counters.conflatedFrames += 1;
      this.#timer.defer();
      return;
    }
    let rows = 0;
    try {
      rows = this.#predictor.step(this.#market, timeUs);
    } catch (error) {
      if (!(error instanceof EngineLostError)) throw error;
      this.#port.engineLost(this.#predictor.steps, error, timeUs);
      this.loseEngine(timeUs);
    }
    if (withBatch && rows === 0) {
      this.#timer.defer();
      return;
    }
    // With a submit under way, what needs no new prediction leaves now; what does follows with the result.
    this.#publisher.requote(this.#market, timeUs);
    if (rows === 0) {
      this.#timer.end(this.#publisher.published);
      return;
    }
    this.#timer.suspend();
    this.#port.submit(rows);
  }

  /** An asynchronous engine's device is gone: defensive quotes at once. */
  loseEngine(timeUs: number): void {
    this.#predictor.lose(this.#market, timeUs);
    this.#publisher.requoteAll(timeUs);
  }
}
