import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { zstdDecompressSync } from "node:zlib";
import fc from "fast-check";
import { simulatedCapture } from "../../src/bench/input.ts";
import { urlVariable } from "../../src/config/variables.ts";
import { BadInputError } from "../../src/core/errors.ts";
import { Rng } from "../../src/core/rng.ts";
import { type CaptureEntry, CaptureReader, captureFiles } from "../../src/feed/capture.ts";
import { BLOCK_HEADER_BYTES, type BlockEntry, writeBlockHeader } from "../../src/feed/capture-block.ts";
import { BlockFile } from "../../src/feed/capture-block-file.ts";
import { formatKeelLine } from "../../src/feed/capture-format.ts";
import { CaptureWriter } from "../../src/feed/capture-writer.ts";
import { CaptureVenue } from "../../src/sim/capture-venue.ts";

const folder = mkdtempSync(join(tmpdir(), "keel-blocks-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const START_US = 1_700_000_000_000_000;
const SECOND_US = 1_000_000;
let files = 0;

function frame(i: number, text: string): CaptureEntry {
  return { kind: "frame", timeUs: START_US + i * SECOND_US, text, url: "", connection: 0, status: 0 };
}

/** Ten entries a block, an entry a second. */
async function written(
  count: number,
  maxFileMs?: number,
): Promise<{ directory: string; entries: CaptureEntry[] }> {
  files += 1;
  const directory = join(folder, String(files));
  const writer = new CaptureWriter({
    directory,
    name: "blocks",
    maxFileBytes: 1 << 30,
    ...(maxFileMs === undefined ? {} : { maxFileMs }),
    about: { venue: "deribit" },
  });
  const rng = new Rng(files);
  const entries = Array.from({ length: count }, (_, i) => frame(i, `{"i":${i},"random":${rng.next()}}`));
  for (const [i, entry] of entries.entries()) {
    writer.write(entry);
    if (i % 10 === 9) writer.flush();
  }
  await writer.close();
  expect(writer.counters).toMatchObject({ entries: count, lost: 0 });
  return { directory, entries };
}

function variant(bytes: Uint8Array): string {
  files += 1;
  const path = join(folder, `variant-${files}.zst`);
  writeFileSync(path, bytes);
  return path;
}

function scanned(path: string): BlockEntry[] {
  const file = new BlockFile(path);
  try {
    return file.scan();
  } finally {
    file.close();
  }
}

const { directory, entries } = await written(95);
const [whole] = captureFiles(directory);
const bytes = readFileSync(whole);

describe("a compressed capture", () => {
  test("is a zstd file with the plain layout's text", () => {
    const lines = zstdDecompressSync(bytes).toString("utf8").split("\n");
    expect(lines[0]).toStartWith('#keel-capture 1 {"venue":"deribit"');
    expect(lines.slice(1).join("\n")).toBe(entries.map(formatKeelLine).join(""));
  });

  test("gives the same with promises and without", async () => {
    const reader = new CaptureReader(whole);
    expect([...reader.sync()]).toEqual(entries);
    expect(await Array.fromAsync(reader)).toEqual(entries);
    expect(reader.report).toMatchObject({
      packing: "blocks",
      format: "keel",
      truncated: null,
      damagedBlocks: 0,
    });
  });

  test("has an index that its blocks' own descriptions equal", () => {
    const file = new BlockFile(whole);
    const index = file.index();
    expect(index).toEqual(file.scan());
    expect(index?.map((block) => block.entries)).toEqual([0, ...Array(9).fill(10), 5]);
    file.close();
  });

  test("is read from a time to a time, with the index and without it", () => {
    const fromUs = START_US + 33 * SECOND_US;
    const toUs = START_US + 57 * SECOND_US;
    const expected = entries.slice(33, 58);
    const indexed = new CaptureReader(whole, { fromUs, toUs });
    expect([...indexed.sync()]).toEqual(expected);
    expect(indexed.report.lines).toBe(1 + 30);
    const blocks = scanned(whole);
    const cut = new CaptureReader(variant(bytes.subarray(0, (blocks.at(-1)?.offset ?? 0) + 20)), {
      fromUs,
      toUs,
    });
    expect([...cut.sync()]).toEqual(expected);
    const plain = new CaptureReader(
      variant(Buffer.from(`#keel-capture 1 {}\n${entries.map(formatKeelLine).join("")}`)),
      {
        fromUs,
        toUs,
      },
    );
    expect([...plain.sync()]).toEqual(expected);
  });

  test("rotates by recorded time", async () => {
    const { directory: rotated, entries: all } = await written(100, 25_000);
    const parts = captureFiles(rotated);
    expect(parts.length).toBe(5);
    expect(parts.flatMap((path) => [...new CaptureReader(path).sync()])).toEqual(all);
  });

  test("compressed by another zstd tool it is read too", async () => {
    const text = Buffer.from(`#keel-capture 1 {}\n${entries.map(formatKeelLine).join("")}`);
    const path = variant(Bun.zstdCompressSync(text));
    const reader = new CaptureReader(path);
    expect(await Array.fromAsync(reader)).toEqual(entries);
    expect([...reader.sync()]).toEqual(entries);
    expect(reader.report.packing).toBe("zstd");
  });
});

describe("damage", () => {
  test("a file cut at any byte gives every whole block before it, and says that it was cut", () => {
    const blocks = scanned(whole);
    for (let cut = 16; cut < bytes.length; cut += 7) {
      const reader = new CaptureReader(variant(bytes.subarray(0, cut)));
      const read = [...reader.sync()];
      const ends = [...blocks.slice(1).map(({ offset }) => offset), Number.POSITIVE_INFINITY];
      const complete = ends.filter((end) => end <= cut).length;
      const count = blocks.slice(0, complete).reduce((sum, block) => sum + block.entries, 0);
      expect(read.length).toBeGreaterThanOrEqual(count);
      expect(read).toEqual(entries.slice(0, read.length));
      expect(reader.report.truncated).toMatch(/byte \d+: |no time index/);
    }
  });

  test("zeros in place of the end, as a loss of power leaves them, are a cut", () => {
    const at = scanned(whole).at(-2)?.offset ?? 0;
    const reader = new CaptureReader(variant(Buffer.concat([bytes.subarray(0, at), Buffer.alloc(5_000)])));
    expect([...reader.sync()]).toEqual(entries.slice(0, 80));
    expect(reader.report.truncated).toBe(`byte ${at}: zeros in place of a block`);
  });

  test("any flipped bit is an error that names the byte, a cut, or without effect; never another entry", () => {
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(7), (at, bit) => {
        const flipped = Buffer.from(bytes);
        flipped[at] ^= 1 << bit;
        const reader = new CaptureReader(variant(flipped));
        const read: CaptureEntry[] = [];
        try {
          for (const entry of reader.sync()) read.push(entry);
        } catch (error) {
          expect(error).toBeInstanceOf(BadInputError);
          expect(String(error)).toMatch(
            /byte \d+: found .*, expected |damaged zstd stream|expected a capture/,
          );
        }
        expect(read).toEqual(entries.slice(0, read.length));
      }),
      { seed: 1, numRuns: 300 },
    );
  });

  test("random bytes are an error or nothing, in bounded memory", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), fc.nat(2), async (noise, where) => {
        const blocks = scanned(whole);
        const keep = [16, blocks[3].offset, blocks[3].offset + BLOCK_HEADER_BYTES][where] ?? 0;
        const reader = new CaptureReader(variant(Buffer.concat([bytes.subarray(0, keep), noise])));
        const read: CaptureEntry[] = [];
        try {
          for await (const entry of reader) read.push(entry);
        } catch (error) {
          expect(error).toBeInstanceOf(BadInputError);
        }
        expect(read).toEqual(entries.slice(0, read.length));
      }),
      { seed: 2, numRuns: 150 },
    );
  });

  test("with malformed: skip a damaged block is counted and the others are read", () => {
    const [, , third] = scanned(whole);
    const broken = Buffer.from(bytes);
    broken[third.offset + BLOCK_HEADER_BYTES + 30] ^= 0xff;
    const path = variant(broken);
    expect(() => [...new CaptureReader(path).sync()]).toThrow(
      `byte ${third.offset + BLOCK_HEADER_BYTES}: found a block with CRC`,
    );
    const reader = new CaptureReader(path, { malformed: "skip" });
    expect([...reader.sync()]).toEqual([...entries.slice(0, 10), ...entries.slice(20)]);
    expect(reader.report.damagedBlocks).toBe(1);
  });

  test("a block that claims a huge length is refused by its description", () => {
    const header = writeBlockHeader({
      frameBytes: 0xffff_fff0,
      textBytes: 10,
      firstUs: START_US,
      lastUs: START_US,
      entries: 1,
      frames: 1,
      crc: 0,
    });
    expect(() => [...new CaptureReader(variant(header)).sync()]).toThrow(
      /byte 16: found a block of 4294967280 bytes, expected at most \d+/,
    );
  });

  test("a block that inflates to more than it says is refused without inflating it", () => {
    const bomb = Bun.zstdCompressSync(Buffer.alloc(64 * 1024 * 1024));
    const crc = Bun.hash.crc32(bomb);
    const info = {
      frameBytes: bomb.length,
      textBytes: 100,
      firstUs: 0,
      lastUs: 0,
      entries: 1,
      frames: 1,
      crc,
    };
    const path = variant(Buffer.concat([writeBlockHeader(info), bomb]));
    expect(() => [...new CaptureReader(path).sync()]).toThrow(
      `byte ${BLOCK_HEADER_BYTES}: found no zstd frame of that length, expected 100 bytes of text`,
    );
  });
});

test("a recording that is killed loses its last block at most", async () => {
  const capture = variant(Buffer.from(simulatedCapture(3, 30)));
  const served = await CaptureVenue.start({ capture, speed: 4 });
  const out = join(folder, "killed");
  try {
    const recording = Bun.spawn(
      ["bun", join(import.meta.dir, "../../src/main.ts"), "record", "--out", out, "--rotate-minutes", "0.03"],
      {
        env: {
          PATH: process.env.PATH ?? "",
          KEEL_FEEDS: `${served.venue}:BTCUSDT`,
          [urlVariable(served.venue)]: served.url,
        },
        stdout: "ignore",
        stderr: "ignore",
      },
    );
    const recorded = (): string[] => {
      try {
        return captureFiles(out);
      } catch {
        return [];
      }
    };
    const deadlineMs = performance.now() + 60_000;
    while (recorded().length < 3 && performance.now() < deadlineMs) await Bun.sleep(20);
    recording.kill("SIGKILL");
    await recording.exited;
    const killedUs = Date.now() * 1_000;
    const parts = recorded();
    expect(parts.length).toBeGreaterThanOrEqual(3);
    const readers = parts.map((path) => new CaptureReader(path));
    const texts: string[] = [];
    let lastUs = 0;
    for (const reader of readers) {
      for (const entry of reader.sync()) {
        lastUs = entry.timeUs;
        if (entry.kind === "frame" && entry.text.startsWith('{"stream"')) texts.push(entry.text);
        expect(entry.kind).not.toBe("lost");
      }
    }
    for (const reader of readers.slice(0, -1)) expect(reader.report.truncated).toBeNull();
    expect(killedUs - lastUs).toBeLessThan(10 * SECOND_US);
    const sent = [...new CaptureReader(capture).sync()].map(({ text }) => text);
    const first = sent.indexOf(texts[0] ?? "");
    expect(texts.length).toBeGreaterThan(100);
    expect(texts).toEqual(
      sent.filter((text) => text.startsWith('{"stream"')).slice(first, first + texts.length),
    );
  } finally {
    await served.stop();
  }
}, 120_000);
