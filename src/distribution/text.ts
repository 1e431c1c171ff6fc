import { FEED_STATE_NAMES, SIDE, TICKER, UNSOUND_NAMES } from "../market/event-batch.ts";
import { reasonNames } from "../quote/quote-batch.ts";
import type { FeatureNames } from "./control.ts";
import type { Publication } from "./options.ts";
import { EVERY_NAME, type OutMessage } from "./outbox.ts";
import { QUOTE, RECORD, type RecordKind } from "./record.ts";

const TICKER_NAMES = Object.keys(TICKER);

/** Which publication carries a record; null for what is no message of its own. */
function publicationOf(kind: RecordKind): Publication | null {
  switch (kind) {
    case RECORD.top:
    case RECORD.status:
      return "top";
    case RECORD.trade:
      return "trades";
    case RECORD.ticker:
      return "tickers";
    case RECORD.prediction:
      return "predictions";
    case RECORD.quote:
    case RECORD.cancelAll:
      return "quotes";
    default:
      return null;
  }
}

interface InstrumentName {
  readonly venue: string;
  readonly symbol: string;
}

export interface Published {
  readonly message: OutMessage;
  /** Name under which a later one takes its place; null where each one counts. */
  readonly latest: string | null;
  /** Name of which no later message may come before this one, {@link EVERY_NAME} for all; null where none is concerned. */
  readonly fences: string | null;
}

export interface TextOptions {
  readonly topicPrefix: string;
  readonly heads: readonly string[];
  readonly model: string;
  readonly schema: FeatureNames;
}

/**
 * Makes the published JSON of the desk's records. Keys are `venue:symbol`, the base coin for predictions, `*` for what concerns
 * every instrument. Numbers that do not exist are null.
 */
export class RecordText {
  readonly #options: TextOptions;
  readonly #instruments = new Map<number, InstrumentName>();
  readonly #underlyings = new Map<number, string>();

  constructor(options: TextOptions) {
    this.#options = options;
  }

  /** Takes in the name of an instrument or underlying. */
  name(kind: RecordKind, subject: number, json: string): void {
    const named = JSON.parse(json) as InstrumentName & { readonly base: string };
    if (kind === RECORD.instrument) this.#instruments.set(subject, named);
    else this.#underlyings.set(subject, named.base);
  }

  underlying(subject: number): string | undefined {
    return this.#underlyings.get(subject);
  }

  /** @returns null for a record that is no message, or of something without a name */
  message(kind: RecordKind, subject: number, timeUs: number, values: Float64Array): Published | null {
    const publication = publicationOf(kind);
    if (publication === null) return null;
    const topic = `${this.#options.topicPrefix}${publication}`;
    if (kind === RECORD.cancelAll) {
      const value = JSON.stringify({ type: "cancelAll", receivedUs: timeUs });
      return { message: { topic, key: "*", value }, latest: null, fences: EVERY_NAME };
    }
    if (kind === RECORD.prediction) {
      const base = this.#underlyings.get(subject);
      if (base === undefined) return null;
      const value = JSON.stringify(this.#prediction(base, timeUs, values));
      return { message: { topic, key: base, value }, latest: `prediction ${base}`, fences: null };
    }
    const instrument = this.#instruments.get(subject);
    if (instrument === undefined) return null;
    const key = `${instrument.venue}:${instrument.symbol}`;
    const { type, latest, ...body } = describe(kind, values);
    const head = { type, venue: instrument.venue, instrument: instrument.symbol, receivedUs: timeUs };
    return {
      message: { topic, key, value: JSON.stringify({ ...head, ...body }) },
      latest: latest === null ? null : `${latest} ${key}`,
      fences: kind === RECORD.status ? `top ${key}` : null,
    };
  }

  #prediction(base: string, timeUs: number, values: Float64Array): object {
    const { heads, model, schema } = this.#options;
    return {
      type: "prediction",
      underlying: base,
      receivedUs: timeUs,
      model,
      schemaHash: schema.schemaHash,
      notInForce: reasonNames(values[0]),
      probabilities: Object.fromEntries(heads.map((name, head) => [name, values[1 + head]])),
    };
  }
}

interface Description {
  readonly type: string;
  /** Beside the instrument, what a later message must equal to take this one's place; null = nothing does. */
  readonly latest: string | null;
  readonly [field: string]: unknown;
}

function describe(kind: RecordKind, values: Float64Array): Description {
  switch (kind) {
    case RECORD.top: {
      const [exchangeUs, bid, bidSize, ask, askSize] = values;
      return { type: "top", latest: "top", exchangeUs, bid, bidSize, ask, askSize };
    }
    case RECORD.status: {
      const [state, reason] = [FEED_STATE_NAMES[values[0]] ?? null, UNSOUND_NAMES[values[1]] ?? null];
      return { type: "status", latest: null, state, reason };
    }
    case RECORD.trade: {
      const [exchangeUs, side, price, size] = values;
      return {
        type: "trade",
        latest: null,
        exchangeUs,
        side: side === SIDE.bid ? "buy" : "sell",
        price,
        size,
      };
    }
    case RECORD.ticker: {
      const fields = TICKER_NAMES.map((name, column) => [name, values[1 + column]] as const);
      const present = Object.fromEntries(fields.filter(([, value]) => !Number.isNaN(value)));
      return { type: "ticker", latest: null, exchangeUs: values[0], ...present };
    }
    default:
      return {
        type: "quote",
        latest: `quote ${values[QUOTE.level]}`,
        quoteId: values[QUOTE.quoteId],
        level: values[QUOTE.level],
        bid: values[QUOTE.bidPrice],
        bidSize: values[QUOTE.bidSize],
        ask: values[QUOTE.askPrice],
        askSize: values[QUOTE.askSize],
        fair: values[QUOTE.fair],
        widenBp: values[QUOTE.widenBp],
        sizeFactor: values[QUOTE.sizeFactor],
        reasons: reasonNames(values[QUOTE.reasons]),
      };
  }
}
