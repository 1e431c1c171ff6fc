/** What the counterparty has traded in one instrument, in exact decimals: amounts are whole numbers of 10^-18. */
export interface CounterpartyPosition {
  readonly key: string;
  /** From the quoter's point of view: + = the quoter is long. */
  readonly size: bigint;
  /** Σ −signed size × price: what the quoter has received. */
  readonly flow: bigint;
  /** Σ signed size / price, for contracts whose face is in quote currency. */
  readonly inverse: bigint;
  readonly fees: bigint;
  readonly trades: number;
}

const SCALE = 18;
const ONE = 10n ** BigInt(SCALE);

/** A plain decimal as a whole number of 10^-18. */
export function exact(text: string): bigint {
  const negative = text.startsWith("-");
  const [whole = "0", fraction = ""] = (negative ? text.slice(1) : text).split(".");
  const units = BigInt(whole + fraction.padEnd(SCALE, "0").slice(0, SCALE));
  return negative ? -units : units;
}

/** Back to a number, for comparisons and display. */
export function inexact(units: bigint): number {
  return Number(units / ONE) + Number(units % ONE) / 1e18;
}

/** The counterparty's own books of what it traded with the quoter, kept without binary fractions. */
export class CounterpartyBooks {
  readonly #positions = new Map<string, CounterpartyPosition>();

  /** @param side 0 = the quoter bought */
  onTrade(key: string, side: 0 | 1, size: string, price: string, fee: string): void {
    const known = this.#positions.get(key);
    const signed = side === 0 ? exact(size) : -exact(size);
    const at = exact(price);
    this.#positions.set(key, {
      key,
      size: (known?.size ?? 0n) + signed,
      flow: (known?.flow ?? 0n) - (signed * at) / ONE,
      inverse: (known?.inverse ?? 0n) + (signed * ONE) / at,
      fees: (known?.fees ?? 0n) + exact(fee),
      trades: (known?.trades ?? 0) + 1,
    });
  }

  position(key: string): CounterpartyPosition | undefined {
    return this.#positions.get(key);
  }

  all(): readonly CounterpartyPosition[] {
    return [...this.#positions.values()];
  }
}
