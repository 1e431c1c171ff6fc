import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { packCapture } from "../../src/command/capture/pack.ts";
import { decodeCapture } from "../../src/command/capture/play.ts";
import { runCommandLine } from "../../src/command/cli.ts";
import { BadInputError, EXIT } from "../../src/core/errors.ts";
import { Rng } from "../../src/core/rng.ts";
import { type CaptureEntry, CaptureReader } from "../../src/feed/capture.ts";
import { BlockFile } from "../../src/feed/capture-block-file.ts";
import { formatKeelHeader, formatKeelLine } from "../../src/feed/capture-format.ts";
import { CaptureWriter } from "../../src/feed/capture-writer.ts";
import { EVENT, FEED_STATE } from "../../src/market/event-batch.ts";

const folder = mkdtempSync(join(tmpdir(), "keel-salvage-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const START_US = 1_700_000_000_000_000;
const PER_BLOCK = 10;
const ENTRIES = 80;
const rng = new Rng(3);
const entries = Array.from({ length: ENTRIES }, (_, i): CaptureEntry => {
  const text = `{"i":${i},"pad":"${Array.from({ length: 20 }, () => rng.uint32().toString(36)).join("")}"}`;
  return { kind: "frame", timeUs: START_US + i * 1_000, text, url: "", connection: 0, status: 0 };
});

let made = 0;
function fresh(extension: string): string {
  made += 1;
  return join(folder, `made-${made}${extension}`);
}

function variant(bytes: Uint8Array, extension: string): string {
  const path = fresh(extension);
  writeFileSync(path, bytes);
  return path;
}

async function packed(extension: string): Promise<Buffer> {
  const directory = join(folder, `series${extension}`);
  const file = `series${extension}`;
  const writer = new CaptureWriter({
    ...{
      directory,
      name: "series",
      file,
      maxFileBytes: Number.POSITIVE_INFINITY,
      about: { venue: "deribit" },
    },
  });
  for (const [i, entry] of entries.entries()) {
    writer.write(entry);
    if (i % PER_BLOCK === PER_BLOCK - 1) writer.flush();
  }
  await writer.close();
  return readFileSync(join(directory, file));
}

const plain = Buffer.from(formatKeelHeader({ venue: "deribit" }) + entries.map(formatKeelLine).join(""));
const originals = { ".zst": await packed(".zst"), ".gz": await packed(".gz"), ".log": plain };
const whole: CaptureEntry[] = entries;

async function salvaged(path: string) {
  const out = fresh(".log");
  const all = { fromUs: Number.NEGATIVE_INFINITY, toUs: Number.POSITIVE_INFINITY, instruments: [] };
  const { missing } = await packCapture([path], out, { ...all, salvage: true });
  const kept = [...new CaptureReader(out).sync()];
  return { missing: missing[0], kept, frames: kept.filter(({ kind }) => kind === "frame") };
}

function reads(path: string): CaptureEntry[] | string {
  try {
    return [...new CaptureReader(path).sync()];
  } catch (error) {
    if (error instanceof BadInputError) return error.message;
    throw error;
  }
}

/** Where the blocks of the packed original begin, and where the last one ends. */
function blocksIn(path: string): number[] {
  const file = new BlockFile(path);
  try {
    return file.scan().map(({ offset }) => offset);
  } finally {
    file.close();
  }
}

async function keel(...args: string[]) {
  const texts = { stdout: "", stderr: "" };
  const exitCode = await runCommandLine(args, {
    env: { KEEL_STATE_DIR: folder },
    stdout: { write: (text: string) => (texts.stdout += text) },
    stderr: { write: (text: string) => (texts.stderr += text) },
    shutdown: new AbortController().signal,
  });
  return { exitCode, ...texts };
}

describe("a damaged block", () => {
  const original = variant(originals[".zst"], ".zst");
  // The first block holds the header line alone, this one the third ten entries.
  const third = blocksIn(original)[3];

  test("is an error that names file, byte, what is there and what should be; with --salvage a counted hole", async () => {
    const bytes = Buffer.from(originals[".zst"]);
    bytes[third + 80] ^= 0xff;
    const path = variant(bytes, ".zst");
    const out = fresh(".zst");
    const refused = await keel("capture", "convert", path, "--out", out);
    expect([refused.exitCode, existsSync(out)]).toEqual([EXIT.badInputFile, false]);
    expect(refused.stderr).toMatch(
      new RegExp(`${path}: byte ${third + 56}: found a block with CRC [0-9a-f]+, expected CRC [0-9a-f]+`),
    );
    const done = await keel("capture", "convert", path, "--salvage", "--out", out);
    expect(done.exitCode).toBe(EXIT.ok);
    expect(done.stdout).toContain(`${path}: left out 0 damaged lines and 1 damaged blocks`);
    expect(done.stdout).toContain(`byte ${third + 56}: found a block with CRC`);
    const hole = { kind: "lost", text: String(PER_BLOCK), timeUs: whole[30].timeUs };
    expect(reads(out)).toEqual([...whole.slice(0, 20), expect.objectContaining(hole), ...whole.slice(30)]);
  });

  test("whose description is damaged as well is counted by the index", async () => {
    const bytes = Buffer.from(originals[".zst"]);
    bytes.fill(0x55, third, third + 60);
    const { kept, missing } = await salvaged(variant(bytes, ".zst"));
    expect(kept[20]).toMatchObject({ kind: "lost", text: String(PER_BLOCK) });
    expect(missing).toMatchObject({ blocks: 1, truncated: null });
  });

  test("is of unknown length where the index is gone too", async () => {
    const bytes = Buffer.from(originals[".zst"].subarray(0, -30));
    bytes.fill(0x55, third, third + 60);
    const { kept, missing } = await salvaged(variant(bytes, ".zst"));
    expect(kept[20]).toMatchObject({ kind: "lost", text: "?" });
    expect(missing?.truncated).toContain("no end");
  });

  test("at the beginning costs no entry", async () => {
    const bytes = Buffer.from(originals[".zst"]);
    bytes.fill(0, 0, 40);
    const path = variant(bytes, ".zst");
    expect(reads(path)).toContain("found");
    expect((await salvaged(path)).frames).toEqual(whole);
  });
});

describe("any damage", () => {
  /** Flips, overwrites, takes out or puts in some bytes. */
  const mutation = fc.record({
    at: fc.double({ min: 0, max: 0.999_999, noNaN: true }),
    bytes: fc.uint8Array({ minLength: 1, maxLength: 60 }),
    how: fc.constantFrom("overwrite", "insert", "remove", "cut"),
  });
  type Mutation = { at: number; bytes: Uint8Array; how: string };

  function mutated(bytes: Buffer, { at, bytes: other, how }: Mutation): Buffer {
    const offset = Math.floor(at * bytes.length);
    const [before, after] = [bytes.subarray(0, offset), bytes.subarray(offset)];
    if (how === "cut") return Buffer.from(before);
    if (how === "insert") return Buffer.concat([before, other, after]);
    if (how === "remove") return Buffer.concat([before, after.subarray(other.length)]);
    return Buffer.concat([before, other.subarray(0, after.length), after.subarray(other.length)]);
  }

  test.each([".zst", ".gz"] as const)(
    "of a %s file: what is kept is the original's in its order, all blocks but those that were hit, with a mark at each hole",
    async (extension) => {
      const original = originals[extension];
      await fc.assert(
        fc.asyncProperty(fc.array(mutation, { minLength: 1, maxLength: 3 }), async (mutations) => {
          const path = variant(mutations.reduce(mutated, original), extension);
          let found: Awaited<ReturnType<typeof salvaged>>;
          try {
            found = await salvaged(path);
          } catch (error) {
            // Nothing sound is left, or it does not even begin like a capture.
            expect(error).toBeInstanceOf(BadInputError);
            rmSync(path);
            return;
          }
          const { frames, kept, missing } = found;
          let from = 0;
          for (const frame of frames) {
            const at = whole.findIndex(({ text }, i) => i >= from && text === frame.text);
            expect(at).toBeGreaterThanOrEqual(0);
            expect(frame).toEqual(whole[at]);
            from = at + 1;
          }
          const hits = mutations.length;
          const isCut = mutations.some(({ how }) => how === "cut");
          // A hit touches at most two neighbouring blocks.
          if (!isCut) expect(frames.length).toBeGreaterThanOrEqual(ENTRIES - 2 * hits * PER_BLOCK);
          for (const [i, { kind }] of kept.entries()) {
            const [before, after] = [kept[i - 1], kept[i]];
            if (i === 0 || kind === "lost" || before?.kind === "lost") continue;
            expect(after.timeUs - (before?.timeUs ?? 0)).toBe(1_000);
          }
          if (frames.length < ENTRIES) expect(missing).toBeDefined();
          rmSync(path);
        }),
        { seed: 7, numRuns: 120 },
      );
    },
    60_000,
  );

  test("of a plain file: lines that were not hit are all kept", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(mutation, { minLength: 1, maxLength: 3 }), async (mutations) => {
        const path = variant(mutations.reduce(mutated, plain), ".log");
        const text = readFileSync(path, "latin1");
        const sound = whole.filter((entry) => text.includes(`\n${formatKeelLine(entry)}`));
        const found = await salvaged(path).catch((error: unknown) => {
          expect(error).toBeInstanceOf(BadInputError);
          return null;
        });
        if (found !== null) expect(found.kept).toEqual(expect.arrayContaining(sound));
        rmSync(path);
      }),
      { seed: 8, numRuns: 120 },
    );
  }, 60_000);

  test("of a gzip stream that is one piece is an error, never a shorter recording", async () => {
    const bytes = Buffer.from(Bun.gzipSync(plain));
    bytes[bytes.length >> 1] ^= 0xff;
    const path = variant(bytes, ".gz");
    const out = fresh(".zst");
    const { exitCode, stderr } = await keel("capture", "convert", path, "--out", out);
    expect([exitCode, existsSync(out)]).toEqual([EXIT.badInputFile, false]);
    expect(stderr).toMatch(
      /after line \d+: found a damaged gzip stream \(Z_DATA_ERROR\), expected gzip data/,
    );
  });
});

test("an end that is missing is told, and marked where another part follows", async () => {
  const [first, second] = [fresh(".log"), fresh(".log")];
  const half = plain.indexOf(formatKeelLine(whole[40]));
  writeFileSync(first, plain.subarray(0, half + 20));
  writeFileSync(
    second,
    formatKeelHeader({ venue: "deribit" }) + whole.slice(41).map(formatKeelLine).join(""),
  );
  const out = fresh(".zst");
  const { exitCode, stdout } = await keel("capture", "convert", first, second, "--out", out);
  expect([exitCode, stdout]).toEqual([
    EXIT.ok,
    expect.stringContaining(`${first}: the end is missing: line`),
  ]);
  const lost = { kind: "lost", text: "?", timeUs: whole[39].timeUs };
  expect(reads(out)).toEqual([...whole.slice(0, 40), expect.objectContaining(lost), ...whole.slice(41)]);
});

test("salvage and Parquet are two steps", async () => {
  const path = variant(plain, ".log");
  const { exitCode, stderr } = await keel(
    "capture",
    "convert",
    path,
    "--salvage",
    "--parquet",
    "--out",
    folder,
  );
  expect([exitCode, stderr]).toEqual([
    EXIT.badConfiguration,
    expect.stringContaining("--salvage makes a capture"),
  ]);
});

test("a book that has no sequence numbers is not gone on with behind a hole", async () => {
  const product =
    '{"id":"BTC-USD","base_currency":"BTC","quote_currency":"USD","quote_increment":"0.01","base_increment":"0.00000001"}';
  const update = (changes: string) =>
    `{"type":"l2update","product_id":"BTC-USD","changes":[${changes}],"time":"2023-11-14T22:13:20.000000Z"}`;
  const snapshot =
    '{"type":"snapshot","product_id":"BTC-USD","bids":[["100.00","1"]],"asks":[["101.00","1"]],"time":"2023-11-14T22:13:20.000000Z"}';
  const url = "https://api.exchange.coinbase.com/products/BTC-USD";
  const at = (i: number, kind: CaptureEntry["kind"], text: string, more: Partial<CaptureEntry> = {}) =>
    formatKeelLine({
      kind,
      timeUs: START_US + i * 100_000,
      text,
      url: "",
      connection: 0,
      status: 0,
      ...more,
    });
  const lines = [
    formatKeelHeader({ venue: "coinbase", subscriptions: ["BTC-USD"] }),
    at(0, "http", product, { url, status: 200 }),
    at(1, "connect", "", { url: "wss://ws-feed.exchange.coinbase.com" }),
    at(2, "frame", snapshot),
    at(3, "frame", update('["buy","100.50","2"]')),
    at(4, "lost", "3"),
    at(9, "frame", update('["buy","100.60","2"]')),
    at(10, "frame", update('["buy","100.70","2"]')),
    at(11, "frame", snapshot),
    at(12, "frame", update('["buy","100.80","2"]')),
  ];
  const seen: string[] = [];
  const { feed } = await decodeCapture([variant(Buffer.from(lines.join("")), ".log")], (events) => {
    for (let row = 0; row < events.count; row += 1) {
      const kind = events.kind[row];
      if (kind === EVENT.bookSnapshot) seen.push("snapshot");
      if (kind === EVENT.bookDelta) seen.push("delta");
      if (kind === EVENT.status && events.code[row] === FEED_STATE.unsound) seen.push("unsound");
    }
  });
  expect(seen).toEqual(["snapshot", "delta", "unsound", "snapshot", "delta"]);
  expect(feed.counters.reconnects).toBe(1);
});

test("nothing is left behind where nothing is sound", async () => {
  const before = readdirSync(folder).length;
  const path = variant(Buffer.alloc(5_000, 0x41), ".log");
  const out = fresh(".zst");
  const { exitCode } = await keel("capture", "convert", path, "--salvage", "--out", out);
  expect([exitCode, readdirSync(folder).length]).toEqual([EXIT.badInputFile, before + 1]);
});
