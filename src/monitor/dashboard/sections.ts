import type { FeedReport } from "../../feed/feed.ts";
import { FEED_STATE } from "../../market/event-batch.ts";
import { SOURCES } from "../../position/attribution.ts";
import { MARKOUT_HORIZONS_MS } from "../../position/markout.ts";
import { LIMITS } from "../../risk/gate.ts";
import { GREEK_NAMES, GREEKS, scenarioOf } from "../../risk/valuation.ts";
import { reportsOf } from "../standing-report.ts";
import { feedStates } from "../summary.ts";
import type { LatencyWindow } from "./latency-window.ts";
import { limitUses } from "./limits.ts";
import type {
  Detail,
  FeedsSection,
  ModelSection,
  OverviewSection,
  ProfitSection,
  PulseSection,
  RiskSection,
} from "./protocol.ts";
import type { DashboardSource } from "./source.ts";

const POSITIONS_MAX = 200;
const FILL_GROUPS_MAX = 50;
const DEPTH = 10;

const prices = new Int32Array(DEPTH);
const sizes = new Float64Array(DEPTH);

export function pulseSection({ desk, heads }: DashboardSource): PulseSection {
  const { underlyings } = desk.market;
  return {
    underlyings: Array.from({ length: underlyings.size }, (_, at) => ({
      base: underlyings.base(at),
      reference: underlyings.reference[at],
      price: finite(desk.gate.price(at)),
      status: desk.modelStatus(at),
      probabilities: heads.map((_head, head) => {
        const probability = desk.probabilities[at * heads.length + head];
        return Number.isNaN(probability) ? null : Math.round(probability * 1e4) / 1e4;
      }),
    })),
  };
}

export function overviewSection(source: DashboardSource, window: LatencyWindow): OverviewSection {
  const { desk } = source;
  const { counters, gate, book, market } = desk;
  const alerts = source.alerts();
  let quoted = 0;
  for (let id = 0; id < market.instruments.size; id += 1) {
    if (desk.quoter.stability.standing(id)) quoted += 1;
  }
  return {
    state: gate.tradingState,
    killed: gate.kill.tripped ? gate.kill.state.reason : null,
    reducing: gate.reducing?.reason ?? null,
    waiting: source.waiting(),
    sessionUp: source.sessionUp(),
    seconds: Math.floor(source.seconds()),
    ...{ profit: cents(book.profit), dayProfit: cents(book.dayProfit), held: book.held },
    instruments: market.instruments.size,
    quoted,
    feedStates: feedStates(desk),
    ...{ frames: counters.frames, events: counters.events, predictions: counters.predictions },
    ...{ quotesSent: counters.quotesSent, quotesAcked: counters.quotesAcked },
    ...{ quotesRejected: counters.quotesRejected, widened: counters.widened, fills: counters.executions },
    gaps: desk.feeds.reduce((total, feed) => total + feed.counters.gaps, 0),
    alerts: alerts.length,
    critical: alerts.filter(({ severity }) => severity === "critical").length,
    ...window.total(),
    loopLagMs: Math.round(source.loopLagMs() * 10) / 10,
    load: source.load?.() ?? "normal",
    residentMb: Math.round(process.memoryUsage.rss() / 1_048_576),
  };
}

export function riskSection({ desk }: DashboardSource): RiskSection {
  const { gate, book, market, quoter } = desk;
  const { positions, limits } = gate;
  const held = book.view().filter(({ lots, profit }) => lots !== 0 || profit !== 0);
  held.sort((a, b) => Math.abs(b.profit) - Math.abs(a.profit));
  return {
    reconciled: gate.reconciled,
    limits: limitUses(desk).map((use) => ({ ...use, used: cents(use.used) })),
    greeks: positions.underlyings.map((underlying) => {
      const scenario = positions.worstScenario[underlying];
      const { spotPct, volPct } =
        scenario < 0
          ? { spotPct: 0, volPct: 0 }
          : scenarioOf(scenario, limits.stressSpotPct, limits.stressVolPct);
      const of = (sums: Float64Array): number[] =>
        GREEK_NAMES.map((_, greek) => cents(sums[underlying * GREEKS + greek]));
      return {
        underlying: market.underlyings.base(underlying),
        price: finite(gate.price(underlying)),
        ...{ net: of(positions.net), gross: of(positions.gross) },
        worstLoss: cents(positions.worstLoss[underlying]),
        scenario: scenario < 0 ? null : `price ${signed(spotPct)} %, volatility ${signed(volPct)} %`,
      };
    }),
    positions: held.slice(0, POSITIONS_MAX).map(({ symbol, venue, lots, average, mark, profit }) => ({
      ...{ symbol, venue, lots, average, mark, profit: cents(profit) },
    })),
    morePositions: Math.max(held.length - POSITIONS_MAX, 0),
    refusals: Object.fromEntries(
      LIMITS.map((name) => [name, gate.refused(name)] as const).filter(([, count]) => count > 0),
    ),
    openOrders: gate.orders.count,
    unknownOrders: gate.orders.unknown,
    protections: gate.protectionTriggered,
    budgetUsed: Math.round(quoter.budget.usedShare * 1_000) / 1_000,
  };
}

export function profitSection(source: DashboardSource): ProfitSection {
  const { book } = source.desk;
  const sources = book.sources();
  for (const name of SOURCES) sources[name] = cents(sources[name]);
  return {
    ...{ profit: cents(book.profit), dayProfit: cents(book.dayProfit), sources, cash: book.cash() },
    horizonsMs: [...MARKOUT_HORIZONS_MS],
    fills: [...book.sums].slice(0, FILL_GROUPS_MAX).map(([by, sums]) => ({
      by,
      fills: sums.fills,
      ...{ notional: cents(sums.notional), spread: cents(sums.spread), fees: cents(sums.fees) },
      markout: sums.markout.map(cents),
      adverse: sums.adverse.map(cents),
    })),
    outcomes: source.outcomes(),
  };
}

export function feedsSection(
  source: DashboardSource,
  dashboard: Readonly<Record<string, number>>,
): FeedsSection {
  const { desk } = source;
  return {
    feeds: desk.feeds.map((feed) => feedView(source, feed)),
    sessions: source.sessions(),
    journal: source.journal(),
    dashboard,
  };
}

function feedView({ desk }: DashboardSource, feed: FeedReport): FeedsSection["feeds"][number] {
  const { id, venue, counters, carried, problem } = feed;
  const clock = desk.clocks[id];
  const ms = (us: number): number | null => (Number.isFinite(us) ? Math.round(us / 10) / 100 : null);
  const { gaps, resyncs, reconnects, silences, unparsable, frames } = counters;
  return {
    venue,
    line: desk.feeds.filter((other) => other.venue === venue && other.id <= id).length,
    instruments: carried.length,
    live: carried.reduce(
      (live, instrument) => live + (desk.market.feedState[instrument.id] === FEED_STATE.live ? 1 : 0),
      0,
    ),
    ...{ frames, gaps, resyncs, reconnects, silences, unparsable },
    ...{ delayMs: ms(clock.delayUs), jitterMs: ms(clock.jitterUs), problem },
  };
}

export function modelSection(source: DashboardSource): ModelSection {
  const { desk, model } = source;
  const outcomes = source.outcomes();
  const heads =
    outcomes !== null && typeof outcomes === "object" && "heads" in outcomes ? outcomes.heads : null;
  return {
    ...model,
    engine: source.engine(),
    predictions: desk.counters.predictions,
    conflated: desk.counters.conflated,
    heads: heads !== null && typeof heads === "object" ? { ...heads } : null,
    shadow: source.shadow(),
  };
}

/** Depth and quotes of one instrument; null for a number that none has. */
export function detailOf({ desk, timeUs }: DashboardSource, id: number): Detail | null {
  const { market } = desk;
  if (id >= market.instruments.size) return null;
  const instrument = market.instruments.get(id);
  const book = market.books[id];
  const depth = (side: number): [number, number][] => {
    const count = book.top(side, DEPTH, prices, sizes);
    return Array.from({ length: count }, (_, at) => [prices[at], sizes[at]]);
  };
  const eventUs = market.eventUs[id];
  return {
    id,
    bids: depth(0),
    asks: depth(1),
    ageMs: eventUs > 0 ? Math.max(Math.round((timeUs() - eventUs) / 1_000), 0) : null,
    quotes: desk.quoter.quotes(id) ? reportsOf(desk, instrument) : [],
  };
}

function cents(value: number): number {
  return Math.round(value * 100) / 100;
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

function signed(value: number): string {
  return `${value > 0 ? "+" : ""}${value}`;
}
