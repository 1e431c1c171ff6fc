import { stepToNumber } from "../../core/decimal.ts";
import type { Desk } from "../../desk/desk.ts";
import type { Instrument } from "../../market/instrument.ts";
import { COLUMNS, type DirectoryEntry, type RowChange } from "./protocol.ts";

const WIDTH = COLUMNS.length;
const read = new Float64Array(WIDTH);

/** Instruments from a number on, as many as are known but at most `count`. */
export function directory(desk: Desk, from: number, count: number): DirectoryEntry[] {
  const { instruments } = desk.market;
  const last = Math.min(instruments.size, from + count);
  return Array.from({ length: Math.max(last - from, 0) }, (_, at) => entry(desk, instruments.get(from + at)));
}

function entry(desk: Desk, instrument: Instrument): DirectoryEntry {
  const { id, venue, symbol, kind, base, expiryMs, strike, tick, lot } = instrument;
  const finite = (value: number): number | null => (Number.isFinite(value) ? value : null);
  const quoted = desk.quoter.quotes(id) ? 1 : 0;
  return [
    ...([id, venue, symbol, kind, base] as const),
    ...([finite(expiryMs), finite(strike), stepToNumber(tick), stepToNumber(lot), quoted] as const),
  ];
}

/** What a client was last sent of the rows that it looks at. Memory is bounded by the rows that may be watched. */
export class SentRows {
  #ids: readonly number[] = [];
  #slots = new Map<number, number>();
  #values = new Float64Array(0);
  #fresh = new Uint8Array(0);

  /** Looks at these rows from now on; those that were looked at before are not sent again whole. */
  watch(ids: readonly number[]): void {
    const values = new Float64Array(ids.length * WIDTH);
    const fresh = new Uint8Array(ids.length).fill(1);
    const slots = new Map<number, number>();
    for (const [slot, id] of ids.entries()) {
      slots.set(id, slot);
      const before = this.#slots.get(id);
      if (before === undefined || this.#fresh[before] === 1) continue;
      values.set(this.#values.subarray(before * WIDTH, (before + 1) * WIDTH), slot * WIDTH);
      fresh[slot] = 0;
    }
    this.#ids = ids;
    this.#slots = slots;
    this.#values = values;
    this.#fresh = fresh;
  }

  /**
   * What has changed since the last call, as the JSON text of an array of {@link RowChange}; empty when nothing has. Instruments that
   * are not known (yet) are passed over. Text is put together from the numbers at once: this is done sixty times a second on the
   * desk's thread, and arrays of arrays only to be read again would be garbage there.
   */
  changes(desk: Desk): string {
    let changes = "";
    const { size } = desk.market.instruments;
    for (let slot = 0; slot < this.#ids.length; slot += 1) {
      const id = this.#ids[slot];
      if (id >= size) continue;
      readRow(desk, id);
      const at = slot * WIDTH;
      const isFresh = this.#fresh[slot] === 1;
      let mask = 0;
      for (let column = 0; column < WIDTH; column += 1) {
        if (isFresh || !Object.is(this.#values[at + column], read[column])) mask |= 1 << column;
      }
      if (mask === 0) continue;
      changes += `${changes === "" ? "[[" : ",["}${id},${mask}`;
      for (let column = 0; column < WIDTH; column += 1) {
        if ((mask & (1 << column)) === 0) continue;
        const value = read[column];
        this.#values[at + column] = value;
        changes += `,${Number.isFinite(value) ? value : null}`;
      }
      changes += "]";
      this.#fresh[slot] = 0;
    }
    return changes === "" ? "" : `${changes}]`;
  }
}

/** The row of one instrument, whole. */
export function wholeRow(desk: Desk, id: number): RowChange {
  readRow(desk, id);
  return [id, (1 << WIDTH) - 1, ...Array.from(read, (value) => (Number.isFinite(value) ? value : null))];
}

function readRow(desk: Desk, id: number): void {
  const { market, quoter } = desk;
  const book = market.books[id];
  const { ticks, lots, widenBp, sizeFactor } = quoter.stability;
  const { values } = quoter;
  const tick = stepToNumber(market.instruments.get(id).tick);
  read[0] = market.feedState[id];
  read[1] = book.bestBidTicks;
  read[2] = book.bestBidLots;
  read[3] = book.bestAskTicks;
  read[4] = book.bestAskLots;
  read[5] = ticks[2 * id];
  read[6] = lots[2 * id];
  read[7] = ticks[2 * id + 1];
  read[8] = lots[2 * id + 1];
  read[9] = rounded(values.fair[id] / tick, 100);
  read[10] = rounded(widenBp[id], 100);
  read[11] = rounded(sizeFactor[id], 1_000);
  read[12] = rounded(values.impliedVolatility[id], 10_000);
  read[13] = rounded(values.delta[id], 1_000);
  read[14] = quoter.reasons[id];
}

/** What a person does not see does not count as a change. */
function rounded(value: number, steps: number): number {
  return Math.round(value * steps) / steps;
}
