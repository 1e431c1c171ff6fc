import { isObject, type JsonObject, numeric, parseJson } from "../../feed/decoder.ts";
import { BITSTAMP_CONTROL } from "../protocol/bitstamp-control.ts";
import type { CaptureDialect, ChannelState, Decimals, LevelText, RestBook } from "./dialect.ts";
import { OrderBookText } from "./order-book-text.ts";
import type { CaptureAnswer } from "./protocol.ts";
import { ASKS, BIDS, TextBook } from "./text-book.ts";

const CHANNEL = /"channel":\s?"([a-z]+(?:_[a-z]+)*_([a-z0-9]+))"/;
const CONTROL = /"event":\s?"bts:/;
const QUOTES = ["usdt", "usdc", "usd", "eur", "gbp", "btc", "eth"];
/** Messages kept for a recorded snapshot that is still to come. */
const EARLY_MAX = 65_536;

/** Captures of Bitstamp. A channel has the venue's own name, such as `diff_order_book_btcusd`. */
export class BitstampCaptureDialect implements CaptureDialect {
  readonly control = BITSTAMP_CONTROL;

  channelOf(text: string): string | null {
    return CONTROL.test(text) ? null : (CHANNEL.exec(text)?.[1] ?? null);
  }

  canonical(asked: string): string {
    return asked;
  }

  shape(text: string): string {
    return text;
  }

  symbolOf(channel: string): string {
    return channel.slice(channel.lastIndexOf("_") + 1);
  }

  isBook(channel: string): boolean {
    return /^(?:diff_order_book|live_orders)_/.test(channel);
  }

  levelsOf(text: string): readonly LevelText[] {
    const data = dataOf(text);
    if (data === null) return [];
    const order = [data.price_str ?? data.price, data.amount_str ?? data.amount];
    if (order[0] !== undefined) return [[String(order[0]), String(order[1] ?? "0")]];
    return [data.bids, data.asks].flatMap((side) =>
      Array.isArray(side) ? side.map((level): LevelText => [String(level[0]), String(level[1])]) : [],
    );
  }

  newState(channel: string): ChannelState | RestBook | null {
    if (channel.startsWith("diff_order_book_")) return new BitstampLevels();
    return channel.startsWith("live_orders_") ? new BitstampOrders() : null;
  }

  restBook(url: URL): string | null {
    const symbol = /^\/api\/v2\/order_book\/([a-z0-9]+)\/?$/.exec(url.pathname)?.[1];
    if (symbol === undefined) return null;
    return url.searchParams.get("group") === "2" ? `live_orders_${symbol}` : `diff_order_book_${symbol}`;
  }

  describedIn(text: string): readonly (readonly [string, JsonObject])[] {
    if (!text.includes('"market_symbol"')) return [];
    const markets = parseJson(text);
    return (Array.isArray(markets) ? markets : []).flatMap((entry: unknown) =>
      isObject(entry) && typeof entry.market_symbol === "string"
        ? [[entry.market_symbol, entry] as const]
        : [],
    );
  }

  infer(symbol: string, decimals: Decimals): JsonObject {
    const quote = QUOTES.find((coin) => symbol.endsWith(coin) && symbol.length > coin.length) ?? "";
    const base = symbol.slice(0, symbol.length - quote.length).toUpperCase();
    return {
      name: `${base}/${quote.toUpperCase()}`,
      market_symbol: symbol,
      market_type: "SPOT",
      base_currency: base,
      base_decimals: decimals.size,
      counter_currency: quote.toUpperCase(),
      counter_decimals: decimals.price,
      trading: "Enabled",
    };
  }

  request(url: URL, described: ReadonlyMap<string, JsonObject>, timeMs: number): CaptureAnswer | null {
    const { pathname } = url;
    if (pathname === "/api/v2/markets/") return ok([...described.values()]);
    if (/^\/api\/v2\/ticker\/[a-z0-9]+\/$/.test(pathname))
      return ok({ timestamp: String(Math.floor(timeMs / 1_000)) });
    return null;
  }

  describe(): null {
    return null;
  }

  refusal(): string {
    return '{"code":"400.002","message":"Request rate limit exceeded."}';
  }
}

/** The book by price: a REST answer and the changes after its time. */
class BitstampLevels implements RestBook {
  readonly #book = new TextBook<LevelText>();
  #early: JsonObject[] = [];
  #isWhole = false;
  #micros = Number.NaN;

  apply(text: string): void {
    const data = dataOf(text);
    if (data === null) return;
    if (!this.#isWhole) {
      if (this.#early.length === EARLY_MAX) this.#early.shift();
      this.#early.push(data);
    }
    this.#take(data);
  }

  first(): null {
    return null;
  }

  join(body: string): boolean {
    const data = parseJson(body);
    if (!isObject(data) || Number.isNaN(numeric(data.microtimestamp))) return false;
    if (this.#isWhole) return true;
    this.#book.clear();
    this.#take(data);
    this.#isWhole = true;
    const early = this.#early;
    this.#early = [];
    const joined = this.#micros;
    for (const change of early) if (numeric(change.microtimestamp) > joined) this.#take(change);
    return true;
  }

  interrupt(): void {
    this.#isWhole = false;
    this.#early = [];
  }

  body(): string | null {
    if (Number.isNaN(this.#micros)) return null;
    return bookBody(this.#micros, this.#book.levels(BIDS), this.#book.levels(ASKS));
  }

  #take(data: JsonObject): void {
    for (const [side, levels] of [data.bids, data.asks].entries()) {
      for (const level of Array.isArray(levels) ? levels : []) {
        const [price, size] = [String(level[0]), String(level[1])];
        this.#book.set(side, price, size, [price, size]);
      }
    }
    this.#micros = numeric(data.microtimestamp);
  }
}

/** The book by order: a REST answer with ids and the messages after its time. */
class BitstampOrders implements RestBook {
  readonly #orders = new OrderBookText();

  apply(text: string): void {
    const message = parseJson(text);
    if (!isObject(message) || !isObject(message.data)) return;
    this.#orders.apply(numeric(message.data.microtimestamp), message, applyOrder);
  }

  first(): null {
    return null;
  }

  join(body: string): boolean {
    const data = parseJson(body);
    if (!isObject(data) || Number.isNaN(numeric(data.microtimestamp))) return false;
    this.#orders.join(numeric(data.microtimestamp), [data.bids, data.asks], applyOrder);
    return true;
  }

  interrupt(): void {
    this.#orders.interrupt();
  }

  body(): string | null {
    const { sequence } = this.#orders;
    if (Number.isNaN(sequence)) return null;
    return bookBody(sequence, this.#orders.entries(BIDS), this.#orders.entries(ASKS));
  }
}

function applyOrder(orders: OrderBookText, { event, data }: JsonObject): void {
  if (!isObject(data)) return;
  const id = String(data.id_str ?? data.id);
  const [price, size] = [String(data.price_str ?? data.price), String(data.amount_str ?? data.amount)];
  if (event === "order_deleted") orders.remove(id);
  else orders.set(data.order_type === 0 ? BIDS : ASKS, id, price, size);
}

function dataOf(text: string): JsonObject | null {
  const message = parseJson(text);
  return isObject(message) && isObject(message.data) ? message.data : null;
}

function bookBody(micros: number, bids: readonly unknown[], asks: readonly unknown[]): string {
  const timestamp = String(Math.floor(micros / 1e6));
  return JSON.stringify({ timestamp, microtimestamp: String(micros), bids, asks });
}

function ok(value: unknown): CaptureAnswer {
  return { status: 200, body: JSON.stringify(value) };
}
