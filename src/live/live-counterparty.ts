import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/log.ts";
import type { Desk } from "../desk/desk.ts";
import type { QuoteGateway } from "../gateway/gateway.ts";
import type { DeskTap } from "../gateway/tap.ts";
import { type GatewayEvent, RecordedGatewayEvents } from "../journal/gateway-event.ts";
import { type JournalSink, RECORD } from "../journal/record.ts";
import type { ReconciliationReport } from "../risk/reconciliation.ts";

const RECONCILE_RETRY_MS = 1_000;

export interface LiveCounterpartyOptions {
  readonly desk: Desk;
  readonly gateway: () => QuoteGateway;
  readonly taps: readonly DeskTap[];
  readonly journal: JournalSink;
  readonly clock: Clock;
  readonly log: Logger;
}

/** The counterparty's way into the desk: what it tells is journalled, and in every new session it is asked what it holds. */
export class LiveCounterparty {
  /** What the gateway tells of the counterparty goes here. */
  readonly events: RecordedGatewayEvents;
  readonly #options: LiveCounterpartyOptions;
  #stopping = false;

  constructor(options: LiveCounterpartyOptions) {
    this.#options = options;
    this.events = new RecordedGatewayEvents(options.desk, (event, timeUs) => this.#onEvent(event, timeUs));
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

  reconciled(report: ReconciliationReport, adopt: boolean): void {
    const { clock, desk, journal, log } = this.#options;
    const timeUs = clock.wallUs();
    journal.text(RECORD.reconciliation, 0, timeUs, JSON.stringify({ report, adopt }));
    const result = desk.onReconciliation(report, adopt, timeUs);
    const level = result.differences.length === 0 && result.reconciled ? "info" : "warn";
    log[level]("reconciled with the counterparty", { ...result });
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
      default:
        break;
    }
  }

  /** Asks until an answer comes or the session is over. */
  async #reconcile(adopt: boolean): Promise<void> {
    const { log } = this.#options;
    const gateway = this.#options.gateway();
    const source = gateway.reconciliation;
    while (source !== undefined && gateway.ready && !this.#stopping) {
      try {
        const [positions, openOrders, quotes] = await Promise.all([
          source.positions(),
          source.openOrders(),
          source.quotes(),
        ]);
        if (!gateway.ready || this.#stopping) return;
        this.reconciled({ positions, openOrders, quotes }, adopt);
        return;
      } catch (error) {
        log.error("the counterparty does not tell what it holds; nothing is quoted", { error });
        await Bun.sleep(RECONCILE_RETRY_MS);
      }
    }
  }
}
