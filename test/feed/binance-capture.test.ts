import { expect, test } from "bun:test";
import { EVENT, FEED_STATE } from "../../src/market/event-batch.ts";
import type { VenueName } from "../../src/market/instrument.ts";
import { BOOK_SHAPE, L2Book } from "../../src/market/l2-book.ts";
import { skipUnlessShared } from "../support/shared-data.ts";
import { exchangeInfo, type SymbolGrid } from "./fake-binance.ts";
import { ReferenceBook } from "./reference-book.ts";
import { scriptedFeed } from "./scripted-port.ts";
import { sharedLines } from "./shared-data.ts";

type RawLevels = readonly (readonly [string, string])[];

interface RawDepth {
  readonly U: number;
  readonly u: number;
  readonly b: RawLevels;
  readonly a: RawLevels;
}

interface RawTop {
  readonly u: number;
  readonly b: string;
  readonly B: string;
  readonly a: string;
  readonly A: string;
}

interface Played {
  messages: number;
  compared: number;
  trades: number;
  ticksOfTrades: number;
}

/** Plays captures of one symbol, one after the other, through feed and book and compares with the reference at every message. */
function play(venue: VenueName, grid: SymbolGrid, captures: readonly (readonly string[])[]): Played {
  const { feed, port, out } = scriptedFeed({
    venue,
    subscriptions: [grid.symbol],
  });
  const book = new L2Book(BOOK_SHAPE.perpetual);
  const reference = new ReferenceBook();
  const played: Played = { messages: 0, compared: 0, trades: 0, ticksOfTrades: 0 };
  const ticks = (price: string): number => Math.round(Number(price) / Number(grid.tick));
  const lots = (size: string): number => {
    const exact = Number(size) * Math.round(1 / Number(grid.lot));
    const whole = Math.round(exact);
    return Math.abs(exact - whole) < 1e-6 ? whole : exact;
  };
  const set = (side: 0 | 1, levels: RawLevels): void => {
    for (const [price, size] of levels) reference.sides[side].set(ticks(price), lots(size));
  };
  let live = false;

  const apply = (): void => {
    for (let row = 0; row < out.count; row += 1) {
      const kind = out.kind[row];
      if (kind === EVENT.bookSnapshot) book.applySnapshot(out, row);
      else if (kind === EVENT.bookDelta) book.applyDelta(out, row);
      else if (kind === EVENT.top) book.applyTop(out, row);
      else if (kind === EVENT.trade) {
        played.trades += 1;
        played.ticksOfTrades += out.priceTicks[out.levelStart[row]];
      } else if (kind === EVENT.status) live = out.code[row] === FEED_STATE.live;
    }
    out.clear();
  };

  let timeUs = 1;
  feed.start(timeUs);
  for (const { request } of port.takeRequests()) {
    feed.onResponse(request, 200, exchangeInfo(venue, [grid]), Number.NaN, timeUs, out);
  }
  feed.onOpen(timeUs, out);
  expect(JSON.parse(port.takeSent()[0]).method).toBe("SUBSCRIBE");

  const early: RawDepth[] = [];
  for (const line of captures.flat()) {
    const space = line.indexOf(" ");
    if (space < 0) continue;
    const text = line.slice(space + 1);
    timeUs = Number(line.slice(0, space)) / 1_000;
    played.messages += 1;
    const raw = JSON.parse(text);
    if (raw.lastUpdateId === undefined) {
      const { data } = raw;
      if (data.e === "depthUpdate") {
        if (Number.isNaN(reference.sequence)) early.push(data);
        else applyDepth(data);
      } else if (data.B !== undefined && live) {
        reference.top = topOf(data);
      }
      feed.onFrame(text, timeUs, out);
    } else {
      set(0, raw.bids);
      set(1, raw.asks);
      reference.sequence = raw.lastUpdateId;
      for (const diff of early) if (isNew(diff, raw.lastUpdateId)) applyDepth(diff);
      const [{ request, path }] = port.takeRequests();
      expect(path).toContain(`/depth?symbol=${grid.symbol}&limit=`);
      feed.onResponse(request, 200, text, Number.NaN, timeUs, out);
    }
    apply();
    if (!live) continue;
    played.compared += 1;
    const difference = reference.difference(book);
    if (difference !== "") throw new Error(`message ${played.messages}: ${difference}`);
  }
  expect(feed.problem).toBe("");
  expect(feed.counters).toMatchObject({
    gaps: 0,
    unparsable: 0,
    crossed: 0,
    resyncs: 0,
    overflows: 0,
    silences: 0,
  });
  expect(live).toBe(true);
  expect(book.overflowed).toBe(0);
  return played;

  function isNew(diff: RawDepth, lastUpdateId: number): boolean {
    return venue === "binance-spot" ? diff.u > lastUpdateId : diff.u >= lastUpdateId;
  }

  function applyDepth(diff: RawDepth): void {
    set(0, diff.b);
    set(1, diff.a);
    reference.sequence = diff.u;
  }

  function topOf(raw: RawTop): ReferenceBook["top"] {
    return {
      sequence: raw.u,
      bid: ticks(raw.b),
      bidSize: lots(raw.B),
      ask: ticks(raw.a),
      askSize: lots(raw.A),
    };
  }
}

const CAPTURES: readonly [VenueName, SymbolGrid, readonly string[]][] = [
  ["binance-usdm", { symbol: "BTCUSDT", base: "BTC", tick: "0.10", lot: "0.001" }, ["usdm-btcusdt-20240808"]],
  ["binance-usdm", { symbol: "ETHUSDT", base: "ETH", tick: "0.01", lot: "0.001" }, ["usdm-ethusdt-20240808"]],
  [
    "binance-coinm",
    { symbol: "BTCUSD_PERP", base: "BTC", tick: "0.1", lot: "1" },
    ["cm-btcusd_perp-20240808"],
  ],
  [
    "binance-coinm",
    { symbol: "ETHUSD_PERP", base: "ETH", tick: "0.01", lot: "1" },
    ["cm-ethusd_perp-20240808"],
  ],
  [
    "binance-spot",
    { symbol: "BTCUSDT", base: "BTC", tick: "0.01000000", lot: "0.00001000" },
    ["spot-btcusdt-20240808", "spot-btcusdt-20240809"],
  ],
  [
    "binance-spot",
    { symbol: "ETHUSDT", base: "ETH", tick: "0.01000000", lot: "0.00010000" },
    ["spot-ethusdt-20240808"],
  ],
];

for (const [venue, grid, names] of CAPTURES) {
  const absent = skipUnlessShared(...names.map((name) => `data/binance/${name}.gz`));
  test.skipIf(absent)(
    `${names.join(" and ")}: book equals the reference at every message`,
    () => {
      const captures = names.map((name) => sharedLines(`binance/${name}.gz`) ?? []);
      const played = play(venue, grid, captures);
      expect(played.compared).toBeGreaterThan(played.messages * 0.99);
      expect(played.trades).toBeGreaterThan(1_000);
      expect(played.ticksOfTrades).toBeGreaterThan(0);
    },
    120_000,
  );
}
