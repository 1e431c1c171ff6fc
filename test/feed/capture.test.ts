import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { BadInputError } from "../../src/core/errors.ts";
import { type CaptureEntry, CaptureReader, captureFiles } from "../../src/feed/capture.ts";
import { formatKeelHeader, formatKeelLine, parserFor } from "../../src/feed/capture-format.ts";
import { CaptureWriter } from "../../src/feed/capture-writer.ts";
import { sharedPath, skipUnlessShared } from "../support/shared-data.ts";

const DATA = sharedPath("data");
const folder = mkdtempSync(join(tmpdir(), "keel-capture-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let files = 0;
function file(content: string | Uint8Array): string {
  files += 1;
  const path = join(folder, `file-${files}.gz`);
  writeFileSync(path, content);
  return path;
}

async function all(reader: CaptureReader): Promise<CaptureEntry[]> {
  return Array.fromAsync(reader);
}

const BINANCE = [
  '1723161256172216500 {"stream":"btcusdt@trade","data":{}}',
  '1723161256609369250 {"lastUpdateId":1007198635033,"bids":[],"asks":[]}',
];
const SESSION = [
  'configuration: {"trades":[]}',
  "wss://www.deribit.com/ws/api/v2 <-> 1626993723.424371",
  'wss://www.deribit.com/ws/api/v2 <- 1626993723.7145221: {"id":0}',
  '1626993723.804318: {"jsonrpc":"2.0","id":0}',
  "https://www.deribit.com/api/v2/public/get_instruments?currency=BTC -> 1626993724.5: {}",
];

describe("layouts", () => {
  test("a Binance capture gives frames and snapshots with local times", async () => {
    const entries = await all(new CaptureReader(file(`${BINANCE.join("\n")}\n`)));
    expect(entries.map(({ kind, timeUs, text }) => [kind, timeUs, text])).toEqual([
      ["frame", 1_723_161_256_172_216.5, '{"stream":"btcusdt@trade","data":{}}'],
      ["snapshot", 1_723_161_256_609_369.2, '{"lastUpdateId":1007198635033,"bids":[],"asks":[]}'],
    ]);
  });

  test("a session file gives connects, sent and received frames and HTTP answers", async () => {
    const entries = await all(new CaptureReader(file(`${SESSION.join("\n")}\n`)));
    expect(entries.map(({ kind, timeUs, url, text }) => [kind, timeUs, url, text])).toEqual([
      ["connect", 1_626_993_723_424_371, "wss://www.deribit.com/ws/api/v2", ""],
      ["sent", 1_626_993_723_714_522, "wss://www.deribit.com/ws/api/v2", '{"id":0}'],
      ["frame", 1_626_993_723_804_318, "", '{"jsonrpc":"2.0","id":0}'],
      [
        "http",
        1_626_993_724_500_000,
        "https://www.deribit.com/api/v2/public/get_instruments?currency=BTC",
        "{}",
      ],
    ]);
  });

  test("gzip and plain text, promises and no promises give the same entries", async () => {
    const text = `${SESSION.join("\n")}\n`;
    const plain = new CaptureReader(file(text));
    const zipped = new CaptureReader(file(Bun.gzipSync(Buffer.from(text))));
    const expected = await all(plain);
    expect(await all(zipped)).toEqual(expected);
    expect([...plain.sync()]).toEqual(expected);
    expect([...zipped.sync()]).toEqual(expected);
  });

  test("any entry survives keel's own layout", () => {
    const entry = fc.record({
      kind: fc.constantFrom("frame", "sent", "disconnect", "http", "lost", "connect"),
      timeUs: fc.double({ min: 0, max: 4e15, noNaN: true }).map((time) => Math.round(time * 4) / 4),
      text: fc.string({ unit: "grapheme" }),
      url: fc.webUrl(),
      connection: fc.nat(1_000),
    });
    const parser = parserFor(formatKeelHeader({}).trimEnd(), "test");
    fc.assert(
      fc.property(entry, ({ kind, timeUs, text, url, connection }) => {
        const written: CaptureEntry = {
          kind,
          timeUs,
          text: kind === "connect" ? "" : text,
          url: kind === "connect" || kind === "http" ? url : "",
          connection,
          status: kind === "http" ? 404 : 0,
        };
        const line = formatKeelLine(written);
        expect(line.indexOf("\n")).toBe(line.length - 1);
        expect(parser.parse(line.slice(0, -1), "test")).toEqual(written);
      }),
      { seed: 1, numRuns: 200 },
    );
  });
});

describe("damage", () => {
  test("a line that is not of the layout is an error that names file and line", async () => {
    const path = file([BINANCE[0], "what is this", BINANCE[1], ""].join("\n"));
    const reading = all(new CaptureReader(path));
    await expect(reading).rejects.toThrow(BadInputError);
    await expect(reading).rejects.toThrow(`${path}:2: found "what is this"`);
  });

  test("with malformed: skip such a line is counted and the rest is read", async () => {
    const reader = new CaptureReader(file([BINANCE[0], "what is this", BINANCE[1], ""].join("\n")), {
      malformed: "skip",
    });
    expect(await all(reader)).toHaveLength(2);
    expect(reader.report).toMatchObject({ skipped: 1, entries: 2, truncated: null });
  });

  test("a file of another kind is refused", async () => {
    await expect(all(new CaptureReader(file("price,size\n1,2\n")))).rejects.toThrow(/found "price,size"/);
  });

  test("a missing file is refused", async () => {
    await expect(all(new CaptureReader(join(folder, "none.gz")))).rejects.toThrow(/no readable file/);
  });

  test("a last line cut short is reported and everything before it is read", async () => {
    const reader = new CaptureReader(file(`${BINANCE[0]}\n${BINANCE[1]?.slice(0, 40)}`));
    expect(await all(reader)).toHaveLength(1);
    expect(reader.report.truncated).toContain("line 2");
  });

  test("a last line without its newline is read when it is whole", async () => {
    const reader = new CaptureReader(file(BINANCE.join("\n")));
    expect(await all(reader)).toHaveLength(2);
    expect(reader.report.truncated).toBeNull();
  });

  test("a gzip file cut anywhere gives a prefix of the entries and says that it was cut", async () => {
    const lines = Array.from(
      { length: 400 },
      (_, i) => `${1723161256172216566n + BigInt(i)} {"i":${i * 7919}}`,
    );
    const whole = Bun.gzipSync(Buffer.from(`${lines.join("\n")}\n`));
    for (let cut = 30; cut < whole.length; cut += 97) {
      const reader = new CaptureReader(file(whole.subarray(0, cut)));
      const entries = await all(reader);
      expect(reader.report.truncated).not.toBeNull();
      expect(entries.map((entry) => entry.text)).toEqual(
        lines.slice(0, entries.length).map((line) => line.slice(20)),
      );
      expect([...reader.sync()].length).toBe(entries.length);
    }
  });
});

describe("writer", () => {
  const options = { directory: folder, maxFileBytes: 1 << 20, about: { venue: "deribit" } };
  const frame = (i: number, text: string): CaptureEntry => {
    return { kind: "frame", timeUs: 1_700_000_000_000_000 + i, text, url: "", connection: 0, status: 0 };
  };

  test("what was written is read back", async () => {
    const writer = new CaptureWriter({ ...options, name: "round" });
    const entries = Array.from({ length: 3_000 }, (_, i) =>
      frame(i, `{"i":${i},"pad":"${"é".repeat(i % 900)}"}`),
    );
    for (const entry of entries) writer.write(entry);
    await writer.close();
    expect(writer.counters).toMatchObject({ entries: 3_000, lost: 0 });
    expect(await all(new CaptureReader(writer.counters.files[0] ?? ""))).toEqual(entries);
  });

  test("files rotate by size and read in order as one capture", async () => {
    const directory = join(folder, "rotation");
    const writer = new CaptureWriter({ ...options, directory, name: "part", maxFileBytes: 2_000 });
    for (let i = 0; i < 60; i += 1) {
      writer.write(frame(i, Buffer.from(crypto.getRandomValues(new Uint8Array(300))).toString("hex")));
      writer.flush();
      await Bun.sleep(1);
    }
    await writer.close();
    const paths = captureFiles(directory);
    expect(paths.length).toBeGreaterThan(5);
    const read: CaptureEntry[] = [];
    for (const path of paths) read.push(...new CaptureReader(path).sync());
    expect(read.map((entry) => entry.timeUs - 1_700_000_000_000_000)).toEqual(
      Array.from({ length: 60 }, (_, i) => i),
    );
  });

  test("an entry larger than a chunk is kept", async () => {
    const writer = new CaptureWriter({ ...options, name: "large" });
    writer.write(frame(0, "x".repeat(3_000_000)));
    writer.write(frame(1, "y"));
    await writer.close();
    const texts = [...new CaptureReader(writer.counters.files[0] ?? "").sync()].map(
      (entry) => entry.text.length,
    );
    expect(texts).toEqual([3_000_000, 1]);
  });

  test("a writer that has fallen behind counts what it leaves out and says so in the file", async () => {
    const writer = new CaptureWriter({ ...options, name: "behind" });
    for (let i = 0; i < 40; i += 1) writer.write(frame(i, "z".repeat(1_000_000)));
    const { lost } = writer.counters;
    expect(lost).toBeGreaterThan(0);
    await writer.settle();
    writer.write(frame(99, "after"));
    await writer.close();
    const kinds = [...new CaptureReader(writer.counters.files[0] ?? "").sync()].slice(-2);
    expect(kinds.map(({ kind, text }) => [kind, text])).toEqual([
      ["lost", String(lost)],
      ["frame", "after"],
    ]);
  });
});

describe.skipIf(skipUnlessShared("data/binance", "data/ws"))("real captures", () => {
  const counts: readonly [string, string, number][] = [
    ["binance/spot-btcusdt-20240809.gz", "binance", 58_325],
    ["ws/DERIBIT.ws.1.0.gz", "session", 138],
    ["ws/DERIBIT.0.gz", "session", 4],
    ["ws/KRAKEN.ws.50.0.gz", "session", 4_323],
  ];
  for (const [name, format, entries] of counts) {
    test(name, async () => {
      const reader = new CaptureReader(join(DATA, name));
      let crc = 0;
      for await (const batch of reader.batches())
        for (const entry of batch) crc = Bun.hash.crc32(entry.text, crc);
      expect(reader.report).toMatchObject({ format, entries, skipped: 0, truncated: null });
      let again = 0;
      for (const entry of reader.sync()) again = Bun.hash.crc32(entry.text, again);
      expect(again).toBe(crc);
    });
  }
});
