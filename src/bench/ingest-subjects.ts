import { FEATURE_COUNT } from "../feature/schema.ts";
import { FeatureState } from "../feature/tick.ts";
import type { Feed, FeedPort } from "../feed/feed.ts";
import { EVENT, EventBatch } from "../market/event-batch.ts";
import { InstrumentTable } from "../market/instrument.ts";
import { BOOK_SHAPE, L2Book } from "../market/l2-book.ts";
import { feedOf, INSTRUMENTS_MAX, type IngestScript, type IngestSubject } from "./ingest-input.ts";

const SILENT_PORT: FeedPort = { connect: () => {}, send: () => {}, disconnect: () => {}, request: () => {} };

/** keel's own way in: feed, books and features as the desk has them. */
export class KeelIngest implements IngestSubject {
  readonly name = "keel";
  readonly #script: IngestScript;
  readonly #out = new EventBatch();
  readonly #row = new Float32Array(FEATURE_COUNT);
  #instruments = new InstrumentTable(INSTRUMENTS_MAX);
  #feed: Feed;
  #books: L2Book[] = [];
  #features = new FeatureState(1);

  constructor(script: IngestScript) {
    this.#script = script;
    this.#feed = feedOf(script.venue, script.subscriptions, SILENT_PORT, this.#instruments);
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
    const { venue, subscriptions } = this.#script;
    this.#instruments = new InstrumentTable(INSTRUMENTS_MAX);
    this.#books = [];
    this.#features = new FeatureState(INSTRUMENTS_MAX);
    this.#feed = feedOf(venue, subscriptions, SILENT_PORT, this.#instruments);
    this.#feed.start(0);
  }

  onOpen(): void {
    this.#out.clear();
    this.#feed.onOpen(0, this.#out);
  }

  onResponse(request: number, status: number, body: string, timeUs: number): void {
    this.#out.clear();
    this.#feed.onResponse(request, status, body, Number.NaN, timeUs, this.#out);
    this.#apply(timeUs);
  }

  onFrame(text: string, timeUs: number): void {
    this.#out.clear();
    this.#feed.onFrame(text, timeUs, this.#out);
    this.#apply(timeUs);
  }

  #apply(timeUs: number): void {
    const out = this.#out;
    const features = this.#features;
    for (let id = this.#books.length; id < this.#instruments.size; id += 1) {
      this.#books.push(new L2Book(BOOK_SHAPE[this.#instruments.get(id).kind]));
    }
    for (let row = 0; row < out.count; row += 1) {
      const id = out.instrument[row];
      const book = this.#books[id];
      switch (out.kind[row]) {
        case EVENT.bookSnapshot:
          book.applySnapshot(out, row);
          features.onBook(id, book, out, row, timeUs);
          break;
        case EVENT.bookDelta:
          book.applyDelta(out, row);
          features.onBook(id, book, out, row, timeUs);
          break;
        case EVENT.top:
          book.applyTop(out, row);
          features.onTop(id, book, timeUs);
          break;
        case EVENT.trade: {
          const level = out.levelStart[row];
          features.onTrade(id, out.side[level], out.sizeLots[level], timeUs);
          break;
        }
        case EVENT.ticker:
          features.onTicker(id, this.#instruments.get(id), out, row, timeUs);
          break;
        default:
          continue;
      }
      features.write(id, timeUs, this.#row, 0);
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
