import {
  EVENT,
  type EventBatch,
  FEED_STATE,
  SIDE,
  TICKER,
  TICKER_FIELDS,
  UNSOUND,
} from "../../market/event-batch.ts";
import type { InstrumentSpec } from "../../market/instrument.ts";
import { type FrameDecoder, isObject, type JsonObject, MAX_PRICE_TICKS, parseJson } from "../decoder.ts";
import { FRAME, type FrameOutcome } from "../feed.ts";
import {
  REASON_NAMES,
  RELAY_VERSION,
  type RelayType,
  readRelaySpec,
  STATE_NAMES,
  TICKER_NAMES,
} from "./message.ts";

const SYMBOL = /"instrument":"([^"\\]{1,64})"/;

/** What a frame said besides its event. */
export interface RelayMark {
  type: RelayType;
  session: number;
  number: number;
  receivedUs: number;
  /** A snapshot that the venue sent in the middle: it is news to those who have all messages, too. */
  anew: boolean;
}

/**
 * Reads the messages of another keel. Each is one event of one instrument; a message of an instrument that is not known, or not wanted, is
 * passed over, but for a snapshot of a wanted one, which describes it.
 */
export class RelayDecoder implements FrameDecoder {
  readonly fallbacks = 0;
  /** Of the frame decoded last. */
  readonly mark: RelayMark = {
    type: "status",
    session: Number.NaN,
    number: Number.NaN,
    receivedUs: Number.NaN,
    anew: false,
  };
  /** What was wrong with the frame decoded last, for people. */
  fault = "";
  readonly #ids: ReadonlyMap<string, number>;
  readonly #describe: (spec: InstrumentSpec) => number;
  readonly #venue: string;

  /**
   * @param ids instruments that are carried, by symbol; may grow
   * @param describe takes a wanted instrument on; −1 when it is not wanted or there is no room
   */
  constructor(venue: string, ids: ReadonlyMap<string, number>, describe: (spec: InstrumentSpec) => number) {
    this.#venue = venue;
    this.#ids = ids;
    this.#describe = describe;
  }

  decode(frame: string, out: EventBatch): FrameOutcome {
    const message = parseJson(frame);
    if (!isObject(message)) return this.#refuse("no JSON object");
    if (message.v !== RELAY_VERSION)
      return this.#refuse(`version ${String(message.v)}, expected ${RELAY_VERSION}`);
    const { type, venue, instrument: symbol, session, number, receivedUs } = message;
    if (venue !== this.#venue || typeof symbol !== "string") return FRAME.control;
    if (!isWhole(session) || !isWhole(number) || typeof receivedUs !== "number")
      return this.#refuse("no session, number and receivedUs");
    const known = this.#ids.get(symbol);
    if (known === undefined && type !== "snapshot") return FRAME.control;
    const id = known ?? this.#described(message, symbol);
    if (id === REFUSED) return FRAME.unparsable;
    if (id < 0) return FRAME.control;
    const { mark } = this;
    mark.session = session;
    mark.number = number;
    mark.receivedUs = receivedUs;
    mark.anew = message.anew === true;
    const row = out.count;
    const level = out.levels;
    const outcome = this.#event(message, type, id, out);
    if (outcome !== FRAME.ok) out.rewind(row, level);
    return outcome;
  }

  attribute(frame: string): number {
    return this.#ids.get(SYMBOL.exec(frame)?.[1] ?? "") ?? -1;
  }

  #described(message: JsonObject, symbol: string): number {
    const spec = readRelaySpec(message.spec);
    if (typeof spec !== "string" && spec.symbol === symbol && spec.venue === this.#venue)
      return this.#describe(spec);
    this.fault = `the description of ${symbol}: ${typeof spec === "string" ? spec : "of another instrument"}`;
    return REFUSED;
  }

  #event(message: JsonObject, type: unknown, id: number, out: EventBatch): FrameOutcome {
    switch (type) {
      case "snapshot":
        return this.#book(EVENT.bookSnapshot, type, message, id, out);
      case "delta":
        return this.#book(EVENT.bookDelta, type, message, id, out);
      case "top":
        return this.#top(message, id, out);
      case "trade":
        return this.#trade(message, id, out);
      case "ticker":
        return this.#ticker(message, id, out);
      case "status":
        return this.#status(message, id, out);
      default:
        return this.#refuse(`type ${JSON.stringify(type)}`);
    }
  }

  #book(kind: number, type: RelayType, message: JsonObject, id: number, out: EventBatch): FrameOutcome {
    const { bids, asks } = message;
    if (!this.#begin(kind, type, message, id, out)) return FRAME.overflow;
    if (!Array.isArray(bids) || !Array.isArray(asks)) return this.#refuse(`a ${type} without bids and asks`);
    for (const [side, levels] of [bids, asks].entries()) {
      for (const entry of levels) {
        const outcome = this.#level(side, entry, out);
        if (outcome !== FRAME.ok) return outcome;
      }
    }
    return FRAME.ok;
  }

  #top(message: JsonObject, id: number, out: EventBatch): FrameOutcome {
    if (!this.#begin(EVENT.top, "top", message, id, out)) return FRAME.overflow;
    const outcome = this.#level(SIDE.bid, message.bid, out);
    return outcome === FRAME.ok ? this.#level(SIDE.ask, message.ask, out) : outcome;
  }

  #trade(message: JsonObject, id: number, out: EventBatch): FrameOutcome {
    const { side, ticks, lots } = message;
    if (side !== "buy" && side !== "sell") return this.#refuse("a trade without side");
    if (!this.#begin(EVENT.trade, "trade", message, id, out)) return FRAME.overflow;
    return this.#level(side === "buy" ? SIDE.bid : SIDE.ask, [ticks, lots], out);
  }

  #ticker(message: JsonObject, id: number, out: EventBatch): FrameOutcome {
    const { values } = message;
    if (!isObject(values)) return this.#refuse("a ticker without values");
    if (!this.#begin(EVENT.ticker, "ticker", message, id, out)) return FRAME.overflow;
    const from = (out.count - 1) * TICKER_FIELDS;
    for (const name of TICKER_NAMES) {
      const value = values[name];
      if (typeof value === "number") out.values[from + TICKER[name]] = value;
    }
    return FRAME.ok;
  }

  #status(message: JsonObject, id: number, out: EventBatch): FrameOutcome {
    const state = STATE_NAMES.indexOf(String(message.state));
    const reason = REASON_NAMES.indexOf(String(message.reason));
    if (state < 0) return this.#refuse(`state ${JSON.stringify(message.state)}`);
    if (!this.#begin(EVENT.status, "status", message, id, out)) return FRAME.overflow;
    out.code[out.count - 1] = state;
    const isUnexplained = reason <= UNSOUND.none && state !== FEED_STATE.live;
    out.reason[out.count - 1] = isUnexplained ? UNSOUND.disconnect : Math.max(reason, UNSOUND.none);
    return FRAME.ok;
  }

  #begin(kind: number, type: RelayType, message: JsonObject, id: number, out: EventBatch): boolean {
    const { exchangeUs, sequence } = message;
    this.mark.type = type;
    const row = out.begin(kind, id, typeof exchangeUs === "number" ? exchangeUs : Number.NaN);
    if (row < 0) return false;
    const [first, last, previous] = Array.isArray(sequence) ? sequence.map(numberOrNaN) : [];
    out.setSequence(row, first ?? Number.NaN, last ?? Number.NaN, previous ?? Number.NaN);
    return true;
  }

  #level(side: number, entry: unknown, out: EventBatch): FrameOutcome {
    const [ticks, lots]: readonly unknown[] = Array.isArray(entry) ? entry : [];
    const isLevel =
      typeof ticks === "number" &&
      Number.isInteger(ticks) &&
      Math.abs(ticks) <= MAX_PRICE_TICKS &&
      typeof lots === "number" &&
      lots >= 0 &&
      Number.isFinite(lots);
    if (!isLevel) return this.#refuse(`level ${JSON.stringify(entry)?.slice(0, 60)}`);
    return out.level(side, ticks, lots) ? FRAME.ok : FRAME.overflow;
  }

  #refuse(found: string): FrameOutcome {
    this.fault = found;
    return FRAME.unparsable;
  }
}

const REFUSED = -2;

function isWhole(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function numberOrNaN(value: unknown): number {
  return typeof value === "number" ? value : Number.NaN;
}
