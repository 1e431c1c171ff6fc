import { isObject, type JsonObject, parseJson } from "../../feed/decoder.ts";
import { familyOf, readSubscription } from "../../feed/okx/venue.ts";
import { OKX_CONTROL, okxArgument } from "../protocol/okx-control.ts";
import type { CaptureDialect, ChannelState, Decimals, LevelText } from "./dialect.ts";
import { LastFrame } from "./last-frame.ts";
import type { CaptureAnswer } from "./protocol.ts";
import { ASKS, BIDS, stepText, TextBook } from "./text-book.ts";

/** `arg` stands first in what a channel tells, after `event` in what a request is answered. */
const HEAD = /^\{"arg":\{"channel":"([a-z0-9-]+)","(?:instId|instFamily)":"([^"]+)"/;
/** Channels that begin with their last message; trades begin with the next one. */
const LASTING = /^(?:mark-price|index-tickers|open-interest|funding-rate|tickers|opt-summary|bbo-tbt):/;
const NOT_FOUND = JSON.stringify({ code: "51001", msg: "Instrument ID does not exist", data: [] });

/** Captures of OKX v5. A channel's name is `books:BTC-USDT`. */
export class OkxCaptureDialect implements CaptureDialect {
  readonly control = OKX_CONTROL;

  channelOf(text: string): string | null {
    const head = HEAD.exec(text);
    return head === null ? null : `${head[1]}:${head[2]}`;
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
    return channel.startsWith("books:");
  }

  levelsOf(text: string): readonly LevelText[] {
    const data = bookData(text)?.data;
    return data === undefined ? [] : [...levels(data.bids), ...levels(data.asks)];
  }

  newState(channel: string): ChannelState | null {
    if (this.isBook(channel)) return new OkxBook();
    return LASTING.test(channel) ? new LastFrame() : null;
  }

  restBook(): null {
    return null;
  }

  describedIn(text: string): readonly (readonly [string, JsonObject])[] {
    if (!text.includes('"tickSz"')) return [];
    const answer = parseJson(text);
    const data = isObject(answer) && Array.isArray(answer.data) ? answer.data : [];
    return data.flatMap((entry: unknown) =>
      isObject(entry) && typeof entry.instId === "string" ? [[entry.instId, entry] as const] : [],
    );
  }

  infer(symbol: string, decimals: Decimals): JsonObject {
    const type = readSubscription(symbol)?.type ?? "SPOT";
    const [base, quote, expiry, strike, optType = ""] = symbol.split("-");
    const inverse = quote === "USD";
    const isSpot = type === "SPOT";
    const lot = stepText(decimals.size);
    return {
      instId: symbol,
      instType: type,
      instFamily: isSpot ? "" : familyOf(symbol),
      uly: isSpot ? "" : familyOf(symbol),
      baseCcy: isSpot ? base : "",
      quoteCcy: isSpot ? quote : "",
      settleCcy: isSpot ? "" : inverse ? base : quote,
      ctVal: isSpot ? "" : inverse && type !== "OPTION" ? (base === "BTC" ? "100" : "10") : "1",
      ctMult: isSpot ? "" : "1",
      ctType: isSpot ? "" : inverse ? "inverse" : "linear",
      ctValCcy: isSpot ? "" : inverse && type !== "OPTION" ? "USD" : base,
      expTime: type === "FUTURES" || type === "OPTION" ? String(expiryMs(expiry)) : "",
      stk: type === "OPTION" ? strike : "",
      optType,
      tickSz: stepText(decimals.price),
      lotSz: lot,
      minSz: lot,
      state: "live",
    };
  }

  request(url: URL, described: ReadonlyMap<string, JsonObject>, timeMs: number): CaptureAnswer | null {
    if (url.pathname === "/api/v5/public/time") return answer([{ ts: String(timeMs) }]);
    if (url.pathname !== "/api/v5/public/instruments") return null;
    const [type, id, family] = ["instType", "instId", "instFamily"].map((name) => url.searchParams.get(name));
    const found = [...described].filter(
      ([symbol, entry]) =>
        entry.instType === type &&
        (id === null || id === symbol) &&
        (family === null || familyOf(symbol) === family),
    );
    if (id !== null && found.length === 0) return { status: 200, body: NOT_FOUND };
    return answer(found.map(([, entry]) => entry));
  }

  describe(): null {
    return null;
  }

  refusal(status: number): string {
    return JSON.stringify({ code: status === 429 ? "50011" : "50001", msg: "Rate limit reached", data: [] });
  }
}

class OkxBook implements ChannelState {
  readonly #book = new TextBook<readonly unknown[]>();
  #last: JsonObject | null = null;

  apply(text: string): void {
    const found = bookData(text);
    if (found === null) return;
    const { data, isSnapshot } = found;
    if (isSnapshot) this.#book.clear();
    for (const [side, entries] of [data.bids, data.asks].entries()) {
      for (const level of Array.isArray(entries) ? entries : [])
        this.#book.set(side, String(level[0]), String(level[1]), level);
    }
    this.#last = data;
  }

  /** The next change continues from its `seqId`; the checksum is the one that came with the last change. */
  first(asked: string): string | null {
    if (this.#last === null) return null;
    const data = { ...this.#last, asks: this.#book.levels(ASKS), bids: this.#book.levels(BIDS) };
    const restarted = "seqId" in data ? { ...data, prevSeqId: -1 } : data;
    return JSON.stringify({ arg: okxArgument(asked), action: "snapshot", data: [restarted] });
  }
}

function bookData(text: string): { readonly data: JsonObject; readonly isSnapshot: boolean } | null {
  const message = parseJson(text);
  if (!isObject(message) || !Array.isArray(message.data)) return null;
  const [data] = message.data;
  return isObject(data) ? { data, isSnapshot: message.action === "snapshot" } : null;
}

function levels(side: unknown): LevelText[] {
  return Array.isArray(side) ? side.map((level) => [String(level[0]), String(level[1])]) : [];
}

/** `240927` → 08:00 UTC of the day, when OKX's contracts expire. */
function expiryMs(yymmdd = ""): number {
  const [, year, month, day] = /^(\d\d)(\d\d)(\d\d)$/.exec(yymmdd) ?? [];
  return Date.UTC(2000 + Number(year), Number(month) - 1, Number(day), 8);
}

function answer(data: readonly unknown[]): CaptureAnswer {
  return { status: 200, body: JSON.stringify({ code: "0", msg: "", data }) };
}
