import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { loadNative } from "../../src/core/native.ts";
import { Rng } from "../../src/core/rng.ts";
import { readProduct } from "../../src/feed/coinbase/instruments.ts";
import { rfc3339Us } from "../../src/feed/rfc3339.ts";
import { skipUnless } from "../support/shared-data.ts";
import { bitstampPair, coinbasePair, krakenPair } from "./decoder-pair.ts";
import { coinbaseProduct } from "./fake-coinbase.ts";
import { FrameMutator } from "./frame-mutator.ts";
import { sharedLines } from "./shared-data.ts";
import { listing } from "./simulated-frames.ts";
import { bitstampFrames, coinbaseFrames, krakenFrames } from "./spot-frames.ts";

const { functions: native, missing } = await loadNative();
const skip = skipUnless(native !== null, `no native library: ${missing}`);
const recorded = sharedLines("ws/COINBASE.ws.28.0.gz");

const VENUES = [
  { name: "kraken", pairOf: krakenPair, framesOf: krakenFrames },
  { name: "coinbase", pairOf: coinbasePair, framesOf: coinbaseFrames },
  { name: "bitstamp", pairOf: bitstampPair, framesOf: bitstampFrames },
] as const;

/** Those that come once stand last. */
const LAST = -12;

describe.each(VENUES)("native frames: $name", ({ pairOf, framesOf }) => {
  test.skipIf(skip)("come to the same, and but for prices off the grid all are taken", () => {
    if (native === null) return;
    const { bySymbol, frames } = framesOf();
    const pair = pairOf(bySymbol, native);
    for (const frame of frames) expect(pair.disagreement(frame)).toBe("");
    expect(pair.fallbacks).toBeLessThanOrEqual(2);
  });

  test.skipIf(skip)("come to the same with a sign of their form doubled or left out", () => {
    if (native === null) return;
    const { bySymbol, frames } = framesOf();
    const pair = pairOf(bySymbol, native);
    for (const frame of [...frames.slice(0, 12), ...frames.slice(LAST)]) {
      for (const { index, 0: sign } of frame.slice(0, 800).matchAll(/[,:"[\]{}]/g)) {
        for (const other of ["", sign + sign, `${sign},`, "}"]) {
          const damaged = frame.slice(0, index) + other + frame.slice(index + 1);
          const difference = pair.disagreement(damaged);
          if (difference !== "") throw new Error(`${difference}: ${damaged}`);
        }
      }
    }
  });

  test.skipIf(skip)("come to the same when they are damaged", () => {
    if (native === null) return;
    const { bySymbol, frames } = framesOf();
    const pair = pairOf(bySymbol, native, { maxEvents: 8, maxLevels: 200 });
    const mutator = new FrameMutator(new Rng(23));
    for (let round = 0; round < 4_000; round += 1) {
      const frame = mutator.mutate(frames[round % frames.length]);
      const difference = pair.disagreement(frame);
      if (difference !== "") throw new Error(`${difference}: ${frame}`);
    }
  });
});

test.skipIf(skip || recorded === null)(
  "recorded Coinbase frames come to the same, and none is left to JSON.parse",
  () => {
    if (native === null || recorded === null) return;
    const frames = recorded
      .map((line) => /^\d+\.\d+: (\{.*)$/.exec(line)?.[1] ?? "")
      .filter((text) => text !== "");
    const ids = [...new Set(frames.map((text): string => JSON.parse(text).product_id ?? ""))].filter(
      (id) => id !== "",
    );
    const bySymbol = listing(ids.map((id) => readProduct(coinbaseProduct(id, tickOf(id, frames)))));
    const pair = coinbasePair(bySymbol, native);
    for (const frame of frames) expect(pair.disagreement(frame)).toBe("");
    expect(pair.fallbacks).toBe(0);
  },
);

describe("RFC 3339 times", () => {
  test("are those of Date, with µs", () => {
    const ms = fc.integer({ min: 0, max: Date.UTC(2199, 11, 31) });
    fc.assert(
      fc.property(ms, fc.integer({ min: 0, max: 999 }), (time, micros) => {
        const text = `${new Date(time).toISOString().slice(0, -1)}${String(micros).padStart(3, "0")}Z`;
        expect(rfc3339Us(text)).toBe(time * 1_000 + micros);
      }),
      { seed: 4 },
    );
    expect(rfc3339Us("2024-02-29T23:59:59Z")).toBe(Date.UTC(2024, 1, 29, 23, 59, 59) * 1_000);
    expect(rfc3339Us("2024-01-01T00:00:00.123456789Z")).toBe(Date.UTC(2024, 0, 1) * 1_000 + 123_456);
  });

  test.each([
    "",
    "2024-13-01T00:00:00Z",
    "2024-01-01 00:00:00Z",
    "2024-01-01T24:00:00Z",
    "2024-01-01T00:00:00",
    "x",
    7,
  ])("%p is none", (value) => {
    expect(rfc3339Us(value)).toBeNaN();
  });
});

/** The finest step that a product's recorded prices of changed levels are on. */
function tickOf(id: string, frames: readonly string[]): string {
  const prices = frames
    .filter((text) => text.includes('"l2update"') && text.includes(`"${id}"`))
    .flatMap((text) => JSON.parse(text).changes.map(([, price]: readonly string[]) => price));
  const digits = Math.max(...prices.map((price) => (price.split(".")[1] ?? "").replace(/0+$/, "").length));
  return (10 ** -digits).toFixed(digits);
}
