import { join } from "node:path";
import { Rng } from "../../core/rng.ts";
import type { QuoteBatch } from "../../quote/quote-batch.ts";
import type { ApprovedOrder, ApprovedQuotes } from "../../risk/gate.ts";
import { ORDER_STATE } from "../../risk/order.ts";
import type { GatewayEvents, QuoteGateway, SessionNumbers } from "../gateway.ts";
import { FieldTree } from "./application/field-tree.ts";
import { newsSignals, readNews } from "./application/news.ts";
import { Backoff } from "./backoff.ts";
import { type ConnectionEvents, Connector } from "./connector.ts";
import { DeferredQuotes } from "./deferred-quotes.ts";
import { readFill } from "./execution-report.ts";
import { FileStore, openSessionStore } from "./file-store.ts";
import { FollowedStore, type SessionWord } from "./followed-store.ts";
import { MassQuoteEncoder } from "./mass-quote.ts";
import type { FixMessage } from "./message.ts";
import { commissionOf, OrderDesk, type OrderWord, orderIdOf } from "./order-desk.ts";
import { QuoteAcks } from "./quote-ack.ts";
import {
  type FixQuoteGatewayCounters,
  type FixQuoteGatewayOptions,
  type FixSessionDescription,
  initiatorOptions,
} from "./quote-gateway-options.ts";
import { SeenIds } from "./seen-ids.ts";
import { FixSession } from "./session.ts";
import { sessionFolder } from "./session-folder.ts";
import type { SessionApplication } from "./session-options.ts";
import { MemoryStore } from "./store.ts";
import { BEGIN_STRING, MSG, TAG } from "./tags.ts";
import { TcpPort } from "./tcp-port.ts";

const SEEN_EXECUTIONS = 65_536;
const SENT_RING = 4_096;
const CANCEL_ALL = 4;
/** For so long a leader that gives way waits for the counterparty's answer to its logout. */
const FOLLOW_MS_MAX = 200;

/**
 * Sends quotes over FIX as the initiator of one session: MassQuote (35=i) and QuoteCancel (35=Z) out, MassQuoteAcknowledgement
 * (35=b), QuoteStatusReport (35=AI) and ExecutionReport (35=8) in; orders by {@link OrderDesk}. Side (54) of an execution is our side: 1 = we bought.
 *
 * Every logon starts with a cancellation of all quotes, before the desk is told that the session is up: what an earlier
 * connection or process left behind must not stay live. Quotes are never resent, because one that has been overtaken must not
 * go live again: a resend request for them is gap-filled, all quotes are cancelled, and the desk is told that they are gone.
 * While the socket does not drain, the newest quote of each instrument waits and older ones are dropped.
 */
export class FixQuoteGateway implements QuoteGateway, SessionApplication, ConnectionEvents {
  readonly counters: FixQuoteGatewayCounters = {
    connects: 0,
    connectFailures: 0,
    massQuotes: 0,
    entries: 0,
    cancels: 0,
    acks: 0,
    executions: 0,
    duplicateExecutions: 0,
    roundedExecutions: 0,
    badMessages: 0,
    news: 0,
  };
  readonly session: FixSession;
  readonly #options: FixQuoteGatewayOptions;
  readonly #port: TcpPort;
  readonly #encoder: MassQuoteEncoder;
  readonly #out: Uint8Array;
  readonly #deferred: DeferredQuotes;
  readonly #connector: Connector;
  readonly #acks = new QuoteAcks();
  readonly #seen: SeenIds;
  readonly #orders: OrderDesk;
  /** Which quotes went out under which MsgSeqNum, for rejects that name only the number. */
  readonly #sentSeq = new Float64Array(SENT_RING);
  readonly #sentQuoteId = new Float64Array(SENT_RING);
  #events: GatewayEvents | null = null;
  #lastQuoteId = 0;
  /** Quotes went out after the last cancellation of all. */
  #quoted = false;
  /** Number of the first application message of this connection. */
  #firstSeq = 0;
  #up = false;
  #stopping = false;
  #onStopped: (() => void) | null = null;
  /** Of a pair, this one may connect. */
  #leading: boolean;
  readonly #followed: FollowedStore | null;

  constructor(options: FixQuoteGatewayOptions) {
    this.#options = options;
    const { pair } = options;
    this.#leading = pair === undefined;
    this.#port = new TcpPort(options.maxPendingBytes ?? 1 << 20, pair?.fence ?? null);
    const opened =
      options.storeDir === null ? new MemoryStore() : openSessionStore(options.storeDir, options);
    this.#followed =
      pair === undefined || !(opened instanceof FileStore) ? null : new FollowedStore(opened, pair.follower);
    this.session = new FixSession(initiatorOptions(options), this.#followed ?? opened, this.#port, this);
    this.#seen = new SeenIds(
      SEEN_EXECUTIONS,
      options.storeDir === null ? null : join(options.storeDir, sessionFolder(options), "executions.log"),
    );
    this.#orders = new OrderDesk(this.session, options.version, options.instruments);
    this.#encoder = new MassQuoteEncoder(options, options.instruments, options.maxEntriesPerMessage);
    this.#out = new Uint8Array(this.#encoder.maxBytes);
    this.#deferred = new DeferredQuotes(options.instruments.capacity, options.levels);
    const backoff = new Backoff(
      options.reconnectFirstMs ?? 250,
      options.reconnectCapMs ?? 30_000,
      new Rng(options.seed),
    );
    const { host, port, clock, tls = false } = options;
    this.#connector = new Connector({ host, port, clock, tls }, this.#port, backoff, this);
  }

  /** Another process may go on with the session's numbers. */
  get outlasts(): boolean {
    return this.#options.storeDir !== null;
  }

  get ready(): boolean {
    return this.#up && this.#leading && !this.#stopping;
  }

  /** Connections that were cut because the counterparty did not read. */
  get unreadCuts(): number {
    return this.#port.unreadCuts;
  }

  /** What a restart would have to know of the session could not be written and is in memory alone. */
  get unwritten(): boolean {
    return this.session.store.behind === true || this.#seen.behind;
  }

  /** Quotes replaced by newer ones while the socket did not drain. */
  get conflated(): number {
    return this.#deferred.conflated;
  }

  /** Instruments whose newest quote waits for the socket. */
  get deferred(): number {
    return this.#deferred.count;
  }

  start(events: GatewayEvents): void {
    this.#events = events;
    const timeUs = this.#options.clock.wallUs();
    if (this.#leading && this.inHours(timeUs)) this.#connector.connect(timeUs);
  }

  /** Goes on with the session where the leader before can have left it at most: the numbers between are gap-filled when asked for. */
  lead(before: SessionNumbers | null, timeUs: number): void {
    this.#port.cut();
    this.session.onDisconnected("another term of leadership has begun", timeUs);
    this.#followed?.takeOver(before);
    this.#connector.forgetFailures();
    this.#leading = true;
    if (!this.#stopping && this.inHours(timeUs)) this.#connector.connect(timeUs);
  }

  async follow(reason: string, timeUs: number): Promise<void> {
    this.#leading = false;
    this.#connector.stop();
    if (this.session.established) {
      this.cancelAll(timeUs);
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#onStopped = resolve;
      this.session.logout(reason, timeUs);
      this.#port.flush();
      const timer = setTimeout(resolve, FOLLOW_MS_MAX);
      await promise;
      clearTimeout(timer);
      this.#onStopped = null;
    }
    if (this.#leading) return;
    this.#port.cut();
    this.session.onDisconnected(reason, this.#options.clock.wallUs());
  }

  /** What the leader has had of the counterparty: it need not come again. */
  followSession(word: SessionWord): void {
    switch (word.said) {
      case "incoming":
        this.#followed?.followIncoming(word.next);
        break;
      case "reset":
        this.#followed?.followReset(word.timeUs);
        break;
      case "execution":
        this.#seen.add(word.key);
    }
  }

  /** Outgoing numbers below `next` may be the leader's: this one, and the process after it, goes on there. */
  followOutgoing(next: number): void {
    if (!this.#leading && this.session.state === "disconnected") this.#followed?.followOutgoing(next);
  }

  /** The schedule, where there is one, has the session logged on now. */
  inHours(timeUs: number): boolean {
    return this.#options.schedule?.isOpen(timeUs) ?? true;
  }

  /** Quotes that wait for the socket count as handed over: they go out when it drains, unless a newer one replaces them. */
  publish(quotes: ApprovedQuotes, timeUs: number): number {
    if (!this.ready) return 0;
    const batch = quotes.batch;
    let row = 0;
    if (this.#deferred.count === 0) row = this.#send(batch, timeUs);
    for (; row < batch.count; row += 1) this.#deferred.add(batch, row);
    return batch.count;
  }

  flush(): void {
    this.#port.flush();
  }

  cancelAll(timeUs: number): boolean {
    if (!this.#up || !this.session.established) return false;
    this.#deferred.clear();
    const builder = this.session.begin(MSG.quoteCancel, timeUs);
    builder.uint(TAG.quoteId, this.#lastQuoteId).uint(TAG.quoteCancelType, CANCEL_ALL);
    if (this.#options.version === "4.2") builder.uint(TAG.noQuoteEntries, 0);
    this.session.send(false);
    this.#port.flush();
    this.counters.cancels += 1;
    this.#quoted = false;
    return true;
  }

  sendOrder(order: ApprovedOrder, timeUs: number): boolean {
    if (!this.ready || !this.session.established) return false;
    const sent = this.#orders.send(order.intent, timeUs);
    this.#port.flush();
    return sent;
  }

  cancelOrder(orderId: number, timeUs: number): boolean {
    if (!this.#up || !this.session.established) return false;
    const sent = this.#orders.cancel(orderId, timeUs);
    this.#port.flush();
    return sent;
  }

  askOrder(orderId: number, timeUs: number): boolean {
    if (!this.#up || !this.session.established) return false;
    const sent = this.#orders.ask(orderId, timeUs);
    this.#port.flush();
    return sent;
  }

  /** State, numbers and counters of the session, for people. */
  describe(): FixSessionDescription {
    const { session } = this;
    const { version, senderCompId, targetCompId, host, port } = this.#options;
    return {
      session: sessionFolder(this.#options),
      version: BEGIN_STRING[version],
      ...{ senderCompId, targetCompId, counterparty: `${host}:${port}` },
      state: session.state,
      nextOutgoing: session.store.nextOutgoing,
      nextIncoming: session.store.nextIncoming,
      startedUs: session.store.startedUs,
      counters: { ...session.counters, ...this.counters, ...this.#orders.counters },
    };
  }

  /** Logs out and back on with both sequences at 1. */
  resetSession(timeUs: number): void {
    this.cancelAll(timeUs);
    this.session.resetAtNextLogon(timeUs);
  }

  onTimer(timeUs: number): void {
    this.session.onTimer(timeUs);
    this.#seen.flush();
    if (this.session.established) this.onDrain(timeUs);
    else if (this.#leading && !this.#stopping && this.inHours(timeUs)) this.#connector.onTimer(timeUs);
  }

  async stop(timeoutMs: number): Promise<void> {
    this.#stopping = true;
    this.#connector.stop();
    const timeUs = this.#options.clock.wallUs();
    if (this.session.established) {
      if (this.#quoted || this.#deferred.count > 0) this.cancelAll(timeUs);
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#onStopped = resolve;
      this.session.logout("", timeUs);
      const timer = setTimeout(resolve, timeoutMs);
      await promise;
      clearTimeout(timer);
    }
    this.#port.cut();
    this.session.onDisconnected("stopped", this.#options.clock.wallUs());
    this.session.store.close();
    this.#seen.close();
    this.#options.messageLog?.close();
  }

  onLogon(timeUs: number): void {
    this.#connector.forgetFailures();
    this.#deferred.clear();
    this.#up = true;
    this.#firstSeq = this.session.store.nextOutgoing;
    this.cancelAll(timeUs);
    this.#events?.onSessionUp(timeUs);
  }

  onLogout(reason: string, timeUs: number): void {
    this.#deferred.clear();
    this.#connector.retryLater(timeUs);
    if (this.#up) this.#events?.onSessionDown(reason, timeUs);
    else this.#problem(`logon failed: ${reason}`, timeUs);
    this.#up = false;
    this.#onStopped?.();
  }

  onMessage(message: FixMessage, timeUs: number): boolean {
    const events = this.#events;
    if (events === null) return false;
    switch (message.msgType) {
      case MSG.massQuoteAck:
      case MSG.quoteStatusReport:
        this.counters.acks += 1;
        if (!this.#acks.read(message, this.#lastQuoteId, events, timeUs)) {
          this.#problem("quote acknowledgement without a usable QuoteID (117) or QuoteStatus (297)", timeUs);
        }
        return true;
      case MSG.executionReport:
        this.#onExecution(message, events, timeUs);
        return true;
      case MSG.cancelReject:
        this.#tell(this.#orders.readCancelReject(message), events, timeUs);
        return true;
      case MSG.news:
        return this.#onNews(message, timeUs);
      default:
        return false;
    }
  }

  #onNews(message: FixMessage, timeUs: number): boolean {
    const { onSignal, version } = this.#options;
    if (onSignal === undefined) return false;
    const news = readNews(FieldTree.read(message, version));
    this.counters.news += 1;
    if (typeof news === "string") this.#problem(`news: ${news}`, timeUs);
    else for (const signal of newsSignals(news)) onSignal(JSON.stringify(signal));
    return true;
  }

  /** Quotes of this connection that the peer missed are void, and so may be the cancellation at logon: both start anew. */
  onResend(_begin: number, end: number, timeUs: number): void {
    if (!this.#up || end < this.#firstSeq || this.#events === null) return;
    this.cancelAll(timeUs);
    this.#acks.withdrawn(this.#lastQuoteId, "not delivered", this.#events, timeUs);
  }

  onReject(refSeq: number, reason: string, timeUs: number): void {
    this.#problem(`message ${refSeq} rejected: ${reason}`, timeUs);
    const slot = refSeq % SENT_RING;
    if (this.#sentSeq[slot] === refSeq && this.#events !== null) {
      this.#acks.refused(this.#sentQuoteId[slot], reason, this.#events, timeUs);
    }
    const orderId = this.#orders.orderOfSeq(refSeq);
    if (orderId > 0) this.#events?.onOrderState?.(orderId, ORDER_STATE.done, 0, reason, timeUs);
  }

  #onExecution(message: FixMessage, events: GatewayEvents, timeUs: number): void {
    const fill = readFill(message, this.#options.instruments);
    if (fill === null) {
      this.#tell(this.#orders.read(message), events, timeUs);
      return;
    }
    if (typeof fill === "string") {
      this.#problem(fill, timeUs);
      return;
    }
    const key = `${fill.tradeDate} ${fill.executionId}`;
    if (this.#seen.has(key)) {
      this.counters.duplicateExecutions += 1;
      return;
    }
    this.counters.executions += 1;
    if (fill.rounded) this.counters.roundedExecutions += 1;
    const orderId = orderIdOf(message.text(TAG.clOrdId));
    const fee = commissionOf(message);
    events.onExecution(fill.executionId, fill.instrument, fill.side, fill.priceTicks, fill.sizeLots, timeUs, {
      counterparty: this.#options.targetCompId,
      ...(orderId > 0 ? { orderId } : {}),
      ...(fee === undefined ? {} : { fee }),
    });
    this.#seen.add(key);
    this.#options.pair?.follower({ said: "execution", key });
  }

  #tell(word: OrderWord | null, events: GatewayEvents, timeUs: number): void {
    if (word !== null) events.onOrderState?.(word.orderId, word.state, word.leavesLots, word.text, timeUs);
  }

  /** Writes messages until the socket stops taking them. @returns rows that went out. */
  #send(batch: QuoteBatch, timeUs: number): number {
    let row = 0;
    while (row < batch.count && this.#port.pendingBytes === 0) {
      const count = Math.min(this.#encoder.maxEntries, batch.count - row);
      const seq = this.session.store.claimOutgoing();
      const length = this.#encoder.encode(batch, row, count, seq, timeUs, this.#out);
      const start = this.#encoder.start;
      row += count;
      this.#lastQuoteId = batch.quoteId[row - 1];
      this.#quoted = true;
      this.#sentSeq[seq % SENT_RING] = seq;
      this.#sentQuoteId[seq % SENT_RING] = this.#lastQuoteId;
      this.session.sendEncoded(this.#out, start, start + length, timeUs);
      this.counters.massQuotes += 1;
      this.counters.entries += count;
    }
    return row;
  }

  onConnected(timeUs: number): void {
    this.counters.connects += 1;
    this.session.onConnected(timeUs);
  }

  onBytes(chunk: Uint8Array, timeUs: number): void {
    this.session.onBytes(chunk, timeUs);
  }

  onDisconnected(reason: string, timeUs: number): void {
    this.session.onDisconnected(reason, timeUs);
  }

  onConnectFailed(reason: string, timeUs: number): void {
    this.counters.connectFailures += 1;
    this.#problem(reason, timeUs);
  }

  onDrain(timeUs: number): void {
    if (!this.#port.flush()) return;
    this.session.onWritable(timeUs);
    if (this.#deferred.count > 0 && this.ready)
      this.#deferred.remove(this.#send(this.#deferred.batch, timeUs));
  }

  #problem(text: string, timeUs: number): void {
    this.counters.badMessages += 1;
    this.#options.onProblem?.(text, timeUs);
  }
}
