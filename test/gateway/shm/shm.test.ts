import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findCompiler } from "../../../ffi/compile.ts";
import { HEADER, WRITER_STATE } from "../../../src/gateway/shm/layout.ts";
import { ShmReader } from "../../../src/gateway/shm/reader.ts";
import { ShmWriter } from "../../../src/gateway/shm/writer.ts";
import { InstrumentTable } from "../../../src/market/instrument.ts";
import { QuoteBatch } from "../../../src/quote/quote-batch.ts";

const HEADS = ["down50", "down100", "up50"];
const HAMMER_MS = 400;

let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "keel-shm-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function instruments(): InstrumentTable {
  const table = new InstrumentTable(8);
  for (const [symbol, unit] of [
    ["ONE", 1],
    ["HALF", 5],
  ] as const) {
    table.add({
      venue: "deribit",
      symbol,
      kind: "perpetual",
      base: "BTC",
      quote: "USD",
      settle: "BTC",
      tick: { mantissa: unit, scale: unit === 1 ? 0 : 1 },
      tickSteps: [],
      lot: { mantissa: 1, scale: 0 },
      minSizeLots: 1,
      inverse: false,
      contractSize: 1,
      expiryMs: Number.POSITIVE_INFINITY,
      strike: Number.NaN,
      optionType: null,
    });
  }
  return table;
}

function writer(ringCapacity = 64, where = directory): ShmWriter {
  return new ShmWriter({
    name: "keel",
    directory: where,
    ringCapacity,
    desk: {
      instruments: instruments(),
      underlyings: { size: 2, base: (underlying) => ["BTC", "ETH"][underlying] ?? "" },
      underlyingCapacity: 4,
      model: { name: "test-model", schemaHash: "0123456789abcdef", heads: HEADS },
    },
  });
}

/** A quote whose every field follows from its id. */
function quoteOf(id: number, instrument = 0, bidLots = id): QuoteBatch {
  const batch = new QuoteBatch(1);
  batch.count = 1;
  batch.instrument[0] = instrument;
  batch.quoteId[0] = id;
  batch.bidTicks[0] = id;
  batch.askTicks[0] = id + 1;
  batch.bidLots[0] = bidLots;
  batch.askLots[0] = id;
  batch.fair[0] = id;
  batch.widenBp[0] = id;
  batch.sizeFactor[0] = id;
  batch.reasons[0] = id;
  return batch;
}

describe("shared memory", () => {
  test("shows a reader what the desk is and what it quotes, in price and size units", () => {
    const shm = writer();
    const reader = new ShmReader("keel", directory);
    shm.onQuotes(quoteOf(6, 1, 0), 1_000);
    expect(reader.state).toBe("running");
    expect(reader.model).toBe("test-model");
    expect(reader.schemaHash).toBe("0123456789abcdef");
    expect(reader.headNames).toEqual(HEADS);
    expect(reader.instruments).toEqual(["deribit:ONE", "deribit:HALF"]);
    expect(reader.quote(0)).toBeNull();
    expect(reader.quote(99)).toBeNull();
    expect(reader.quote(1)).toEqual({
      kind: "quote",
      instrument: 1,
      timeUs: 1_000,
      quoteId: 6,
      bidPrice: Number.NaN,
      askPrice: 3.5,
      bidSize: 0,
      askSize: 6,
      fair: 6,
      widenBp: 6,
      sizeFactor: 6,
      reasons: 6,
    });
    reader.close();
  });

  test("carries predictions with NaN where there is none", () => {
    const shm = writer();
    const reader = new ShmReader("keel", directory);
    shm.onPrediction(1, Float32Array.of(9, Number.NaN, Number.NaN, Number.NaN), 1, 3, 128, 5);
    const none = reader.prediction(1);
    expect(none?.probabilities).toEqual([Number.NaN, Number.NaN, Number.NaN]);
    expect(none?.status).toBe(128);
    shm.onPrediction(1, Float32Array.of(0.25, 0.5, 0.75), 0, 3, 0, 6);
    expect(reader.prediction(1)).toEqual({
      kind: "prediction",
      underlying: 1,
      timeUs: 6,
      status: 0,
      probabilities: [0.25, 0.5, 0.75],
    });
    expect(reader.underlyings).toEqual(["BTC", "ETH"]);
    expect(reader.prediction(0)).toBeNull();
    reader.close();
  });

  test("gives every update in order, and counts what a slow reader lost", () => {
    const shm = writer(16);
    const reader = new ShmReader("keel", directory);
    shm.onQuotes(quoteOf(1), 1);
    shm.onPrediction(0, Float32Array.of(0.1, 0.2, 0.3), 0, 3, 0, 2);
    shm.onCancelAll(3);
    expect(
      [reader.next(), reader.next(), reader.next(), reader.next()].map((update) => update?.kind),
    ).toEqual(["quote", "prediction", "cancelAll", undefined]);
    for (let id = 1; id <= 40; id += 1) shm.onQuotes(quoteOf(id), id);
    const seen: number[] = [];
    for (let update = reader.next(); update !== null; update = reader.next()) seen.push(update.timeUs);
    expect(reader.lost).toBe(32);
    expect(seen).toEqual([33, 34, 35, 36, 37, 38, 39, 40]);
    reader.close();
  });

  test("shows no quote as standing after all were cancelled", () => {
    const shm = writer();
    const reader = new ShmReader("keel", directory);
    shm.onQuotes(quoteOf(7), 1);
    shm.onCancelAll(2);
    expect(reader.quote(0)).toMatchObject({ timeUs: 2, bidSize: 0, askSize: 0, bidPrice: Number.NaN });
    reader.close();
  });

  test("says that the writer lives, and that it has stopped", () => {
    const shm = writer();
    const reader = new ShmReader("keel", directory);
    shm.onTimer(123_456);
    expect(reader.heartbeatUs).toBe(123_456);
    shm.close();
    expect(reader.state).toBe("stopped");
    reader.close();
  });

  test("lets only its owner write and only its group read", () => {
    writer();
    expect(statSync(join(directory, "keel")).mode & 0o777).toBe(0o640);
  });

  test("refuses a name that a living process writes under, takes it when that was killed", async () => {
    const source = `import { FileLock } from ${JSON.stringify(join(import.meta.dir, "../../../src/core/file-lock.ts"))};
      globalThis.lock = FileLock.take(process.argv[1], () => String(process.pid));
      console.log("held");
      setInterval(() => {}, 1_000);`;
    const holder = Bun.spawn([process.execPath, "-e", source, join(directory, "keel.lock")], {
      stdout: "pipe",
    });
    expect((await linesOf(holder.stdout).next()).value).toBe("held");
    expect(() => writer()).toThrow(`shared memory keel is written by process ${holder.pid}`);
    holder.kill("SIGKILL");
    await holder.exited;
    writer();
    expect(new ShmReader("keel", directory).state).toBe("running");
  });

  test("one desk at a time writes under a name, in this process too", () => {
    const shm = writer();
    expect(() => writer()).toThrow("shared memory keel is written by process");
    shm.close();
    writer().close();
    expect(readdirSync(directory)).toEqual(["keel"]);
  });

  test("takes what a dead process left, though another has its number by now, and what it did not finish", () => {
    const header = new Uint8Array(256);
    header.set(Buffer.from("KEELSHM1"));
    const view = new DataView(header.buffer);
    view.setUint32(HEADER.state, WRITER_STATE.running, true);
    view.setUint32(HEADER.pid, process.ppid, true);
    writeFileSync(join(directory, "keel"), header);
    writeFileSync(join(directory, "keel.new"), "half");
    writeFileSync(join(directory, "keel.lock"), `${process.ppid}\n`);
    writer().close();
    expect(readdirSync(directory)).toEqual(["keel"]);
    expect(new ShmReader("keel", directory).state).toBe("stopped");
  });

  test("keeps readers from the lock, and follows no link that stands in its place", () => {
    const shm = writer();
    expect(statSync(join(directory, "keel.lock")).mode & 0o777).toBe(0o600);
    shm.close();
    writeFileSync(join(directory, "victim"), "kept");
    symlinkSync(join(directory, "victim"), join(directory, "keel.lock"));
    expect(() => writer()).toThrow("cannot be made");
    expect(readFileSync(join(directory, "victim"), "utf8")).toBe("kept");
  });

  test("its memory is set aside before anything is written on the line", () => {
    writer(1 << 15);
    const { size, blocks } = statSync(join(directory, "keel"));
    expect(size).toBeGreaterThan(4 << 20);
    expect(blocks * 512).toBeGreaterThanOrEqual(size);
  });

  test("names the memory that is not to be had, and leaves nothing behind", () => {
    const small = join(directory, "small");
    mkdirSync(small);
    const mounted = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", small]);
    if (mounted.exitCode !== 0) {
      console.log("skipped: a full /dev/shm: no file system can be mounted here");
      return;
    }
    try {
      expect(() => writer(1 << 15, small)).toThrow(
        /shared memory keel of \d+ bytes cannot be made in .*small: /,
      );
      expect(readdirSync(small)).toEqual([]);
    } finally {
      Bun.spawnSync(["umount", small]);
    }
  });

  test("names the directory when the memory cannot be had", () => {
    rmSync(directory, { recursive: true });
    expect(() => writer()).toThrow(`cannot be made in ${directory}`);
  });

  test("a reader says what is missing and what it found", () => {
    expect(() => new ShmReader("none", directory)).toThrow("not there or not readable");
    writeFileSync(join(directory, "short"), "x");
    expect(() => new ShmReader("short", directory)).toThrow("found 1 bytes");
    writeFileSync(join(directory, "other"), new Uint8Array(4_096));
    expect(() => new ShmReader("other", directory)).toThrow("expected layout KEELSHM1 of version 1");
  });
});

describe("a reader that hammers the memory from another process", () => {
  const hammers = { TypeScript: [process.execPath, join(import.meta.dir, "hammer.ts")] };

  test.each(Object.entries(hammers))("in %s never sees a torn record", (_name, command) => hammered(command));

  const compiler = findCompiler();
  if (compiler === null) console.log("skip: no C compiler, the reader in C is not tried");
  test.skipIf(compiler === null)("in C never sees a torn record", async () => {
    const program = join(directory, "hammer");
    const source = join(import.meta.dir, "hammer.c");
    const compiled = Bun.spawnSync([
      compiler ?? "cc",
      ...["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-o", program, source],
    ]);
    expect(compiled.stderr.toString()).toBe("");
    chmodSync(program, 0o755);
    await hammered([program]);
  });

  test.skipIf(compiler === null)("the sample reader prints what happens until the desk stops", async () => {
    const program = join(directory, "tail");
    const source = join(import.meta.dir, "../../../ffi/include/keel_shm_tail.c");
    const compiled = Bun.spawnSync([
      compiler ?? "cc",
      ...["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-o", program, source],
    ]);
    expect(compiled.stderr.toString()).toBe("");
    const shm = writer();
    const reader = Bun.spawn([program, join(directory, "keel")], { stdout: "pipe", stderr: "pipe" });
    expect((await linesOf(reader.stderr).next()).value).toBe("reading from test-model");
    shm.onQuotes(quoteOf(3, 1), 17);
    shm.onPrediction(0, Float32Array.of(0.5, 0.25, 0.125), 0, 3, 0, 18);
    shm.onCancelAll(19);
    shm.close();
    expect(await reader.stdout.text()).toBe(
      "17 quote deribit:HALF 3 x 1.5 / 2 x 3\n" +
        "18 prediction BTC status 0 down50 0.5000 down100 0.2500 up50 0.1250\n" +
        "19 cancel all\n",
    );
  });
});

async function hammered(command: readonly string[]): Promise<void> {
  const shm = writer(1_024);
  const reader = Bun.spawn([...command, join(directory, "keel")], { stdout: "pipe" });
  const lines = linesOf(reader.stdout);
  await lines.next();
  const until = performance.now() + HAMMER_MS;
  for (let id = 1; performance.now() < until; id += 1) shm.onQuotes(quoteOf(id), id);
  shm.close();
  const counts = JSON.parse((await lines.next()).value ?? "") as Record<string, number>;
  expect(counts).toMatchObject({ torn: 0, unordered: 0 });
  expect(counts.reads).toBeGreaterThan(100);
  expect(counts.updates).toBeGreaterThan(100);
}

async function* linesOf(stream: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string, string> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
  return rest;
}
