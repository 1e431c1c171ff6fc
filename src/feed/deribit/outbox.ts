import type { FeedPort } from "../feed.ts";
import { type DeribitKind, HEARTBEAT_SECONDS } from "./venue.ts";

/** A JSON-RPC call and what its answer is for. */
export type Call =
  | { readonly purpose: "heartbeat" }
  | { readonly purpose: "instruments"; readonly currency: string; readonly kind: DeribitKind }
  | { readonly purpose: "instrument"; readonly symbol: string }
  | { readonly purpose: "subscribe"; readonly channels: readonly string[] }
  | { readonly purpose: "unsubscribe"; readonly channels: readonly string[] };

interface Queued {
  readonly call: Call;
  readonly notBeforeUs: number;
}

interface InFlight {
  readonly call: Call;
  readonly deadlineUs: number;
}

/**
 * Deribit gives subscription calls credit for about ten at once and 3.3 a second from then on.
 * Source: Deribit API, "Rate Limits".
 */
const BURST = 8;
const REFILL_US = 300_000;
const MAX_IN_FLIGHT = 4;
const ANSWER_TIMEOUT_US = 15_000_000;

/** JSON-RPC calls waiting for their turn, for credit or for their answer. Emptied when the connection is lost. */
export class Outbox {
  readonly #feed: number;
  readonly #port: FeedPort;
  #queue: Queued[] = [];
  readonly #inFlight = new Map<number, InFlight>();
  #nextId = 1;
  #credit = BURST;
  #creditUs = 0;

  constructor(feed: number, port: FeedPort) {
    this.#feed = feed;
    this.#port = port;
  }

  add(call: Call, notBeforeUs: number): void {
    this.#queue.push({ call, notBeforeUs });
  }

  clear(): void {
    this.#queue = [];
    this.#inFlight.clear();
  }

  /** Takes back subscriptions, not sent yet, of channels that end so. */
  withdraw(suffix: string): void {
    this.#queue = this.#queue.filter(
      ({ call }) => !("channels" in call && call.channels.some((channel) => channel.endsWith(suffix))),
    );
  }

  /** The call that an answer belongs to; forgets it. */
  answered(id: unknown): Call | undefined {
    if (typeof id !== "number") return undefined;
    const entry = this.#inFlight.get(id);
    this.#inFlight.delete(id);
    return entry?.call;
  }

  /** Sends what may be sent. @returns false when an answer is overdue. */
  flush(timeUs: number): boolean {
    for (const { deadlineUs } of this.#inFlight.values()) if (timeUs >= deadlineUs) return false;
    if (this.#queue.length === 0) return true;
    this.#credit = Math.min(BURST, this.#credit + (timeUs - this.#creditUs) / REFILL_US);
    this.#creditUs = timeUs;
    while (this.#credit >= 1 && this.#inFlight.size < MAX_IN_FLIGHT) {
      const at = this.#queue.findIndex(({ notBeforeUs }) => notBeforeUs <= timeUs);
      if (at < 0) break;
      const [{ call }] = this.#queue.splice(at, 1);
      const id = this.#nextId;
      this.#nextId += 1;
      this.#credit -= 1;
      this.#inFlight.set(id, { call, deadlineUs: timeUs + ANSWER_TIMEOUT_US });
      this.#port.send(this.#feed, JSON.stringify({ jsonrpc: "2.0", id, ...requestOf(call) }));
    }
    return true;
  }
}

function requestOf(call: Call): { method: string; params: object } {
  switch (call.purpose) {
    case "heartbeat":
      return { method: "public/set_heartbeat", params: { interval: HEARTBEAT_SECONDS } };
    case "instruments":
      return {
        method: "public/get_instruments",
        params: { currency: call.currency, kind: call.kind, expired: false },
      };
    case "instrument":
      return { method: "public/get_instrument", params: { instrument_name: call.symbol } };
    case "subscribe":
      return { method: "public/subscribe", params: { channels: call.channels } };
    case "unsubscribe":
      return { method: "public/unsubscribe", params: { channels: call.channels } };
  }
}
