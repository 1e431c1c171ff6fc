import { BadInputError } from "../../core/errors.ts";
import { FEATURE_COUNT } from "../../feature/schema.ts";
import type { DeskTap } from "../../gateway/tap.ts";
import { HEADS, type ModelCard, modelLabel } from "../../inference/card.ts";
import { JournalReader } from "../../journal/reader.ts";
import { type JournalRecord, type JournalSink, RECORD } from "../../journal/record.ts";
import { type EngineFor, replay } from "../../journal/replay.ts";
import type { Book } from "../../market/book.ts";
import { type EventBatch, SIDE } from "../../market/event-batch.ts";
import type { OutcomeSink } from "../outcomes/table.ts";
import { type ObservedDesk, OutcomeTap } from "../outcomes/tap.ts";
import { OutcomeTracker } from "../outcomes/tracker.ts";
import { digestOf } from "./part.ts";
import type { RowSink, RowSource, SourceFile } from "./row.ts";

const NOWHERE: JournalSink = { dropped: 0, text: () => {}, bytes: () => {} };
/** Levels that the withdrawal labels look at. */
const DEPTH_LEVELS = 10;

/**
 * The rows of a journal's run: the features that its model was stepped on, made again by a fresh desk, with what the model said
 * where it answered in the same turn; and the run's outcomes.
 *
 * @param engineFor makes an engine that takes its features from the host
 * @throws BadInputError when there is no such run
 */
export async function journalSource(
  directory: string,
  runId: string | undefined,
  engineFor: EngineFor,
): Promise<RowSource> {
  const { run } = new JournalReader(directory, runId);
  const files: SourceFile[] = [];
  for (const file of run.files) files.push(await digestOf(file));
  const damage: string[] = [];
  return {
    damage,
    kind: "journal",
    name: run.runId,
    files,
    play: async (sink, untilUs) => {
      let heads: readonly string[] = [];
      const reader = new JournalReader(directory, run.runId);
      await replay(until(reader.records(), untilUs), {
        engineFor: async (start) => {
          const engine = await engineFor(start);
          if (engine === null) {
            throw new BadInputError(
              `run ${run.runId}`,
              "a run without a model",
              "one with a model, whose features are the rows",
            );
          }
          heads = engine.card.heads.map(({ name }) => name);
          return engine;
        },
        decisions: NOWHERE,
        taps: ({ market, predictions }, { model }) => {
          const label = modelLabel(model);
          const rows = new RowTap(market, heads, label, sink);
          if (sink.outcome === undefined) return [rows];
          const outcomes: OutcomeSink = { outcome: (table, row) => sink.outcome?.(table, row) };
          const tracker = new OutcomeTracker(heads, label, outcomes);
          return [rows, new OutcomeTap(market, predictions, label, tracker, () => tracker.finish())];
        },
      });
      damage.length = 0;
      if (reader.damage !== null) damage.push(`${reader.damage.file}: ${reader.damage.reason}`);
      if (reader.damage !== null && !reader.damage.tail) {
        throw new BadInputError(
          reader.damage.file,
          reader.damage.reason,
          "a journal that is whole but for its end",
        );
      }
    },
  };
}

function* until(records: Iterable<JournalRecord>, untilUs: number): Generator<JournalRecord> {
  for (const record of records) {
    if (record.timeUs > untilUs && record.type !== RECORD.start) return;
    yield record;
  }
}

/** Gives a row for every step of the model whose prediction is in force. */
class RowTap implements DeskTap {
  readonly #desk: ObservedDesk;
  readonly #sink: RowSink;
  readonly #columns: readonly number[];
  readonly #features = new Float32Array(FEATURE_COUNT);
  readonly #said = new Map<
    number,
    { timeUs: number; status: number; model: string; readonly probabilities: Float32Array }
  >();
  /** By underlying: label of the model in force, where another one followed the first. */
  readonly #models: (string | undefined)[] = [];
  readonly #model: string;
  readonly #exchangeUs: number[] = [];
  readonly #prices = new Int32Array(DEPTH_LEVELS);
  readonly #sizes = new Float64Array(DEPTH_LEVELS);

  constructor(desk: ObservedDesk, heads: readonly string[], model: string, sink: RowSink) {
    this.#desk = desk;
    this.#model = model;
    this.#sink = sink;
    this.#columns = heads.map((head) => (HEADS as readonly string[]).indexOf(head));
  }

  onModel(underlying: number, card: ModelCard): void {
    this.#models[underlying] = modelLabel(card);
  }

  onPrediction(
    underlying: number,
    probabilities: Float32Array,
    offset: number,
    heads: number,
    status: number,
    timeUs: number,
  ): void {
    let said = this.#said.get(underlying);
    if (said === undefined) {
      said = { timeUs, status, model: "", probabilities: new Float32Array(HEADS.length).fill(Number.NaN) };
      this.#said.set(underlying, said);
    }
    if (status !== 0 && said.status === 0) this.#sink.broken(this.#nameOf(underlying));
    said.timeUs = timeUs;
    said.status = status;
    said.model = this.#models[underlying] ?? this.#model;
    for (let head = 0; head < heads; head += 1) {
      const column = this.#columns[head] ?? -1;
      if (column >= 0) said.probabilities[column] = probabilities[offset + head];
    }
  }

  onFeatures(underlying: number, features: Float32Array, offset: number, timeUs: number): void {
    const { books, underlyings } = this.#desk;
    const reference = underlyings.reference[underlying];
    const book = books[reference];
    const said = this.#said.get(underlying);
    if (book === undefined || book.crossed || said === undefined || said.status !== 0) return;
    this.#features.set(features.subarray(offset, offset + FEATURE_COUNT));
    const isSaid = said.timeUs === timeUs;
    this.#sink.row({
      timeUs,
      exchangeTimeUs: this.#exchangeUs[reference] ?? Number.NaN,
      instrument: this.#nameOf(underlying),
      midTicks: (book.bestBidTicks + book.bestAskTicks) / 2,
      bidDepth: this.#depth(book, SIDE.bid),
      askDepth: this.#depth(book, SIDE.ask),
      features: this.#features,
      probabilities: isSaid ? said.probabilities : null,
      ...(isSaid ? { model: said.model } : {}),
    });
  }

  onEvents(events: EventBatch, rows: Int32Array, count: number): void {
    for (let at = 0; at < count; at += 1) {
      const row = rows[at];
      if (events.instrument[row] >= 0) this.#exchangeUs[events.instrument[row]] = events.exchangeTimeUs[row];
    }
  }

  onQuotes(): void {}
  onCancelAll(): void {}
  onTimer(): void {}
  close(): void {}

  #nameOf(underlying: number): string {
    const { instruments, underlyings } = this.#desk;
    const reference = underlyings.reference[underlying];
    if (reference < 0) return underlyings.base(underlying);
    const { venue, symbol } = instruments.get(reference);
    return `${venue}:${symbol}`;
  }

  #depth(book: Book, side: number): number {
    const levels = book.top(side, DEPTH_LEVELS, this.#prices, this.#sizes);
    let depth = 0;
    for (let level = 0; level < levels; level += 1) depth += this.#sizes[level];
    return depth;
  }
}
