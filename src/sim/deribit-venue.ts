import { DeribitFrames } from "./deribit-frames.ts";
import { deribitInstruments } from "./deribit-instruments.ts";
import { DeribitTrading, type TradingOptions } from "./deribit-trading/trading.ts";
import { TRADING_ERROR } from "./deribit-trading/trading-error.ts";
import type { SimMarket } from "./market/market.ts";
import { type DeribitBackend, DeribitSession } from "./protocol/deribit-session.ts";
import { channelFrame, type RpcAnswer, rpcError, rpcResult } from "./protocol/json-rpc.ts";
import { Subscriptions } from "./protocol/subscriptions.ts";
import {
  type HttpAnswer,
  type VenueClient,
  type VenueHandler,
  VenueServer,
  type VenueServerOptions,
} from "./protocol/venue-server.ts";

/** Deribit allows this many channels on one connection. */
const CHANNELS_MAX = 500;
const PATH = "/api/v2";
/** 4xxx: private use; the venue's own answer to a connection that does not answer test requests. */
const HEARTBEAT_LOST = 4_000;
const REFUSED = 4_001;

/** The key that a simulated Deribit takes unless it is given others. */
export const SIMULATED_KEY = { id: "keel", secret: "simulated" } as const;

export interface DeribitVenueOptions extends VenueServerOptions {
  readonly trading?: TradingOptions;
  /** As at the venue itself; without it everybody gets raw channels. */
  readonly rawNeedsLogin?: boolean;
}

/**
 * A Deribit server over the simulated market: JSON-RPC on `/ws/api/v2`, the same methods by `GET /api/v2/public/…`, and
 * notifications that go out while the market is advanced.
 */
export class DeribitVenue implements VenueHandler, DeribitBackend<DeribitSession> {
  readonly server: VenueServer;
  readonly frames: DeribitFrames;
  readonly trading: DeribitTrading<DeribitSession>;
  readonly #rawNeedsLogin: boolean;
  readonly #market: SimMarket;
  readonly #subscriptions = new Subscriptions<DeribitSession>(CHANNELS_MAX);
  readonly #sessions = new Map<VenueClient, DeribitSession>();
  readonly #clients = new Map<DeribitSession, VenueClient>();
  /** Channels whose first frame is due after the answer now being written. */
  readonly #begun: string[] = [];

  constructor(market: SimMarket, options: DeribitVenueOptions) {
    this.#market = market;
    this.#rawNeedsLogin = options.rawNeedsLogin ?? false;
    this.trading = new DeribitTrading(market, options.trading ?? { clients: [SIMULATED_KEY] }, {
      notify: (session, channel, data) =>
        this.#clients.get(session)?.send(channel, channelFrame(channel, JSON.stringify(data))),
      close: (session, reason) => this.#clients.get(session)?.close(REFUSED, reason),
    });
    this.frames = new DeribitFrames(
      market,
      {
        wanted: (channel) => this.#subscriptions.wanted(channel),
        emit: (channel, data) => this.#emit(channel, data),
      },
      options.seed,
    );
    this.server = new VenueServer(options, this);
  }

  /** The connections there are. */
  sessions(): DeribitSession[] {
    return [...this.#sessions.values()];
  }

  accepts(url: URL): boolean {
    return url.pathname === `/ws${PATH}` || url.pathname === `/ws${PATH}/`;
  }

  onOpen(client: VenueClient): void {
    const session = new DeribitSession(this);
    this.#sessions.set(client, session);
    this.#clients.set(session, client);
  }

  onMessage(client: VenueClient, text: string, timeUs: number): void {
    const session = this.#sessions.get(client);
    if (session === undefined) return;
    const answer = session.onMessage(text, timeUs);
    if (answer !== null) client.control(answer);
    for (const channel of this.#begun) {
      const first = this.frames.first(channel);
      this.#subscriptions.add(session, channel);
      if (first !== null) client.send(channel, channelFrame(channel, first));
    }
    this.#begun.length = 0;
  }

  onClose(client: VenueClient): void {
    const session = this.#sessions.get(client);
    if (session === undefined) return;
    this.#subscriptions.drop(session);
    this.trading.onClose(session);
    this.#clients.delete(session);
    this.#sessions.delete(client);
  }

  onRequest(url: URL, timeUs: number): HttpAnswer {
    if (!url.pathname.startsWith(`${PATH}/public/`)) return { status: 404, body: "" };
    const method = url.pathname.slice(PATH.length + 1);
    const answer = new DeribitSession(this).call(method, Object.fromEntries(url.searchParams), timeUs);
    return { status: "error" in answer ? 400 : 200, body: rpcResult(answer, null, this.timeUs()) };
  }

  /** Sends heartbeats that are due and closes clients that left a test request unanswered. */
  onTimer(timeUs: number): void {
    for (const [client, session] of this.#sessions) {
      const alive = session.onTimer(timeUs, (text) => client.control(text));
      if (!alive) client.close(HEARTBEAT_LOST, "test request not answered");
    }
  }

  call(
    session: DeribitSession,
    method: string,
    params: Readonly<Record<string, unknown>>,
    timeUs: number,
  ): RpcAnswer | "lost" | null {
    if (this.#rawNeedsLogin && method === "public/subscribe" && !this.trading.isLoggedIn(session, timeUs)) {
      const { channels } = params;
      if (Array.isArray(channels) && channels.some((channel) => String(channel).endsWith(".raw"))) {
        const name = "raw_subscriptions_not_available_for_unauthorized";
        return { error: rpcError(TRADING_ERROR.rawNotAuthorized, name) };
      }
    }
    return this.trading.call(session, method, params, timeUs);
  }

  instruments(currency: string, kind: string | undefined): readonly unknown[] | null {
    return deribitInstruments(this.#market, currency, kind);
  }

  subscribe(session: DeribitSession, channel: string): boolean {
    if (!this.frames.has(channel)) return false;
    if (this.#subscriptions.has(session, channel)) return true;
    const open = this.#subscriptions.channels(session).length + this.#begun.length;
    if (open >= CHANNELS_MAX || !this.#clients.has(session)) return false;
    this.#begun.push(channel);
    return true;
  }

  unsubscribe(session: DeribitSession, channel: string): boolean {
    return this.#subscriptions.remove(session, channel);
  }

  channels(session: DeribitSession): string[] {
    return this.#subscriptions.channels(session);
  }

  timeUs(): number {
    return this.#market.timeUs;
  }

  #emit(channel: string, data: string): void {
    let frame: string | null = null;
    for (const session of this.#subscriptions.sessions(channel)) {
      frame ??= channelFrame(channel, data);
      this.#clients.get(session)?.send(channel, frame);
    }
  }
}
