import { stepToNumber } from "../core/decimal.ts";
import { invariant } from "../core/invariant.ts";
import type { Instrument } from "../market/instrument.ts";

/** The instruments under quotation, by number and by underlying. Bounded by its capacities; nothing is ever taken out. */
export class Universe {
  readonly underlyings: number;
  /** One tick of each instrument in its price unit. */
  readonly tick: Float64Array;
  /** 1 where prices are premiums in coin. */
  readonly inCoin: Uint8Array;
  readonly #instruments: (Instrument | undefined)[];
  readonly #underlyingOf: Int32Array;
  readonly #members: Int32Array[];
  readonly #memberCount: Int32Array;

  constructor(capacity: number, underlyings: number) {
    this.underlyings = underlyings;
    this.tick = new Float64Array(capacity);
    this.inCoin = new Uint8Array(capacity);
    this.#instruments = new Array<Instrument | undefined>(capacity).fill(undefined);
    this.#underlyingOf = new Int32Array(capacity).fill(-1);
    this.#members = Array.from({ length: underlyings }, () => new Int32Array(16));
    this.#memberCount = new Int32Array(underlyings);
  }

  /**
   * @returns false when the instrument is in already
   * @throws InvariantError for a spot instrument (there is no inventory to quote it from) or a number beyond the capacity
   */
  add(instrument: Instrument, underlying: number): boolean {
    const id = instrument.id;
    const symbol = instrument.symbol;
    invariant(instrument.kind !== "spot", `${symbol} is quoted neither as an option nor as a future`);
    invariant(id < this.tick.length, `instrument ${id} is one of ${this.tick.length}`);
    invariant(
      underlying >= 0 && underlying < this.underlyings,
      `underlying ${underlying} is one of ${this.underlyings}`,
    );
    if (this.#instruments[id] !== undefined) return false;
    this.#instruments[id] = instrument;
    this.#underlyingOf[id] = underlying;
    this.tick[id] = stepToNumber(instrument.tick);
    this.inCoin[id] = instrument.kind === "option" && instrument.inverse ? 1 : 0;
    const count = this.#memberCount[underlying];
    if (count === this.#members[underlying].length) {
      const larger = new Int32Array(2 * count);
      larger.set(this.#members[underlying]);
      this.#members[underlying] = larger;
    }
    this.#members[underlying][count] = id;
    this.#memberCount[underlying] = count + 1;
    return true;
  }

  get(id: number): Instrument | undefined {
    return this.#instruments[id];
  }

  /** Dense number of an instrument's underlying; −1 when it is not quoted. */
  underlyingOf(id: number): number {
    return this.#underlyingOf[id];
  }

  /** Numbers of an underlying's instruments; the first {@link count} of them count. */
  members(underlying: number): Int32Array {
    return this.#members[underlying];
  }

  count(underlying: number): number {
    return this.#memberCount[underlying];
  }

  forEach(visit: (id: number) => void): void {
    for (let underlying = 0; underlying < this.underlyings; underlying += 1) {
      for (let i = 0; i < this.#memberCount[underlying]; i += 1) visit(this.#members[underlying][i]);
    }
  }
}
