import { afterAll, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { asyncBufferFromFile, parquetReadObjects } from "hyparquet";
import { simulatedCapture } from "../../src/bench/input.ts";
import { describesInstruments, mentions } from "../../src/command/capture/instrument-text.ts";
import { decodeCapture } from "../../src/command/capture/play.ts";
import { runCommandLine } from "../../src/command/cli.ts";
import { EXIT } from "../../src/core/errors.ts";
import { CaptureReader } from "../../src/feed/capture.ts";
import { EVENT } from "../../src/market/event-batch.ts";
import { CaptureVenue } from "../../src/sim/capture-venue.ts";
import { sharedPath, skipUnless, skipUnlessShared } from "../support/shared-data.ts";

const folder = mkdtempSync(join(tmpdir(), "keel-capture-verb-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const original = join(folder, "original.log");
writeFileSync(original, simulatedCapture(5, 12));

let made = 0;
function fresh(extension: string): string {
  made += 1;
  return join(folder, `made-${made}${extension}`);
}

async function keel(...args: string[]) {
  const texts = { stdout: "", stderr: "" };
  const exitCode = await runCommandLine([...args, "--json"], {
    env: { KEEL_STATE_DIR: folder },
    stdout: { write: (text: string) => (texts.stdout += text) },
    stderr: { write: (text: string) => (texts.stderr += text) },
    shutdown: new AbortController().signal,
  });
  const result: unknown = JSON.parse(texts.stdout.trimEnd().split("\n").at(-1) ?? "null");
  return { exitCode, result: result as Record<string, unknown>, ...texts };
}

function entries(path: string) {
  return [...new CaptureReader(path).sync()];
}

describe("info", () => {
  test("tells venue, instruments, times, frames and gaps", async () => {
    const { exitCode, result } = await keel("capture", "info", original);
    expect(exitCode).toBe(EXIT.ok);
    const all = entries(original);
    expect(result.files).toMatchObject([
      {
        file: original,
        packing: "plain",
        format: "binance",
        entries: all.length,
        frames: all.length - 1,
        httpAnswers: 1,
        lost: 0,
        firstUs: all[0]?.timeUs,
        lastUs: all.at(-1)?.timeUs,
        truncated: null,
      },
    ]);
    expect(result.decoded).toMatchObject({
      venue: "binance-usdm",
      instruments: [{ symbol: "BTCUSDT", bookSnapshots: 1 }],
      gaps: 0,
      unparsable: 0,
      problem: "",
    });
  });

  test("counts a gap", async () => {
    const lines = readFileSync(original, "utf8").split("\n");
    const depth = lines.flatMap((line, i) => (line.includes("@depth") ? [i] : []));
    lines.splice(depth[depth.length >> 1] ?? 0, 1);
    const path = fresh(".log");
    writeFileSync(path, lines.join("\n"));
    expect((await keel("capture", "info", path)).result.decoded).toMatchObject({ gaps: 1 });
  });

  test("tells damage and that the end is missing", async () => {
    const path = fresh(".zst");
    await keel("capture", "convert", original, "--out", path);
    const bytes = readFileSync(path);
    bytes[bytes.length >> 1] ^= 0xff;
    writeFileSync(path, bytes.subarray(0, -4));
    const { exitCode, result } = await keel("capture", "info", path, "--raw");
    expect(exitCode).toBe(EXIT.failed);
    expect(result.files).toMatchObject([
      { damagedBlocks: 1, truncated: expect.stringContaining("time index") },
    ]);
  });
});

describe("convert", () => {
  test.each([".zst", ".gz", ".log"])("to %s and back loses nothing", async (extension) => {
    const there = fresh(extension);
    const back = fresh(".log");
    expect((await keel("capture", "convert", original, "--out", there)).exitCode).toBe(EXIT.ok);
    expect((await keel("capture", "convert", there, "--out", back)).exitCode).toBe(EXIT.ok);
    expect(entries(there)).toEqual(entries(original));
    expect(entries(back)).toEqual(entries(original));
  });

  test("overwrites nothing and refuses what is no capture", async () => {
    const taken = fresh(".zst");
    writeFileSync(taken, "mine");
    const { exitCode, stderr } = await keel("capture", "convert", original, "--out", taken);
    expect([exitCode, stderr]).toEqual([EXIT.badInputFile, expect.stringContaining("EEXIST")]);
    expect(readFileSync(taken, "utf8")).toBe("mine");
    expect((await keel("capture", "convert", taken, "--out", fresh(".log"))).exitCode).toBe(
      EXIT.badInputFile,
    );
  });
});

describe("cut", () => {
  test("keeps what lies between two times and what is needed before it", async () => {
    const all = entries(original);
    const startUs = all[0]?.timeUs ?? 0;
    const path = fresh(".zst");
    const cut = await keel(
      "capture",
      "cut",
      original,
      "--from",
      "+4",
      "--to",
      `${startUs + 6e6}`,
      "--out",
      path,
    );
    expect(cut.exitCode).toBe(EXIT.ok);
    expect(entries(path)).toEqual(
      all.filter(({ timeUs }) => timeUs >= startUs + 4e6 && timeUs <= startUs + 6e6),
    );
    expect((await keel("capture", "info", path)).result.decoded).toMatchObject({
      gaps: 0,
      instruments: [{ symbol: "BTCUSDT" }],
    });
  });

  test("refuses an end before its beginning, and writes nothing", async () => {
    const path = fresh(".zst");
    const { exitCode } = await keel("capture", "cut", original, "--from", "+4", "--to", "+2", "--out", path);
    expect(exitCode).toBe(EXIT.badConfiguration);
    expect(existsSync(path)).toBe(false);
  });

  test("keeps what describes instruments in frames from before it", async () => {
    const path = fresh(".log");
    const pairs = [{ base: "BTC", quote: "USD", symbol: "BTC/USD", price_increment: 0.1, qty_precision: 8 }];
    const trade = (number: number) =>
      `{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","side":"buy","price":60000.1,"qty":0.5,"ord_type":"market","trade_id":${number},"timestamp":"2026-11-23T00:24:24.851077Z"}]}`;
    const texts = [
      '{"channel":"status","data":[{"system":"online"}],"type":"update"}',
      `{"channel":"instrument","type":"snapshot","data":{"assets":[],"pairs":[${JSON.stringify({ ...pairs[0], price_precision: 1, qty_min: 0.0001 })}]}}`,
      trade(1),
      trade(2),
    ];
    writeFileSync(
      path,
      `#keel-capture 1 {"venue":"kraken","subscriptions":["BTC/USD"],"startUs":1}\n1000000 + 0 ws://kraken\n${texts.map((text, second) => `${second + 1}000000 < 0 ${text}\n`).join("")}`,
    );
    const out = fresh(".zst");
    expect((await keel("capture", "cut", path, "--from", "+3", "--out", out)).exitCode).toBe(EXIT.ok);
    expect(entries(out).map(({ text }) => text)).toEqual(["", texts[1] ?? "", texts[3] ?? ""]);
    const { decoded } = (await keel("capture", "info", out)).result;
    expect(decoded).toMatchObject({ instruments: [{ symbol: "BTC/USD", trades: 1 }] });
    const answer = '{"jsonrpc":"2.0","id":1,"result":[{"instrument_name":"BTC-PERPETUAL","tick_size":0.5}]}';
    expect(describesInstruments(answer)).toBe(true);
    expect(describesInstruments('{"jsonrpc":"2.0","method":"heartbeat"}')).toBe(false);
  });

  test("leaves nothing behind when nothing is left or the recording is damaged", async () => {
    const out = fresh(".zst");
    for (const narrow of [
      ["--from", "+4000"],
      ["--instrument", "NOPE"],
    ]) {
      const cut = await keel("capture", "cut", original, ...narrow, "--out", out);
      expect(cut.stderr).toContain("no frame in what was asked for");
      expect([cut.exitCode, existsSync(out)]).toEqual([EXIT.badInputFile, false]);
    }
    const damaged = fresh(".zst");
    await keel("capture", "convert", original, "--out", damaged);
    const bytes = readFileSync(damaged);
    bytes[bytes.length >> 1] ^= 0xff;
    writeFileSync(damaged, bytes);
    for (const packed of [fresh(".zst"), fresh(".gz"), fresh(".log")]) {
      const { exitCode } = await keel("capture", "convert", damaged, "--out", packed);
      expect([exitCode, existsSync(packed)]).toEqual([EXIT.badInputFile, false]);
    }
    const tables = fresh("");
    mkdirSync(tables);
    writeFileSync(join(tables, "trade.parquet"), "mine");
    for (const recording of [damaged, original]) {
      const { exitCode } = await keel("capture", "convert", recording, "--parquet", "--out", tables);
      expect([exitCode, readdirSync(tables)]).toEqual([EXIT.badInputFile, ["trade.parquet"]]);
    }
    expect(readFileSync(join(tables, "trade.parquet"), "utf8")).toBe("mine");
  });

  test("by instrument keeps its frames and those of no instrument", async () => {
    const path = fresh(".log");
    const answer = '{"jsonrpc":"2.0","id":1,"result":"ok"}';
    const frame = (name: string) =>
      `{"jsonrpc":"2.0","method":"subscription","params":{"channel":"book.${name}.raw","data":{"instrument_name":"${name}"}}}`;
    const texts = [answer, frame("BTC-PERPETUAL"), frame("ETH-PERPETUAL"), frame("BTC-27DEC24")];
    writeFileSync(path, texts.map((text, i) => `${1723161256172216500n + BigInt(i)} ${text}\n`).join(""));
    const out = fresh(".log");
    await keel("capture", "cut", path, "--instrument", "BTC-PERPETUAL", "--out", out);
    expect(entries(out).map(({ text }) => text)).toEqual([answer, frame("BTC-PERPETUAL")]);
  });

  test("a symbol is found as a whole only, in any venue's spelling", () => {
    for (const [symbol, text, found] of [
      ["BTCUSDT", '{"stream":"btcusdt@depth@0ms"', true],
      ["BTCUSD", '{"stream":"btcusd_perp@depth"', false],
      ["btcusd", '{"channel":"diff_order_book_btcusd"', true],
      ["BTC-USDT", '{"instId":"BTC-USDT-SWAP"', false],
      ["BTC/USD", '{"symbol":"BTC\\/USD"', true],
      ["BTC-27DEC24", '"book.BTC-27DEC24-60000-C.raw"', false],
    ] as const) {
      expect([symbol, text, mentions(symbol)(text)]).toEqual([symbol, text, found]);
    }
  });

  test("needs a time it can read", async () => {
    const { exitCode, stderr } = await keel(
      "capture",
      "cut",
      original,
      "--from",
      "noon",
      "--out",
      fresh(".zst"),
    );
    expect([exitCode, stderr]).toEqual([EXIT.badConfiguration, expect.stringContaining('found "noon"')]);
  });
});

describe("Parquet", () => {
  const directory = fresh("");
  const exported = keel("capture", "convert", original, "--parquet", "--out", directory);

  async function table(name: string): Promise<Record<string, unknown>[]> {
    await exported;
    const file = await asyncBufferFromFile(join(directory, `${name}.parquet`));
    const { decompress } = { decompress: (input: Uint8Array) => Bun.zstdDecompressSync(input) };
    return parquetReadObjects({ file, compressors: { ZSTD: decompress } });
  }

  test("holds every event that the feed decodes, with its price and time", async () => {
    const kinds = new Map<number, number>();
    const trades: unknown[] = [];
    let levels = 0;
    await decodeCapture([original], (events, instruments, timeUs) => {
      for (let row = 0; row < events.count; row += 1) {
        const kind = events.kind[row];
        kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
        if (kind <= EVENT.bookDelta) levels += events.levelCount[row];
        if (kind !== EVENT.trade) continue;
        const { tick } = instruments.get(events.instrument[row]);
        const ticks = events.priceTicks[events.levelStart[row]];
        trades.push([Math.round(timeUs), (ticks * tick.mantissa) / 10 ** tick.scale]);
      }
    });
    const book = await table("book");
    expect(book.length).toBe(levels);
    expect(new Set(book.map(({ event }) => event)).size).toBe(
      (kinds.get(EVENT.bookSnapshot) ?? 0) + (kinds.get(EVENT.bookDelta) ?? 0),
    );
    expect((await table("top")).length).toBe(kinds.get(EVENT.top) ?? 0);
    expect((await table("ticker")).length).toBe(kinds.get(EVENT.ticker) ?? 0);
    expect((await table("status")).map(({ state }) => state)).toEqual(["snapshot", "live"]);
    const read = await table("trade");
    expect(
      read.map(({ local_time, price }) => [local_time instanceof Date ? local_time.getTime() : 0, price]),
    ).toEqual(
      trades.map((trade) => {
        const [timeUs, price] = trade as [number, number];
        return [Math.floor(timeUs / 1_000), price];
      }),
    );
    expect(read[0]).toMatchObject({
      venue: "binance-usdm",
      instrument: "BTCUSDT",
      side: expect.stringMatching(/buy|sell/),
    });
  });

  const arrow =
    Bun.spawnSync(["python3", "-c", "import pyarrow.parquet"], { stderr: "ignore" }).exitCode === 0;
  test.skipIf(skipUnless(arrow, "python3 has no pyarrow to read Parquet with"))(
    "is read by Arrow",
    async () => {
      const trades = await table("trade");
      const code =
        "import sys, pyarrow.parquet as q; t = q.read_table(sys.argv[1]); print(t.num_rows, t.schema.field('local_time').type)";
      const read = Bun.spawnSync(["python3", "-c", code, join(directory, "trade.parquet")]);
      expect(read.stdout.toString().trim()).toBe(`${trades.length} timestamp[us, tz=UTC]`);
    },
  );

  test("by time and instrument; nothing left is an error", async () => {
    const out = fresh("");
    const { result } = await keel("capture", "convert", original, "--parquet", "--out", out, "--from", "+6");
    const tables = result.tables as { table: string; rows: number }[];
    const rows = tables.find(({ table: name }) => name === "book")?.rows ?? 0;
    expect(rows).toBeGreaterThan(0);
    expect(rows).toBeLessThan((await table("book")).length);
    const none = await keel(
      "capture",
      "convert",
      original,
      "--parquet",
      "--out",
      fresh(""),
      "--instrument",
      "XRPUSDT",
    );
    expect(none.exitCode).toBe(EXIT.badInputFile);
  });
});

test("keel's own recording decodes by the HTTP answers in it, to what was decoded while recording", async () => {
  const served = await CaptureVenue.start({ capture: original, speed: "max" });
  const out = fresh("");
  const shutdown = new AbortController();
  let stdout = "";
  const recording = runCommandLine(["record", "--out", out, "--json"], {
    env: { KEEL_STATE_DIR: folder, KEEL_FEEDS: "binance-usdm:BTCUSDT", KEEL_URL_BINANCE_USDM: served.url },
    stdout: { write: (text: string) => (stdout += text) },
    stderr: { write: () => {} },
    shutdown: shutdown.signal,
  });
  await served.end();
  await Bun.sleep(200);
  shutdown.abort();
  expect(await recording).toBe(EXIT.ok);
  await served.stop();
  const [recorded] = (
    JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "") as { venues: Record<string, unknown>[] }
  ).venues;
  const { result, exitCode } = await keel("capture", "info", out);
  expect(exitCode).toBe(EXIT.ok);
  expect(result.files).toMatchObject([
    {
      packing: "blocks",
      format: "keel",
      entries: recorded?.entries,
      connects: 1,
      truncated: null,
      about: { venue: "binance-usdm" },
    },
  ]);
  expect(result.decoded).toMatchObject({
    venue: "binance-usdm",
    gaps: recorded?.gaps,
    instruments: [{ symbol: "BTCUSDT", bookSnapshots: 1 }],
    unparsable: 0,
    problem: "",
  });
}, 120_000);

test.skipIf(skipUnlessShared("data/ws/DERIBIT.ws.1.0.gz"))("a real Deribit session decodes", async () => {
  const { result } = await keel("capture", "info", sharedPath("data/ws/DERIBIT.ws.1.0.gz"));
  const { instruments } = result.decoded as { instruments: unknown[] };
  expect(instruments.length).toBe(10);
});
