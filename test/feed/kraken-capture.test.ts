import { describe, expect, test } from "bun:test";
import { MAX_PRICE_TICKS } from "../../src/feed/decoder.ts";
import { FRAME } from "../../src/feed/feed.ts";
import { createFeed } from "../../src/feed/registry.ts";
import { EVENT, EventBatch, FEED_STATE } from "../../src/market/event-batch.ts";
import { InstrumentTable } from "../../src/market/instrument.ts";
import { BOOK_SHAPE, L2Book } from "../../src/market/l2-book.ts";
import { ReferenceBook } from "./reference-book.ts";
import { ScriptedPort } from "./scripted-port.ts";
import { sharedLines } from "./shared-data.ts";

const lines = sharedLines("ws/KRAKEN.ws.50.0.gz");

type V1Level = readonly [price: string, size: string, time: string];
type V1Part = Readonly<Partial<Record<"as" | "bs" | "a" | "b", readonly V1Level[]>>> & {
  readonly c?: string;
};

/** A recorded WebSocket v1 book message: what v2 sends as one object stands there in one or two parts. */
interface V1Book {
  readonly symbol: string;
  readonly snapshot: boolean;
  readonly bids: readonly V1Level[];
  readonly asks: readonly V1Level[];
  /** v1 sends none with snapshots. */
  readonly checksum: number | null;
}

function readV1(text: string): V1Book | null {
  if (!text.startsWith("[")) return null;
  const message: readonly unknown[] = JSON.parse(text);
  const parts = message.slice(1, -2) as V1Part[];
  const whole: V1Part = Object.assign({}, ...parts);
  return {
    symbol: String(message.at(-1)),
    snapshot: whole.as !== undefined,
    bids: whole.bs ?? whole.b ?? [],
    asks: whole.as ?? whole.a ?? [],
    checksum: whole.c === undefined ? null : Number(whole.c),
  };
}

/** The ten best of each side of what was recorded, and the sum over their texts. */
class TextBook {
  readonly bids = new Map<string, string>();
  readonly asks = new Map<string, string>();

  apply({ snapshot, bids, asks }: V1Book): void {
    if (snapshot) {
      this.bids.clear();
      this.asks.clear();
    }
    set(this.bids, bids, -1);
    set(this.asks, asks, 1);
  }

  checksum(): number {
    const text = [...best(this.asks, 1), ...best(this.bids, -1)].map(
      ([price, size]) => bare(price) + bare(size),
    );
    return Bun.hash.crc32(text.join(""));
  }
}

function set(side: Map<string, string>, levels: readonly V1Level[], sign: number): void {
  for (const [price, size] of levels) {
    if (Number(size) === 0) side.delete(price);
    else side.set(price, size);
  }
  if (side.size <= 1_000) return;
  const sorted = [...side.keys()].sort((a, b) => sign * (Number(a) - Number(b)));
  for (const price of sorted.slice(1_000)) side.delete(price);
}

function best(side: ReadonlyMap<string, string>, sign: number): [string, string][] {
  return [...side].sort(([a], [b]) => sign * (Number(a) - Number(b))).slice(0, 10);
}

function bare(text: string): string {
  return text.replace(".", "").replace(/^0+/, "");
}

/** The same message as WebSocket v2 words it: every digit and the checksum as they were recorded. */
function toV2(book: V1Book, checksum: number): string {
  const levels = (side: readonly V1Level[]): string =>
    side.map(([price, qty]) => `{"price":${price},"qty":${qty}}`).join(",");
  const micros = Math.max(
    0,
    ...[...book.bids, ...book.asks].map(([, , time]) => Math.round(Number(time) * 1e6)),
  );
  const time = `${new Date(Math.floor(micros / 1e3)).toISOString().slice(0, -1)}${String(micros % 1e3).padStart(3, "0")}Z`;
  const type = book.snapshot ? "snapshot" : "update";
  return `{"channel":"book","type":"${type}","data":[{"symbol":"${book.symbol}","bids":[${levels(book.bids)}],"asks":[${levels(book.asks)}],"checksum":${checksum},"timestamp":"${time}"}]}`;
}

/** The finest step that all recorded prices of a symbol are on. */
function stepOf(texts: readonly string[]): { readonly increment: number; readonly precision: number } {
  const precision = Math.max(...texts.map((text) => text.split(".")[1]?.length ?? 0));
  const used = Math.max(...texts.map((text) => (text.split(".")[1] ?? "").replace(/0+$/, "").length));
  return { increment: Number((10 ** -used).toFixed(used)), precision };
}

describe("recorded Kraken books of 1,000 levels", () => {
  test.skipIf(lines === null)(
    "every frame is taken, every checksum is equal, and the book is the reference's at every message",
    () => {
      if (lines === null) return;
      const recorded = lines
        .map((line) => /^\d+\.\d+: (.*)$/.exec(line)?.[1])
        .filter((text): text is string => text !== undefined)
        .map(readV1)
        .filter((book): book is V1Book => book !== null);
      const symbols = [...new Set(recorded.map(({ symbol }) => symbol))];
      const pairs = symbols.map((symbol) => {
        const own = recorded.filter((book) => book.symbol === symbol);
        const prices = own.flatMap(({ bids, asks }) => [...bids, ...asks].map(([price]) => price));
        const { increment, precision } = stepOf(prices);
        const [base, quote] = symbol.split("/");
        return {
          ...{ symbol, base, quote, price_increment: increment, price_precision: precision },
          ...{ qty_precision: 8, qty_min: 0.0001 },
        };
      });
      const instruments = new InstrumentTable(symbols.length);
      const out = new EventBatch();
      const port = new ScriptedPort();
      const feed = createFeed({
        ...{ id: 0, venue: "kraken", subscriptions: symbols, instruments, port, seed: 1, silenceMs: 60_000 },
      });
      feed.start(0);
      feed.onOpen(0, out);
      feed.onFrame(JSON.stringify({ channel: "instrument", type: "snapshot", data: { pairs } }), 0, out);
      out.clear();

      const books = new Map(symbols.map((symbol) => [symbol, new L2Book(BOOK_SHAPE.spot)]));
      const references = new Map(symbols.map((symbol) => [symbol, new ReferenceBook()]));
      const texts = new Map(symbols.map((symbol) => [symbol, new TextBook()]));
      let live = 0;
      let differences = 0;
      for (const [at, recordedBook] of recorded.entries()) {
        const { symbol, checksum } = recordedBook;
        const text = texts.get(symbol);
        const book = books.get(symbol);
        const reference = references.get(symbol);
        if (text === undefined || book === undefined || reference === undefined) continue;
        text.apply(recordedBook);
        const sum = text.checksum();
        if (checksum !== null) expect(sum).toBe(checksum);
        out.clear();
        expect(feed.onFrame(toV2(recordedBook, sum), at * 1_000, out)).toBe(FRAME.ok);
        for (let row = 0; row < out.count; row += 1) {
          const kind = out.kind[row];
          if (kind === EVENT.status && out.code[row] === FEED_STATE.live) live += 1;
          if (kind === EVENT.bookSnapshot) book.applySnapshot(out, row);
          if (kind === EVENT.bookDelta) book.applyDelta(out, row);
        }
        const { tick, lot } = instruments.get(symbols.indexOf(symbol));
        applyText(reference, text, recordedBook, 10 ** tick.scale / tick.mantissa, 10 ** lot.scale);
        if (reference.difference(book) !== "") differences += 1;
      }
      expect(recorded.length).toBe(4_279);
      expect([live, differences]).toEqual([symbols.length, 0]);
      expect(feed.counters).toMatchObject({ gaps: 0, unparsable: 0, ignored: 0, resyncs: 0, overflows: 0 });
    },
  );
});

/** Gives the reference what the recorded message changed, and takes out what fell out of the depth. */
function applyText(
  reference: ReferenceBook,
  text: TextBook,
  change: V1Book,
  perTick: number,
  perLot: number,
): void {
  const sides = [
    { changed: change.bids, levels: text.bids, reference: reference.sides[0] },
    { changed: change.asks, levels: text.asks, reference: reference.sides[1] },
  ];
  if (change.snapshot) reference.clear();
  for (const side of sides) {
    for (const [price] of side.changed) {
      const size = side.levels.get(price);
      const ticks = Math.round(Number(price) * perTick);
      if (ticks > MAX_PRICE_TICKS) continue;
      side.reference.set(ticks, Math.round(Number(size ?? 0) * perLot));
    }
    if (side.reference.prices.length <= 1_000) continue;
    for (const ticks of side.reference.prices.slice(1_000)) side.reference.set(ticks, 0);
  }
}
