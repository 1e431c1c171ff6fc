/**
 * A shard's thread: sockets, feeds and books of some venues, and a ring to the quoting thread.
 *
 * @module
 */
import { loadNative } from "../core/native.ts";
import { RING_NONE, RingConsumer, RingProducer } from "../core/ring.ts";
import { Secret } from "../core/secret.ts";
import { CoinbaseFeedLogin } from "../feed/coinbase/feed-login.ts";
import { DeribitFeedLogin } from "../feed/deribit/feed-login.ts";
import type { FeedPort } from "../feed/feed.ts";
import { LiveFeedPort } from "../feed/live-port.ts";
import type { VenueLogin } from "../feed/venue-login.ts";
import { CONTROL, FAILURE, SHARD_RECORD, type ShardStart, wallClock } from "./protocol.ts";
import { ShardLine, ShardOverflow } from "./shard-line.ts";
import { TurnReader } from "./turn-codec.ts";

declare const self: Worker;

const TIMER_MS = 10;
const NEWS_EVERY = 25;
/** Back-pressure: so long a shard waits for room, while the venue's frames wait in its sockets. */
const ROOM_WAIT_MS = 100;
/** One wait; the ring's reader does not wake the writer. */
const NAP_MS = 0.2;
/** A recording can wait: nothing comes too late in it. */
const RECORDING_WAIT_MS = 60_000;

self.onmessage = ({ data }: MessageEvent<ShardStart>): void => {
  void loadNative().then(() => {
    if (data.recording === null) runLive(data);
    else runRecording(data, data.recording);
  });
};

/** The ring's writing end, which waits for room and wakes the reader. */
function outlet(start: ShardStart, waitMs: number) {
  const control = new Int32Array(start.control);
  const wake = new Int32Array(start.wake);
  return {
    control,
    ring: new RingProducer(start.ring),
    wait: (): boolean => {
      Atomics.add(control, CONTROL.waits, 1);
      Atomics.wait(control, CONTROL.room, 0, NAP_MS);
      waitedMs += NAP_MS;
      return waitedMs < waitMs && Atomics.load(control, CONTROL.stop) === 0;
    },
    published: (): void => {
      waitedMs = 0;
      if (Atomics.compareExchange(wake, 0, 1, 0) === 1) Atomics.notify(wake, 0);
    },
  };
}

let waitedMs = 0;

function runLive(start: ShardStart): void {
  const { control, ...out } = outlet(start, ROOM_WAIT_MS);
  const wallUs = wallClock(start.wallOriginUs);
  const guarded = (act: () => void): void => {
    if (Atomics.load(control, CONTROL.failure) !== FAILURE.none) return;
    try {
      act();
    } catch (error) {
      if (!(error instanceof ShardOverflow)) throw error;
      Atomics.store(control, CONTROL.failure, FAILURE.overflow);
      clearInterval(timer);
      port.close();
    }
  };
  const port: LiveFeedPort = new LiveFeedPort({
    endpoints: new Map(start.feeds.map(({ endpoint }, at) => [at, endpoint])),
    logins: logins(start),
    requestTimeoutMs: start.requestTimeoutMs,
    callbacks: {
      onOpen: (feed) => guarded(() => line.onOpen(feed, wallUs())),
      onFrame: (feed, text) => guarded(() => line.onFrame(feed, text, wallUs())),
      onClose: (feed, code, reason) =>
        guarded(() => line.onClose(feed, JSON.stringify({ code, reason }), wallUs())),
      onResponse: (feed, request, status, body, retryAfterMs) => {
        const after = Number.isNaN(retryAfterMs) ? null : retryAfterMs;
        const answer = JSON.stringify({ request, status, retryAfterMs: after, body });
        guarded(() => line.onResponse(feed, answer, wallUs()));
      },
    },
  });
  const line = new ShardLine({ ...start, ...out, port });
  let ticks = 0;
  const timer = setInterval(() => {
    Atomics.add(control, CONTROL.beat, 1);
    ticks += 1;
    guarded(() => {
      for (let feed = 0; feed < start.feeds.length; feed += 1) line.onTimer(feed, wallUs());
      if (ticks % NEWS_EVERY === 0) line.tellNews(wallUs());
    });
    if (Atomics.load(control, CONTROL.stop) === 0) return;
    clearInterval(timer);
    port.close();
  }, TIMER_MS);
  guarded(() => line.start(start.startUs));
}

/** Plays a ring of inputs that was filled beforehand, or is being filled. */
function runRecording(start: ShardStart, recording: SharedArrayBuffer): void {
  const { control, ...out } = outlet(start, RECORDING_WAIT_MS);
  const line = new ShardLine({ ...start, ...out, port: NOWHERE });
  const places = new Map(start.feeds.map(({ id }, at) => [id, at]));
  const inputs = new RingConsumer(recording);
  const reader = new TurnReader();
  line.start(start.startUs);
  for (;;) {
    const at = inputs.peek();
    if (at === RING_NONE) {
      if (Atomics.load(control, CONTROL.stop) !== 0) return;
      Atomics.wait(control, CONTROL.room, 0, NAP_MS);
      continue;
    }
    reader.open(inputs, at);
    const { type, feed, timeUs, payloadAt, payloadBytes } = reader;
    const text = inputs.bytes.toString("utf8", payloadAt, payloadAt + payloadBytes);
    inputs.release();
    Atomics.add(control, CONTROL.beat, 1);
    if (type === SHARD_RECORD.end) {
      line.end(timeUs);
      return;
    }
    line.apply(type, places.get(feed) ?? -1, text, timeUs);
  }
}

/** Nothing that the feeds of a recording ask for is done: the answers are in it. */
const NOWHERE: FeedPort = { connect: () => {}, send: () => {}, disconnect: () => {}, request: () => {} };

function logins({ feeds, keys }: ShardStart): ReadonlyMap<number, () => VenueLogin> {
  const { deribit, coinbase } = keys;
  const made = new Map<number, () => VenueLogin>();
  for (const [at, { venue }] of feeds.entries()) {
    if (venue === "deribit" && deribit !== null) {
      const credentials = { ...deribit, clientSecret: new Secret(deribit.clientSecret) };
      made.set(at, () => new DeribitFeedLogin(credentials));
    }
    if (venue === "coinbase" && coinbase !== null) {
      const { key, secret, passphrase } = coinbase;
      const signer = { key, secret: new Secret(secret), passphrase: new Secret(passphrase) };
      made.set(at, () => new CoinbaseFeedLogin(signer));
    }
  }
  return made;
}
