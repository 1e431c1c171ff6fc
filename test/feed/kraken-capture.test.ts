import { describe, expect, test } from "bun:test";
import { MAX_PRICE_TICKS } from "../../src/feed/decoder.ts";
import { FRAME } from "../../src/feed/feed.ts";
import { createFeed } from "../../src/feed/registry.ts";
import { EVENT, EventBatch, FEED_STATE } from "../../src/market/event-batch.ts";
import { InstrumentTable } from "../../src/market/instrument.ts";
import { BOOK_SHAPE, L2Book } from "../../src/market/l2-book.ts";
import { readV1, TextBook, toV2, type V1Book } from "./kraken-v1.ts";
import { ReferenceBook } from "./reference-book.ts";
import { ScriptedPort } from "./scripted-port.ts";
import { sharedLines } from "./shared-data.ts";

const lines = sharedLines("ws/KRAKEN.ws.50.0.gz");

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
