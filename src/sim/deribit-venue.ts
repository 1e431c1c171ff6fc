import { DeribitFrames } from "./deribit-frames.ts";
import { deribitInstruments } from "./deribit-instruments.ts";
import type { SimMarket } from "./market/market.ts";
import { type DeribitBackend, DeribitSession } from "./protocol/deribit-session.ts";
import { channelFrame, rpcResult } from "./protocol/json-rpc.ts";
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

/**
 * A Deribit server over the simulated market: JSON-RPC on `/ws/api/v2`, the same methods by `GET /api/v2/public/…`, and
 * notifications that go out while the market is advanced.
 */
export class DeribitVenue implements VenueHandler, DeribitBackend<DeribitSession> {
  readonly server: VenueServer;
  readonly frames: DeribitFrames;
  readonly #market: SimMarket;
  readonly #subscriptions = new Subscriptions<DeribitSession>(CHANNELS_MAX);
  readonly #sessions = new Map<VenueClient, DeribitSession>();
  readonly #clients = new Map<DeribitSession, VenueClient>();
  /** Channels whose first frame is due after the answer now being written. */
  readonly #begun: string[] = [];

  constructor(market: SimMarket, options: VenueServerOptions) {
    this.#market = market;
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
    client.control(session.onMessage(text, timeUs));
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
