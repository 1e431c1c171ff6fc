import { describe, expect, spyOn, test } from "bun:test";
import { existsSync } from "node:fs";
import { runReference } from "../../src/bench/shard-run.ts";
import { loadConfig } from "../../src/config.ts";
import { loadNative } from "../../src/core/native.ts";
import { Rng } from "../../src/core/rng.ts";
import { UNDERLYING_CAPACITY } from "../../src/desk/desk.ts";
import { FEATURE_COUNT, SCHEMA_HASH } from "../../src/feature/schema.ts";
import { BinanceDecoder } from "../../src/feed/binance/decoder.ts";
import { DepthHead } from "../../src/feed/binance/depth-head.ts";
import { FRAME } from "../../src/feed/feed.ts";
import { loadModels } from "../../src/inference/model.ts";
import { startEngine } from "../../src/inference/registry.ts";
import { EventBatch } from "../../src/market/event-batch.ts";
import { type Instrument, InstrumentTable } from "../../src/market/instrument.ts";

const FOLDER = "../shared/data/binance/";
const CAPTURES = ["usdm-btcusdt-20240808", "spot-ethusdt-20240808", "cm-ethusd_perp-20240808"];
const isThere = CAPTURES.every((name) => existsSync(`${FOLDER}${name}.gz`));
if (!isThere) console.log(`skipped: no captures at ${FOLDER}`);
const { functions } = await loadNative();

const LEVELS = Array.from({ length: 30 }, (_, at) => `["${60_000 - at}.10","1.5"]`).join(",");
const FUTURE = `{"stream":"btcusdt@depth@0ms","data":{"e":"depthUpdate","E":12,"T":11,"s":"BTCUSDT","U":100,"u":110,"pu":99,"b":[${LEVELS}],"a":[]}}`;
const SPOT = FUTURE.replace(',"T":11', "").replace(',"pu":99', "");

function listed(symbol: string): Map<string, Instrument> {
  const table = new InstrumentTable(1);
  const instrument = table.add({
    ...{ venue: "binance-usdm", symbol, kind: "perpetual", base: "BTC", quote: "USDT", settle: "USDT" },
    ...{ tick: { mantissa: 1, scale: 2 }, tickSteps: [], lot: { mantissa: 1, scale: 8 }, minSizeLots: 1 },
    ...{ inverse: false, contractSize: 1, expiryMs: Infinity, strike: Number.NaN, optionType: null },
  });
  if (instrument === undefined) throw new Error("no room");
  return new Map([[symbol, instrument]]);
}

function numbers(head: DepthHead): number[] {
  return [head.exchangeUs, head.firstUpdate, head.lastUpdate, head.previousUpdate];
}

function decoded(batch: EventBatch): number[] {
  const { exchangeTimeUs, firstSequence, lastSequence, previousSequence } = batch;
  return [exchangeTimeUs[0], firstSequence[0], lastSequence[0], previousSequence[0]];
}

describe("the head of a depth event", () => {
  test("is symbol, time and update ids, on futures and on spot", () => {
    const head = new DepthHead();
    expect(head.read(FUTURE)).toBe(true);
    expect([head.symbol, ...numbers(head)]).toEqual(["BTCUSDT", 11_000, 100, 110, 99]);
    expect(head.read(SPOT)).toBe(true);
    expect([head.symbol, ...numbers(head)]).toEqual(["BTCUSDT", 12_000, 100, 110, Number.NaN]);
  });

  test.each([
    ["short", FUTURE.replace(LEVELS, '["1.0","1"]')],
    ["cut off", FUTURE.slice(0, -1)],
    ["in another order", FUTURE.replace('"U":100,"u":110', '"u":110,"U":100')],
    ["with a number too long", FUTURE.replace("110", "1234567890123456")],
    ["with a zero in front", FUTURE.replace("110", "0110")],
    ["with a fraction", FUTURE.replace("110", "110.5")],
    ["with an escaped symbol", FUTURE.replace("BTCUSDT", "BTC\\u0055SDT")],
    ["of another kind", FUTURE.replace("depthUpdate", "depthupdate")],
  ])("is not read of a frame %s", (_, frame) => {
    expect(new DepthHead().read(frame)).toBe(false);
  });

  test("is never other than the whole frame says, whatever is damaged before the levels", () => {
    const rng = new Rng(3);
    const head = new DepthHead();
    const batch = new EventBatch();
    const end = FUTURE.indexOf('"b"');
    let read = 0;
    for (let round = 0; round < 20_000; round += 1) {
      const at = rng.int(end);
      const characters = '0123456789",:{}[]aTUusp\\ ';
      const put = characters[rng.int(characters.length)] ?? "";
      const rest = rng.int(3);
      const frame = (rng.int(2) === 0 ? FUTURE : SPOT).slice(0, at) + put + FUTURE.slice(at + rest);
      if (!head.read(frame)) continue;
      batch.clear();
      if (new BinanceDecoder(listed(head.symbol)).decode(frame, batch) !== FRAME.ok) continue;
      read += 1;
      expect(numbers(head)).toEqual(decoded(batch));
    }
    expect(read).toBeGreaterThan(500);
  });

  test.skipIf(!isThere).each(CAPTURES)("is that of every long depth frame of %s", async (name) => {
    const bytes = await Bun.file(`${FOLDER}${name}.gz`).bytes();
    const frames = new TextDecoder().decode(Bun.gunzipSync(bytes)).split("\n").slice(0, 40_000);
    const head = new DepthHead();
    const batch = new EventBatch();
    let decoder: BinanceDecoder | null = null;
    let long = 0;
    for (const line of frames) {
      const frame = line.slice(line.indexOf(" ") + 1);
      if (!frame.includes('"depthUpdate"') || frame.length < 400) continue;
      long += 1;
      expect(head.read(frame)).toBe(true);
      decoder ??= new BinanceDecoder(listed(head.symbol));
      batch.clear();
      expect(decoder.decode(frame, batch)).toBe(FRAME.ok);
      expect(numbers(head)).toEqual(decoded(batch));
    }
    expect(long).toBeGreaterThan(500);
  });
});

test.skipIf(!isThere || functions === null)(
  "two lines of recorded frames give the rows, predictions and quotes of one",
  async () => {
    const config = loadConfig({});
    const [model, ...standIns] = await loadModels(undefined, {
      ...{ schemaHash: SCHEMA_HASH, featureCount: FEATURE_COUNT },
    });
    const slots = { slotCount: UNDERLYING_CAPACITY, maxBatch: UNDERLYING_CAPACITY };
    const { engine } = await startEngine({
      ...{ device: "cpu", settings: config.engines, model, standIns, ...slots, log: () => {} },
    });
    const reads = spyOn(DepthHead.prototype, "read");
    try {
      const options = { engine, config, seed: 1, digestsRows: true };
      const capture = `${FOLDER}${CAPTURES[0]}.gz`;
      const one = await runReference([capture], 10, options);
      expect(reads).not.toHaveBeenCalled();
      for (let slot = 0; slot < engine.slotCount; slot += 1) engine.resetSlot(slot);
      const two = await runReference([capture, capture], 10, options);
      expect(reads.mock.results.filter(({ value }) => value === true).length).toBeGreaterThan(50);
      expect(two.frames).toBeGreaterThan(one.frames * 1.9);
      expect(two.outcome.checksum).toBe(one.outcome.checksum);
      expect(one.outcome.decisions).toBeGreaterThan(5);
    } finally {
      reads.mockRestore();
      await engine.dispose();
    }
  },
);
