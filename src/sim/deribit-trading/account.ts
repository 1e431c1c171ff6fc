import { RateLimiter, type VenueLimits } from "./limits.ts";
import type { SimOrder, TradedInstrument } from "./orders.ts";
import type { Side } from "./trading-error.ts";

/** A position: lots signed, price of the last entry averaged as the venue averages it. */
export interface SimPosition {
  readonly instrument: TradedInstrument;
  lots: number;
  /** In ticks. */
  averageTicks: number;
}

/** One trade of the account, with the venue's JSON of it. */
export interface AccountTrade {
  readonly timestampMs: number;
  readonly symbol: string;
  readonly side: Side;
  readonly lots: number;
  readonly json: Readonly<Record<string, unknown>>;
}

/** Protection of one index: of a group of quotes, or (name null) of orders with the mmp flag. */
export interface MmpGroup {
  readonly index: string;
  readonly name: string | null;
  readonly intervalUs: number;
  readonly frozenUs: number;
  readonly quantityLimit: number;
  readonly deltaLimit: number;
  readonly vegaLimit: number;
  readonly maxQuoteQuantity: number;
  /** When the interval under way began; −Infinity = none. By the venue's clock. */
  sinceUs: number;
  quantity: number;
  delta: number;
  vega: number;
  /** Infinity = until it is reset. */
  frozenUntilUs: number;
}

/** What one API key trades with. */
export class SimAccount {
  readonly clientId: string;
  readonly clientSecret: string;
  readonly limiter: RateLimiter;
  readonly limits: VenueLimits;
  readonly orders = new Map<string, SimOrder>();
  readonly positions = new Map<string, SimPosition>();
  readonly trades: AccountTrade[] = [];
  readonly groups = new Map<string, MmpGroup>();
  /** Account scope: every new connection begins with it. */
  cancelOnDisconnect = false;
  /** After a cancellation with `freeze_quotes`. By the venue's clock. */
  quotesFrozenUntilUs = Number.NEGATIVE_INFINITY;

  constructor(clientId: string, clientSecret: string, limits: VenueLimits) {
    this.clientId = clientId;
    this.clientSecret = clientSecret;
    this.limits = limits;
    this.limiter = new RateLimiter(limits);
  }

  openOrders(): SimOrder[] {
    return [...this.orders.values()].filter(({ state }) => state === "open");
  }

  quote(symbol: string, side: Side, group: string): SimOrder | undefined {
    for (const order of this.orders.values()) {
      if (order.state === "open" && order.mmpGroup === group && order.side === side) {
        if (order.instrument.symbol === symbol) return order;
      }
    }
    return undefined;
  }

  /** Takes a trade into the position. Inverse futures average their prices harmonically, as their value is linear in 1/price. */
  fill(instrument: TradedInstrument, side: Side, lots: number, ticks: number): void {
    const position = this.positions.get(instrument.symbol) ?? { instrument, lots: 0, averageTicks: 0 };
    this.positions.set(instrument.symbol, position);
    const signed = side === 0 ? lots : -lots;
    const before = position.lots;
    position.lots += signed;
    if (before === 0 || Math.sign(before) !== Math.sign(position.lots)) {
      position.averageTicks = position.lots === 0 ? 0 : ticks;
    } else if (Math.sign(signed) === Math.sign(before)) {
      const held = Math.abs(before);
      position.averageTicks =
        instrument.kind === "future"
          ? (held + lots) / (held / position.averageTicks + lots / ticks)
          : (held * position.averageTicks + lots * ticks) / (held + lots);
    }
  }

  /** Drops closed orders, the oldest first, beyond what the venue remembers. */
  forgetClosed(keep: number): void {
    if (this.orders.size <= keep) return;
    for (const [id, { state }] of this.orders) {
      if (state !== "open") this.orders.delete(id);
      if (this.orders.size <= keep) return;
    }
  }
}
