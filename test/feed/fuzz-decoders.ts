/**
 * Fuzzes the native decoders: `bun run fuzz:decoders [SECONDS [SEED]]`, default 10 s and seed 1. Two ways at once: frames that are
 * nearly right to decoders built with AddressSanitizer and UndefinedBehaviorSanitizer, and the same kind of frames to native
 * and JSON decoders, which must give the same. Exit code 0 also where the compiler has no sanitizers, which is said.
 *
 * @module
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compileSanitized } from "../../ffi/compile.ts";
import { loadNative } from "../../src/core/native.ts";
import { Rng } from "../../src/core/rng.ts";
import { ListingTable } from "../../src/feed/native-decoder.ts";
import type { Instrument } from "../../src/market/instrument.ts";
import { bybitFrames, okxFrames } from "./channel-frames.ts";
import {
  binancePair,
  bitstampPair,
  bybitPair,
  coinbasePair,
  deribitPair,
  krakenPair,
  okxPair,
} from "./decoder-pair.ts";
import { FrameMutator } from "./frame-mutator.ts";
import { simulatedFrames } from "./simulated-frames.ts";
import { bitstampFrames, coinbaseFrames, krakenFrames } from "./spot-frames.ts";

const DECODER = {
  binance: 0,
  deribit: 1,
  depth: 2,
  bybit: 3,
  okx: 4,
  kraken: 5,
  coinbase: 6,
  bitstamp: 7,
} as const;
const SIMULATED_SECONDS = 2;
/** Frames between two looks at the clock, and in one turn of the event loop. */
const FRAMES_PER_LOOK = 500;

const seconds = Number(process.argv[2] ?? 10);
const seed = Number(process.argv[3] ?? 1);
if (!(seconds > 0) || !Number.isSafeInteger(seed) || seed < 0) {
  console.error("usage: bun run fuzz:decoders [SECONDS [SEED]]");
  process.exit(2);
}
const { binance, deribit } = simulatedFrames(seed, SIMULATED_SECONDS);
const bybit = bybitFrames();
const okx = okxFrames();
const kraken = krakenFrames();
const coinbase = coinbaseFrames();
const bitstamp = bitstampFrames();
const bySymbol = new Map(
  [binance, deribit, bybit, okx, kraken, coinbase, bitstamp].flatMap((venue) => [...venue.bySymbol]),
);

/** The file that `ffi/fuzz_decode.c` reads: three sizes, listings, slots; each frame after its decoder's number and its length. */
function seedFile(instruments: ReadonlyMap<string, Instrument>): Uint8Array {
  const table = new ListingTable(instruments);
  const frames = [
    ...binance.frames.map((text) => [DECODER.binance, text] as const),
    ...deribit.frames.map((text) => [DECODER.deribit, text] as const),
    ...bybit.frames.map((text) => [DECODER.bybit, text] as const),
    ...okx.frames.map((text) => [DECODER.okx, text] as const),
    ...kraken.frames.map((text) => [DECODER.kraken, text] as const),
    ...coinbase.frames.map((text) => [DECODER.coinbase, text] as const),
    ...bitstamp.frames.map((text) => [DECODER.bitstamp, text] as const),
    ...binance.snapshots.map((text) => [DECODER.depth, text] as const),
  ];
  const bytes = (array: ArrayBufferView): Buffer =>
    Buffer.from(array.buffer, array.byteOffset, array.byteLength);
  return Buffer.concat([
    bytes(Int32Array.of(table.count, table.slotCount, frames.length)),
    ...[table.listings, table.slots].map(({ buffer, byteOffset }, index) =>
      Buffer.from(buffer, byteOffset, index === 0 ? table.listingBytes : table.slotCount * 4),
    ),
    ...frames.flatMap(([decoder, text]) => [bytes(Int32Array.of(decoder, text.length)), Buffer.from(text)]),
  ]);
}

/** @returns the exit code. */
async function sanitized(folder: string): Promise<number> {
  const program = join(folder, "fuzz");
  try {
    await compileSanitized(program, "fuzz_decode.c");
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    if (!/option.*-fsanitize|cannot find.*(asan|ubsan)|no C compiler/.test(said)) throw error;
    console.warn(`native decoders not run under sanitizers: ${said}`);
    return 0;
  }
  const file = join(folder, "seeds");
  await Bun.write(file, seedFile(bySymbol));
  const child = Bun.spawn([program, String(seconds), String(seed), file], {
    stdout: "inherit",
    stderr: "inherit",
    // What it takes at its start it keeps to its end.
    env: { ...process.env, ASAN_OPTIONS: "detect_leaks=0" },
  });
  return child.exited;
}

/** @returns the exit code. */
async function compared(): Promise<number> {
  const { functions: native, missing } = await loadNative();
  if (native === null) {
    console.warn(`native decoders not compared: ${missing}`);
    return 0;
  }
  const ofBinance = binancePair(bySymbol, native);
  const pairs = [
    { pair: ofBinance, frames: binance.frames },
    { pair: deribitPair(bySymbol, native), frames: deribit.frames },
    { pair: bybitPair(bySymbol, native), frames: bybit.frames },
    { pair: okxPair(bySymbol, native), frames: okx.frames },
    { pair: krakenPair(bySymbol, native), frames: kraken.frames },
    { pair: coinbasePair(bySymbol, native), frames: coinbase.frames },
    { pair: bitstampPair(bySymbol, native), frames: bitstamp.frames },
  ];
  const rng = new Rng(seed);
  const mutator = new FrameMutator(rng);
  const untilMs = performance.now() + seconds * 1_000;
  let count = 0;
  while (performance.now() < untilMs) {
    for (let i = 0; i < FRAMES_PER_LOOK; i += 1) {
      const { pair, frames } = pairs[rng.int(pairs.length)];
      const frame = mutator.mutate(frames[rng.int(frames.length)]);
      const difference = pair.disagreement(frame);
      count += 1;
      if (difference === "") continue;
      console.error(`seed ${seed}: ${difference}: ${JSON.stringify(frame)}`);
      return 1;
    }
    await Bun.sleep(0);
  }
  console.log(
    `${count} frames come to the same natively and by JSON.parse, and ${ofBinance.heads} of them by their heads`,
  );
  return 0;
}

const folder = mkdtempSync(join(tmpdir(), "keel-fuzz-"));
try {
  const codes = await Promise.all([sanitized(folder), compared()]);
  process.exitCode = Math.max(...codes);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
