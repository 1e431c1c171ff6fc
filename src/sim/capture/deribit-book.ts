import { channelFrame } from "../protocol/json-rpc.ts";

/** Shape of `data` in a `book.*` notification. */
interface BookData {
  readonly type: string;
  readonly timestamp: number;
  readonly instrument_name: string;
  readonly change_id: number;
  readonly bids: readonly (readonly [string, number, number])[];
  readonly asks: readonly (readonly [string, number, number])[];
}

/** The venue's own book of one channel while its capture plays: what a later subscription's first snapshot is made from. */
export class DeribitBook {
  readonly #bids = new Map<number, number>();
  readonly #asks = new Map<number, number>();
  #last: BookData | null = null;

  /** Takes a `snapshot` or `change` notification. @returns false when the frame is none. */
  apply(frame: string): boolean {
    const data = bookData(frame);
    if (data === null) return false;
    if (data.type === "snapshot") {
      this.#bids.clear();
      this.#asks.clear();
    }
    applyLevels(this.#bids, data.bids);
    applyLevels(this.#asks, data.asks);
    this.#last = data;
    return true;
  }

  /** A snapshot notification of the book as it stands; null before the first frame. The next change continues from its change_id. */
  snapshot(channel: string): string | null {
    if (this.#last === null) return null;
    const { timestamp, instrument_name, change_id } = this.#last;
    const bids = [...this.#bids].sort(([a], [b]) => b - a).map(([price, amount]) => ["new", price, amount]);
    const asks = [...this.#asks].sort(([a], [b]) => a - b).map(([price, amount]) => ["new", price, amount]);
    return channelFrame(
      channel,
      JSON.stringify({ type: "snapshot", timestamp, instrument_name, change_id, bids, asks }),
    );
  }
}

function applyLevels(side: Map<number, number>, levels: BookData["bids"]): void {
  for (const [action, price, amount] of levels) {
    if (action === "delete") side.delete(price);
    else side.set(price, amount);
  }
}

function bookData(frame: string): BookData | null {
  let message: unknown;
  try {
    message = JSON.parse(frame);
  } catch {
    return null;
  }
  const params = field(message, "params");
  const data = field(params, "data");
  if (typeof data !== "object" || data === null) return null;
  const book = data as Partial<BookData>;
  return typeof book.change_id === "number" && Array.isArray(book.bids) && Array.isArray(book.asks)
    ? (data as BookData)
    : null;
}

function field(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}
