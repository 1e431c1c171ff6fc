import type { EventBatch } from "../../market/event-batch.ts";
import type { Instrument } from "../../market/instrument.ts";
import { ChannelFeed, type ChannelVenue, STEP, type Step } from "../channel-feed.ts";
import type { FeedOptions } from "../feed.ts";
import type { BybitDecoder } from "./decoder.ts";
import { listingPaths, readListing } from "./instruments.ts";
import { createBybitDecoder } from "./native-decoder.ts";
import { type BybitSubscription, type BybitVenue, MAX_CHANNEL_LENGTH, readSubscription } from "./venue.ts";

/** The venue closes a connection that has not been pinged for a while and asks for a ping each 20 s. */
const PING_US = 15_000_000;

/**
 * Bybit v5, one market. A book's channel starts with a snapshot; each change has the update id `u` of the one before plus one, and a
 * cross sequence `seq` that never falls. The venue sends a snapshot again, with `u` 1 or not, when it has restarted: it replaces
 * the book. Source: Bybit v5, WebSocket "Orderbook".
 */
export class BybitFeed extends ChannelFeed {
  protected readonly decoder: BybitDecoder;
  readonly #bySymbol = new Map<string, Instrument>();
  /** `u` and `seq` of each book; NaN where there is none. */
  readonly #updates: Float64Array;
  readonly #sequences: Float64Array;

  constructor(venue: BybitVenue, options: FeedOptions) {
    super(channelVenue(venue, options.subscriptions), options);
    this.decoder = createBybitDecoder(this.#bySymbol, options.native);
    this.#updates = new Float64Array(options.instruments.capacity).fill(Number.NaN);
    this.#sequences = new Float64Array(options.instruments.capacity).fill(Number.NaN);
  }

  protected adopted(instrument: Instrument): void {
    this.#bySymbol.set(instrument.symbol, instrument);
  }

  protected restart(row: number, out: EventBatch): Step {
    const id = out.instrument[row];
    this.#updates[id] = out.firstSequence[row];
    this.#sequences[id] = out.lastSequence[row];
    return STEP.next;
  }

  protected judge(row: number, out: EventBatch): Step {
    const id = out.instrument[row];
    const u = out.firstSequence[row];
    const seq = out.lastSequence[row];
    if (u <= this.#updates[id]) return STEP.old;
    if (u !== this.#updates[id] + 1 || seq < this.#sequences[id]) return STEP.gap;
    this.#updates[id] = u;
    this.#sequences[id] = seq;
    return STEP.next;
  }

  protected forget(instrument: number): void {
    this.#updates[instrument] = Number.NaN;
    this.#sequences[instrument] = Number.NaN;
  }

  protected standing(instrument: number): string {
    return `u=${this.#updates[instrument]} seq=${this.#sequences[instrument]}`;
  }
}

function channelVenue(venue: BybitVenue, subscriptions: readonly string[]): ChannelVenue {
  const read = (texts: readonly string[]): readonly BybitSubscription[] =>
    texts.flatMap((text) => readSubscription(venue.category, text) ?? []);
  const depths = new Map(read(subscriptions).map(({ symbol, depth }) => [symbol, depth]));
  const isOption = venue.category === "option";
  return {
    limits: venue.limits,
    maxChannelLength: MAX_CHANNEL_LENGTH,
    pingText: '{"op":"ping"}',
    pingUs: PING_US,
    questions: (texts) => listingPaths(venue, read(texts)),
    readListing: (body, path) => readListing(venue, body, path),
    channels: ({ symbol }) => [
      `"orderbook.${depths.get(symbol) ?? depths.get(null) ?? ""}.${symbol}"`,
      `"tickers.${symbol}"`,
      ...(isOption ? [] : [`"publicTrade.${symbol}"`]),
    ],
    groupChannels: ({ base }) => (isOption ? [`"publicTrade.${base}"`] : []),
    complaint: (answer) => (answer.success === false ? JSON.stringify(answer.ret_msg ?? answer) : null),
  };
}
