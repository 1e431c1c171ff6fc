import type { EventBatch } from "../../market/event-batch.ts";
import type { Instrument } from "../../market/instrument.ts";
import { ChannelFeed, type ChannelVenue, STEP, type Step } from "../channel-feed.ts";
import type { FeedOptions } from "../feed.ts";
import { CHECKSUM, OkxChecksum } from "./checksum.ts";
import type { OkxDecoder } from "./decoder.ts";
import { listingPaths, readListing } from "./instruments.ts";
import { createOkxDecoder } from "./native-decoder.ts";
import {
  channelsOf,
  familyOf,
  groupChannelsOf,
  OKX_LIMITS,
  type OkxSubscription,
  readSubscription,
} from "./venue.ts";

/** The venue closes a connection on which nothing was said for 30 s. */
const PING_US = 20_000_000;

/**
 * OKX v5. A book's channel starts with a snapshot; each change names the `seqId` of the one before as its `prevSeqId`. A message every minute
 * without levels and with `seqId` equal to `prevSeqId` says that nothing has happened. When the venue starts its numbers anew (`seqId` below
 * `prevSeqId`) the book is taken anew as well. Where a checksum is sent, and not 0, it must be the book's; a message without numbers
 * must have one. Source: OKX v5, WebSocket "Order book channel".
 */
export class OkxFeed extends ChannelFeed {
  protected readonly decoder: OkxDecoder;
  readonly #bySymbol = new Map<string, Instrument>();
  readonly #byIndex = new Map<string, Instrument[]>();
  /** `seqId` of each book; NaN where there is none. */
  readonly #sequences: Float64Array;
  readonly #checksums = new Map<number, OkxChecksum>();

  constructor(options: FeedOptions) {
    super(channelVenue(options.subscriptions), options);
    this.decoder = createOkxDecoder({ bySymbol: this.#bySymbol, byIndex: this.#byIndex }, options.native);
    this.#sequences = new Float64Array(options.instruments.capacity).fill(Number.NaN);
  }

  protected adopted(instrument: Instrument): void {
    this.#bySymbol.set(instrument.symbol, instrument);
    const index = familyOf(instrument.symbol);
    const others = this.#byIndex.get(index);
    if (others === undefined) this.#byIndex.set(index, [instrument]);
    else others.push(instrument);
  }

  protected restart(row: number, out: EventBatch): Step {
    const id = out.instrument[row];
    this.#sequences[id] = out.lastSequence[row];
    return this.#verify(row, out, true);
  }

  protected judge(row: number, out: EventBatch): Step {
    const id = out.instrument[row];
    const last = out.lastSequence[row];
    const previous = out.previousSequence[row];
    const known = this.#sequences[id];
    if (Number.isNaN(last) && Number.isNaN(known)) return this.#verify(row, out, false);
    if (previous !== known) return last <= known ? STEP.old : STEP.gap;
    if (!(last >= previous)) return STEP.gap;
    this.#sequences[id] = last;
    return this.#verify(row, out, false);
  }

  protected forget(instrument: number): void {
    this.#sequences[instrument] = Number.NaN;
    this.#checksums.delete(instrument);
  }

  protected standing(instrument: number): string {
    return `seqId=${this.#sequences[instrument]}`;
  }

  #verify(row: number, out: EventBatch, isSnapshot: boolean): Step {
    const id = out.instrument[row];
    const checksum = out.checksum[row];
    if (Number.isNaN(checksum)) {
      this.#checksums.delete(id);
      return Number.isNaN(out.lastSequence[row]) ? STEP.gap : STEP.next;
    }
    let book = this.#checksums.get(id);
    if (book === undefined) {
      if (!isSnapshot) return Number.isNaN(out.lastSequence[row]) ? STEP.gap : STEP.next;
      book = new OkxChecksum(this.options.instruments.get(id));
      this.#checksums.set(id, book);
    }
    if (isSnapshot) book.applySnapshot(out, row);
    else book.applyDelta(out, row);
    return book.verify(checksum) === CHECKSUM.different ? STEP.checksum : STEP.next;
  }
}

function channelVenue(subscriptions: readonly string[]): ChannelVenue {
  const read = (texts: readonly string[]): readonly OkxSubscription[] =>
    texts.flatMap((text) => readSubscription(text) ?? []);
  const wanted = read(subscriptions);
  return {
    limits: OKX_LIMITS,
    maxChannelLength: Number.POSITIVE_INFINITY,
    pingText: "ping",
    pingUs: PING_US,
    questions: (texts) => listingPaths(read(texts)),
    readListing: (body) => readListing(wanted, body),
    channels: channelsOf,
    groupChannels: groupChannelsOf,
    complaint: (answer) =>
      answer.event === "error" || answer.event === "notice" ? JSON.stringify(answer) : null,
  };
}
