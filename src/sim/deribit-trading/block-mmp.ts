import type { SimAccount } from "./account.ts";
import type { BlockRfqEvents } from "./block-rfqs.ts";
import type { Exchange } from "./exchange.ts";
import { amountOf, priceOf, type TradedInstrument } from "./orders.ts";

interface BlockProtection {
  readonly intervalUs: number;
  readonly frozenUs: number;
  readonly quantityLimit: number;
  sinceUs: number;
  quantity: number;
  frozenUntilUs: number;
}

const limitOf = (value: unknown): number =>
  typeof value === "number" && value > 0 ? value : Number.POSITIVE_INFINITY;

/** Market-maker protection of block RFQ quotes, apart from that of orders and mass quotes; by quantity alone. */
export class BlockMmp {
  readonly #exchange: Exchange;
  readonly #events: BlockRfqEvents;
  readonly #byAccount = new Map<SimAccount, BlockProtection>();

  constructor(exchange: Exchange, events: BlockRfqEvents) {
    this.#exchange = exchange;
    this.#events = events;
  }

  /** `private/set_mmp_config` with `block_rfq`. */
  configure(account: SimAccount, params: Readonly<Record<string, unknown>>): void {
    this.#byAccount.set(account, {
      intervalUs: Number(params.interval) * 1e6,
      frozenUs: Number(params.frozen_time) * 1e6,
      quantityLimit: limitOf(params.quantity_limit),
      ...{ sinceUs: Number.NEGATIVE_INFINITY, quantity: 0 },
      frozenUntilUs: this.#byAccount.get(account)?.frozenUntilUs ?? Number.NEGATIVE_INFINITY,
    });
  }

  reset(account: SimAccount): void {
    const protection = this.#byAccount.get(account);
    if (protection !== undefined) protection.frozenUntilUs = Number.NEGATIVE_INFINITY;
  }

  frozen(account: SimAccount): boolean {
    return this.#exchange.timeUs < (this.#byAccount.get(account)?.frozenUntilUs ?? 0);
  }

  /** As `private/get_mmp_status` answers. */
  status(account: SimAccount): object[] {
    const protection = this.#byAccount.get(account);
    if (protection === undefined || !this.frozen(account)) return [];
    return [this.#json(protection)];
  }

  onTrade(account: SimAccount, instrument: TradedInstrument, lots: number, ticks: number): void {
    const protection = this.#byAccount.get(account);
    if (protection === undefined) return;
    const nowUs = this.#exchange.timeUs;
    if (!(nowUs < protection.sinceUs + protection.intervalUs)) {
      protection.sinceUs = nowUs;
      protection.quantity = 0;
    }
    const amount = amountOf(instrument, lots);
    protection.quantity += instrument.kind === "future" ? amount / priceOf(instrument, ticks) : amount;
  }

  /** Looks whether the trades so far set it off, and if so freezes and tells. */
  tripped(account: SimAccount): boolean {
    const protection = this.#byAccount.get(account);
    if (protection === undefined || !(protection.quantity > protection.quantityLimit)) return false;
    const { frozenUs } = protection;
    protection.sinceUs = Number.NEGATIVE_INFINITY;
    protection.quantity = 0;
    protection.frozenUntilUs = frozenUs === 0 ? Number.POSITIVE_INFINITY : this.#exchange.timeUs + frozenUs;
    this.#events.tell(account, `user.mmp_trigger.${this.#exchange.index}`, this.#json(protection));
    return true;
  }

  #json({ frozenUntilUs }: BlockProtection): object {
    return {
      index_name: this.#exchange.index,
      frozen_until: Number.isFinite(frozenUntilUs) ? Math.ceil(frozenUntilUs / 1_000) : 0,
      block_rfq: true,
    };
  }
}
