import { stepsToDecimal } from "../../core/decimal.ts";
import { BadInputError } from "../../core/errors.ts";
import { type DecidedQuote, decodeDecision } from "../../desk/decision.ts";
import type { Desk } from "../../desk/desk.ts";
import type { CheckpointBody } from "../../journal/checkpoint.ts";
import { JournalReader } from "../../journal/reader.ts";
import { type JournalRecord, RECORD, RECORD_NAMES } from "../../journal/record.ts";
import { replay } from "../../journal/replay.ts";
import type { RunStart } from "../../journal/run-start.ts";
import { DecisionComparer, isDecision } from "../../journal/verify.ts";
import { engineForReplay } from "../../live/replay-engine.ts";
import type { Instrument } from "../../market/instrument.ts";
import { type QuoteReport, quoteReport, quoteReportLines } from "../../quote/quote-report.ts";
import { type Output, UsageError } from "../command.ts";
import { probabilitiesOf } from "../explain/recorded.ts";
import { FeatureFollower } from "./feature-follower.ts";

/** Of the text of an input that is shown. */
const INPUT_TEXT_MAX = 400;

export interface ShowOptions {
  readonly run: string | undefined;
  readonly quote: number | undefined;
  readonly instrument: string | undefined;
  readonly at: string | undefined;
}

/** Why a quote was made, with everything it was made of. */
export interface QuoteEvidence {
  readonly run: string;
  /** Build that ran, and the model: name, source, digest, engine. */
  readonly keel: string;
  readonly model: RunStart["model"];
  /** Of the decision in the journal. */
  readonly sequence: number;
  readonly timeUs: number;
  /** The quote stood no more at the time that was asked for, because of a cancel at this time; null while it stood. */
  readonly cancelledUs: number | null;
  /** What came in last before the decision. */
  readonly input: {
    readonly sequence: number;
    readonly type: string;
    readonly timeUs: number;
    readonly text: string;
  };
  /** Best prices and sizes of the instrument at that moment; null where a side was empty. */
  readonly market: Readonly<Record<"bid" | "bidSize" | "ask" | "askSize", string | null>>;
  readonly probabilities: Readonly<Record<string, number>>;
  /** The features of the step behind them, and when it was made. */
  readonly features: Readonly<Record<string, number>>;
  readonly featuresUs: number;
  readonly quote: QuoteReport;
  readonly limits: Readonly<Record<string, number>>;
  readonly trading: "active" | "reducing" | "halted";
  /** What the host knew of its clock at the checkpoint before the decision; null before the first. */
  readonly clock: CheckpointBody["clock"];
}

/** @throws BadInputError when there is no such quote */
export async function show(
  directory: string,
  options: ShowOptions,
  warn: (line: string) => void,
  out: Output,
): Promise<void> {
  const evidence = await quoteEvidence(directory, options, warn);
  for (const line of evidenceLines(evidence)) out.line(line);
  out.result(evidence);
}

async function quoteEvidence(
  directory: string,
  options: ShowOptions,
  warn: (line: string) => void,
): Promise<QuoteEvidence> {
  const atUs = timeOf(options.at);
  if (options.quote === undefined && options.instrument === undefined) {
    throw new UsageError("audit show: --quote ID or --instrument SYMBOL is missing");
  }
  const reader = new JournalReader(directory, options.run);
  let clock: CheckpointBody["clock"] = null;
  reader.onCheckpoint = ({ body }) => {
    clock = body.clock;
  };
  let heads: readonly string[] = [];
  let follower: FeatureFollower | null = null;
  let input: JournalRecord | null = null;
  let found: Omit<QuoteEvidence, "run" | "keel" | "model" | "cancelledUs"> | null = null;
  let cancelledUs: number | null = null;
  let isPast = false;
  const wanted = (quote: DecidedQuote, desk: Desk): boolean =>
    options.quote === undefined
      ? desk.market.instruments.get(quote.instrument).symbol === options.instrument && quote.level === 0
      : quote.quoteId === options.quote;
  const { start } = await replay(reader.records(), {
    engineFor: async (run) => {
      const engine = await engineForReplay(run, undefined, { info: () => {}, warn });
      heads = engine?.card.heads.map(({ name }) => name) ?? [];
      return engine;
    },
    decisions: new DecisionComparer(() => null),
    taps: (desk) => {
      follower = new FeatureFollower(desk);
      return [follower];
    },
    onRecord: (record) => {
      isPast =
        record.timeUs > atUs ||
        (options.quote !== undefined && found !== null && record.type === RECORD.cancelAll);
      if (isPast) return;
      if (record.type === RECORD.cancelAll && found !== null) cancelledUs ??= record.timeUs;
      if (!isDecision(record.type) && record.type !== RECORD.batchEnd)
        input = { ...record, payload: record.payload.slice(0, INPUT_TEXT_MAX) };
      if (record.type !== RECORD.quote || follower === null || input === null) return;
      const { desk } = follower;
      const decision = decodeDecision(record.payload);
      const quote = decision.quotes.find((one) => wanted(one, desk));
      if (quote === undefined) return;
      cancelledUs = null;
      const instrument = desk.market.instruments.get(quote.instrument);
      const underlying = desk.market.underlyings.number(instrument.base);
      found = {
        sequence: record.sequence,
        timeUs: record.timeUs,
        input: shownInput(input),
        market: marketOf(desk, instrument),
        probabilities: named(heads, probabilitiesOf(desk, instrument)),
        ...follower.of(underlying),
        quote: quoteReport(instrument, quote, quote.reasons),
        limits: { ...desk.gate.limits },
        trading: desk.gate.kill.tripped ? "halted" : desk.gate.reducing === null ? "active" : "reducing",
        clock,
      };
    },
    stop: () => isPast,
  });
  const evidence = found as Omit<QuoteEvidence, "run" | "keel" | "model" | "cancelledUs"> | null;
  if (evidence === null) {
    const sought = options.quote === undefined ? `quote on ${options.instrument}` : `quote ${options.quote}`;
    throw new BadInputError(
      `run ${reader.run.runId}`,
      `no ${sought}`,
      "one that was sent by the time that is asked for",
    );
  }
  return { run: reader.run.runId, keel: start.keel, model: start.model, cancelledUs, ...evidence };
}

/** ISO 8601 or µs since the epoch; the end of time when it is not given. */
function timeOf(text: string | undefined): number {
  if (text === undefined) return Number.POSITIVE_INFINITY;
  const timeUs = /^\d+$/.test(text) ? Number(text) : Date.parse(text) * 1_000;
  if (Number.isFinite(timeUs)) return timeUs;
  throw new UsageError(`--at: found ${JSON.stringify(text)}, expected ISO 8601 or µs since the epoch`);
}

function shownInput({ sequence, type, timeUs, payload }: JournalRecord): QuoteEvidence["input"] {
  const text = type === RECORD.inference ? "" : Buffer.from(payload).toString("utf8");
  return { sequence, type: RECORD_NAMES.get(type) ?? String(type), timeUs, text };
}

function marketOf(desk: Desk, instrument: Instrument): QuoteEvidence["market"] {
  const book = desk.market.books[instrument.id];
  const [bidLots, askLots] = [book?.bestBidLots ?? 0, book?.bestAskLots ?? 0];
  const price = (ticks: number | undefined, lots: number): string | null =>
    ticks === undefined || lots === 0 ? null : stepsToDecimal(ticks, instrument.tick);
  return {
    bid: price(book?.bestBidTicks, bidLots),
    bidSize: bidLots === 0 ? null : stepsToDecimal(bidLots, instrument.lot),
    ask: price(book?.bestAskTicks, askLots),
    askSize: askLots === 0 ? null : stepsToDecimal(askLots, instrument.lot),
  };
}

function named(names: readonly string[], values: readonly number[]): Record<string, number> {
  return Object.fromEntries(values.map((value, at) => [names[at] ?? `head ${at}`, value]));
}

function evidenceLines(evidence: QuoteEvidence): string[] {
  const { market, input, clock, model, cancelledUs, limits } = evidence;
  const side = (price: string | null, size: string | null): string =>
    price === null ? "–" : `${size} @ ${price}`;
  const numbers = (values: Readonly<Record<string, number>>): string[] =>
    Object.entries(values).map(([name, value]) => `  ${name.padEnd(32)}${Number(value.toPrecision(6))}`);
  return [
    `run ${evidence.run}, record ${evidence.sequence}, ${isoUs(evidence.timeUs)}, keel ${evidence.keel}`,
    `model ${model === null ? "none" : `${model.name}, SHA-256 ${model.onnxSha256}, on ${model.engine}`}`,
    `clock ${clock === null ? "not known" : `${clock.synchronised ? "kept" : "not kept"}, error at most ${clock.maxErrorUs} µs`}`,
    ...(cancelledUs === null
      ? []
      : [`this quote stood no more: everything was cancelled at ${isoUs(cancelledUs)}`]),
    "",
    ...quoteReportLines(evidence.quote),
    `market: bid ${side(market.bid, market.bidSize)}, ask ${side(market.ask, market.askSize)}; the desk was ${evidence.trading}`,
    "",
    `last input: record ${input.sequence}, ${input.type}, ${isoUs(input.timeUs)}`,
    ...(input.text === "" ? [] : [`  ${input.text}`]),
    "",
    "probabilities",
    ...numbers(evidence.probabilities),
    "",
    `features of ${Number.isNaN(evidence.featuresUs) ? "no step yet" : isoUs(evidence.featuresUs)}`,
    ...numbers(evidence.features),
    "",
    "limits in force",
    ...numbers(limits),
  ];
}

/** With µs. */
function isoUs(timeUs: number): string {
  const micros = String(Math.floor(timeUs) % 1_000).padStart(3, "0");
  return new Date(timeUs / 1_000).toISOString().replace("Z", `${micros}Z`);
}
