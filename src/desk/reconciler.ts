import { decimalToSteps } from "../core/decimal.ts";
import { type Instrument, type InstrumentTable, placeOf } from "../market/instrument.ts";
import type { Book } from "../position/book.ts";
import type { RiskGate } from "../risk/gate.ts";
import { ORDER_STATE } from "../risk/order.ts";
import type {
  MismatchRule,
  PositionDifference,
  ReconciliationReport,
  ReconciliationResult,
  VenuePosition,
} from "../risk/reconciliation.ts";
import type { Settlement } from "./settlement.ts";

export interface ReconcilerOptions {
  readonly instruments: InstrumentTable;
  readonly gate: RiskGate;
  readonly book: Book;
  /** Null: the counterparty cannot be asked; the desk's own books are what counts. */
  readonly rule: MismatchRule | null;
  /** Whether expiry explains that the counterparty holds something else, see `Settlement`. */
  readonly expiry: Pick<Settlement, "explains" | "passes">;
}

interface Known {
  readonly lots: number;
  readonly price: number | null;
}

/**
 * Holds the desk's positions and orders against what the counterparty says it holds. Until that has been done in a session the
 * gate lets nothing through.
 */
export class Reconciler {
  /** Null before the first. */
  last: ReconciliationResult | null = null;
  readonly #options: ReconcilerOptions;
  #rule: MismatchRule | null = null;
  /** Positions at the counterparty in instruments that no feed has described yet. */
  readonly #waiting = new Map<string, VenuePosition>();

  constructor(options: ReconcilerOptions) {
    this.#options = options;
    if (options.rule !== null) this.require(options.rule);
  }

  require(rule: MismatchRule): void {
    this.#rule = rule;
    this.#options.gate.reconciled = false;
  }

  /** What is held is not known to be what the counterparty holds: its session has begun or ended, or it says otherwise. */
  doubt(): void {
    if (this.#rule !== null) this.#options.gate.reconciled = false;
  }

  /** Positions that were told in instruments that no feed has described yet. */
  get waiting(): VenuePosition[] {
    return [...this.#waiting.values()];
  }

  /** An instrument is known from now on: a position that the counterparty reported before is taken over. */
  onInstrument(instrument: Instrument, timeUs: number): void {
    const key = `${instrument.venue}:${instrument.symbol}`;
    const position = this.#waiting.get(key);
    if (position === undefined) return;
    this.#waiting.delete(key);
    const lots = position.lots ?? lotsOf(position.size, instrument);
    if (Number.isNaN(lots)) return;
    this.#options.book.adopt(instrument.id, lots, position.averagePrice, timeUs);
    this.#options.gate.positions.set(instrument.id, lots);
  }

  /** Where positions at the counterparty are others than the desk's, but for what goes by itself around an expiry. Changes nothing. */
  compare(positions: readonly VenuePosition[], timeUs: number): PositionDifference[] {
    return this.#differences(this.#sorted(positions).known, "passes", timeUs);
  }

  apply(report: ReconciliationReport, adopt: boolean, timeUs: number): ReconciliationResult {
    const { gate, book } = this.#options;
    const rule = this.#rule;
    const { known, unknown } = this.#sorted(report.positions);
    this.#waiting.clear();
    const foreign = unknown.map((position) => {
      const name = `${position.venue}:${position.symbol}`;
      this.#waiting.set(name, position);
      return `${name} ${position.lots === undefined ? position.size : `${position.lots} lots`}`;
    });
    const differences = this.#differences(known, "explains", timeUs);
    const agreed = differences.length === 0 || rule !== "refuse" || adopt;
    if (agreed) {
      for (const { instrument, venueLots: lots } of differences) {
        book.adopt(instrument, lots, known.get(instrument)?.price ?? null, timeUs);
        gate.positions.set(instrument, lots);
      }
    }
    if (rule === "adopt" || (rule !== null && adopt)) this.#flattenUnresolved();
    const strangers = this.#settleOrders(report) || report.quotes.length > 0;
    gate.reconciled = agreed;
    this.last = { differences, foreign, strangers, reconciled: agreed };
    return this.last;
  }

  /** Positions of known instruments by id, and those that cannot be told in lots. */
  #sorted(positions: readonly VenuePosition[]): {
    readonly known: ReadonlyMap<number, Known>;
    readonly unknown: readonly VenuePosition[];
  } {
    const known = new Map<number, Known>();
    const unknown: VenuePosition[] = [];
    for (const position of positions) {
      const instrument = this.#options.instruments.find(position.venue, position.symbol);
      const lots =
        instrument === undefined ? Number.NaN : (position.lots ?? lotsOf(position.size, instrument));
      if (instrument === undefined || Number.isNaN(lots)) unknown.push(position);
      else known.set(instrument.id, { lots, price: position.averagePrice });
    }
    return { known, unknown };
  }

  /** @param by which word of {@link Settlement} has a difference left out */
  #differences(
    known: ReadonlyMap<number, Known>,
    by: "explains" | "passes",
    timeUs: number,
  ): PositionDifference[] {
    const { instruments, gate, expiry } = this.#options;
    const differences: PositionDifference[] = [];
    for (const instrument of instruments.all()) {
      const ownLots = gate.positionLots(instrument.id);
      // Opening positions of a counterparty that cannot be asked name what they replace and nothing else.
      const venueLots = known.get(instrument.id)?.lots ?? (this.#rule === null ? ownLots : 0);
      if (venueLots === ownLots || expiry[by](instrument, ownLots, venueLots, timeUs)) continue;
      differences.push({ instrument: instrument.id, ownLots, venueLots });
    }
    return differences;
  }

  /** What the books opened with in instruments that are not described yet and that the counterparty does not name, it does not hold. */
  #flattenUnresolved(): void {
    for (const name of this.#options.book.unresolved) {
      const place = this.#waiting.has(name) ? null : placeOf(name);
      if (place !== null) this.#waiting.set(name, { ...place, size: "0", averagePrice: null });
    }
  }

  /** Own orders are as the report has them; one that it lacks is at its end. @returns whether it has orders that are not ours */
  #settleOrders(report: ReconciliationReport): boolean {
    const { gate, instruments } = this.#options;
    const open = new Set<number>();
    let strangers = false;
    for (const order of report.openOrders) {
      const known = order.orderId === null ? undefined : gate.orders.get(order.orderId);
      const instrument = instruments.find(order.venue, order.symbol);
      if (known === undefined || instrument === undefined) {
        strangers = true;
        continue;
      }
      open.add(known.intent.orderId);
      const leaves = lotsOf(order.leavesSize, instrument);
      gate.onOrderState(known.intent.orderId, ORDER_STATE.working, Number.isNaN(leaves) ? Infinity : leaves);
    }
    for (const { intent } of [...gate.orders.all()]) {
      if (!open.has(intent.orderId)) gate.onOrderState(intent.orderId, ORDER_STATE.done, 0);
    }
    return strangers;
  }
}

/** Signed lots of a size in the instrument's units; NaN when it is not a multiple of the lot. */
export function lotsOf(size: string, { lot }: Instrument): number {
  const negative = size.startsWith("-");
  const lots = decimalToSteps(negative ? size.slice(1) : size, lot);
  return negative ? -lots : lots;
}
