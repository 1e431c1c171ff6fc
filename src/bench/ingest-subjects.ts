import { FEATURE_COUNT } from "../feature/schema.ts";
import { FeatureState } from "../feature/tick.ts";
import type { FeedPort } from "../feed/feed.ts";
import type { SupervisedFeed } from "../feed/supervised-feed.ts";
import { EVENT, EventBatch } from "../market/event-batch.ts";
import { InstrumentTable } from "../market/instrument.ts";
import { BOOK_SHAPE, L2Book } from "../market/l2-book.ts";
import { feedOf, INSTRUMENTS_MAX, type IngestScript, type IngestSubject } from "./ingest-input.ts";

const SILENT_PORT: FeedPort = { connect: () => {}, send: () => {}, disconnect: () => {}, request: () => {} };

/** How far a message goes: through the decoder alone, the feed's rules and checksums as well, the books as well, or the features too. */
export const REACH = { decode: 0, feed: 1, book: 2, features: 3 } as const;
export type Reach = (typeof REACH)[keyof typeof REACH];

const NAMES = ["keel-decode", "keel-feed", "keel-book", "keel"] as const;

/** keel's own way in: feed, books and features as the desk has them. */
export class KeelIngest implements IngestSubject {
  readonly name: string;
  readonly #reach: Reach;
  /** Passes begun. In the first one the feed learns what its decoder has to know of instruments. */
  #passes = 0;
  readonly #script: IngestScript;
  readonly #out = new EventBatch();
  readonly #row = new Float32Array(FEATURE_COUNT);
  #instruments = new InstrumentTable(INSTRUMENTS_MAX);
  #feed: SupervisedFeed;
  #books: L2Book[] = [];
  #features = new FeatureState(1);

  constructor(script: IngestScript, reach: Reach = REACH.features) {
    this.#script = script;
    this.#reach = reach;
    this.name = NAMES[reach];
    this.#feed = feedOf(script.venue, script.subscriptions, SILENT_PORT, this.#instruments);
  }

  get #decodes(): boolean {
    return this.#reach === REACH.decode && this.#passes > 1;
  }

  /** Best prices and features at the end: two runs that agree in it did the same work. */
  get checksum(): string {
    const hasher = new Bun.CryptoHasher("sha256");
    for (const { bestBidTicks, bestAskTicks } of this.#books)
      hasher.update(`${bestBidTicks}/${bestAskTicks} `);
    return hasher.update(this.#row).digest("hex").slice(0, 16);
  }

  get fallbacks(): number {
    return this.#feed.counters.decodeFallbacks;
  }

  restart(): void {
    this.#passes += 1;
    if (this.#decodes) return;
    const { venue, subscriptions } = this.#script;
    this.#instruments = new InstrumentTable(INSTRUMENTS_MAX);
    this.#books = [];
    this.#features = new FeatureState(INSTRUMENTS_MAX);
    this.#feed = feedOf(venue, subscriptions, SILENT_PORT, this.#instruments);
    this.#feed.start(0);
  }

  onOpen(): void {
    this.#out.clear();
    if (!this.#decodes) this.#feed.onOpen(0, this.#out);
  }

  onResponse(request: number, status: number, body: string, timeUs: number): void {
    this.#out.clear();
    if (this.#decodes) return;
    this.#feed.onResponse(request, status, body, Number.NaN, timeUs, this.#out);
    this.#apply(timeUs);
  }

  onTimer(timeUs: number): void {
    this.#out.clear();
    if (this.#decodes) return;
    this.#feed.onTimer(timeUs, this.#out);
    if (this.#reach >= REACH.book) this.#apply(timeUs);
  }

  onFrame(text: string, timeUs: number): void {
    this.#out.clear();
    if (this.#decodes) this.#feed.decode(text, this.#out);
    else {
      this.#feed.onFrame(text, timeUs, this.#out);
      if (this.#reach >= REACH.book) this.#apply(timeUs);
    }
  }

  #apply(timeUs: number): void {
    const out = this.#out;
    const features = this.#reach === REACH.features ? this.#features : null;
    for (let id = this.#books.length; id < this.#instruments.size; id += 1) {
      this.#books.push(new L2Book(BOOK_SHAPE[this.#instruments.get(id).kind]));
    }
    for (let row = 0; row < out.count; row += 1) {
      const id = out.instrument[row];
      const book = this.#books[id];
      switch (out.kind[row]) {
        case EVENT.bookSnapshot:
          book.applySnapshot(out, row);
          features?.onBook(id, book, out, row, timeUs);
          break;
        case EVENT.bookDelta:
          book.applyDelta(out, row);
          features?.onBook(id, book, out, row, timeUs);
          break;
        case EVENT.top:
          book.applyTop(out, row);
          features?.onTop(id, book, timeUs);
          break;
        case EVENT.trade: {
          const level = out.levelStart[row];
          features?.onTrade(id, out.side[level], out.sizeLots[level], timeUs);
          break;
        }
        case EVENT.ticker:
          features?.onTicker(id, this.#instruments.get(id), out, row, timeUs);
          break;
        default:
          continue;
      }
      features?.write(id, timeUs, this.#row, 0);
    }
  }
}

/** The floor of whatever goes by way of JSON.parse. */
export class ParseAlone implements IngestSubject {
  readonly name = "json-parse";
  /** Kept, so that the parse is not optimised away. */
  parsed: unknown;

  restart(): void {}
  onOpen(): void {}
  onResponse(): void {}

  onFrame(text: string): void {
    this.parsed = JSON.parse(text);
  }
}

/** The floor of whatever comes by a socket. */
export class BareReceiver implements IngestSubject {
  readonly name = "receive";
  characters = 0;

  restart(): void {}
  onOpen(): void {}
  onResponse(): void {}

  onFrame(text: string): void {
    this.characters += text.length;
  }
}
