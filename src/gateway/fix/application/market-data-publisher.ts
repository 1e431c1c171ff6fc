import type { FixSession } from "../session.ts";
import { MSG } from "../tags.ts";
import type { FieldTree } from "./field-tree.ts";
import type { InstrumentName } from "./instrument-fields.ts";
import {
  levelChanges,
  type MarketDataLevel,
  type MarketDataRequest,
  MD_REJECT,
  readMarketDataRequest,
  writeIncremental,
  writeMarketDataReject,
  writeSnapshot,
} from "./market-data.ts";

/** Where the published books come from. */
export interface MarketDataSource {
  /** The instrument's full name; undefined when it is not known. */
  find(name: InstrumentName): InstrumentName | undefined;
  /** Best levels first, bids then offers; `depth` 0 = all. */
  levels(name: InstrumentName, depth: number): readonly MarketDataLevel[];
}

interface Subscription {
  readonly session: FixSession;
  readonly request: MarketDataRequest;
  readonly instrument: InstrumentName;
  sent: readonly MarketDataLevel[];
}

const SUBSCRIPTIONS_PER_SESSION = 1_024;

/**
 * Serves MarketDataRequests (35=V) on accepted sessions: a snapshot (35=W) at once, then on every {@link publish} of the instrument
 * what has changed (35=X), or a whole snapshot where the peer wants that. Nothing is resent. To a peer that does not read, nothing
 * is sent until it does: the next message then holds all that has changed meanwhile.
 */
export class MarketDataPublisher {
  readonly #source: MarketDataSource;
  readonly #maxPerSession: number;
  readonly #ofInstrument = new Map<string, Set<Subscription>>();
  readonly #ofSession = new Map<FixSession, Set<Subscription>>();

  constructor(source: MarketDataSource, maxPerSession = SUBSCRIPTIONS_PER_SESSION) {
    this.#source = source;
    this.#maxPerSession = maxPerSession;
  }

  /** Subscriptions in all. */
  get size(): number {
    let total = 0;
    for (const subscriptions of this.#ofSession.values()) total += subscriptions.size;
    return total;
  }

  onRequest(session: FixSession, tree: FieldTree, timeUs: number): void {
    const request = readMarketDataRequest(tree);
    if ("reason" in request) {
      this.#reject(session, request, timeUs);
      return;
    }
    const { requestId } = request;
    if (request.kind === "unsubscribe") {
      this.#forget(session, requestId);
      return;
    }
    const held = this.#ofSession.get(session) ?? new Set<Subscription>();
    const instruments: InstrumentName[] = [];
    for (const name of request.instruments) {
      const found = this.#source.find(name);
      if (found === undefined) {
        const text = `unknown Symbol (55) ${name.symbol}`;
        this.#reject(session, { requestId, reason: MD_REJECT.unknownSymbol, text }, timeUs);
        return;
      }
      instruments.push(found);
    }
    if (request.kind === "subscribe") {
      const repeated = [...held].some((known) => known.request.requestId === requestId);
      if (repeated || held.size + instruments.length > this.#maxPerSession) {
        const reason = repeated ? MD_REJECT.duplicateId : MD_REJECT.unsupportedRequest;
        const text = repeated ? "MDReqID (262) is in use" : `at most ${this.#maxPerSession} subscriptions`;
        this.#reject(session, { requestId, reason, text }, timeUs);
        return;
      }
    }
    for (const instrument of instruments) {
      const subscription: Subscription = { session, request, instrument, sent: [] };
      this.#snapshot(subscription, this.#levels(subscription), timeUs);
      if (request.kind !== "subscribe") continue;
      held.add(subscription);
      this.#ofSession.set(session, held);
      const key = keyOf(instrument);
      const others = this.#ofInstrument.get(key) ?? new Set<Subscription>();
      this.#ofInstrument.set(key, others.add(subscription));
    }
  }

  /** The instrument's book has changed. */
  publish(instrument: InstrumentName, timeUs: number): void {
    for (const subscription of this.#ofInstrument.get(keyOf(instrument)) ?? []) {
      const { session, request, sent } = subscription;
      if (!session.established || session.congested) continue;
      const levels = this.#levels(subscription);
      const changes = levelChanges(sent, levels);
      if (changes.length === 0) continue;
      if (!request.incremental) {
        this.#snapshot(subscription, levels, timeUs);
        continue;
      }
      writeIncremental(
        session.begin(MSG.marketDataIncremental, timeUs),
        request.requestId,
        instrument,
        changes,
      );
      session.send(false);
      subscription.sent = levels;
    }
  }

  /** Any of the books may have changed. */
  publishAll(timeUs: number): void {
    for (const subscriptions of this.#ofInstrument.values()) {
      for (const { instrument } of subscriptions) {
        this.publish(instrument, timeUs);
        break;
      }
    }
  }

  /** The session has ended: its subscriptions end with it. */
  onLogout(session: FixSession): void {
    this.#forget(session, null);
  }

  #forget(session: FixSession, requestId: string | null): void {
    const held = this.#ofSession.get(session);
    for (const subscription of held ?? []) {
      if (requestId !== null && subscription.request.requestId !== requestId) continue;
      held?.delete(subscription);
      const key = keyOf(subscription.instrument);
      this.#ofInstrument.get(key)?.delete(subscription);
      if (this.#ofInstrument.get(key)?.size === 0) this.#ofInstrument.delete(key);
    }
    if (held?.size === 0) this.#ofSession.delete(session);
  }

  #levels({ request, instrument }: Subscription): readonly MarketDataLevel[] {
    const wanted = request.entryTypes;
    return this.#source.levels(instrument, request.depth).filter(({ type }) => wanted.includes(type));
  }

  #snapshot(subscription: Subscription, levels: readonly MarketDataLevel[], timeUs: number): void {
    const { session, request, instrument } = subscription;
    writeSnapshot(session.begin(MSG.marketDataSnapshot, timeUs), request.requestId, instrument, levels);
    session.send(false);
    subscription.sent = levels;
  }

  #reject(
    session: FixSession,
    reject: { requestId: string; reason: string; text: string },
    timeUs: number,
  ): void {
    writeMarketDataReject(session.begin(MSG.marketDataReject, timeUs), reject);
    session.send(false);
  }
}

function keyOf({ symbol, exchange }: InstrumentName): string {
  return `${exchange ?? ""} ${symbol}`;
}
