import { type ExecutionDetail, QUOTE_STATUS } from "../gateway/gateway.ts";
import type { Hedger } from "../hedge/hedger.ts";
import type { Book } from "../position/book.ts";
import type { Quoter } from "../quote/quoter.ts";
import type { RiskGate } from "../risk/gate.ts";
import type { OrderState } from "../risk/order.ts";
import type { ReconciliationReport, ReconciliationResult } from "../risk/reconciliation.ts";
import type { DeskCounters } from "./counters.ts";
import type { DeskOrders } from "./desk-orders.ts";
import type { DeskPort } from "./desk-port.ts";
import { type MarketState, TOUCHED_QUOTE } from "./market-state.ts";
import type { Publisher } from "./publisher.ts";
import type { Reconciler } from "./reconciler.ts";
import type { Settlement } from "./settlement.ts";
import type { TradingSwitch } from "./trading-switch.ts";

export interface CounterpartySessionOptions {
  readonly quoter: Quoter;
  readonly gate: RiskGate;
  readonly book: Book;
  readonly market: MarketState;
  readonly hedger: Hedger;
  readonly orders: DeskOrders;
  readonly publisher: Publisher;
  readonly trading: TradingSwitch;
  readonly reconciler: Reconciler;
  readonly settlement: Settlement;
  readonly counters: DeskCounters;
  readonly port: DeskPort;
  /** Quotes are going to be decided outside a feed's turn. */
  readonly begin: () => void;
}

/** What becomes of what the counterparty says: its session, its answers to quotes, fills, states of orders, and what it holds. */
export class CounterpartySession {
  readonly #parts: CounterpartySessionOptions;

  constructor(options: CounterpartySessionOptions) {
    this.#parts = options;
  }

  onSessionUp(timeUs: number): void {
    const { publisher, quoter, orders, reconciler } = this.#parts;
    // Positions that were told outside of a session, by configuration or a leader, are not the counterparty's word.
    reconciler.doubt();
    publisher.sessionUp = true;
    quoter.onSessionUp();
    orders.onSessionUp(timeUs);
    publisher.requoteAll(timeUs);
  }

  onSessionDown(timeUs: number): void {
    const { publisher, quoter, gate, reconciler } = this.#parts;
    publisher.onSessionDown();
    quoter.onSessionDown(timeUs);
    gate.onSessionDown();
    reconciler.doubt();
  }

  onQuoteAck(quoteId: number, status: number, timeUs: number): void {
    const { publisher, quoter, gate, counters, trading } = this.#parts;
    const answered = publisher.onAnswer(quoteId, timeUs);
    if (status === QUOTE_STATUS.rejected) {
      counters.quotesRejected += answered;
      quoter.answers.onRejected(quoteId, timeUs);
      gate.onRejected(answered, timeUs);
      trading.afterGate(timeUs);
    } else if (status === QUOTE_STATUS.cancelled) {
      quoter.answers.onCancelled(quoteId, timeUs);
    } else {
      counters.quotesAcked += answered;
      quoter.answers.onAccepted(quoteId);
    }
  }

  onExecution(
    executionId: string,
    instrument: number,
    side: number,
    priceTicks: number,
    sizeLots: number,
    timeUs: number,
    detail: ExecutionDetail,
  ): void {
    const { begin, book, counters, gate, hedger, market, port, publisher, quoter } = this.#parts;
    const { settlement, trading } = this.#parts;
    if (!(instrument >= 0 && instrument < market.books.length)) {
      counters.unknownExecutions += 1;
      trading.kill("limit:unknown-execution", timeUs);
      return;
    }
    // An ExecID is unique within a day only.
    if (!book.isNew(`${Math.floor(timeUs / 86_400e6)} ${executionId}`)) return;
    counters.executions += 1;
    const { orderId = 0 } = detail;
    gate.onExecution(instrument, side, priceTicks, sizeLots, timeUs, orderId);
    const traded = market.instruments.get(instrument);
    if (traded.kind !== "spot") {
      const taker = orderId > 0 && detail.liquidity === undefined ? { liquidity: "taker" as const } : {};
      const isQuotes = orderId === 0 && detail.structureId === undefined;
      const quoteId = isQuotes ? quoter.stability.quoteAt(instrument, side, priceTicks) : undefined;
      const hit = quoteId === undefined ? {} : { quoteId };
      book.onFill(traded, side, priceTicks, sizeLots, { ...detail, ...taker, ...hit }, timeUs);
    }
    if (orderId === 0 && detail.structureId === undefined)
      quoter.onFill(instrument, side, sizeLots, timeUs, priceTicks);
    settlement.onFill(instrument, timeUs);
    quoter.onPosition(instrument, settlement.quotedLots(instrument));
    trading.afterGate(timeUs);
    begin();
    const underlying = market.underlyingOf(instrument);
    if (underlying >= 0) market.touched[underlying] |= TOUCHED_QUOTE;
    publisher.requote(market, timeUs);
    if (publisher.open) hedger.onTimer(timeUs);
    port.filled?.(executionId, instrument, side, priceTicks, sizeLots, detail, timeUs);
  }

  onOrderState(orderId: number, state: OrderState, leavesLots: number, timeUs: number): void {
    const { gate, trading } = this.#parts;
    gate.onOrderState(orderId, state, leavesLots);
    trading.afterGate(timeUs);
  }

  onFrozen(base: string, untilUs: number, timeUs: number): void {
    const { market, quoter, publisher } = this.#parts;
    for (const instrument of market.instruments.all()) {
      if (instrument.base === base) quoter.answers.onFrozen(instrument.id, untilUs, timeUs);
    }
    publisher.requoteAll(timeUs);
  }

  /** The counterparty holds other positions than the books: everything is cancelled, and nothing leaves before {@link onReconciliation}. */
  doubt(timeUs: number): void {
    const { publisher, reconciler, trading } = this.#parts;
    reconciler.doubt();
    trading.cancelAll(timeUs);
    publisher.requoteAll(timeUs);
  }

  /**
   * What the counterparty holds: positions are compared and taken over by the rule, orders of unknown outcome are settled, and
   * what stands there that the desk does not know is cancelled. From then on the session may be quoted in.
   *
   * @param adopt an operator has the counterparty's positions taken over, whatever the rule
   */
  onReconciliation(report: ReconciliationReport, adopt: boolean, timeUs: number): ReconciliationResult {
    const { port, publisher, quoter, reconciler, settlement, trading } = this.#parts;
    const result = reconciler.apply(report, adopt, timeUs);
    port.decidedRisk({ decided: "reconciled", result }, timeUs);
    for (const { instrument } of result.differences) {
      quoter.onPosition(instrument, settlement.quotedLots(instrument));
    }
    if (result.strangers) trading.cancelAll(timeUs);
    publisher.requoteAll(timeUs);
    return result;
  }
}
