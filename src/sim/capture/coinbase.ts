import { isObject, type JsonObject, parseJson } from "../../feed/decoder.ts";
import { COINBASE_CONTROL } from "../protocol/coinbase-control.ts";
import type { CaptureDialect, ChannelState, Decimals, LevelText, RestBook } from "./dialect.ts";
import { LastFrame } from "./last-frame.ts";
import { OrderBookText } from "./order-book-text.ts";
import type { CaptureAnswer } from "./protocol.ts";
import { ASKS, BIDS, stepText, TextBook } from "./text-book.ts";

const TYPE = /"type":\s?"(\w+)"/;
const PRODUCT = /"product_id":\s?"([^"]+)"/;
const ORDER_TYPES = new Set(["received", "open", "done", "change", "activate"]);
/** The type and the product stand at the beginning; a book may be megabytes long. */
const HEAD_CHARS = 400;

/** Captures of Coinbase Exchange. A channel's name is `level2:BTC-USD`; `level2_batch` is the same book. */
export class CoinbaseCaptureDialect implements CaptureDialect {
  readonly control = COINBASE_CONTROL;
  /** Products whose matches came by the channel `full`. */
  readonly #full = new Set<string>();

  channelOf(text: string): string | null {
    const head = text.slice(0, HEAD_CHARS);
    const type = TYPE.exec(head)?.[1];
    const product = PRODUCT.exec(head)?.[1] ?? PRODUCT.exec(text)?.[1];
    if (type === undefined || product === undefined) return null;
    if (ORDER_TYPES.has(type)) this.#full.add(product);
    if (ORDER_TYPES.has(type) || (type === "match" && this.#full.has(product))) return `full:${product}`;
    if (type === "match" || type === "last_match") return `matches:${product}`;
    if (type === "snapshot" || type === "l2update") return `level2:${product}`;
    return type === "ticker" || type === "heartbeat" ? `${type}:${product}` : null;
  }

  canonical(asked: string): string {
    return asked.replace(/^level2_batch:/, "level2:");
  }

  shape(text: string): string {
    return text;
  }

  symbolOf(channel: string): string {
    return channel.slice(channel.indexOf(":") + 1);
  }

  isBook(channel: string): boolean {
    return channel.startsWith("level2:") || channel.startsWith("full:");
  }

  levelsOf(text: string): readonly LevelText[] {
    const message = parseJson(text);
    if (!isObject(message)) return [];
    const { bids, asks, changes, price, size, remaining_size } = message;
    const levels = [bids, asks].flatMap((side) =>
      Array.isArray(side) ? side.map((level): LevelText => [String(level[0]), String(level[1])]) : [],
    );
    for (const change of Array.isArray(changes) ? changes : [])
      levels.push([String(change[1]), String(change[2])]);
    if (typeof price === "string") levels.push([price, String(size ?? remaining_size ?? "1")]);
    return levels;
  }

  newState(channel: string): ChannelState | RestBook | null {
    if (channel.startsWith("level2:")) return new CoinbaseLevels();
    if (channel.startsWith("full:")) return new CoinbaseOrders();
    return /^(?:ticker|matches|heartbeat):/.test(channel) ? new CoinbaseLast() : null;
  }

  restBook(url: URL): string | null {
    const product = /^\/products\/([^/]+)\/book$/.exec(url.pathname)?.[1];
    return product === undefined || url.searchParams.get("level") !== "3" ? null : `full:${product}`;
  }

  describedIn(text: string): readonly (readonly [string, JsonObject])[] {
    if (!text.includes('"quote_increment"')) return [];
    const answer = parseJson(text);
    return (Array.isArray(answer) ? answer : [answer]).flatMap((entry: unknown) =>
      isObject(entry) && typeof entry.id === "string" ? [[entry.id, entry] as const] : [],
    );
  }

  infer(symbol: string, decimals: Decimals): JsonObject {
    const [base, quote] = symbol.split("-");
    return {
      id: symbol,
      base_currency: base,
      quote_currency: quote,
      quote_increment: stepText(decimals.price),
      base_increment: stepText(decimals.size),
      display_name: `${base}/${quote}`,
      status: "online",
      trading_disabled: false,
    };
  }

  request(url: URL, described: ReadonlyMap<string, JsonObject>, timeMs: number): CaptureAnswer | null {
    if (url.pathname === "/time") {
      const body = JSON.stringify({ iso: new Date(timeMs).toISOString(), epoch: timeMs / 1_000 });
      return { status: 200, body };
    }
    if (url.pathname === "/products") return { status: 200, body: JSON.stringify([...described.values()]) };
    const symbol = /^\/products\/([^/]+)$/.exec(url.pathname)?.[1];
    const product = symbol === undefined ? undefined : described.get(symbol);
    return product === undefined ? null : { status: 200, body: JSON.stringify(product) };
  }

  describe(): null {
    return null;
  }

  refusal(): string {
    return '{"message":"Public rate limit exceeded"}';
  }
}

class CoinbaseLevels implements ChannelState {
  readonly #book = new TextBook<LevelText>();
  #product = "";

  apply(text: string): void {
    const message = parseJson(text);
    if (!isObject(message)) return;
    this.#product = String(message.product_id);
    if (message.type === "snapshot") {
      this.#book.clear();
      for (const [side, levels] of [message.bids, message.asks].entries()) {
        for (const level of Array.isArray(levels) ? levels : []) this.#set(side, level[0], level[1]);
      }
    }
    for (const change of Array.isArray(message.changes) ? message.changes : [])
      this.#set(change[0] === "buy" ? BIDS : ASKS, change[1], change[2]);
  }

  first(): string | null {
    if (this.#product === "") return null;
    const [asks, bids] = [this.#book.levels(ASKS), this.#book.levels(BIDS)];
    return JSON.stringify({ type: "snapshot", product_id: this.#product, asks, bids });
  }

  #set(side: number, price: unknown, size: unknown): void {
    this.#book.set(side, String(price), String(size), [String(price), String(size)]);
  }
}

/** The book by order: a REST answer of level 3 and the messages after its sequence. */
class CoinbaseOrders implements RestBook {
  readonly #orders = new OrderBookText();

  apply(text: string): void {
    const message = parseJson(text);
    if (isObject(message) && typeof message.sequence === "number")
      this.#orders.apply(message.sequence, message, applyOrder);
  }

  first(): null {
    return null;
  }

  join(body: string): boolean {
    const answer = parseJson(body);
    if (!isObject(answer) || typeof answer.sequence !== "number") return false;
    const { sequence, bids, asks } = answer;
    this.#orders.join(sequence, [bids, asks], applyOrder);
    return true;
  }

  interrupt(): void {
    this.#orders.interrupt();
  }

  body(): string | null {
    const { sequence } = this.#orders;
    if (Number.isNaN(sequence)) return null;
    const [bids, asks] = [this.#orders.entries(BIDS), this.#orders.entries(ASKS)];
    return JSON.stringify({ bids, asks, sequence, auction_mode: false, auction: null });
  }
}

function applyOrder(orders: OrderBookText, message: JsonObject): void {
  const { type, order_id, maker_order_id, side, price, size, remaining_size, new_size } = message;
  const at = side === "buy" ? BIDS : ASKS;
  if (type === "open") orders.set(at, String(order_id), String(price), String(remaining_size));
  else if (type === "done") orders.remove(String(order_id));
  else if (type === "match") orders.reduce(String(maker_order_id), String(size));
  else if (type === "change" && new_size !== undefined) orders.resize(String(order_id), String(new_size));
}

/** Matches and tickers begin with their last one; the last match says so. */
class CoinbaseLast extends LastFrame {
  override first(): string | null {
    return super.first()?.replace(/"type":\s?"match"/, '"type":"last_match"') ?? null;
  }
}
