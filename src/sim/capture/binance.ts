import type { CaptureEntry } from "../../feed/capture.ts";
import { answerBinanceControl, isCombinedStream, streamsInUrl } from "../protocol/binance-control.ts";
import { Subscriptions } from "../protocol/subscriptions.ts";
import { describeSymbols, type SymbolInfo } from "./binance-info.ts";
import { isDepthStream, payloadOf, shapeFrame, streamOf, symbolOf, withoutSpeed } from "./binance-text.ts";
import type { CaptureClient } from "./client.ts";
import { asDepthSnapshot, asDepthUpdate, DepthBook, type DepthSnapshot } from "./depth-book.ts";
import type { CaptureAnswer, CaptureHost, CaptureProtocol } from "./protocol.ts";
import { type CaptureScan, snapshotSymbol } from "./scan.ts";

/** Binance: at most 1,024 streams a connection. */
const MAX_STREAMS = 1_024;
const DEFAULT_LEVELS = 500;
const MAX_LEVELS = 5_000;
/** A depth request waits at most this long for playback to come to the recorded snapshot, … */
const SNAPSHOT_WAIT_MS = 10_000;
/** … and this long for the depth event whose last id it then carries. */
const EVENT_WAIT_MS = 1_000;
const MAX_WAITING = 256;
const FUNDING_PERIOD_MS = 8 * 3_600_000;

/** One symbol's book and those who wait for it. */
interface Market {
  readonly symbol: string;
  /** The stream the book is kept from. */
  readonly depthStream: string | null;
  book: DepthBook;
  /** Playback has come to the recorded snapshot, or the capture has none. */
  reached: boolean;
  readonly waiting: Set<DepthRequest>;
  markPriceFrame: string | null;
}

interface DepthRequest {
  readonly limit: number;
  answer(answer: CaptureAnswer): void;
}

/**
 * Serves a Binance capture: streams on `/stream` and `/ws`, `depth`, `exchangeInfo`, `premiumIndex`, `time` and `ping` by REST.
 *
 * A depth request made before playback has come to the recorded snapshot waits for it and gets it as recorded. Any other is
 * answered from the book kept here, right after the next depth event has been sent, with that event's `u` as `lastUpdateId`; so
 * a client that subscribed before it asked holds an event that joins, even by the strict rule.
 */
export class BinanceCapture implements CaptureProtocol {
  framesPlayed = 0;
  snapshotsServed = 0;
  readonly #host: CaptureHost;
  readonly #scan: CaptureScan;
  readonly #symbols: ReadonlyMap<string, SymbolInfo>;
  readonly #byName = new Map<string, string>();
  readonly #listeners = new Subscriptions<CaptureClient>(MAX_STREAMS);
  readonly #markets = new Map<string, Market>();
  #listening = 0;
  #lastFrame = "";

  constructor(scan: CaptureScan, host: CaptureHost) {
    this.#scan = scan;
    this.#host = host;
    this.#symbols = describeSymbols(scan);
    for (const stream of scan.channels) this.#byName.set(withoutSpeed(stream), stream);
    this.restart();
  }

  get subscriptions(): number {
    return this.#listening;
  }

  accepts(url: URL): boolean {
    return /(?:^|\/)(?:stream|ws(?:\/.*)?)$/.test(url.pathname);
  }

  open(client: CaptureClient): void {
    client.combined = isCombinedStream(client.url);
    const streams = streamsInUrl(client.url);
    for (const stream of streams) this.#subscribe(client, stream);
    if (streams.length > 0) this.#host.listening();
  }

  message(client: CaptureClient, text: string): void {
    const answer = answerBinanceControl(text, {
      subscribe: (stream) => this.#subscribe(client, stream),
      unsubscribe: (stream) => this.#unsubscribe(client, stream),
      list: () => [...client.asked.values()],
    });
    this.#host.reply(client, answer);
    if (client.asked.size > 0) this.#host.listening();
  }

  close(client: CaptureClient): void {
    this.#listening -= this.#listeners.channels(client).length;
    this.#listeners.drop(client);
  }

  request(url: URL): CaptureAnswer | Promise<CaptureAnswer> | null {
    const path = /\/(?:api\/v3|[fd]api\/v1)\/(\w+)$/.exec(url.pathname)?.[1];
    const symbol = url.searchParams.get("symbol");
    switch (path) {
      case "ping":
        return ok({});
      case "time":
        return ok({ serverTime: this.#exchangeMs() });
      case "exchangeInfo":
        return this.#exchangeInfo(url.searchParams);
      case "depth":
        return this.#depthWhenRead(symbol, url.searchParams.get("limit"));
      case "premiumIndex":
        return this.#premiumIndex(symbol);
      default:
        return null;
    }
  }

  refusal(status: number): string {
    return JSON.stringify({
      code: status === 429 || status === 418 ? -1003 : -1001,
      msg: "Too many requests.",
    });
  }

  play(entry: CaptureEntry): void {
    if (entry.kind !== "frame") {
      this.#recordedSnapshot(entry);
      return;
    }
    const { text } = entry;
    const stream = streamOf(text);
    if (stream === null) return;
    this.framesPlayed += 1;
    this.#lastFrame = text;
    if (this.#listeners.wanted(stream)) {
      this.#host.deliver(stream, text, this.#listeners.sessions(stream), (client) =>
        shapeFrame(text, stream, client.asked.get(stream) ?? stream, client.combined),
      );
    }
    const market = this.#markets.get(symbolOf(stream));
    if (market === undefined) return;
    if (stream === market.depthStream) this.#depthEvent(market, text);
    else if (withoutSpeed(stream).endsWith("@markPrice")) market.markPriceFrame = text;
  }

  tick(): void {}

  ended(): void {
    for (const market of this.#markets.values()) {
      market.reached = true;
      this.#answerWaiting(market);
    }
  }

  restart(): void {
    this.ended();
    this.#markets.clear();
    for (const stream of this.#scan.channels) {
      const symbol = symbolOf(stream);
      const known = this.#markets.get(symbol);
      const depthStream = known?.depthStream ?? (isDepthStream(stream) ? stream : null);
      this.#markets.set(symbol, {
        symbol,
        depthStream,
        book: new DepthBook(),
        reached: !this.#scan.snapshots.has(symbol),
        waiting: new Set(),
        markPriceFrame: null,
      });
    }
  }

  #subscribe(client: CaptureClient, asked: string): boolean {
    const recorded = this.#scan.channels.has(asked) ? asked : this.#byName.get(withoutSpeed(asked));
    if (recorded === undefined || !this.#listeners.add(client, recorded)) return false;
    if (!client.asked.has(recorded)) this.#listening += 1;
    client.asked.set(recorded, asked);
    return true;
  }

  #unsubscribe(client: CaptureClient, asked: string): void {
    for (const [recorded, name] of client.asked) {
      if (name !== asked) continue;
      client.asked.delete(recorded);
      if (this.#listeners.remove(client, recorded)) this.#listening -= 1;
    }
  }

  #depthEvent(market: Market, text: string): void {
    const update = asDepthUpdate(parse(payloadOf(text)));
    if (update === null) return;
    market.book.applyUpdate(update);
    if (market.reached) this.#answerWaiting(market);
  }

  #recordedSnapshot(entry: CaptureEntry): void {
    const symbol = snapshotSymbol(entry);
    const snapshot = symbol === null ? null : asDepthSnapshot(parse(entry.text));
    if (symbol === null || snapshot === null) return;
    const market = symbol === "" ? this.#nearest(snapshot) : this.#markets.get(symbol);
    if (market === undefined) return;
    market.book.join(snapshot);
    if (market.reached) return;
    market.reached = true;
    const levels = Math.max(snapshot.bids.length, snapshot.asks.length);
    for (const request of market.waiting) {
      if (request.limit < levels) continue;
      this.snapshotsServed += 1;
      request.answer({ status: 200, body: entry.text });
    }
    this.#answerWaiting(market);
  }

  /** The market a snapshot without a symbol belongs to: the one whose update ids it lies among. */
  #nearest(snapshot: DepthSnapshot): Market | undefined {
    let best: Market | undefined;
    let distance = Number.POSITIVE_INFINITY;
    for (const market of this.#markets.values()) {
      if (market.depthStream === null) continue;
      const apart = Math.abs(market.book.lastUpdateId - snapshot.lastUpdateId);
      if (apart < distance) [best, distance] = [market, apart];
    }
    return best;
  }

  #answerWaiting(market: Market): void {
    for (const request of market.waiting) {
      if (market.book.lastUpdateId === 0) {
        request.answer(NO_BOOK);
        continue;
      }
      this.snapshotsServed += 1;
      request.answer({ status: 200, body: this.#bookBody(market, request.limit) });
    }
  }

  #depthWhenRead(symbol: string | null, limit: string | null): CaptureAnswer | Promise<CaptureAnswer> {
    const caughtUp = this.#host.caughtUp();
    return caughtUp === null ? this.#depth(symbol, limit) : caughtUp.then(() => this.#depth(symbol, limit));
  }

  #depth(symbol: string | null, limitText: string | null): CaptureAnswer | Promise<CaptureAnswer> {
    const market = this.#markets.get(symbol ?? "");
    if (market === undefined) return failure(400, -1121, "Invalid symbol.");
    const limit = limitText === null ? DEFAULT_LEVELS : Number(limitText);
    if (!Number.isSafeInteger(limit) || limit < 1 || limit > MAX_LEVELS) {
      return failure(400, -1130, "Data sent for parameter 'limit' is not valid.");
    }
    if (market.waiting.size >= MAX_WAITING) return { status: 429, body: this.refusal(429) };
    return new Promise((resolve) => {
      const giveUp = (): void => {
        if (market.book.lastUpdateId > 0 && market.reached) this.#answerWaiting(market);
        else
          request.answer(
            failure(503, -1001, "No snapshot yet; playback begins with the first subscription."),
          );
      };
      const timer = setTimeout(
        giveUp,
        market.reached && market.book.lastUpdateId > 0 ? EVENT_WAIT_MS : SNAPSHOT_WAIT_MS,
      );
      const request: DepthRequest = {
        limit,
        answer: (answer) => {
          clearTimeout(timer);
          market.waiting.delete(request);
          this.#host.answering();
          resolve(answer);
        },
      };
      market.waiting.add(request);
    });
  }

  #bookBody(market: Market, limit: number): string {
    const { book, symbol } = market;
    const time = this.#exchangeMs();
    const head: Record<string, unknown> = { lastUpdateId: book.lastUpdateId };
    if (this.#scan.venue !== "binance-spot") Object.assign(head, { E: time, T: time });
    if (this.#scan.venue === "binance-coinm") Object.assign(head, { symbol, pair: symbol.split("_")[0] });
    return JSON.stringify({ ...head, bids: book.levels("bids", limit), asks: book.levels("asks", limit) });
  }

  #exchangeInfo(query: URLSearchParams): CaptureAnswer {
    const named = query.get("symbol") ?? query.get("symbols");
    const names = named === null ? null : new Set(named.match(/[A-Z0-9_]+/g));
    const symbols = [...this.#symbols].filter(([symbol]) => names === null || names.has(symbol));
    if (names !== null && symbols.length < names.size) return failure(400, -1121, "Invalid symbol.");
    return ok({
      timezone: "UTC",
      serverTime: this.#exchangeMs(),
      rateLimits: [],
      exchangeFilters: [],
      symbols: symbols.map(([, info]) => info),
    });
  }

  /** From the last mark price frame; a capture without one answers the middle of the book and no funding. */
  #premiumIndex(symbol: string | null): CaptureAnswer {
    if (this.#scan.venue === "binance-spot") return failure(404, -1000, "No such endpoint.");
    const markets = symbol === null ? [...this.#markets.values()] : [this.#markets.get(symbol)];
    const rows: unknown[] = [];
    for (const market of markets) {
      if (market === undefined) return failure(400, -1121, "Invalid symbol.");
      const row = this.#premium(market);
      if (row !== null) rows.push(row);
    }
    if (rows.length === 0)
      return failure(503, -1001, "No price yet; playback begins with the first subscription.");
    return ok(symbol !== null && this.#scan.venue === "binance-usdm" ? rows[0] : rows);
  }

  #premium({ symbol, markPriceFrame, book }: Market): Record<string, unknown> | null {
    const frame = markPriceFrame === null ? null : parse(payloadOf(markPriceFrame));
    const time = this.#exchangeMs();
    if (isRecord(frame)) {
      const { p, i, r, T } = frame;
      return { symbol, markPrice: p, indexPrice: i, lastFundingRate: r, nextFundingTime: T, time };
    }
    const [bid] = book.levels("bids", 1);
    const [ask] = book.levels("asks", 1);
    const middle =
      bid === undefined || ask === undefined ? "0" : String((Number(bid[0]) + Number(ask[0])) / 2);
    return {
      symbol,
      markPrice: middle,
      indexPrice: middle,
      lastFundingRate: "0.00000000",
      nextFundingTime: (Math.floor(time / FUNDING_PERIOD_MS) + 1) * FUNDING_PERIOD_MS,
      time,
    };
  }

  /** The exchange's clock as the last frame showed it; before the first one, the recorder's. */
  #exchangeMs(): number {
    const time = /"E":(\d{13})/.exec(this.#lastFrame)?.[1];
    return time === undefined ? Math.floor(this.#scan.firstUs / 1_000) : Number(time);
  }
}

const NO_BOOK = failure(503, -1001, "No snapshot yet; playback begins with the first subscription.");

function ok(value: unknown): CaptureAnswer {
  return { status: 200, body: JSON.stringify(value) };
}

function failure(status: number, code: number, msg: string): CaptureAnswer {
  return { status, body: JSON.stringify({ code, msg }) };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
