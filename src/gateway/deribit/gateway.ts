import { KeelError } from "../../core/errors.ts";
import { invariant } from "../../core/invariant.ts";
import type { ApprovedOrder, ApprovedQuotes } from "../../risk/gate.ts";
import type { ReconciliationSource } from "../../risk/reconciliation.ts";
import type { BookedTrades, GatewayEvents, QuoteGateway } from "../gateway.ts";
import { AccountEvents } from "./account-events.ts";
import { assemble } from "./assembly.ts";
import type { BlockRfqs } from "./block-rfqs.ts";
import type { Cancellations } from "./cancellations.ts";
import type { Fills } from "./fills.ts";
import type { DeribitDescription, DeribitGatewayCounters, DeribitGatewayOptions } from "./gateway-options.ts";
import type { JsonRecord } from "./json.ts";
import type { LogonCall } from "./logon.ts";
import type { Opening } from "./opening.ts";
import type { DeribitOrders } from "./orders.ts";
import type { Protection } from "./protection.ts";
import type { QuoteWriter, QuoteWriterHost } from "./quote-writer.ts";
import type { RpcClient, RpcClientEvents } from "./rpc-client.ts";
import { actionOf } from "./rpc-error.ts";
import { Term } from "./term.ts";

/** For so long a leader that gives way waits for the venue's word that everything is cancelled. */
const FOLLOW_MS_MAX = 500;
const TIME_EVERY_US = 10e6;

/**
 * Quotes and orders at Deribit, over one JSON-RPC connection.
 *
 * Every login begins with cancel-on-disconnect and a cancellation of everything; then come the subscriptions, the trades that
 * happened while nobody listened, and a look at what is open. Only when nothing is open is the desk told that the session is up.
 * When the outcome of a quote message or of a cancellation stays unknown, all quotes are cancelled, the venue is asked what is
 * open, and the desk is told that everything up to the last quote is gone; when that cannot be made sure of, the connection is
 * cut, and the venue's cancel-on-disconnect does the rest.
 *
 * One of a pair logs in and listens while the other one leads, and takes the other steps when it is given the lead itself.
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
  readonly #account: AccountEvents;
  readonly #protection: Protection;
  readonly #cancellations: Cancellations;
  readonly #opening: Opening;
  readonly #term: Term;
  #events: GatewayEvents | null = null;
  #epoch = 0;
  /** Changes with every connection, and not with the terms of a pair. */
  #connection = 0;
  #up = false;
  #stopping = false;
  /** Of a pair, this one leads; true for a process that is alone. */
  #leading: boolean;
  /** Of this connection: what happens to the account is heard. */
  #listening = false;
  /** Of this connection: something may stand that it has sent. */
  #touched = false;
  #timeAskedUs = 0;

  constructor(options: DeribitGatewayOptions) {
    this.#options = options;
    const { pair } = options;
    this.#leading = pair === undefined;
    this.#term = new Term(pair?.fence ?? null, options.clock.wallUs());
    const parts = assemble(options, this, {
      counters: this.counters,
      term: this.#term,
      up: () => this.#up,
      onPortfolio: (value) => this.#account.onPortfolio(value),
    });
    this.client = parts.client;
    this.orders = parts.orders;
    this.blockRfqs = parts.blockRfqs;
    this.writer = parts.writer;
    this.reconciliation = parts.reconciliation;
    this.#cancellations = parts.cancellations;
    this.#protection = parts.protection;
    this.#fills = parts.fills;
    this.#fills.follows = !this.#leading;
    this.#opening = parts.opening;
    this.#account = new AccountEvents({
      ...{ instruments: options.instruments, orders: this.orders, writer: this.writer },
      ...{ protection: this.#protection, opening: this.#opening },
      onTrade: (trade, timeUs) => this.onTrade(trade, timeUs),
      held: () => this.held,
      up: () => this.#up,
      unknown: (reason, timeUs) => this.unknown(reason, timeUs),
    });
  }

  get ready(): boolean {
    return this.#up && this.#leading && !this.#stopping;
  }

  /** Of a pair, this one could lead at once. */
  get prepared(): boolean {
    return this.#listening && !this.#stopping;
  }

  /** Which trades this desk has booked. */
  get booked(): BookedTrades {
    return this.#fills.booked;
  }

  /** The desk's books are another process's from here on. */
  adoptTrades(booked: BookedTrades): void {
    this.#fills.adopt(booked);
  }

  /** The leader has booked a trade, which is told to the desk by its word. */
  followTrade(symbol: string, tradeId: string): void {
    this.#fills.onFollowed(symbol, tradeId);
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

  /** What the leader before left is cancelled, its last trades are asked for, and the session is up. */
  lead(_before: unknown, timeUs: number): void {
    this.#standDown("another term of leadership has begun", timeUs);
    this.#term.begin();
    this.#leading = true;
    this.#fills.follows = false;
    if (this.#stopping) return;
    if (this.#listening) void this.#open();
    else this.client.hurry(timeUs);
  }

  async follow(reason: string, timeUs: number): Promise<void> {
    this.#leading = false;
    const connection = this.#connection;
    const gone = !this.#touched || (await this.#withdraw(FOLLOW_MS_MAX, timeUs));
    if (this.#leading) return;
    const { clock } = this.#options;
    if (!gone && this.#connection === connection)
      this.client.cut(`not sure that everything is cancelled: ${reason}`, clock.wallUs());
    this.#standDown(reason, clock.wallUs());
    this.#fills.follows = true;
  }

  /** Quotes that wait for credit count as handed over: they go out when there is some, unless a newer one replaces them. */
  publish({ batch }: ApprovedQuotes, timeUs: number): number {
    if (!this.ready) return 0;
    this.writer.publish(batch, timeUs);
    return batch.count;
  }

  cancelAll(timeUs: number): boolean {
    if (!this.client.loggedIn || !this.#leading) return false;
    this.writer.drop();
    void this.#cancellations.everything("cancelled", timeUs);
    return true;
  }

  /** Cancels the orders and quotes of one currency. @throws KeelError when it was refused or its outcome is unknown */
  async cancelCurrency(currency: string, timeUs: number): Promise<unknown> {
    this.#mustLead();
    return this.#cancellations.some("private/cancel_all_by_currency", { currency }, timeUs);
  }

  /** Cancels the orders and quotes of one instrument. @throws KeelError as {@link cancelCurrency} */
  async cancelInstrument(symbol: string, timeUs: number): Promise<unknown> {
    this.#mustLead();
    return this.#cancellations.some("private/cancel_all_by_instrument", { instrument_name: symbol }, timeUs);
  }

  sendOrder(order: ApprovedOrder, timeUs: number): boolean {
    return this.ready && this.orders.send(order, timeUs);
  }

  cancelOrder(orderId: number, timeUs: number): boolean {
    return this.#leading && this.client.loggedIn && this.orders.cancel(orderId, timeUs);
  }

  askOrder(orderId: number, timeUs: number): boolean {
    return this.#leading && this.client.loggedIn && this.orders.ask(orderId, timeUs);
  }

  /** Lifts the venue's market-maker protection of an index before its time. @throws KeelError when it was refused */
  async resetMmp(index: string, timeUs: number): Promise<void> {
    this.#mustLead();
    const { clock } = this.#options;
    const call: LogonCall = (method, params) => this.client.call(method, params, timeUs);
    await this.#protection.reset(index, call, () => clock.wallUs());
  }

  resetProtection(timeUs: number): boolean {
    if (!this.#leading) return false;
    const frozen = [...this.#protection.frozenUntilUs.keys()];
    for (const index of frozen) {
      this.resetMmp(index, timeUs).catch((error: unknown) => {
        const { clock } = this.#options;
        this.onProblem(error instanceof Error ? error.message : String(error), clock.wallUs());
      });
    }
    return frozen.length > 0;
  }

  onTimer(timeUs: number): void {
    this.client.onTimer(timeUs);
    this.#protection.onTimer(timeUs);
    if (this.#up && this.#leading) this.writer.flush(timeUs);
    this.#keepTime(timeUs);
  }

  async stop(timeoutMs: number): Promise<void> {
    this.#stopping = true;
    const { clock } = this.#options;
    if (this.#leading && this.client.loggedIn) await this.#withdraw(timeoutMs, clock.wallUs());
    this.client.stop(clock.wallUs());
  }

  describe(): DeribitDescription {
    const { blockRfqs: block } = this;
    return {
      url: this.#options.url,
      state: this.#state,
      portfolios: [...this.#account.portfolios.values()],
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
    if (this.#listening && !this.#leading) return "standing by";
    return this.client.loggedIn ? "logging on" : "down";
  }

  onLogin(): void {
    this.#connection += 1;
    this.#epoch += 1;
    this.writer.reset();
    this.#cancellations.reset();
    void this.#logon();
  }

  /** The term is over: what still stands of this connection goes with it, where no other leader has cancelled it already. */
  onHeldBack(): void {
    const connection = this.#connection;
    queueMicrotask(() => {
      if (this.#connection === connection && this.client.loggedIn)
        this.client.cut("this process may not write to the venue any more", this.#options.clock.wallUs());
    });
  }

  onLost(reason: string, timeUs: number): void {
    this.#connection += 1;
    this.#epoch += 1;
    this.#listening = false;
    this.#touched = false;
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
    const isBlock = channel.startsWith("block_rfq.");
    if (isBlock && this.#leading) this.blockRfqs?.onNotification(channel, data, timeUs);
    if (!isBlock) this.#account.onNotification(channel, data, this.#leading, timeUs);
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

  #mustLead(): void {
    if (!this.#leading) throw new KeelError("not-leader", "this process does not lead");
  }

  /** @returns a call that fails when `isCurrent` does not hold any more */
  #calling(isCurrent: () => boolean): LogonCall {
    return async (method, params) => {
      const result = await this.client.call(method, params, this.#options.clock.wallUs());
      if (!isCurrent()) throw new KeelError("deribit-overtaken", "deribit: the connection was replaced");
      return result;
    };
  }

  /** Listens; a leader cancels before, whatever may come of it, and goes on. */
  async #logon(): Promise<void> {
    const connection = this.#connection;
    const epoch = this.#epoch;
    const isCurrent = (): boolean => this.#connection === connection;
    const call = this.#calling(isCurrent);
    const leads = this.#leading;
    try {
      this.#touched = leads;
      if (leads) await this.#opening.clear(call);
      await this.#opening.listen(call);
      this.#listening = true;
      this.#timeAskedUs = this.#options.clock.wallUs();
      if (this.#leading) await this.#open(leads && this.#epoch === epoch);
    } catch (error) {
      this.#failed(error, isCurrent);
    }
  }

  /** @param isCleared what an earlier connection left has been cancelled in this term */
  async #open(isCleared = false): Promise<void> {
    const epoch = this.#epoch;
    const isCurrent = (): boolean => this.#epoch === epoch;
    const call = this.#calling(isCurrent);
    const { clock } = this.#options;
    try {
      this.#touched = true;
      if (!isCleared) await this.#opening.clear(call);
      await this.#opening.settle(call);
      this.#up = true;
      this.events.onSessionUp(clock.wallUs());
      this.#protection.tellAll(clock.wallUs());
      await this.blockRfqs?.begin(call, this.#opening.clockOffsetUs);
    } catch (error) {
      this.#failed(error, isCurrent);
    }
  }

  #failed(error: unknown, isCurrent: () => boolean): void {
    if (!(error instanceof KeelError)) throw error;
    if (isCurrent()) this.client.cut(error.message, this.#options.clock.wallUs());
  }

  /** This process quotes no more, or not yet, on a connection that stays. */
  #standDown(reason: string, timeUs: number): void {
    if (!this.#touched) return;
    this.#touched = false;
    this.#epoch += 1;
    this.writer.reset();
    this.#cancellations.reset();
    this.blockRfqs?.onLost(reason);
    const wasUp = this.#up;
    this.#up = false;
    if (wasUp) this.events.onSessionDown(reason, timeUs);
  }

  /** Cancels everything. @returns whether the venue said in time that it has, or the connection is gone */
  async #withdraw(timeoutMs: number, timeUs: number): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const timer = setTimeout(() => resolve(false), timeoutMs);
    const cancelled = new Promise<void>((idle) => {
      this.#cancellations.onIdle = idle;
    });
    this.writer.drop();
    if (!this.#cancellations.running) void this.#cancellations.everything("cancelled", timeUs);
    void Promise.all([cancelled, this.blockRfqs?.cancelAll(timeUs)]).then(() => resolve(true));
    const gone = await promise;
    clearTimeout(timer);
    this.#cancellations.onIdle = null;
    return gone;
  }

  /** One of a pair must know the venue's clock well: its orders end with its term. */
  #keepTime(timeUs: number): void {
    if (this.#options.pair === undefined || !this.#listening) return;
    if (Math.abs(timeUs - this.#timeAskedUs) < TIME_EVERY_US) return;
    this.#timeAskedUs = timeUs;
    const connection = this.#connection;
    this.#opening
      .askTime(this.#calling(() => this.#connection === connection))
      .catch((error: unknown) => this.onProblem(String(error), timeUs));
  }
}
