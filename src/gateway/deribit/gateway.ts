import { KeelError } from "../../core/errors.ts";
import { invariant } from "../../core/invariant.ts";
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
import { BlockRfqs } from "./block-rfqs.ts";
import { Cancellations } from "./cancellations.ts";
import { RequestBudget } from "./credits.ts";
import { Fills } from "./fills.ts";
import type { DeribitDescription, DeribitGatewayCounters, DeribitGatewayOptions } from "./gateway-options.ts";
import { isRecord, type JsonRecord, numberOf, recordsOf, textOf } from "./json.ts";
import { fetchTrades, type LogonCall, settlementOf, subscribe } from "./logon.ts";
import { MassQuotes } from "./mass-quotes.ts";
import { OrderQuotes } from "./order-quotes.ts";
import { DeribitOrders } from "./orders.ts";
import { Protection } from "./protection.ts";
import type { QuoteWriter, QuoteWriterHost } from "./quote-writer.ts";
import { RpcClient, type RpcClientEvents } from "./rpc-client.ts";
import { actionOf } from "./rpc-error.ts";

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
  /** Answers block RFQs; a tap of the desk. Null where they are not answered. */
  readonly blockRfqs: BlockRfqs | null;
  readonly reconciliation: ReconciliationSource;
  readonly #options: DeribitGatewayOptions;
  readonly #fills: Fills;
  readonly #portfolios = new Map<string, Portfolio>();
  readonly #protection: Protection;
  readonly #cancellations: Cancellations;
  #events: GatewayEvents | null = null;
  #epoch = 0;
  #up = false;
  #stopping = false;
  /** Venue's clock less ours, µs. */
  #clockOffsetUs = 0;

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
      ...{ instruments, clock },
      client: this.client,
      labelPrefix: `${options.name}-`,
      events: () => this.events,
      onTrade: (trade, timeUs) => this.onTrade(trade, timeUs),
      onProblem: (text, timeUs) => this.onProblem(text, timeUs),
    });
    const { onRfq } = options;
    this.blockRfqs =
      onRfq === undefined
        ? null
        : new BlockRfqs({
            ...{ instruments, clock, client: this.client, onInput: onRfq },
            labelPrefix: `${options.name}r-`,
            currencies: [...new Set(options.indexes.map((index) => settlementOf(index)))],
            onProblem: (text, timeUs) => this.onProblem(text, timeUs),
          });
    const writing = { instruments, client: this.client, budget, host: this } as const;
    this.writer =
      options.quoting === "mass"
        ? new MassQuotes({
            ...writing,
            levels: options.levels,
            groupOf: (index, level) => this.#protection.groupOf(index, level),
          })
        : new OrderQuotes({ ...writing, labelPrefix: `${options.name}q-`, mmp: options.mmp !== null });
    this.#cancellations = new Cancellations({
      ...{ client: this.client, clock, counters: this.counters, writer: this.writer },
      quotesOnly: options.quoting === "mass",
      epoch: () => this.#epoch,
      up: () => this.#up,
      onProblem: (text, timeUs) => this.onProblem(text, timeUs),
    });
    this.#protection = new Protection({
      ...{ indexes: options.indexes, name: options.name, limits: options.mmp, counters: this.counters },
      ...{ blockRfqs: this.blockRfqs, writer: this.writer },
      levels: options.quoting === "mass" ? options.levels : 0,
      events: () => this.events,
      up: () => this.#up,
    });
    this.#fills = new Fills({
      blockRfqs: this.blockRfqs,
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

  get indexes(): readonly string[] {
    return this.#options.indexes;
  }

  isFrozen(index: string): boolean {
    return this.#protection.frozenUntilUs.has(index);
  }

  get held(): boolean {
    return !this.#up || this.#cancellations.busy;
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
    void this.#cancellations.everything("cancelled", timeUs);
    return true;
  }

  /** Cancels the orders and quotes of one currency. @throws KeelError when it was refused or its outcome is unknown */
  cancelCurrency(currency: string, timeUs: number): Promise<unknown> {
    return this.#cancellations.some("private/cancel_all_by_currency", { currency }, timeUs);
  }

  /** Cancels the orders and quotes of one instrument. @throws KeelError as {@link cancelCurrency} */
  cancelInstrument(symbol: string, timeUs: number): Promise<unknown> {
    return this.#cancellations.some("private/cancel_all_by_instrument", { instrument_name: symbol }, timeUs);
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
    const { clock } = this.#options;
    const call: LogonCall = (method, params) => this.client.call(method, params, timeUs);
    await this.#protection.reset(index, call, () => clock.wallUs());
  }

  resetProtection(timeUs: number): void {
    for (const index of this.#protection.frozenUntilUs.keys()) {
      this.resetMmp(index, timeUs).catch((error: unknown) => {
        const { clock } = this.#options;
        this.onProblem(error instanceof Error ? error.message : String(error), clock.wallUs());
      });
    }
  }

  onTimer(timeUs: number): void {
    this.client.onTimer(timeUs);
    this.#protection.onTimer(timeUs);
    if (this.#up) this.writer.flush(timeUs);
  }

  async stop(timeoutMs: number): Promise<void> {
    this.#stopping = true;
    const { clock } = this.#options;
    if (this.client.loggedIn) {
      await this.blockRfqs?.cancelAll(clock.wallUs());
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, timeoutMs);
      this.#cancellations.onIdle = resolve;
      if (!this.#cancellations.running) this.cancelAll(clock.wallUs());
      await promise;
      clearTimeout(timer);
    }
    this.client.stop(clock.wallUs());
  }

  describe(): DeribitDescription {
    const { blockRfqs: block } = this;
    return {
      url: this.#options.url,
      state: this.#state,
      portfolios: [...this.#portfolios.values()],
      frozen: Object.fromEntries(this.#protection.frozenUntilUs),
      deferredQuotes: this.writer.deferred,
      conflatedQuotes: this.writer.conflated,
      counters: { ...this.counters },
      requests: { ...this.client.counters },
      blockRfqs: block === null ? null : { ...block.counters, open: block.open, standing: block.standing },
    };
  }

  get #state(): DeribitDescription["state"] {
    if (this.#cancellations.recovering) return "recovering";
    if (this.#up) return "up";
    return this.client.loggedIn ? "logging on" : "down";
  }

  onLogin(): void {
    this.#epoch += 1;
    this.writer.reset();
    this.#cancellations.reset();
    void this.#logon(this.#epoch);
  }

  onLost(reason: string, timeUs: number): void {
    this.#epoch += 1;
    this.writer.reset();
    this.#protection.frozenUntilUs.clear();
    this.#cancellations.reset();
    if (this.#up) this.events.onSessionDown(reason, timeUs);
    else if (!this.#stopping) this.onProblem(`logon ended: ${reason}`, timeUs);
    this.#up = false;
    this.blockRfqs?.onLost(reason);
    this.#cancellations.onIdle?.();
  }

  onNotification(channel: string, data: unknown, timeUs: number): void {
    const [, topic = "", subject = ""] = channel.split(".", 3);
    if (this.blockRfqs?.onNotification(channel, data, timeUs) === true || !channel.startsWith("user."))
      return;
    const rows = Array.isArray(data) ? recordsOf(data) : isRecord(data) ? [data] : [];
    if (topic === "trades") for (const trade of rows) this.onTrade(trade, timeUs);
    else if (topic === "orders") for (const order of rows) this.#onOrder(order, timeUs);
    else if (topic === "mmp_trigger" && isRecord(data))
      this.#protection.onStatus(subject, data, this.#clockOffsetUs, timeUs);
    else if (topic === "portfolio") this.#onPortfolio(data);
  }

  onTrade(trade: JsonRecord, timeUs: number): void {
    this.#fills.onTrade(trade, timeUs);
  }

  onProblem(text: string, timeUs: number): void {
    this.#options.onProblem?.(this.client.redact(text), timeUs);
  }

  unknown(reason: string, timeUs: number): void {
    this.#cancellations.recover(reason, timeUs);
  }

  onRefusedMessage(method: string, code: number, text: string, index: string, timeUs: number): void {
    this.onProblem(`${method}: ${code} ${text}`, timeUs);
    if (actionOf(code) === "forbidden") this.client.cut(`${method} is refused: ${code} ${text}`, timeUs);
    else if (actionOf(code) === "frozen" && !this.#protection.frozenUntilUs.has(index)) {
      // Whoever froze the quotes, they are refused for a second after a cancellation that asks for it, at least.
      this.#protection.freeze(index, timeUs + 1_000_000, text, timeUs);
    }
  }

  async #logon(epoch: number): Promise<void> {
    const { clock, indexes, cancelOnDisconnect } = this.#options;
    const { blockRfqs } = this;
    const call = async (method: string, params: JsonRecord): Promise<unknown> => {
      const result = await this.client.call(method, params, clock.wallUs());
      if (this.#epoch !== epoch)
        throw new KeelError("deribit-overtaken", "deribit: the connection was replaced");
      return result;
    };
    try {
      await call("private/enable_cancel_on_disconnect", { scope: cancelOnDisconnect });
      await call("private/cancel_all", {});
      await blockRfqs?.clear(call);
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
      await this.#protection.configure(call);
      await subscribe(call, indexes, blockRfqs?.channels ?? []);
      await this.#protection.ask(call, this.#clockOffsetUs, () => clock.wallUs());
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
      this.#protection.tellAll(clock.wallUs());
      await blockRfqs?.begin(call, this.#clockOffsetUs);
    } catch (error) {
      if (!(error instanceof KeelError)) throw error;
      if (this.#epoch === epoch) this.client.cut(error.message, clock.wallUs());
    }
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

  #onPortfolio(value: unknown): void {
    const portfolio = readPortfolio(value);
    if (portfolio !== null) this.#portfolios.set(portfolio.currency, portfolio);
  }
}
