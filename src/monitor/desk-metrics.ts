import { kernelClockErrorUs } from "../core/kernel-clock.ts";
import type { Desk } from "../desk/desk.ts";
import { STAGES, type StageHistograms } from "../desk/latency.ts";
import type { FeedReport } from "../feed/feed.ts";
import { firstLines } from "../feed/lines.ts";
import type { VenueClock } from "../feed/venue-clock.ts";
import { REASON } from "../quote/quote-batch.ts";
import { LIMITS } from "../risk/gate.ts";
import { type Labels, type MetricRegistry, RECOVERY } from "./metrics.ts";
import { registerStability } from "./quote-stability.ts";
import { feedStates } from "./summary.ts";
import { registerSurfaces } from "./surface-metrics.ts";

/** Registers what a desk and its latency histograms have to tell. Names are listed in `docs/metrics.md`. */
export function registerDeskMetrics(metrics: MetricRegistry, desk: Desk, timer: StageHistograms): void {
  registerMarket(metrics, desk);
  registerLines(metrics, desk);
  registerClocks(metrics, desk);
  registerQuotes(metrics, desk);
  registerStability(metrics, desk);
  registerSurfaces(metrics, desk);
  metrics.add({
    name: "keel_desk_stage_seconds",
    type: "histogram",
    help: "Time an event spends in each stage of the line; total is receipt to the end of the turn.",
    collect: (_emit, emitHistogram) => {
      for (const [stage, name] of STAGES.entries()) emitHistogram(timer.stages[stage], { stage: name });
    },
  });
  metrics.add({
    name: "keel_desk_quote_seconds",
    type: "histogram",
    help: "Receipt of a frame to the hand-over of the quotes it caused.",
    collect: (_emit, emitHistogram) => emitHistogram(timer.quoted),
  });
  metrics.add({
    name: "keel_quote_freshness_seconds",
    type: "histogram",
    help: "Age of the state that quotes sent were based on: the prediction's features to the event that is answered.",
    collect: (_emit, emitHistogram) => emitHistogram(desk.freshness),
  });
}

function registerMarket(metrics: MetricRegistry, desk: Desk): void {
  const { counters, feeds, signals } = desk;
  metrics.single("keel_feed_frames_total", "counter", "Frames received.", () => counters.frames);
  metrics.single("keel_market_events_total", "counter", "Market events applied.", () => counters.events);
  metrics.single(
    "keel_market_level_updates_total",
    "counter",
    "Book levels applied.",
    () => counters.levelUpdates,
  );
  metrics.single(
    "keel_market_crossed_total",
    "counter",
    "Books found crossed and resynchronised.",
    () => counters.crossed,
  );
  metrics.single(
    "keel_market_reference_changes_total",
    "counter",
    "Times that another book began to lead an underlying.",
    () => counters.referenceChanges,
  );
  for (const [counter, help] of [
    ["unparsable", "Frames that could not be parsed."],
    ["gaps", "Sequence gaps."],
    ["checksums", "Books that did not have the venue's checksum."],
    ["resyncs", "Books resynchronised."],
    ["reconnects", "Connections made again."],
    ["silences", "Times a feed went silent."],
    ["ignored", "Frames that were not asked for, and subscriptions that the venue does not know."],
    ["overflows", "Frames that did not fit the desk's buffers."],
    ["decodeFallbacks", "Data frames that the native decoder left to JSON.parse."],
  ] as const) {
    const name = counter.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    metrics.add({
      name: `keel_feed_${name}_total`,
      type: "counter",
      help,
      collect: (emit) => {
        for (const { venue } of firstLines(feeds)) {
          const lines = feeds.filter((feed) => feed.venue === venue);
          emit(
            lines.reduce((total, feed) => total + feed.counters[counter], 0),
            { venue },
          );
        }
        if (signals !== null && counter in signals.counters) {
          emit(signals.counters[counter as keyof typeof signals.counters], { venue: "signal" });
        }
      },
    });
  }
  metrics.add({
    name: "keel_feed_heal_seconds",
    type: "histogram",
    help: "From a book's becoming unsound or stale to its being live again.",
    collect: (_emit, emitHistogram) => {
      for (const feed of feeds) {
        emitHistogram(feed.healingUs, connectionLabels(feeds, feed), RECOVERY);
      }
    },
  });
  metrics.add({
    name: "keel_feed_instrument_state",
    type: "gauge",
    help: "State of each instrument's feed: 0 connecting, 1 snapshot, 2 live, 3 unsound, 4 stale.",
    collect: (emit) => {
      const told = new Set<number>();
      for (const { venue, carried } of feeds) {
        for (const { id, symbol } of carried) {
          if (told.has(id)) continue;
          told.add(id);
          emit(desk.market.feedState[id], { venue, instrument: symbol });
        }
      }
    },
  });
  metrics.add({
    name: "keel_feed_instruments",
    type: "gauge",
    help: "Instruments by the state of their feed.",
    collect: (emit) => {
      for (const [state, count] of Object.entries(feedStates(desk))) emit(count, { state });
    },
  });
}

function registerLines(metrics: MetricRegistry, { feeds, lines }: Desk): void {
  const own = feeds.filter(({ id }) => lines.isLine(id));
  const labels = (feed: number): { readonly venue: string; readonly line: string } => ({
    venue: feeds[feed].venue,
    line: String(lineOf(feeds, feed)),
  });
  metrics.add({
    name: "keel_line_instruments_live",
    type: "gauge",
    help: "Instruments whose book is live on a line of a venue.",
    collect: (emit) => {
      for (const { id } of own) emit(lines.liveOn(id), labels(id));
    },
  });
  for (const [name, counter, help] of [
    ["keel_line_first_total", "first", "Book events that a line brought first."],
    ["keel_line_duplicates_total", "duplicates", "Events of a line that another one had brought already."],
    ["keel_line_covered_total", "covered", "Books lost on a line while another one went on."],
  ] as const) {
    metrics.add({
      name,
      type: "counter",
      help,
      collect: (emit) => {
        for (const { id } of own) emit(lines.counters[id][counter], labels(id));
      },
    });
  }
  metrics.add({
    name: "keel_line_lag_seconds",
    type: "histogram",
    help: "How much later than the first a line brought the same book event.",
    collect: (_emit, emitHistogram) => {
      for (const { id } of own) emitHistogram(lines.lagUs[id], labels(id), RECOVERY);
    },
  });
}

function registerClocks(metrics: MetricRegistry, { feeds, clocks, market }: Desk): void {
  for (const [name, help, read] of [
    [
      "keel_feed_clock_delay_seconds",
      "Local receipt minus exchange time of the fastest message of a minute: the clocks' offset and the way.",
      (clock: VenueClock) => clock.delayUs / 1e6,
    ],
    [
      "keel_feed_clock_jitter_seconds",
      "How much later than the fastest messages come on average.",
      (clock: VenueClock) => clock.jitterUs / 1e6,
    ],
    [
      "keel_feed_clock_drift_ratio",
      "How fast this host's clock runs ahead of the venue's.",
      (clock: VenueClock) => clock.driftPpm / 1e6,
    ],
  ] as const) {
    metrics.add({
      name,
      type: "gauge",
      help,
      collect: (emit) => {
        for (const feed of feeds) emit(read(clocks[feed.id]), connectionLabels(feeds, feed));
      },
    });
  }
  metrics.add({
    name: "keel_market_lead_seconds",
    type: "gauge",
    help: "By how much an instrument's mid moves before that of the book which leads its underlying.",
    collect: (emit) => {
      for (const { id, symbol, venue, kind } of market.instruments.all()) {
        const underlying = market.underlyingOf(id);
        const reference = underlying < 0 ? -1 : market.underlyings.reference[underlying];
        if (kind === "option" || reference < 0 || reference === id) continue;
        const found = market.leadLag.estimate(id, reference);
        if (found !== null) emit(found.leadUs / 1e6, { venue, instrument: symbol });
      }
    },
  });
  metrics.add({
    name: "keel_clock_error_seconds",
    type: "gauge",
    help: "The kernel's bound on the error of this host's clock; NaN when it is not synchronised.",
    collect: (emit) => emit(kernelClockErrorUs() / 1e6),
  });
}

/** The feed's number among the lines of its venue, from 1. */
/** The venue, and where it has several connections, as lines or as parts of it, which of them. */
function connectionLabels(feeds: readonly FeedReport[], { id, venue }: FeedReport): Labels {
  const several = feeds.some((other) => other.venue === venue && other.id !== id);
  return { venue, ...(several ? { line: String(lineOf(feeds, id)) } : {}) };
}

function lineOf(feeds: readonly FeedReport[], feed: number): number {
  return feeds.slice(0, feed + 1).filter(({ venue }) => venue === feeds[feed].venue).length;
}

function registerQuotes(metrics: MetricRegistry, desk: Desk): void {
  const { counters } = desk;
  const single = (name: string, help: string, read: () => number): void =>
    metrics.single(name, "counter", help, read);
  single("keel_inference_predictions_total", "Model steps answered.", () => counters.predictions);
  single(
    "keel_inference_conflated_total",
    "Events answered together with a later one.",
    () => counters.conflated,
  );
  single("keel_quote_sent_total", "Quotes handed to the gateway.", () => counters.quotesSent);
  single("keel_quote_acked_total", "Quotes the counterparty accepted.", () => counters.quotesAcked);
  single("keel_quote_rejected_total", "Quotes the counterparty rejected.", () => counters.quotesRejected);
  single("keel_quote_widened_total", "Quotes sent wider or smaller for the model.", () => counters.widened);
  single("keel_gateway_executions_total", "Fills.", () => counters.executions);
  metrics.add({
    name: "keel_quote_reasons_total",
    type: "counter",
    help: "Quotes sent by the reasons they gave.",
    collect: (emit) => {
      for (const [reason, bit] of Object.entries(REASON)) {
        emit(desk.reasonCounts[31 - Math.clz32(bit)], { reason });
      }
    },
  });
  metrics.add({
    name: "keel_risk_refusals_total",
    type: "counter",
    help: "Sides refused before the wire, by limit.",
    collect: (emit) => {
      for (const [limit, name] of LIMITS.entries()) emit(desk.gate.refusals[limit], { limit: name });
    },
  });
  metrics.single("keel_risk_killed", "gauge", "1 while the kill switch is tripped.", () =>
    desk.gate.kill.tripped ? 1 : 0,
  );
}
