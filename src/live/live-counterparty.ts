import type { Clock } from "../core/clock.ts";
import { type DecimalStep, stepsToDecimal } from "../core/decimal.ts";
import type { LogFields, Logger } from "../core/log.ts";
import type { Desk } from "../desk/desk.ts";
import { QUOTE_STATUS, type QuoteGateway } from "../gateway/gateway.ts";
import type { DeskTap } from "../gateway/tap.ts";
import { type GatewayEvent, RecordedGatewayEvents } from "../journal/gateway-event.ts";
import { type JournalSink, RECORD } from "../journal/record.ts";
import { ORDER_STATE } from "../risk/order.ts";
import type { PositionDifference, ReconciliationReport, VenuePosition } from "../risk/reconciliation.ts";
import type { LiveInputs } from "./live-inputs.ts";
import { PositionCheck, type PositionCheckCounters } from "./position-check.ts";

const RECONCILE_RETRY_MS = 1_000;
/** What was cancelled, and fills of it, are through by then. */
const QUIET_MS = 1_000;
/** A line of the log has room for so many. */
const DIFFERENCES_TOLD = 100;

export interface LiveCounterpartyOptions {
  readonly desk: Desk;
  readonly gateway: () => QuoteGateway;
  readonly taps: readonly DeskTap[];
  readonly inputs: LiveInputs;
  readonly journal: JournalSink;
  /** Of a pair, the other one leads: what is held is that one's to know. */
  readonly standsBy: () => boolean;
  /** How often positions are held against the counterparty's during a session; 0 = never. */
  readonly positionCheckMs: number;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * The counterparty's way into the desk: what it tells is journalled. It is asked what it holds in every new session, and whether that is
 * so still while the session lasts.
 */
export class LiveCounterparty {
  /** What the gateway tells of the counterparty goes here. */
  readonly events: RecordedGatewayEvents;
  readonly #options: LiveCounterpartyOptions;
  readonly #check: PositionCheck;
  #stopping = false;

  constructor(options: LiveCounterpartyOptions) {
    const { desk, clock, log, positionCheckMs } = options;
    this.#options = options;
    this.events = new RecordedGatewayEvents(desk, (event, timeUs) => this.#onEvent(event, timeUs));
    this.#check = new PositionCheck({
      ...{ desk, clock, log, everyMs: positionCheckMs },
      ask: () => this.#askPositions(),
      onDifferent: (differences) => void this.#doubt(differences),
    });
  }

  /** What came of asking for positions during sessions. */
  get checks(): Readonly<PositionCheckCounters> {
    return this.#check.counters;
  }

  onTimer(nowNs: number): void {
    this.#check.onTimer(nowNs);
  }

  /** From now on a session that ends is expected to, and nothing is asked any more. */
  stop(): void {
    this.#stopping = true;
  }

  /**
   * Asks the counterparty what it holds and has its positions taken over, whatever the rule.
   *
   * @returns false when the counterparty cannot be asked or the session is down
   */
  adoptPositions(): boolean {
    const gateway = this.#options.gateway();
    if (gateway.reconciliation === undefined || !gateway.ready) return false;
    void this.#reconcile(true);
    return true;
  }

  /** @param source whose positions they are, where the counterparty was not asked */
  reconciled(report: ReconciliationReport, adopt: boolean, source: "leader" | "file" | null = null): void {
    const { clock, desk, journal, log } = this.#options;
    const timeUs = clock.wallUs();
    journal.text(RECORD.reconciliation, 0, timeUs, JSON.stringify({ report, adopt }));
    const result = desk.onReconciliation(report, adopt, timeUs);
    const { differences, foreign, strangers, reconciled } = result;
    const told = {
      ...this.#told(differences, source ?? "counterparty"),
      ...{ foreign: foreign.slice(0, DIFFERENCES_TOLD), strangers },
    };
    if (source === "file")
      log.info("opening positions are taken over, foreign ones once a feed describes them", told);
    else if (source === "leader") log.info("the leader's positions are taken over", told);
    else if (!reconciled)
      log.error("not reconciled: the counterparty holds other positions, and nothing is quoted", told);
    else if (differences.length === 0) log.info("reconciled with the counterparty", told);
    else log.warn("reconciled with the counterparty: its positions are taken over", told);
  }

  #askPositions(): Promise<readonly VenuePosition[]> | null {
    const { desk, standsBy } = this.#options;
    const { ready, reconciliation } = this.#options.gateway();
    const compares = ready && !this.#stopping && !standsBy() && desk.gate.reconciled;
    return compares && reconciliation !== undefined ? reconciliation.positions() : null;
  }

  /** Pulls everything, and reconciles anew once that is quiet, unless a new session has begun with it. */
  async #doubt(differences: readonly PositionDifference[]): Promise<void> {
    const { desk, inputs, log, standsBy } = this.#options;
    if (this.#stopping || standsBy() || !desk.gate.reconciled) return;
    log.warn(
      "the counterparty holds other positions than the books: quotes are pulled until both are held against each other",
      this.#told(differences, "counterparty"),
    );
    desk.doubtPositions(inputs.control("doubt", "positions differ"));
    await Bun.sleep(QUIET_MS);
    if (!desk.gate.reconciled) await this.#reconcile(false);
  }

  #told(differences: readonly PositionDifference[], source: string): LogFields {
    const more = differences.length - DIFFERENCES_TOLD;
    return {
      differences: differences.slice(0, DIFFERENCES_TOLD).map((one) => this.#shown(one, source)),
      ...(more > 0 ? { more } : {}),
    };
  }

  /** A difference in the instrument's units of size. */
  #shown({ instrument, ownLots, venueLots }: PositionDifference, source: string): string {
    const { venue, symbol, lot } = this.#options.desk.market.instruments.get(instrument);
    return `${venue}:${symbol}: books ${sizeOf(ownLots, lot)}, ${source} ${sizeOf(venueLots, lot)}`;
  }

  #onEvent(event: GatewayEvent, timeUs: number): void {
    const { journal, log, taps } = this.#options;
    const gateway = this.#options.gateway();
    journal.text(RECORD.gateway, 0, timeUs, JSON.stringify(event));
    switch (event.on) {
      case "down":
        log[this.#stopping ? "info" : "warn"]("counterparty session is down", { reason: event.reason });
        for (const tap of taps) tap.onCancelAll(timeUs);
        break;
      case "up":
        log.info("counterparty session is up");
        if (gateway.reconciliation !== undefined) void this.#reconcile(false);
        break;
      case "ack":
        if (event.status === QUOTE_STATUS.rejected) {
          log.warn("the counterparty rejected quotes", { reason: event.text, quoteId: event.quoteId });
        }
        break;
      case "order":
        if (event.state === ORDER_STATE.done && event.text !== "") {
          log.info("an order is at its end", { reason: event.text, orderId: event.orderId });
        }
        break;
      default:
        break;
    }
  }

  /** Asks until an answer comes that no fill has overtaken, or the session is over. */
  async #reconcile(adopt: boolean): Promise<void> {
    const { desk, log } = this.#options;
    const gateway = this.#options.gateway();
    const source = gateway.reconciliation;
    while (source !== undefined && gateway.ready && !this.#stopping) {
      const { executions } = desk.counters;
      try {
        const [positions, openOrders, quotes] = await Promise.all([
          source.positions(),
          source.openOrders(),
          source.quotes(),
        ]);
        if (!gateway.ready || this.#stopping) return;
        if (desk.counters.executions !== executions) continue;
        this.reconciled({ positions, openOrders, quotes }, adopt);
        return;
      } catch (error) {
        log.error("the counterparty does not tell what it holds; nothing is quoted", { error });
        await Bun.sleep(RECONCILE_RETRY_MS);
      }
    }
  }
}

function sizeOf(lots: number, lot: DecimalStep): string {
  return Number.isSafeInteger(lots) ? stepsToDecimal(lots, lot) : `${lots} lots`;
}
