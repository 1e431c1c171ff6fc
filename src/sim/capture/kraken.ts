import { isObject, type JsonObject, parseJson } from "../../feed/decoder.ts";
import { KRAKEN_DEPTH } from "../../feed/kraken/venue.ts";
import { KRAKEN_CONTROL, KRAKEN_INSTRUMENTS } from "../protocol/kraken-control.ts";
import type { CaptureDialect, ChannelState, Decimals, LevelText } from "./dialect.ts";
import { LastFrame } from "./last-frame.ts";
import type { CaptureAnswer } from "./protocol.ts";
import { ASKS, BIDS, TextBook } from "./text-book.ts";

const HEAD = /^\{"channel":"(\w+)","type":"\w+","data":\[\{"symbol":"([^"]+)"/;
/** Levels are read from the text: a checksum is over the digits that the venue wrote. */
const LEVEL = /\{"price":([^,}]+),"qty":([^,}]+)\}/g;
const CHECKSUM = /"checksum":(\d+)/;
const TIMESTAMP = /"timestamp":"([^"]+)"/;

/** Captures of Kraken's WebSocket v2. A channel's name is `book:BTC/USD`. */
export class KrakenCaptureDialect implements CaptureDialect {
  readonly control = KRAKEN_CONTROL;

  channelOf(text: string): string | null {
    const head = HEAD.exec(text);
    return head === null || head[1] === KRAKEN_INSTRUMENTS ? null : `${head[1]}:${head[2]}`;
  }

  canonical(asked: string): string {
    return asked;
  }

  shape(text: string): string {
    return text;
  }

  symbolOf(channel: string): string {
    return channel.slice(channel.indexOf(":") + 1);
  }

  isBook(channel: string): boolean {
    return channel.startsWith("book:");
  }

  levelsOf(text: string): readonly LevelText[] {
    return sidesOf(text).flat();
  }

  newState(channel: string): ChannelState | null {
    if (this.isBook(channel)) return new KrakenTextBook();
    return channel.startsWith("ticker:") ? new LastFrame() : null;
  }

  restBook(): null {
    return null;
  }

  describedIn(text: string): readonly (readonly [string, JsonObject])[] {
    if (!text.startsWith(`{"channel":"${KRAKEN_INSTRUMENTS}"`)) return [];
    const message = parseJson(text);
    const data = isObject(message) && isObject(message.data) ? message.data : {};
    const pairs = Array.isArray(data.pairs) ? data.pairs : [];
    return pairs.flatMap((pair: unknown) =>
      isObject(pair) && typeof pair.symbol === "string" ? [[pair.symbol, pair] as const] : [],
    );
  }

  /** The recorded digits are those that checksums are over; the tick is as fine as they are. */
  infer(symbol: string, decimals: Decimals): JsonObject {
    const [base, quote] = symbol.split("/");
    return {
      symbol,
      base,
      quote,
      status: "online",
      price_increment: step(decimals.price),
      price_precision: decimals.priceWritten,
      qty_increment: step(decimals.sizeWritten),
      qty_precision: decimals.sizeWritten,
      qty_min: step(decimals.sizeWritten),
    };
  }

  request(url: URL, _described: ReadonlyMap<string, JsonObject>, timeMs: number): CaptureAnswer | null {
    if (url.pathname !== "/0/public/Time") return null;
    const result = { unixtime: Math.floor(timeMs / 1_000) };
    return { status: 200, body: JSON.stringify({ error: [], result }) };
  }

  describe(channel: string, described: ReadonlyMap<string, JsonObject>): string | null {
    if (channel !== KRAKEN_INSTRUMENTS) return null;
    const data = { assets: [], pairs: [...described.values()] };
    return JSON.stringify({ channel, type: "snapshot", data });
  }

  refusal(): string {
    return '{"error":["EGeneral:Too many requests"]}';
  }
}

class KrakenTextBook implements ChannelState {
  readonly #book = new TextBook<string>();
  #last: string | null = null;

  apply(text: string): void {
    if (text.startsWith('{"channel":"book","type":"snapshot"')) this.#book.clear();
    for (const [side, levels] of sidesOf(text).entries()) {
      for (const [price, qty] of levels) this.#book.set(side, price, qty, `{"price":${price},"qty":${qty}}`);
    }
    this.#book.cut(KRAKEN_DEPTH);
    this.#last = text;
  }

  /** With the checksum that came with the last change. */
  first(asked: string): string | null {
    if (this.#last === null) return null;
    const symbol = asked.slice(asked.indexOf(":") + 1);
    const [bids, asks] = [BIDS, ASKS].map((side) => this.#book.levels(side).join(","));
    const checksum = CHECKSUM.exec(this.#last)?.[1] ?? "0";
    const time = TIMESTAMP.exec(this.#last)?.[1] ?? "";
    return `{"channel":"book","type":"snapshot","data":[{"symbol":"${symbol}","bids":[${bids}],"asks":[${asks}],"checksum":${checksum},"timestamp":"${time}"}]}`;
  }
}

/** Bids and asks of a book message, whichever stands first in it. */
function sidesOf(text: string): readonly [LevelText[], LevelText[]] {
  const sides: [LevelText[], LevelText[]] = [[], []];
  const [bids, asks] = [text.indexOf('"bids":['), text.indexOf('"asks":[')];
  for (const match of text.matchAll(LEVEL)) {
    const isBid = asks < 0 || (bids >= 0 && (bids < asks ? match.index < asks : match.index > bids));
    sides[isBid ? BIDS : ASKS].push([match[1] ?? "", match[2] ?? ""]);
  }
  return sides;
}

function step(decimals: number): number {
  return Number((10 ** -decimals).toFixed(decimals));
}
