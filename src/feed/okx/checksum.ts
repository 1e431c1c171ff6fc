import { type EventBatch, SIDE } from "../../market/event-batch.ts";
import type { Instrument } from "../../market/instrument.ts";
import { L2Book } from "../../market/l2-book.ts";
import { ChecksumText } from "../checksum.ts";

/** Levels a side that go into the sum. */
const DEPTH = 25;
/** The channel carries 400 levels a side. */
const SHAPE = { windowTicks: 1_024, farLevels: 1_024 } as const;
/** Two numbers of at most 17 characters and their colons, 25 times, for two sides. */
const TEXT_BYTES = 2 * DEPTH * 2 * 18;
const COLON = 58;

/** What a book's checksum came to. */
export const CHECKSUM = { equal: 0, different: 1, unknown: 2 } as const;
export type ChecksumVerdict = (typeof CHECKSUM)[keyof typeof CHECKSUM];

/**
 * One book of OKX beside the desk's own, for its checksum: CRC-32 over `bid price:bid size:ask price:ask size:…` of the best 25 levels,
 * numbers as short as they go; where one side has fewer levels, the other's go on alone.
 * Source: OKX v5, WebSocket "Order book channel", "Checksum".
 */
export class OkxChecksum {
  readonly #instrument: Instrument;
  readonly #book = new L2Book(SHAPE);
  readonly #text = new ChecksumText(TEXT_BYTES);
  readonly #ticks = [new Int32Array(DEPTH), new Int32Array(DEPTH)] as const;
  readonly #lots = [new Float64Array(DEPTH), new Float64Array(DEPTH)] as const;

  constructor(instrument: Instrument) {
    this.#instrument = instrument;
  }

  applySnapshot(batch: EventBatch, row: number): void {
    this.#book.applySnapshot(batch, row);
  }

  applyDelta(batch: EventBatch, row: number): void {
    this.#book.applyDelta(batch, row);
  }

  /** Compares the book with a checksum, unsigned; `unknown` where a size off the lot grid or a level too many leaves no text to sum. */
  verify(checksum: number): ChecksumVerdict {
    if (this.#book.overflowed > 0) return CHECKSUM.unknown;
    const [bidTicks, askTicks] = this.#ticks;
    const [bidLots, askLots] = this.#lots;
    const bids = this.#book.top(SIDE.bid, DEPTH, bidTicks, bidLots);
    const asks = this.#book.top(SIDE.ask, DEPTH, askTicks, askLots);
    this.#text.clear();
    for (let i = 0; i < Math.max(bids, asks); i += 1) {
      if (i < bids && !this.#write(bidTicks[i], bidLots[i])) return CHECKSUM.unknown;
      if (i < asks && !this.#write(askTicks[i], askLots[i])) return CHECKSUM.unknown;
    }
    return this.#text.crc32() === checksum ? CHECKSUM.equal : CHECKSUM.different;
  }

  #write(ticks: number, lots: number): boolean {
    const { tick, lot } = this.#instrument;
    if (!Number.isInteger(lots) || !Number.isSafeInteger(lots * lot.mantissa)) return false;
    if (this.#text.length > 0) this.#text.byte(COLON);
    this.#text.decimal(ticks, tick, true);
    this.#text.byte(COLON);
    this.#text.decimal(lots, lot, true);
    return true;
  }
}
