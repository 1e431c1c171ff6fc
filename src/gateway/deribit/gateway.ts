import type { Clock } from "../../core/clock.ts";
import { KeelError } from "../../core/errors.ts";
import { invariant } from "../../core/invariant.ts";
import type { DeribitCredentials } from "../../feed/deribit/login.ts";
import type { InstrumentTable } from "../../market/instrument.ts";
import type { ApprovedOrder, ApprovedQuotes } from "../../risk/gate.ts";
import type { ReconciliationSource } from "../../risk/reconciliation.ts";
import type { GatewayEvents, QuoteGateway } from "../gateway.ts";
import {
  applyLimits,
  ordersOf,
  type Portfolio,
  quotesOf,
  readOpenOrders,
  readPortfolio,
  readPositions,
} from "./account.ts";
import { type BudgetOptions, RequestBudget } from "./credits.ts";
import { Fills } from "./fills.ts";
import { isRecord, type JsonRecord, numberOf, recordsOf, textOf } from "./json.ts";
import { fetchTrades, mmpParams, settlementOf, subscribe } from "./logon.ts";
import { MassQuotes } from "./mass-quotes.ts";
import { OrderQuotes } from "./order-quotes.ts";
import { DeribitOrders } from "./orders.ts";
import type { QuoteCounters, QuoteWriter, QuoteWriterHost } from "./quote-writer.ts";
import { RpcClient, type RpcClientCounters, type RpcClientEvents } from "./rpc-client.ts";
import { actionOf, RpcError } from "./rpc-error.ts";
import type { MmpLimits } from "./venue.ts";

export interface DeribitGatewayOptions {
  readonly url: string;
  readonly credentials: DeribitCredentials;
  readonly instruments: InstrumentTable;
  readonly clock: Clock;
  readonly seed: number;
  /** Indexes that are quoted, by the venue's name: `btc_usd`. */
  readonly indexes: readonly string[];
  /** `mass` needs the venue's approval; `orders` sends an order for each side of a quote. */
  readonly quoting: "mass" | "orders";
  /** Levels that are quoted; each has an MMP group. */
  readonly levels: number;
  /** Begins the names of MMP groups (`keel-btc_usd`) and the labels of orders. */
  readonly name: string;
  /** Null: the protection that the account has is left as it is. */
  readonly mmp: MmpLimits | null;
  readonly cancelOnDisconnect: "connection" | "account";
  readonly budget: BudgetOptions;
  readonly timeoutMs: number;
  readonly heartbeatSeconds: number;
  readonly reconnectFirstMs?: number;
  readonly reconnectCapMs?: number;
  /** Told in words of everything that went wrong; without secrets. */
  readonly onProblem?: (text: string, timeUs: number) => void;
}

export interface DeribitGatewayCounters extends QuoteCounters {
  executions: number;
  duplicateExecutions: number;
  foreignTrades: number;
  mmpTriggers: number;
  cancels: number;
  recoveries: number;
}

/** The session as the console and `/api` show it. */
export interface DeribitDescription {
  readonly url: string;
  readonly state: "down" | "logging on" | "up" | "recovering";
  readonly portfolios: readonly Portfolio[];
  readonly frozen: Readonly<Record<string, number>>;
  readonly deferredQuotes: number;
  readonly conflatedQuotes: number;
  readonly counters: Readonly<DeribitGatewayCounters>;
  readonly requests: Readonly<RpcClientCounters>;
}

const CANCEL_ATTEMPTS = 4;
/**
 * Quotes and orders at Deribit, over one JSON-RPC connection.
 *
 * Every login begins with cancel-on-disconnect and a cancellation of everything; then come the subscriptions, the trades that
 * happened while nobody listened, and a look at what is open. Only when nothing is open is the desk told that the session is up.
 * When the outcome of a quote message or of a cancellation stays unknown, all quotes are cancelled, the venue is asked what is
 * open, and the desk is told that everything up to the last quote is gone; when that cannot be made sure of, the connection is
 * cut, and the venue's cancel-on-disconnect does the rest.
 */
export class DeribitGateway implements QuoteGateway, RpcClientEvents, QuoteWriterHost {
  readonly counters: DeribitGatewayCounters = {
    quoteMessages: 0,
    quoteSides: 0,
    quoteRetries: 0,
    sidesRefused: 0,
    executions: 0,
    duplicateExecutions: 0,
    foreignTrades: 0,
    mmpTriggers: 0,
    cancels: 0,
    recoveries: 0,
  };
  readonly client: RpcClient;
  readonly orders: DeribitOrders;
  readonly writer: QuoteWriter;
  readonly reconciliation: ReconciliationSource;
  readonly #options: DeribitGatewayOptions;
  readonly #fills: Fills;
  readonly #portfolios = new Map<string, Portfolio>();
  readonly #frozenUntilUs = new Map<string, number>();
  #events: GatewayEvents | null = null;
  #epoch = 0;
  #up = false;
  /** Cancellations of everything whose answers have not come; nothing is quoted meanwhile. */
  #cancelling = 0;
  #recovering = false;
  #stopping = false;
  /** Venue's clock less ours, µs. */
  #clockOffsetUs = 0;
  #onIdle: (() => void) | null = null;

  constructor(options: DeribitGatewayOptions) {
    this.#options = options;
    const { instruments, clock } = options;
    const budget = new RequestBudget(options.budget);
    this.client = new RpcClient(
      {
        ...options,
        budget,
        reconnectFirstMs: options.reconnectFirstMs ?? 250,
        reconnectCapMs: options.reconnectCapMs ?? 30_000,
      },
      this,
    );
    this.orders = new DeribitOrders({
      instruments,
      client: this.client,
      labelPrefix: `${options.name}-`,
      events: () => this.events,
      onTrade: (trade, timeUs) => this.onTrade(trade, timeUs),
      onProblem: (text, timeUs) => this.onProblem(text, timeUs),
    });
    const writing = { instruments, client: this.client, budget, host: this } as const;
    this.writer =
      options.quoting === "mass"
        ? new MassQuotes({
            ...writing,
            levels: options.levels,
            groupOf: (index, level) => this.#groupOf(index, level),
          })
        : new OrderQuotes({ ...writing, labelPrefix: `${options.name}q-`, mmp: options.mmp !== null });
    this.#fills = new Fills({
      instruments,
      orderIdOf: (label) => this.orders.orderIdOf(label),
      quoteLabelPrefix: `${options.name}q-`,
      counters: this.counters,
      writer: this.writer,
      events: () => this.events,
      onProblem: (text, timeUs) => this.onProblem(text, timeUs),
    });
    const ask = (method: string, params: JsonRecord): Promise<unknown> =>
      this.client.call(method, params, clock.wallUs());
    const open = async () => readOpenOrders(await ask("private/get_open_orders", {}));
    this.reconciliation = {
      positions: async () =>
        readPositions(await ask("private/get_positions", { currency: "any" }), instruments),
      openOrders: async () => ordersOf(await open(), (label) => this.orders.orderIdOf(label), instruments),
      quotes: async () => quotesOf(await open(), instruments),
    };
  }

  get ready(): boolean {
    return this.#up && !this.#stopping;
  }

  get held(): boolean {
    return !this.#up || this.#cancelling > 0 || this.#recovering;
  }

  get epoch(): number {
    return this.#epoch;
  }

  get events(): GatewayEvents {
    invariant(this.#events !== null, "the gateway has been started");
    return this.#events;
  }

  start(events: GatewayEvents): void {
    this.#events = events;
    this.client.connect(this.#options.clock.wallUs());
  }

  /** Quotes that wait for credit count as handed over: they go out when there is some, unless a newer one replaces them. */
  publish({ batch }: ApprovedQuotes, timeUs: number): number {
    if (!this.ready) return 0;
    this.writer.publish(batch, timeUs);
    return batch.count;
  }

  cancelAll(timeUs: number): boolean {
    if (!this.client.loggedIn) return false;
    this.writer.drop();
    void this.#cancelEverything("cancelled", timeUs);
    return true;
  }

  /** Cancels the orders and quotes of one currency. @throws KeelError when it was refused or its outcome is unknown */
  cancelCurrency(currency: string, timeUs: number): Promise<unknown> {
    return this.#cancelSome("private/cancel_all_by_currency", { currency }, timeUs);
  }

  /** Cancels the orders and quotes of one instrument. @throws KeelError as {@link cancelCurrency} */
  cancelInstrument(symbol: string, timeUs: number): Promise<unknown> {
    return this.#cancelSome("private/cancel_all_by_instrument", { instrument_name: symbol }, timeUs);
  }

  sendOrder(order: ApprovedOrder, timeUs: number): boolean {
    return this.ready && this.orders.send(order, timeUs);
  }

  cancelOrder(orderId: number, timeUs: number): boolean {
    return this.client.loggedIn && this.orders.cancel(orderId, timeUs);
  }

  askOrder(orderId: number, timeUs: number): boolean {
    return this.client.loggedIn && this.orders.ask(orderId, timeUs);
  }

  /** Lifts the venue's market-maker protection of an index before its time. @throws KeelError when it was refused */
  async resetMmp(index: string, timeUs: number): Promise<void> {
    for (const group of this.#groups(index)) {
      await this.client.call("private/reset_mmp", { index_name: index, ...group }, timeUs);
    }
    this.#thaw(index, this.#options.clock.wallUs());
  }

  resetProtection(timeUs: number): void {
    for (const index of this.#frozenUntilUs.keys()) {
      this.resetMmp(index, timeUs).catch((error: unknown) => {
        const { clock } = this.#options;
        this.onProblem(error instanceof Error ? error.message : String(error), clock.wallUs());
      });
    }
  }

  onTimer(timeUs: number): void {
    this.client.onTimer(timeUs);
    for (const [index, untilUs] of this.#frozenUntilUs) if (timeUs >= untilUs) this.#thaw(index, timeUs);
    if (this.#up) this.writer.flush(timeUs);
  }

  async stop(timeoutMs: number): Promise<void> {
    this.#stopping = true;
    const { clock } = this.#options;
    if (this.client.loggedIn) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, timeoutMs);
      this.#onIdle = resolve;
      if (this.#cancelling === 0) this.cancelAll(clock.wallUs());
      await promise;
      clearTimeout(timer);
    }
    this.client.stop(clock.wallUs());
  }

  describe(): DeribitDescription {
    return {
      url: this.#options.url,
      state: this.#recovering ? "recovering" : this.#up ? "up" : this.client.loggedIn ? "logging on" : "down",
      portfolios: [...this.#portfolios.values()],
      frozen: Object.fromEntries(this.#frozenUntilUs),
      deferredQuotes: this.writer.deferred,
      conflatedQuotes: this.writer.conflated,
      counters: { ...this.counters },
      requests: { ...this.client.counters },
    };
  }

  onLogin(timeUs: number): void {
    this.#epoch += 1;
    this.writer.reset();
    this.#cancelling = 0;
    this.#recovering = false;
    void this.#logon(this.#epoch, timeUs);
  }

  onLost(reason: string, timeUs: number): void {
    this.#epoch += 1;
    this.writer.reset();
    this.#frozenUntilUs.clear();
    this.#cancelling = 0;
    this.#recovering = false;
    if (this.#up) this.events.onSessionDown(reason, timeUs);
    else if (!this.#stopping) this.onProblem(`logon ended: ${reason}`, timeUs);
    this.#up = false;
    this.#onIdle?.();
  }

  onNotification(channel: string, data: unknown, timeUs: number): void {
    const [, topic = "", subject = ""] = channel.split(".", 3);
    if (!channel.startsWith("user.")) return;
    const rows = Array.isArray(data) ? recordsOf(data) : isRecord(data) ? [data] : [];
    if (topic === "trades") for (const trade of rows) this.onTrade(trade, timeUs);
    else if (topic === "orders") for (const order of rows) this.#onOrder(order, timeUs);
    else if (topic === "mmp_trigger" && isRecord(data)) this.#onMmp(subject, data, timeUs);
    else if (topic === "portfolio") this.#onPortfolio(data);
  }

  onTrade(trade: JsonRecord, timeUs: number): void {
    this.#fills.onTrade(trade, timeUs);
  }

  onProblem(text: string, timeUs: number): void {
    this.#options.onProblem?.(this.client.redact(text), timeUs);
  }

  unknown(reason: string, timeUs: number): void {
    if (this.#recovering) return;
    this.#recovering = true;
    this.counters.recoveries += 1;
    this.onProblem(`${reason}: all quotes are cancelled`, timeUs);
    void this.#cancelEverything(reason, timeUs);
  }

  onRefusedMessage(method: string, code: number, text: string, index: string, timeUs: number): void {
    this.onProblem(`${method}: ${code} ${text}`, timeUs);
    if (actionOf(code) === "forbidden") this.client.cut(`${method} is refused: ${code} ${text}`, timeUs);
    else if (actionOf(code) === "frozen" && !this.#frozenUntilUs.has(index)) {
      // Whoever froze the quotes, they are refused for a second after a cancellation that asks for it, at least.
      this.#freeze(index, timeUs + 1_000_000, text, timeUs);
    }
  }

  async #logon(epoch: number, timeUs: number): Promise<void> {
    const { clock, indexes, cancelOnDisconnect, mmp } = this.#options;
    const call = async (method: string, params: JsonRecord): Promise<unknown> => {
      const result = await this.client.call(method, params, clock.wallUs());
      if (this.#epoch !== epoch)
        throw new KeelError("deribit-overtaken", "deribit: the connection was replaced");
      return result;
    };
    try {
      await call("private/enable_cancel_on_disconnect", { scope: cancelOnDisconnect });
      await call("private/cancel_all", {});
      const askedUs = clock.wallUs();
      const venueMs = numberOf(await call("public/get_time", {}));
      if (Number.isNaN(venueMs))
        throw new KeelError("deribit-clock", "deribit: public/get_time gave no time");
      this.#clockOffsetUs = venueMs * 1_000 - (askedUs + clock.wallUs()) / 2;
      const currencies = new Set(indexes.map((index) => settlementOf(index)));
      for (const currency of currencies) {
        const summary = await call("private/get_account_summary", { currency, extended: true });
        applyLimits(summary, this.client.budget);
        this.#onPortfolio(summary);
      }
      const groups = indexes.flatMap((index) => this.#groups(index).map((group) => ({ index, group })));
      if (mmp !== null) {
        for (const { index, group } of groups) {
          await call("private/set_mmp_config", { ...mmpParams(index, mmp), ...group });
        }
      }
      await subscribe(call, indexes);
      for (const { index, group } of groups) {
        const frozen = recordsOf(await call("private/get_mmp_status", { index_name: index, ...group }));
        for (const status of frozen) this.#onMmp(index, status, clock.wallUs());
      }
      const { sinceMs } = this.#fills;
      this.#fills.listenFrom(venueMs);
      if (!Number.isNaN(sinceMs)) {
        const onTrade = (trade: JsonRecord): void => this.onTrade(trade, clock.wallUs());
        await fetchTrades(call, currencies, sinceMs, venueMs, onTrade);
      }
      const open = readOpenOrders(await call("private/get_open_orders", {}));
      if (open.length > 0) {
        throw new KeelError(
          "deribit-open",
          `deribit: ${open.length} orders are open after everything was cancelled`,
        );
      }
      this.#up = true;
      this.events.onSessionUp(clock.wallUs());
      for (const [index, untilUs] of this.#frozenUntilUs)
        this.#tellFrozen(index, untilUs, "frozen before the logon", timeUs);
    } catch (error) {
      if (!(error instanceof KeelError)) throw error;
      if (this.#epoch === epoch) this.client.cut(error.message, clock.wallUs());
    }
  }

  /** Cancels quotes and orders until the venue says that it has, then looks whether it has. */
  async #cancelEverything(why: string, timeUs: number): Promise<void> {
    const epoch = this.#epoch;
    const { clock } = this.#options;
    this.#cancelling += 1;
    this.counters.cancels += 1;
    const recovering = this.#recovering;
    const quotesOnly = recovering && this.#options.quoting === "mass";
    const method = quotesOnly ? "private/cancel_quotes" : "private/cancel_all";
    const params = quotesOnly ? { cancel_type: "all" } : {};
    try {
      for (let attempt = 1; ; attempt += 1) {
        try {
          await this.client.call(method, params, attempt === 1 ? timeUs : clock.wallUs());
          break;
        } catch (error) {
          const again = error instanceof RpcError && (error.action === "retry" || error.action === "login");
          if (!again || attempt === CANCEL_ATTEMPTS || this.#epoch !== epoch) throw error;
        }
      }
      if (recovering) {
        const open = readOpenOrders(await this.client.call("private/get_open_orders", {}, clock.wallUs()));
        if (open.some(({ quote }) => quote === true))
          throw new KeelError("deribit-open", "deribit: quotes are open after all were cancelled");
      }
      if (this.#epoch !== epoch) return;
      this.#cancelling -= 1;
      if (recovering) this.#recovering = false;
      if (this.#up) this.writer.withdrawn(this.writer.lastId, why, clock.wallUs());
      if (this.#cancelling === 0) this.#onIdle?.();
    } catch (error) {
      if (!(error instanceof KeelError)) throw error;
      if (this.#epoch === epoch)
        this.client.cut(`not sure that everything is cancelled: ${error.message}`, clock.wallUs());
    }
  }

  /** Quotes are withdrawn as a whole afterwards, for the desk's words on quotes are by id and not by instrument. */
  async #cancelSome(method: string, params: JsonRecord, timeUs: number): Promise<unknown> {
    const result = await this.client.call(method, params, timeUs);
    this.unknown(`${method} has cancelled ${String(result)} orders`, this.#options.clock.wallUs());
    return result;
  }

  #onOrder(order: JsonRecord, timeUs: number): void {
    if (this.orders.onOrder(order, timeUs) || order.order_state !== "cancelled") return;
    const instrument = this.#options.instruments.find("deribit", textOf(order.instrument_name));
    if (instrument === undefined || !this.writer.isOurs(order)) return;
    const side = order.direction === "buy" ? 0 : 1;
    const expected = this.held || !this.writer.expects(instrument.id, side, order);
    this.writer.onGone(instrument.id, side, order);
    if (expected || order.mmp_cancelled === true || order.cancel_reason === "mmp_trigger") return;
    this.unknown(
      `the venue cancelled a quote on ${instrument.symbol} (${textOf(order.cancel_reason) || "no reason"})`,
      timeUs,
    );
  }

  #onMmp(index: string, status: JsonRecord, timeUs: number): void {
    const untilMs = numberOf(status.frozen_until);
    if (Number.isNaN(untilMs)) return;
    const group = textOf(status.mmp_group);
    if (group !== "" && !this.#groups(index).some(({ mmp_group: name }) => name === group)) return;
    const untilUs = untilMs === 0 ? Number.POSITIVE_INFINITY : untilMs * 1_000 - this.#clockOffsetUs;
    if (untilUs <= timeUs) return;
    this.counters.mmpTriggers += 1;
    this.#freeze(index, untilUs, "market-maker protection of the venue", timeUs);
  }

  #freeze(index: string, untilUs: number, why: string, timeUs: number): void {
    this.#frozenUntilUs.set(index, untilUs);
    this.writer.freeze(index, untilUs);
    if (this.#up) this.#tellFrozen(index, untilUs, why, timeUs);
  }

  #thaw(index: string, timeUs: number): void {
    this.#frozenUntilUs.delete(index);
    this.writer.freeze(index, 0);
    if (this.#up) this.#tellFrozen(index, timeUs, "over", timeUs);
  }

  #tellFrozen(index: string, untilUs: number, why: string, timeUs: number): void {
    const base = index.slice(0, Math.max(index.indexOf("_"), 0)).toUpperCase();
    this.events.onFrozen?.(base, untilUs, why, timeUs);
  }

  #onPortfolio(value: unknown): void {
    const portfolio = readPortfolio(value);
    if (portfolio !== null) this.#portfolios.set(portfolio.currency, portfolio);
  }

  /** The venue takes one quote per side, instrument and group: each level has a group of its own. */
  #groupName(index: string, level: number): string {
    return `${this.#options.name}-${index}${level === 0 ? "" : `-${level}`}`;
  }

  #groupOf(index: string, level: number): string | null {
    return this.#options.indexes.includes(index) ? this.#groupName(index, level) : null;
  }

  /** What names the protection of each level; the orders' own has no name. */
  #groups(index: string): readonly JsonRecord[] {
    if (this.#options.quoting === "orders") return [{}];
    return Array.from({ length: this.#options.levels }, (_, level) => ({
      mmp_group: this.#groupName(index, level),
    }));
  }
}
