import { describe, expect, test } from "bun:test";
import { MAX_PRICE_TICKS } from "../../src/feed/decoder.ts";
import { FRAME } from "../../src/feed/feed.ts";
import { createFeed } from "../../src/feed/registry.ts";
import { EVENT, EventBatch, FEED_STATE } from "../../src/market/event-batch.ts";
import { type Instrument, InstrumentTable } from "../../src/market/instrument.ts";
import { BOOK_SHAPE, L2Book } from "../../src/market/l2-book.ts";
import { coinbaseProduct } from "./fake-coinbase.ts";
import { ReferenceBook } from "./reference-book.ts";
import { ScriptedPort } from "./scripted-port.ts";
import { sharedLines } from "./shared-data.ts";

const lines = sharedLines("ws/COINBASE.ws.28.0.gz");

type Entry = readonly [price: string, size: string];

interface Recorded {
  readonly type: string;
  readonly product_id: string;
  readonly bids?: readonly Entry[];
  readonly asks?: readonly Entry[];
  readonly changes?: readonly (readonly [side: "buy" | "sell", price: string, size: string])[];
}

/** The finest step that recorded decimals are on. */
function stepOf(texts: readonly string[]): string {
  const digits = Math.max(...texts.map((text) => (text.split(".")[1] ?? "").replace(/0+$/, "").length));
  return (10 ** -digits).toFixed(digits);
}

function levelsOf({
  bids = [],
  asks = [],
  changes = [],
}: Recorded): readonly (readonly [number, string, string])[] {
  return [
    ...bids.map(([price, size]) => [0, price, size] as const),
    ...asks.map(([price, size]) => [1, price, size] as const),
    ...changes.map(([side, price, size]) => [side === "buy" ? 0 : 1, price, size] as const),
  ];
}

describe("recorded Coinbase books by level", () => {
  test.skipIf(lines === null)(
    "every frame is taken, no trade is missing, the book is the reference's",
    () => {
      if (lines === null) return;
      const frames = lines
        .map((line) => /^\d+\.\d+: (\{.*)$/.exec(line)?.[1] ?? "")
        .filter((text) => text !== "");
      const messages = frames.map((text): Recorded => JSON.parse(text));
      const products = [...new Set(messages.map(({ product_id }) => product_id))].filter(
        (id) => id !== undefined,
      );
      const instruments = new InstrumentTable(products.length);
      const port = new ScriptedPort();
      const out = new EventBatch();
      const feed = createFeed({
        ...{
          id: 0,
          venue: "coinbase",
          subscriptions: products,
          instruments,
          port,
          seed: 1,
          silenceMs: 60_000,
        },
      });
      feed.start(0);
      for (let asked = port.takeRequests(); asked.length > 0; asked = port.takeRequests()) {
        for (const { request, path } of asked) {
          const id = path.slice("/products/".length);
          const levels = messages.filter(({ product_id }) => product_id === id).flatMap(levelsOf);
          const tick = stepOf(levels.map(([, price]) => price));
          const body = coinbaseProduct(id, tick, stepOf(levels.map(([, , size]) => size)));
          feed.onResponse(request, 200, body, Number.NaN, 0, out);
        }
      }
      feed.onOpen(0, out);
      out.clear();

      const books = new Map<number, L2Book>();
      const references = new Map<number, ReferenceBook>();
      const tally = { live: 0, books: 0, trades: 0, tickers: 0, control: 0, differences: 0 };
      for (const [at, frame] of frames.entries()) {
        out.clear();
        const outcome = feed.onFrame(frame, at * 1_000, out);
        expect(outcome === FRAME.ok || outcome === FRAME.control).toBe(true);
        if (outcome === FRAME.control) tally.control += 1;
        for (let row = 0; row < out.count; row += 1) {
          const id = out.instrument[row];
          const kind = out.kind[row];
          if (kind === EVENT.trade) tally.trades += 1;
          if (kind === EVENT.ticker) tally.tickers += 1;
          if (kind === EVENT.status && out.code[row] === FEED_STATE.live) tally.live += 1;
          if (kind !== EVENT.bookSnapshot && kind !== EVENT.bookDelta) continue;
          tally.books += 1;
          const book = books.get(id) ?? new L2Book(BOOK_SHAPE.spot);
          const reference = references.get(id) ?? new ReferenceBook();
          books.set(id, book);
          references.set(id, reference);
          if (kind === EVENT.bookSnapshot) book.applySnapshot(out, row);
          else book.applyDelta(out, row);
          applyTo(reference, messages[at], instruments.get(id));
          if (reference.difference(book) !== "") tally.differences += 1;
        }
      }
      expect(tally).toEqual({
        live: 10,
        books: 9_729,
        trades: 97,
        tickers: 107,
        control: 13,
        differences: 0,
      });
      expect(feed.counters).toMatchObject({ gaps: 0, unparsable: 0, ignored: 0, resyncs: 0, overflows: 0 });
    },
  );
});

function applyTo(reference: ReferenceBook, message: Recorded, { tick, lot }: Instrument): void {
  if (message.type === "snapshot") reference.clear();
  for (const [side, price, size] of levelsOf(message)) {
    const ticks = Math.round((Number(price) * 10 ** tick.scale) / tick.mantissa);
    if (ticks > MAX_PRICE_TICKS) continue;
    reference.sides[side === 0 ? 0 : 1].set(ticks, Math.round(Number(size) * 10 ** lot.scale));
  }
}
