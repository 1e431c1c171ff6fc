import { invariant } from "../core/invariant.ts";
import { type NativeFunctions, nativeMemory } from "../core/native.ts";
import { ImpliedVolatility, IV_STATUS, impliedVolatility } from "./implied-volatility.ts";

/** Of `keel_iv` in `ffi/implied_volatility.h`: seven addresses, two numbers. */
const ADDRESSES = 7;
const BLOCK_BYTES = ADDRESSES * 8 + 8;
/** `KEEL_IV_OPEN`: a row that the native kernel leaves to the reference. */
const OPEN = 255;

/**
 * Implied volatilities of many options at once, by columns: fill the first rows, {@link solve}, read. Taken once, reused.
 *
 * With the native library a vector of options goes through the algorithm of {@link impliedVolatility} together, in the same bits
 * on every instruction set; what is refused, or so far in the wings that it needs another branch, is left to the reference, which
 * also stands in where there is no library. The two agree to 1e-14, not bit for bit: what a replay must repeat goes through the
 * reference alone.
 */
export class ImpliedVolatilityBatch {
  readonly capacity: number;
  /** 1 = call, 0 = put. */
  readonly calls: Uint8Array;
  /** In quote currency for one unit of the underlying, undiscounted. */
  readonly premiums: Float64Array;
  readonly forwards: Float64Array;
  readonly strikes: Float64Array;
  readonly years: Float64Array;
  /** Receives fractions per √year; NaN unless the row is `ok`. */
  readonly volatilities: Float64Array;
  /** Receives {@link IV_STATUS}. */
  readonly statuses: Uint8Array;
  readonly #functions: NativeFunctions | null;
  readonly #block;
  readonly #implied = new ImpliedVolatility();

  /**
   * @param functions of the native library; null for the reference alone
   * @param isa instruction set, at most the host's best; default the best
   */
  constructor(capacity: number, functions: NativeFunctions | null, isa?: number) {
    invariant(Number.isSafeInteger(capacity) && capacity > 0, "a number of options");
    this.capacity = capacity;
    this.#functions = functions;
    this.#block = nativeMemory(BLOCK_BYTES);
    const view = new DataView(this.#block.buffer, this.#block.byteOffset, BLOCK_BYTES);
    let at = 0;
    const bytes = (): Uint8Array => {
      const memory = nativeMemory(capacity);
      view.setBigUint64(8 * at++, BigInt(memory.address), true);
      return new Uint8Array(memory.buffer, memory.byteOffset, capacity);
    };
    const doubles = (): Float64Array => {
      const memory = nativeMemory(8 * capacity);
      view.setBigUint64(8 * at++, BigInt(memory.address), true);
      return new Float64Array(memory.buffer, memory.byteOffset, capacity);
    };
    this.calls = bytes();
    this.premiums = doubles();
    this.forwards = doubles();
    this.strikes = doubles();
    this.years = doubles();
    this.volatilities = doubles();
    this.statuses = bytes();
    invariant(at === ADDRESSES, "every column has its address");
    const best = functions === null ? 0 : 31 - Math.clz32(functions.keel_isa_mask());
    view.setInt32(ADDRESSES * 8, capacity, true);
    view.setInt32(ADDRESSES * 8 + 4, Math.min(isa ?? best, best), true);
  }

  /** Solves the first `count` rows. @returns how many are `ok` */
  solve(count: number): number {
    invariant(count >= 0 && count <= this.capacity, `${count} rows of ${this.capacity}`);
    if (this.#functions === null) {
      this.statuses.fill(OPEN, 0, count);
    } else {
      const open = this.#functions.keel_implied_volatilities(this.#block.address, count);
      invariant(open >= 0, "the kernel takes what the columns hold");
      if (open === 0) return count;
    }
    let ok = 0;
    for (let row = 0; row < count; row += 1) {
      if (this.statuses[row] === OPEN) this.#solveRow(row);
      if (this.statuses[row] === IV_STATUS.ok) ok += 1;
    }
    return ok;
  }

  #solveRow(row: number): void {
    this.statuses[row] = impliedVolatility(
      this.#implied,
      this.calls[row] !== 0,
      this.premiums[row],
      this.forwards[row],
      this.strikes[row],
      this.years[row],
    );
    this.volatilities[row] = this.#implied.volatility;
  }
}
