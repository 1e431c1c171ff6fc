import type { Desk } from "../desk/desk.ts";
import type { Percentiles, StageHistograms, StageName } from "../desk/latency.ts";
import { percentilesUs } from "../desk/latency.ts";
import type { SignalCounters } from "../feed/signal.ts";
import { FEED_STATE, FEED_STATE_NAMES } from "../market/event-batch.ts";
import type { Source } from "../position/attribution.ts";
import { REASON } from "../quote/quote-batch.ts";
import { LIMITS } from "../risk/gate.ts";
import type { LoadStageName } from "../risk/load-shedder.ts";
import type { TradingState } from "../risk/trading-state.ts";
import { type QuoteStability, quoteStability } from "./quote-stability.ts";

/** Positions and money in a few numbers; `GET /positions` has all of them. */
export interface BooksSummary {
  readonly state: TradingState;
  /** Instruments with a position. */
  readonly held: number;
  /** In quote currency, fees taken off: since the books were opened, and since midnight UTC. */
  readonly profit: number;
  readonly dayProfit: number;
  readonly sources: Readonly<Record<Source, number>>;
  readonly cash: Readonly<Record<string, number>>;
  readonly hedgesSent: number;
}

/** What was done about load beyond capacity, by stage. */
export interface LoadSummary {
  /** In force at the end. */
  readonly stage: LoadStageName;
  /** Times that each stage began, and time spent in it, s. */
  readonly entries: Readonly<Record<LoadStageName, number>>;
  readonly seconds: Readonly<Record<LoadStageName, number>>;
  /** Frames that were answered together with later ones because of it. */
  readonly conflatedFrames: number;
}

/** What a run tells of itself at its end, and `/status` while it goes on. */
export interface RunSummary {
  readonly frames: number;
  readonly events: number;
  readonly levelUpdates: number;
  readonly trades: number;
  readonly unparsable: number;
  readonly gaps: number;
  readonly crossed: number;
  readonly resyncs: number;
  readonly reconnects: number;
  readonly silences: number;
  readonly instruments: number;
  /** The last thing that went wrong with each feed that had trouble. */
  readonly problems: readonly string[];
  /** What came from the server of external signals; null when none is configured. */
  readonly signals: Readonly<SignalCounters> | null;
  /** Instruments by feed state. */
  readonly feedStates: Readonly<Record<string, number>>;
  readonly predictions: number;
  readonly conflated: number;
  readonly quotesSent: number;
  readonly quotesAcked: number;
  readonly quotesRejected: number;
  readonly executions: number;
  /** Quotes that the model had made wider or smaller. */
  readonly widened: number;
  /** How many sent quotes gave each reason. */
  readonly reasons: Readonly<Record<string, number>>;
  readonly stability: QuoteStability;
  readonly killed: string | null;
  readonly books: BooksSummary;
  /** Refusals of the risk gate by limit, those that were not 0. */
  readonly refusals: Readonly<Record<string, number>>;
  /** Age of the state that quotes sent were based on. */
  readonly freshnessUs: Percentiles;
  readonly latencyUs: Readonly<Record<StageName | "quoted", Percentiles>>;
  readonly rssMb: number;
}

export function summarise(desk: Desk, timer: StageHistograms): RunSummary {
  const { counters } = desk;
  const sum = (read: keyof Omit<(typeof desk.feeds)[number]["counters"], "lastResyncUs">): number =>
    desk.feeds.reduce((total, feed) => total + feed.counters[read], 0);
  return {
    frames: counters.frames,
    events: counters.events,
    levelUpdates: counters.levelUpdates,
    trades: counters.trades,
    unparsable: sum("unparsable"),
    gaps: sum("gaps"),
    crossed: counters.crossed,
    resyncs: sum("resyncs"),
    reconnects: sum("reconnects"),
    silences: sum("silences"),
    problems: problems(desk),
    signals: desk.signals === null ? null : { ...desk.signals.counters },
    instruments: desk.market.instruments.size,
    feedStates: feedStates(desk),
    predictions: counters.predictions,
    conflated: counters.conflated,
    quotesSent: counters.quotesSent,
    quotesAcked: counters.quotesAcked,
    quotesRejected: counters.quotesRejected,
    executions: counters.executions,
    widened: counters.widened,
    reasons: reasons(desk.reasonCounts),
    stability: quoteStability(desk),
    killed: desk.gate.kill.tripped ? desk.gate.kill.state.reason : null,
    books: booksSummary(desk),
    refusals: Object.fromEntries(
      LIMITS.map((name) => [name, desk.gate.refused(name)] as const).filter(([, count]) => count > 0),
    ),
    freshnessUs: percentilesUs(desk.freshness),
    latencyUs: { ...timer.report(), quoted: percentilesUs(timer.quoted) },
    rssMb: Math.round(process.memoryUsage.rss() / 104_857.6) / 10,
  };
}

function booksSummary({ book, gate, hedger }: Desk): BooksSummary {
  return {
    state: gate.tradingState,
    held: book.held,
    profit: book.profit,
    dayProfit: book.dayProfit,
    sources: book.sources(),
    cash: book.cash(),
    hedgesSent: hedger.counters.sent,
  };
}

function problems(desk: Desk): string[] {
  const { feeds, signals } = desk;
  const all = signals === null ? feeds : [...feeds, signals];
  return all.map(({ problem }) => problem).filter((problem) => problem !== "");
}

/** Instruments by the name of their feed state. */
export function feedStates(desk: Desk): Record<string, number> {
  const { feedState, instruments } = desk.market;
  const counts = Object.values(FEED_STATE).map((state) => {
    let count = 0;
    for (let id = 0; id < instruments.size; id += 1) if (feedState[id] === state) count += 1;
    return [FEED_STATE_NAMES[state], count] as const;
  });
  return Object.fromEntries(counts);
}

function reasons(counts: Float64Array): Record<string, number> {
  const named: Record<string, number> = {};
  for (const [name, bit] of Object.entries(REASON)) {
    const count = counts[31 - Math.clz32(bit)];
    if (count > 0) named[name] = count;
  }
  return named;
}
