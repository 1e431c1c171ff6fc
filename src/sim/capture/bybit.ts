import { BYBIT_VENUES, type BybitVenueName } from "../../feed/bybit/venue.ts";
import { isObject, type JsonObject, parseJson } from "../../feed/decoder.ts";
import { BYBIT_CONTROL } from "../protocol/bybit-control.ts";
import type { CaptureDialect, ChannelState, Decimals, LevelText } from "./dialect.ts";
import type { CaptureAnswer } from "./protocol.ts";
import { ASKS, BIDS, stepText, TextBook } from "./text-book.ts";

const TOPIC = /^\{.{0,80}?"topic":"([^"]+)"/;
const QUOTES = ["USDT", "USDC", "USD", "EUR", "BTC", "ETH"];
const SETTLES = new Set(["USDT", "USDC"]);
const MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];

/** Captures of one of Bybit v5's markets. A channel's name is its topic, without the depth: `orderbook.BTCUSDT`. */
export class BybitCaptureDialect implements CaptureDialect {
  readonly control = BYBIT_CONTROL;
  readonly #category: string;

  constructor(venue: BybitVenueName) {
    this.#category = BYBIT_VENUES[venue].category;
  }

  channelOf(text: string): string | null {
    const topic = TOPIC.exec(text)?.[1];
    return topic === undefined ? null : this.canonical(topic);
  }

  canonical(asked: string): string {
    return asked.replace(/^orderbook\.\d+\./, "orderbook.");
  }

  shape(text: string, asked: string): string {
    const topic = TOPIC.exec(text)?.[1];
    return topic === undefined || topic === asked ? text : text.replace(`"${topic}"`, `"${asked}"`);
  }

  symbolOf(channel: string): string {
    return channel.slice(channel.indexOf(".") + 1);
  }

  isBook(channel: string): boolean {
    return channel.startsWith("orderbook.");
  }

  levelsOf(text: string): readonly LevelText[] {
    const data = dataOf(text);
    return [data?.b, data?.a].flatMap((side) =>
      Array.isArray(side) ? side.map((level): LevelText => [String(level[0]), String(level[1])]) : [],
    );
  }

  newState(channel: string): ChannelState | null {
    if (this.isBook(channel)) return new BybitBook();
    return channel.startsWith("tickers.") ? new BybitTicker() : null;
  }

  restBook(): null {
    return null;
  }

  describedIn(text: string): readonly (readonly [string, JsonObject])[] {
    if (!text.includes('"priceFilter"')) return [];
    const answer = parseJson(text);
    const result = isObject(answer) && isObject(answer.result) ? answer.result : {};
    const list = Array.isArray(result.list) ? result.list : [];
    return list.flatMap((entry: unknown) =>
      isObject(entry) && typeof entry.symbol === "string" ? [[entry.symbol, entry] as const] : [],
    );
  }

  infer(symbol: string, decimals: Decimals): JsonObject {
    const [pair = symbol, date, , side, settle = "USDC"] = symbol.split("-");
    const isOption = this.#category === "option";
    const quote = QUOTES.find((coin) => pair.endsWith(coin) && pair.length > coin.length);
    const base = quote === undefined ? pair : pair.slice(0, -quote.length);
    const quoteCoin = isOption ? (SETTLES.has(settle) ? settle : "USDC") : (quote ?? "USD");
    const kind = date === undefined ? "Perpetual" : "Futures";
    const step = stepText(decimals.size);
    return {
      symbol,
      contractType: `${this.#category === "inverse" ? "Inverse" : "Linear"}${kind}`,
      ...(isOption ? { optionsType: side === "P" ? "Put" : "Call" } : {}),
      status: "Trading",
      baseCoin: base,
      quoteCoin,
      settleCoin: this.#category === "inverse" ? base : quoteCoin,
      deliveryTime: String(date === undefined ? 0 : deliveryMs(date)),
      priceFilter: { tickSize: stepText(decimals.price) },
      lotSizeFilter: { qtyStep: step, basePrecision: step, minOrderQty: step },
    };
  }

  request(url: URL, described: ReadonlyMap<string, JsonObject>, timeMs: number): CaptureAnswer | null {
    const answer = (result: object): CaptureAnswer => ({
      status: 200,
      body: JSON.stringify({ retCode: 0, retMsg: "OK", result, retExtInfo: {}, time: timeMs }),
    });
    if (url.pathname === "/v5/market/time") return answer({ timeSecond: String(Math.floor(timeMs / 1_000)) });
    if (url.pathname !== "/v5/market/instruments-info") return null;
    const [category, symbol, base] = ["category", "symbol", "baseCoin"].map((name) =>
      url.searchParams.get(name),
    );
    const list = [...described]
      .filter(
        ([name, entry]) =>
          category === this.#category &&
          (symbol === null || symbol === name) &&
          (base === null || base === entry.baseCoin),
      )
      .map(([, entry]) => entry);
    return answer({ category, list, nextPageCursor: "" });
  }

  describe(): null {
    return null;
  }

  refusal(): string {
    return JSON.stringify({ retCode: 10_006, retMsg: "Too many visits!", result: {}, retExtInfo: {} });
  }
}

class BybitBook implements ChannelState {
  readonly #book = new TextBook<readonly unknown[]>();
  #last: JsonObject | null = null;

  apply(text: string): void {
    const message = parseJson(text);
    if (!isObject(message) || !isObject(message.data)) return;
    const { data } = message;
    if (message.type === "snapshot") this.#book.clear();
    for (const [side, entries] of [data.b, data.a].entries()) {
      for (const level of Array.isArray(entries) ? entries : [])
        this.#book.set(side, String(level[0]), String(level[1]), level);
    }
    this.#last = message;
  }

  /** The next change has the snapshot's `u` plus one. */
  first(asked: string): string | null {
    if (this.#last === null || !isObject(this.#last.data)) return null;
    const data = { ...this.#last.data, b: this.#book.levels(BIDS), a: this.#book.levels(ASKS) };
    return JSON.stringify({ ...this.#last, topic: asked, type: "snapshot", data });
  }
}

/** A ticker's messages after the first carry only what has changed. */
class BybitTicker implements ChannelState {
  #last: JsonObject | null = null;

  apply(text: string): void {
    const message = parseJson(text);
    if (!isObject(message) || !isObject(message.data)) return;
    const before = message.type === "delta" && isObject(this.#last?.data) ? this.#last.data : {};
    this.#last = { ...message, data: { ...before, ...message.data } };
  }

  first(asked: string): string | null {
    return this.#last === null ? null : JSON.stringify({ ...this.#last, topic: asked, type: "snapshot" });
  }
}

function dataOf(text: string): JsonObject | null {
  const message = parseJson(text);
  return isObject(message) && isObject(message.data) ? message.data : null;
}

/** `27DEC24` → 08:00 UTC of the day, when Bybit's contracts are delivered. */
function deliveryMs(text: string): number {
  const [, day, month = "", year] = /^(\d{1,2})([A-Z]{3})(\d\d)$/.exec(text) ?? [];
  return Date.UTC(2000 + Number(year), MONTHS.indexOf(month), Number(day), 8);
}
