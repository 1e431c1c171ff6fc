import { stepsToDecimal } from "../core/decimal.ts";
import type { Desk } from "../desk/desk.ts";
import { percentilesUs, STAGES, type StageHistograms } from "../desk/latency.ts";
import { FEED_STATE_NAMES } from "../market/event-batch.ts";
import type { Instrument } from "../market/instrument.ts";
import { reasonNames } from "../quote/quote-batch.ts";
import type { StandingQuote } from "../quote/standing-quotes.ts";

/** What the view shows beside the desk itself. */
export interface ViewLabels {
  readonly title: string;
  readonly headNames: readonly string[];
  readonly sessionUp: boolean;
  readonly seconds: number;
  /** Size of the terminal. */
  readonly columns: number;
  readonly rows: number;
}

/** From this width on a quote's reasons stand beside it and every stage has its full name. */
const WIDE_COLUMNS = 120;

const BAR_WIDTH = 20;
const QUOTE_ROWS = 10;
const BOOK_ROWS = 4;

/**
 * The state of a desk as lines of text: books, probabilities, quotes with their reasons, latency by stage; on a small
 * terminal without blank lines and with fewer quotes.
 */
export function renderView(desk: Desk, timer: StageHistograms, labels: ViewLabels): string[] {
  const kill = desk.gate.kill.tripped ? `  KILLED: ${desk.gate.kill.state.reason}` : "";
  const isWide = labels.columns >= WIDE_COLUMNS;
  const sections = [
    books(desk),
    probabilities(desk, labels.headNames),
    latency(timer, isWide),
    [counts(desk)],
  ];
  const others = 2 + sections.reduce((total, lines) => total + lines.length, 0);
  const room = labels.rows - 1 - others;
  const linesPerQuote = isWide ? 1 : 2;
  const isTall = room >= sections.length + 1 + QUOTE_ROWS;
  const quoteRows = isTall ? QUOTE_ROWS / linesPerQuote : Math.max(Math.floor(room / linesPerQuote), 1);
  sections.splice(2, 0, isWide ? quotes(desk, quoteRows) : narrowQuotes(desk, quoteRows));
  const session = labels.sessionUp ? "session up" : "session down";
  return [
    `${labels.title}  ${labels.seconds.toFixed(1)} s  ${session}${kill}`,
    ...sections.flatMap((lines) => (isTall ? ["", ...lines] : lines)),
  ];
}

/** Redraws in place on a terminal: home, each line cleared to its end, the rest of the screen cleared. */
export function drawInPlace(lines: readonly string[], columns: number, rows: number): string {
  const clipped = lines
    .slice(0, Math.max(rows - 1, 5))
    .map((line) => `${line.slice(0, Math.max(columns - 1, 20))}\x1b[K`);
  return `\x1b[H${clipped.join("\n")}\x1b[J`;
}

function books(desk: Desk): string[] {
  const { instruments, books: all, feedState } = desk.market;
  const rows = instruments
    .all()
    .filter((instrument) => instrument.kind !== "option")
    .slice(0, BOOK_ROWS)
    .map((instrument) => {
      const book = all[instrument.id];
      const bid = side(instrument, book.bestBidTicks, book.bestBidLots);
      const ask = side(instrument, book.bestAskTicks, book.bestAskLots);
      const state = FEED_STATE_NAMES[feedState[instrument.id] ?? 0] ?? "";
      return `${name(instrument).padEnd(26)}${bid.padStart(22)}  ${ask.padEnd(22)}${state}`;
    });
  return [`${"book".padEnd(26)}${"bid".padStart(22)}  ${"ask".padEnd(22)}state`, ...rows];
}

function probabilities(desk: Desk, headNames: readonly string[]): string[] {
  const { underlyings } = desk.market;
  const lines: string[] = [];
  for (let underlying = 0; underlying < underlyings.size; underlying += 1) {
    const status = desk.modelStatus(underlying);
    const trusted = status === 0 ? "" : `  not in force: ${reasonNames(status).join(", ")}`;
    lines.push(`model on ${underlyings.base(underlying)}${trusted}`);
    for (const [head, headName] of headNames.entries()) {
      const p = desk.probabilities[underlying * headNames.length + head];
      const filled = Number.isNaN(p) ? 0 : Math.round(p * BAR_WIDTH);
      const value = Number.isNaN(p) ? "–" : p.toFixed(3);
      lines.push(
        `${`  P(${headName})`.padEnd(21)}${"█".repeat(filled)}${"·".repeat(BAR_WIDTH - filled)} ${value}`,
      );
    }
  }
  return lines.length === 0 ? ["model: no underlying yet"] : lines;
}

function quotes(desk: Desk, count: number): string[] {
  const head = `${"quote".padEnd(26)}${"bid".padStart(18)}  ${"ask".padEnd(18)}${"widen bp".padStart(9)}${"size ×".padStart(8)}  reasons`;
  const rows = shown(desk, count).map(({ instrument, quote }) => {
    const bid = side(instrument, quote.bidTicks, quote.bidLots);
    const ask = side(instrument, quote.askTicks, quote.askLots);
    const reasons = reasonText(quote);
    return `${name(instrument).padEnd(26)}${bid.padStart(18)}  ${ask.padEnd(18)}${quote.widenBp.toFixed(1).padStart(9)}${quote.sizeFactor.toFixed(2).padStart(8)}  ${reasons}`;
  });
  return [head, ...rows];
}

/** Each quote with its reasons on a line of their own. */
function narrowQuotes(desk: Desk, count: number): string[] {
  const row = (what: string, bid: string, ask: string, widen: string, size: string): string =>
    `${what.padEnd(22)}${bid.padStart(18)}  ${ask.padEnd(18)}${widen.padStart(9)}${size.padStart(8)}`;
  const rows = shown(desk, count).flatMap(({ instrument, quote }) => [
    row(
      name(instrument),
      side(instrument, quote.bidTicks, quote.bidLots),
      side(instrument, quote.askTicks, quote.askLots),
      quote.widenBp.toFixed(1),
      quote.sizeFactor.toFixed(2),
    ),
    `    ${reasonText(quote)}`,
  ]);
  return [row("quote", "bid", "ask", "widen bp", "size ×"), ...rows];
}

function reasonText(quote: StandingQuote): string {
  return reasonNames(quote.reasons)
    .filter((reason) => reason !== "base")
    .join(" ");
}

/** The futures that are quoted and the options nearest the money, nearest expiry first. */
function shown(desk: Desk, rows: number): { instrument: Instrument; quote: StandingQuote }[] {
  const { quoter } = desk;
  const quoted = desk.market.instruments
    .all()
    .filter((instrument) => quoter.quotes(instrument.id))
    .map((instrument) => ({ instrument, quote: quoter.standing(instrument.id) }));
  const futures = quoted.filter(({ instrument }) => instrument.kind !== "option");
  const options = quoted
    .filter(({ instrument }) => instrument.kind === "option")
    .sort(
      (a, b) =>
        a.instrument.expiryMs - b.instrument.expiryMs ||
        Math.abs(Math.abs(a.quote.delta) - 0.5) - Math.abs(Math.abs(b.quote.delta) - 0.5),
    );
  const expiries = [...new Set(options.map(({ instrument }) => instrument.expiryMs))].slice(0, 2);
  const room = Math.max(rows - futures.length, 2);
  const perExpiry = Math.floor(room / Math.max(expiries.length, 1));
  const near = expiries.flatMap((expiryMs) =>
    options.filter(({ instrument }) => instrument.expiryMs === expiryMs).slice(0, perExpiry),
  );
  return [...futures, ...near].slice(0, rows);
}

function latency(timer: StageHistograms, isWide: boolean): string[] {
  const [titleWidth, cellWidth] = isWide ? [14, 11] : [6, 9];
  const cells = STAGES.map((stage, at) => ({ stage, ...percentilesUs(timer.stages[at]) }));
  const row = (title: string, values: readonly string[]): string =>
    title.padEnd(titleWidth) + values.map((value) => value.padStart(cellWidth)).join("");
  return [
    row(
      isWide ? "latency, µs" : "µs",
      cells.map(({ stage }) => (isWide ? stage : stage.slice(0, cellWidth - 1))),
    ),
    row(
      "  p50",
      cells.map(({ p50 }) => p50.toFixed(1)),
    ),
    row(
      "  p99",
      cells.map(({ p99 }) => p99.toFixed(1)),
    ),
  ];
}

function counts(desk: Desk): string {
  const { counters } = desk;
  const gaps = desk.feeds.reduce((total, feed) => total + feed.counters.gaps, 0);
  return [
    `events ${counters.events}`,
    `gaps ${gaps}`,
    `predictions ${counters.predictions}`,
    `quotes ${counters.quotesSent}`,
    `by model ${counters.widened}`,
    `fills ${counters.executions}`,
  ].join("  ");
}

function name(instrument: Instrument): string {
  return instrument.kind === "option" ? instrument.symbol : `${instrument.venue}:${instrument.symbol}`;
}

function side(instrument: Instrument, ticks: number, lots: number): string {
  if (ticks < 0 || lots === 0) return "–";
  return `${stepsToDecimal(ticks, instrument.tick)} × ${stepsToDecimal(lots, instrument.lot)}`;
}
