import { describe, expect, test } from "bun:test";
import { loadNative } from "../../src/core/native.ts";
import { Rng } from "../../src/core/rng.ts";
import { NativeBinanceDecoder } from "../../src/feed/binance/native-decoder.ts";
import { readInstrument } from "../../src/feed/deribit/instruments.ts";
import { FRAME } from "../../src/feed/feed.ts";
import { readInstrument as readOkx } from "../../src/feed/okx/instruments.ts";
import { EVENT, EventBatch } from "../../src/market/event-batch.ts";
import { skipUnless } from "../support/shared-data.ts";
import { bybitFrames, okxFrames } from "./channel-frames.ts";
import { binancePair, bybitPair, type DecoderPair, deribitPair, okxPair } from "./decoder-pair.ts";
import { OKX_SWAP } from "./fake-okx.ts";
import { FrameMutator } from "./frame-mutator.ts";
import { sharedLines } from "./shared-data.ts";
import { listing, simulatedFrames, usdm, type VenueFrames } from "./simulated-frames.ts";

const { functions: native, missing } = await loadNative();
const absent = skipUnless(native !== null, `no native library: ${missing}`);
const simulated = simulatedFrames(1, 2);
const nativeOrThrow = () => {
  if (native === null) throw new Error("the test should have been skipped");
  return native;
};

type PairOf = typeof binancePair | typeof deribitPair | typeof bybitPair | typeof okxPair;

/** Grids of the captures; a coarse lot leaves fractions of a lot. */
const CAPTURES: readonly (readonly [file: string, symbol: string, tick: string, lot: string])[] = [
  ["usdm-btcusdt-20240808", "BTCUSDT", "0.10", "0.001"],
  ["usdm-ethusdt-20240808", "ETHUSDT", "0.01", "0.005"],
  ["cm-btcusd_perp-20240808", "BTCUSD_PERP", "0.1", "1"],
  ["cm-ethusd_perp-20240808", "ETHUSD_PERP", "0.01", "10"],
  ["spot-btcusdt-20240808", "BTCUSDT", "0.01000000", "0.00001000"],
  ["spot-btcusdt-20240809", "BTCUSDT", "0.01000000", "0.00100000"],
  ["spot-ethusdt-20240808", "ETHUSDT", "0.01000000", "0.00010000"],
];

describe("native decoding equals JSON.parse's, bit for bit", () => {
  for (const [file, symbol, tick, lot] of CAPTURES) {
    test.skipIf(absent)(
      `every frame of ${file}`,
      () => {
        const lines = sharedLines(`binance/${file}.gz`);
        if (lines === null) return;
        const bySymbol = listing([usdm(symbol, tick, lot)]);
        const pair = binancePair(bySymbol, nativeOrThrow());
        const instrument = bySymbol.get(symbol);
        let frames = 0;
        for (const line of lines) {
          const text = line.slice(line.indexOf(" ") + 1);
          if (text === "") continue;
          frames += 1;
          const difference = text.startsWith('{"lastUpdateId"')
            ? pair.compare((decoder, out) =>
                instrument === undefined ? -1 : decoder.decodeSnapshot(text, instrument, out),
              )
            : pair.disagreement(text);
          if (difference !== "") throw new Error(`${difference}: ${text.slice(0, 300)}`);
        }
        expect(frames).toBeGreaterThan(10_000);
        expect(pair.fallbacks).toBe(0);
      },
      60_000,
    );
  }

  test.skipIf(absent)("a session of four USD-M symbols", () => {
    const lines = sharedLines("ws/BINANCE_FUTURES.ws.1.0.gz");
    if (lines === null) return;
    const symbols = ["SUSHIUSDT", "AKROUSDT", "KEEPUSDT", "CTKUSDT"];
    const pair = binancePair(listing(symbols.map((symbol) => usdm(symbol, "0.00001", "1"))), nativeOrThrow());
    let frames = 0;
    for (const line of lines) {
      const text = /^\d+\.\d+: (.*)$/.exec(line)?.[1];
      if (text === undefined) continue;
      frames += 1;
      expect(pair.disagreement(text)).toBe("");
    }
    expect(frames).toBeGreaterThan(1_000);
    expect(pair.fallbacks).toBe(0);
  });

  test.skipIf(absent)("a session of three OKX books", () => {
    const lines = sharedLines("ws/OKX.ws.1.0.gz");
    if (lines === null) return;
    const grid = { ...OKX_SWAP, tickSz: "0.001", lotSz: "0.00000001" };
    const symbols = ["BTC-USD-220527", "UNI-USD-SWAP", "BTC-USDT"];
    const specs = symbols.map((instId) => readOkx({ ...grid, instId }));
    const pair = okxPair(listing(specs), nativeOrThrow());
    let books = 0;
    for (const line of lines) {
      const text = /^\d+\.\d+: (.*)$/.exec(line)?.[1];
      if (text === undefined) continue;
      books += Number(text.includes('"action"'));
      expect(pair.disagreement(text)).toBe("");
    }
    expect(books).toBeGreaterThan(200);
    expect(pair.fallbacks).toBe(0);
  });

  test.skipIf(absent)("a session of ten Deribit options", () => {
    const session = sharedLines("ws/DERIBIT.ws.1.0.gz");
    const answers = sharedLines("ws/DERIBIT.0.gz");
    if (session === null || answers === null) return;
    const listed = answers.flatMap((line): unknown[] => {
      const body = /get_instruments\S* -> [\d.]+: (.*)$/.exec(line)?.[1];
      return body === undefined ? [] : JSON.parse(body).result;
    });
    const pair = deribitPair(listing(listed.map(readInstrument)), nativeOrThrow());
    let events = 0;
    for (const line of session) {
      const text = /^\d+\.\d+: (.*)$/.exec(line)?.[1];
      if (text === undefined) continue;
      events += Number(text.includes('"method":"subscription"'));
      expect(pair.disagreement(text)).toBe("");
    }
    expect(events).toBeGreaterThan(50);
    expect(pair.fallbacks).toBe(0);
  });

  const venues: readonly (readonly [string, VenueFrames, PairOf])[] = [
    ["binance", simulated.binance, binancePair],
    ["deribit", simulated.deribit, deribitPair],
    ["bybit", bybitFrames(), bybitPair],
    ["okx", okxFrames(), okxPair],
  ];
  describe.each(venues)("%s", (_name, { bySymbol, frames }, pairOf) => {
    const pairOfVenue = (bounds?: { maxEvents: number; maxLevels: number }): DecoderPair<never> =>
      pairOf(bySymbol, nativeOrThrow(), bounds) as unknown as DecoderPair<never>;

    test.skipIf(absent)("simulated frames, none of which is left to the reference", () => {
      const pair = pairOfVenue();
      const bookTopics = frames.filter((frame) => !frame.includes("deribit_price_index"));
      for (const frame of bookTopics) expect(pair.disagreement(frame)).toBe("");
      expect(bookTopics.length).toBeGreaterThan(500);
      expect(pair.fallbacks).toBe(0);
    });

    test.skipIf(absent)("frames cut at every byte", () => {
      const pair = pairOfVenue();
      for (const frame of examples(frames)) {
        for (let length = 0; length < Math.min(frame.length, 1_500); length += 1) {
          expect(pair.disagreement(frame.slice(0, length))).toBe("");
        }
      }
    });

    test.skipIf(absent)("frames with a sign of their form doubled, left out or put elsewhere", () => {
      const pair = pairOfVenue();
      for (const frame of examples(frames)) {
        const text = frame.slice(0, 1_500);
        for (const { index, 0: sign } of text.matchAll(/[,:"[\]{}]/g)) {
          for (const other of ["", sign + sign, `${sign},`, ...(frame.length < 500 ? [":", "}", "]"] : [])]) {
            const damaged = frame.slice(0, index) + other + frame.slice(index + 1);
            const difference = pair.disagreement(damaged);
            if (difference !== "") throw new Error(`${difference}: ${JSON.stringify(damaged)}`);
          }
        }
      }
    });

    test.skipIf(absent)("frames changed in a few places", () => {
      const pair = pairOfVenue();
      const mutator = new FrameMutator(new Rng(5));
      const seeds = examples(frames).filter((frame) => frame.length < 4_000);
      for (let round = 0; round < 20_000; round += 1) {
        const frame = mutator.mutate(seeds[round % seeds.length]);
        const difference = pair.disagreement(frame);
        if (difference !== "") throw new Error(`${difference}: ${JSON.stringify(frame)}`);
      }
    });

    test.skipIf(absent)("batches that are too small for a frame", () => {
      for (const bounds of [1, 2, 3, 4, 7].map((maxLevels) => ({ maxEvents: 2, maxLevels: maxLevels + 2 }))) {
        const pair = pairOfVenue(bounds);
        for (const frame of examples(frames)) expect(pair.disagreement(frame)).toBe("");
      }
      const full = pairOfVenue({ maxEvents: 1, maxLevels: 100 });
      for (const frame of examples(frames)) expect(full.disagreement(frame)).toBe("");
    });
  });

  test.skipIf(absent)("an OKX argument of several keys, and one with a comma too many", () => {
    const pair = okxPair(okxFrames().bySymbol, nativeOrThrow());
    const told = (between: string): string =>
      `{"arg":{"channel":"mark-price","instType":"SWAP"${between}"instId":"BTC-USDT-SWAP"},"data":[{"instId":"BTC-USDT-SWAP","instType":"SWAP","markPx":"122.25","ts":"1597026383085"}]}`;
    for (const between of [",", ",,", "", ", ", ",,,"]) expect(pair.disagreement(told(between))).toBe("");
  });

  test.skipIf(absent)("keys that are escapes", () => {
    const pair = binancePair(simulated.binance.bySymbol, nativeOrThrow());
    const top = (key: string): string =>
      `{${key}:"x","e":"bookTicker","u":5,"s":"BTCUSDT","b":"1.0","B":"1","a":"1.1","A":"1","T":1,"E":1}`;
    for (const key of ['"\\"', '"\\b"', '"a\\"', '"["', '"_"', '"zz"']) {
      expect(pair.disagreement(top(key))).toBe("");
    }
  });

  test.skipIf(absent)("REST depth, whole, cut and changed", () => {
    const { bySymbol, snapshots } = simulated.binance;
    const pair = binancePair(bySymbol, nativeOrThrow());
    const instrument = [...bySymbol.values()][0];
    const mutator = new FrameMutator(new Rng(6));
    const agree = (body: string): void =>
      expect(pair.compare((decoder, out) => decoder.decodeSnapshot(body, instrument, out))).toBe("");
    for (const body of snapshots) agree(body);
    expect(pair.fallbacks).toBe(0);
    const spot = '{"lastUpdateId":7,"bids":[["61837.6","3.788"],["61837.5","0.0005"]],"asks":[]}';
    const coin =
      '{"lastUpdateId":7,"E":2,"T":1,"symbol":"BTCUSD_PERP","pair":"BTCUSD","bids":[["1.0","35"]],"asks":[["1.1","8"]]}';
    for (const body of [snapshots[1], spot, coin]) {
      for (let length = 0; length <= body.length; length += 1) agree(body.slice(0, length));
      for (let round = 0; round < 2_000; round += 1) agree(mutator.mutate(body));
    }
  });
});

describe("native decoder", () => {
  const [btc, eth] = [usdm("BTCUSDT", "0.10", "0.001"), usdm("ETHUSDT", "0.01", "0.001")];
  const trade = (symbol: string): string =>
    `{"e":"trade","E":2,"T":1,"s":"${symbol}","t":9,"p":"100.00","q":"0.002","X":"MARKET","m":true}`;

  test.skipIf(absent)("learns the instruments that are added later", () => {
    const all = listing([btc, eth]);
    const growing = new Map([...all].slice(0, 1));
    const decoder = new NativeBinanceDecoder(growing, nativeOrThrow());
    const out = new EventBatch(4, 8);
    expect(decoder.decode(trade("ETHUSDT"), out)).toBe(FRAME.ignored);
    for (const [symbol, instrument] of all) growing.set(symbol, instrument);
    expect(decoder.decode(trade("ETHUSDT"), out)).toBe(FRAME.ok);
    expect([out.kind[0], out.instrument[0], decoder.fallbacks]).toEqual([
      EVENT.trade,
      all.get("ETHUSDT")?.id ?? -1,
      0,
    ]);
  });

  test.skipIf(absent)("finds each of thousands of instruments", () => {
    const specs = Array.from({ length: 3_000 }, (_, i) => ({ ...btc, symbol: `BTC-${i}-C` }));
    const bySymbol = listing(specs);
    const decoder = new NativeBinanceDecoder(bySymbol, nativeOrThrow());
    const out = new EventBatch(1, 1);
    for (const { symbol, id } of bySymbol.values()) {
      out.clear();
      expect(decoder.decode(trade(symbol), out)).toBe(FRAME.ok);
      expect(out.instrument[0]).toBe(id);
    }
    expect(decoder.fallbacks).toBe(0);
  });

  test.skipIf(absent)("counts data frames that it leaves to JSON.parse, and those only", () => {
    const decoder = new NativeBinanceDecoder(listing([btc]), nativeOrThrow());
    const out = new EventBatch();
    expect(decoder.decode('{"result":null,"id":1}', out)).toBe(FRAME.control);
    expect(decoder.decode("not JSON", out)).toBe(FRAME.unparsable);
    expect(decoder.fallbacks).toBe(0);
    expect(decoder.decode(trade("BTCUSDT").replace(",", ", "), out)).toBe(FRAME.ok);
    expect(decoder.fallbacks).toBe(1);
  });

  test.skipIf(absent)("takes batches in any order", () => {
    const decoder = new NativeBinanceDecoder(listing([btc]), nativeOrThrow());
    const batches = [new EventBatch(3, 3), new EventBatch(3, 3)];
    for (const out of [...batches, ...batches]) expect(decoder.decode(trade("BTCUSDT"), out)).toBe(FRAME.ok);
    for (const out of batches) {
      expect([out.count, out.levels]).toEqual([2, 2]);
      expect([...out.priceTicks.subarray(0, 2)]).toEqual([1_000, 1_000]);
    }
  });

  test.skipIf(absent)("leaves a frame that is longer than its memory to JSON.parse", () => {
    const decoder = new NativeBinanceDecoder(listing([btc]), nativeOrThrow());
    const out = new EventBatch();
    const long = trade("BTCUSDT").replace('"X"', `"zz":"${"x".repeat(1 << 18)}","X"`);
    expect(decoder.decode(long, out)).toBe(FRAME.ok);
    expect([out.count, decoder.fallbacks]).toEqual([1, 1]);
  });
});

/** A few frames of each form. */
function examples(frames: readonly string[]): string[] {
  const byForm = new Map<string, string[]>();
  for (const frame of frames) {
    const form = frame.slice(0, 100).replace(/[\d-]+/g, "0");
    const alike = byForm.get(form) ?? [];
    if (alike.length < 2) byForm.set(form, [...alike, frame]);
  }
  return [...byForm.values()].flat().slice(0, 60);
}
