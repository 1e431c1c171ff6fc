import type { CaptureEntry } from "../../feed/capture.ts";
import { DERIBIT_ERROR, type DeribitBackend, DeribitSession } from "../protocol/deribit-session.ts";
import { type RpcAnswer, rpcError, rpcResult } from "../protocol/json-rpc.ts";
import { Subscriptions } from "../protocol/subscriptions.ts";
import type { CaptureClient } from "./client.ts";
import { DeribitBook } from "./deribit-book.ts";
import { type DeribitInstrument, isListed } from "./deribit-instruments.ts";
import { channelOf, instrumentOf, isBookChannel, renameChannel, withoutInterval } from "./deribit-text.ts";
import type { CaptureAnswer, CaptureHost, CaptureProtocol } from "./protocol.ts";
import type { CaptureScan } from "./scan.ts";

/** Deribit: at most 500 channels a subscribe call; a connection may hold more. */
const MAX_CHANNELS = 10_000;
const UNSUPPORTED_CLOSE = 1_008;

/**
 * Serves a Deribit capture over JSON-RPC on `/ws/api/v2`, and the same methods by `GET /api/v2/…`.
 *
 * A book channel that is subscribed after playback has passed its recorded snapshot begins with a snapshot of the book kept
 * here; the next recorded change continues from its change_id. A ticker channel begins with its last frame.
 */
export class DeribitCapture implements CaptureProtocol {
  framesPlayed = 0;
  snapshotsServed = 0;
  readonly #host: CaptureHost;
  readonly #scan: CaptureScan;
  readonly #instruments: ReadonlyMap<string, DeribitInstrument>;
  readonly #byName = new Map<string, string>();
  readonly #listeners = new Subscriptions<CaptureClient>(MAX_CHANNELS);
  readonly #sessions = new Map<CaptureClient, DeribitSession>();
  readonly #clients = new Map<DeribitSession, CaptureClient>();
  readonly #backend: DeribitBackend<DeribitSession>;
  readonly #rest: DeribitSession;
  readonly #books = new Map<string, DeribitBook>();
  readonly #tickers = new Map<string, string>();
  #listening = 0;
  #timeUs: number;
  /** What newly subscribed channels begin with; sent after the answer to the call. */
  #first: string[] = [];

  constructor(scan: CaptureScan, instruments: ReadonlyMap<string, DeribitInstrument>, host: CaptureHost) {
    this.#scan = scan;
    this.#instruments = instruments;
    this.#host = host;
    this.#timeUs = scan.firstUs;
    for (const channel of scan.channels) this.#byName.set(withoutInterval(channel), channel);
    this.#backend = {
      instruments: (currency, kind) =>
        [...instruments.values()].filter((instrument) => isListed(instrument, currency, kind)),
      subscribe: (session, channel) => this.#subscribe(session, channel),
      unsubscribe: (session, channel) => this.#unsubscribe(session, channel),
      channels: (session) => [...(this.#clients.get(session)?.asked.values() ?? [])],
      timeUs: () => this.#timeUs,
    };
    this.#rest = new DeribitSession(this.#backend);
  }

  get subscriptions(): number {
    return this.#listening;
  }

  accepts(url: URL): boolean {
    return url.pathname.endsWith("/ws/api/v2");
  }

  open(client: CaptureClient): void {
    const session = new DeribitSession(this.#backend);
    this.#sessions.set(client, session);
    this.#clients.set(session, client);
  }

  message(client: CaptureClient, text: string): void {
    const session = this.#sessions.get(client);
    if (session === undefined) return;
    this.#first = [];
    const answer = this.#ownMethod(text) ?? session.onMessage(text, this.#host.wallUs());
    if (answer !== null) this.#host.reply(client, answer);
    for (const frame of this.#first) this.#host.reply(client, frame);
    this.#first = [];
    if (client.asked.size > 0) this.#host.listening();
  }

  close(client: CaptureClient): void {
    this.#listening -= client.asked.size;
    this.#listeners.drop(client);
    const session = this.#sessions.get(client);
    this.#sessions.delete(client);
    if (session !== undefined) this.#clients.delete(session);
  }

  request(url: URL): CaptureAnswer | null {
    const method = /\/api\/v2\/(p\w+\/\w+)$/.exec(url.pathname)?.[1];
    if (method === undefined) return null;
    const params = Object.fromEntries(url.searchParams);
    const answer =
      method === "public/get_instrument"
        ? this.#instrument(params.instrument_name)
        : this.#rest.call(method, params, this.#host.wallUs());
    return { status: "error" in answer ? 400 : 200, body: rpcResult(answer, null, this.#timeUs) };
  }

  refusal(): string {
    return rpcResult(
      { error: rpcError(DERIBIT_ERROR.tooManyRequests, "too_many_requests") },
      null,
      this.#timeUs,
    );
  }

  play(entry: CaptureEntry): void {
    if (entry.kind !== "frame") return;
    const { text } = entry;
    const channel = channelOf(text);
    if (channel === null) return;
    this.framesPlayed += 1;
    this.#timeUs = entry.timeUs;
    if (this.#listeners.wanted(channel)) {
      this.#host.deliver(channel, text, this.#listeners.sessions(channel), (client) =>
        renameChannel(text, channel, client.asked.get(channel) ?? channel),
      );
    }
    if (isBookChannel(channel)) this.#bookOf(channel).apply(text);
    else if (channel.startsWith("ticker.")) this.#tickers.set(channel, text);
  }

  tick(): void {
    for (const [client, session] of this.#sessions) {
      const alive = session.onTimer(this.#host.wallUs(), (text) => this.#host.reply(client, text));
      if (!alive) client.close(UNSUPPORTED_CLOSE, "test request was not answered");
    }
  }

  ended(): void {}

  restart(): void {
    this.#books.clear();
    this.#tickers.clear();
    this.#timeUs = this.#scan.firstUs;
  }

  #subscribe(session: DeribitSession, asked: string): boolean {
    const client = this.#clients.get(session);
    const recorded = this.#scan.channels.has(asked) ? asked : this.#byName.get(withoutInterval(asked));
    if (client === undefined || (recorded === undefined && !this.#isQuiet(asked))) return false;
    if (client.asked.has(recorded ?? asked)) return true;
    if (recorded !== undefined && !this.#listeners.add(client, recorded)) return false;
    this.#listening += 1;
    client.asked.set(recorded ?? asked, asked);
    if (recorded === undefined) return true;
    const book = isBookChannel(recorded) ? (this.#books.get(recorded)?.snapshot(asked) ?? null) : null;
    const ticker = this.#tickers.get(recorded);
    if (book !== null) {
      this.snapshotsServed += 1;
      this.#first.push(book);
    } else if (ticker !== undefined) {
      this.#first.push(renameChannel(ticker, recorded, asked));
    }
    return true;
  }

  /** Channels of events that did not happen while the capture was made: they exist at the venue and stay quiet. */
  #isQuiet(channel: string): boolean {
    if (/^instrument\.state\.[a-z_]+\.[A-Za-z]+$/.test(channel)) return true;
    return channel.startsWith("trades.") && this.#instruments.has(instrumentOf(channel) ?? "");
  }

  #unsubscribe(session: DeribitSession, asked: string): boolean {
    const client = this.#clients.get(session);
    if (client === undefined) return false;
    for (const [recorded, name] of client.asked) {
      if (name !== asked) continue;
      client.asked.delete(recorded);
      this.#listeners.remove(client, recorded);
      this.#listening -= 1;
      return true;
    }
    return false;
  }

  /** Methods beyond the session's: null when it is none of them. */
  #ownMethod(text: string): string | null {
    if (!text.includes('"public/get_instrument"')) return null;
    let message: unknown;
    try {
      message = JSON.parse(text);
    } catch {
      return null;
    }
    if (typeof message !== "object" || message === null) return null;
    const id = "id" in message && typeof message.id === "number" ? message.id : null;
    const params = "params" in message ? message.params : null;
    const name =
      typeof params === "object" && params !== null && "instrument_name" in params
        ? params.instrument_name
        : "";
    return rpcResult(this.#instrument(name), id, this.#timeUs);
  }

  #instrument(name: unknown): RpcAnswer {
    const instrument = this.#instruments.get(String(name));
    if (instrument !== undefined) return { result: instrument };
    return {
      error: rpcError(DERIBIT_ERROR.invalidParams, "Invalid params", "instrument_name", "no such instrument"),
    };
  }

  #bookOf(channel: string): DeribitBook {
    let book = this.#books.get(channel);
    if (book === undefined) {
      book = new DeribitBook();
      this.#books.set(channel, book);
    }
    return book;
  }
}
