import { Histogram } from "../core/histogram.ts";
import { Rng } from "../core/rng.ts";
import { MassQuoteEncoder } from "../gateway/fix/mass-quote.ts";
import { FixMessage } from "../gateway/fix/message.ts";
import { FixParser, PARSE } from "../gateway/fix/parser.ts";
import { InstrumentTable } from "../market/instrument.ts";
import { QuoteBatch } from "../quote/quote-batch.ts";
import { type BenchReport, type BenchRow, benchHost } from "./report.ts";

export interface FixBenchOptions {
  readonly messages: number;
  readonly seed: number;
}

/** The clock is read once for this many messages: it costs about as much as a message. */
const GROUP = 16;
const INSTRUMENTS = 256;
const SLOT_BYTES = 1_024;

function optionTable(): InstrumentTable {
  const table = new InstrumentTable(INSTRUMENTS);
  for (let i = 0; i < INSTRUMENTS; i += 1) {
    const call = i % 2 === 0;
    const strike = 40_000 + i * 500;
    table.add({
      venue: "deribit",
      symbol: `BTC-27DEC24-${strike}-${call ? "C" : "P"}`,
      kind: "option",
      base: "BTC",
      quote: "BTC",
      settle: "BTC",
      tick: { mantissa: 1, scale: 4 },
      tickSteps: [],
      lot: { mantissa: 1, scale: 1 },
      minSizeLots: 1,
      inverse: true,
      contractSize: 1,
      expiryMs: 1_735_286_400_000,
      strike,
      optionType: call ? "call" : "put",
    });
  }
  return table;
}

function row(name: string, perMessage: Histogram, n: number): BenchRow {
  const [p50 = 0, p99 = 0, p999 = 0] = [0.5, 0.99, 0.999].map((q) => perMessage.quantile(q) / GROUP);
  const perSecond = Math.round((1e9 / perMessage.mean) * GROUP);
  return { name, unit: "ns", n, p50, p99, p999, max: perMessage.max / GROUP, perSecond };
}

/**
 * Times the encoding of one-entry MassQuotes and the parsing of the same bytes, in ns per message.
 *
 * Messages differ in instrument, prices (a random walk), sizes (each changes one time in three), ids and times. Percentiles are over groups of 16 messages.
 */
export function runFixBench(options: FixBenchOptions): BenchReport {
  const rng = new Rng(options.seed);
  const identity = { version: "4.4", senderCompId: "KEEL", targetCompId: "COUNTERPARTY" } as const;
  const encoder = new MassQuoteEncoder(identity, optionTable());
  const batch = new QuoteBatch(INSTRUMENTS);
  batch.count = INSTRUMENTS;
  for (let i = 0; i < INSTRUMENTS; i += 1) {
    batch.instrument[i] = i;
    batch.bidTicks[i] = 1 + rng.int(3_000);
    batch.askTicks[i] = batch.bidTicks[i] + 1 + rng.int(20);
    batch.bidLots[i] = 1 + rng.int(500);
    batch.askLots[i] = 1 + rng.int(500);
  }
  const out = new Uint8Array(encoder.maxBytes);
  const stored = new Uint8Array(GROUP * SLOT_BYTES);
  const starts = new Int32Array(GROUP);
  const ends = new Int32Array(GROUP);
  const parser = new FixParser(1 << 16);
  const message = new FixMessage(256);
  const encode = new Histogram();
  const parse = new Histogram();
  let checksum = 0;
  let messageBytes = 0;
  let timeUs = 1_735_000_000_000_000;
  let seq = 1;

  const groups = Math.ceil(options.messages / GROUP);
  const warmUp = Math.min(2_000, groups);
  for (let group = -warmUp; group < groups; group += 1) {
    const first = (seq * 7) % (INSTRUMENTS - GROUP);
    for (let i = 0; i < GROUP; i += 1) {
      const row = first + i;
      batch.quoteId[row] = seq + i;
      batch.bidTicks[row] = Math.max(1, batch.bidTicks[row] + rng.int(5) - 2);
      batch.askTicks[row] = batch.bidTicks[row] + 1 + rng.int(20);
      if (rng.int(3) === 0) batch.bidLots[row] = 1 + rng.int(500);
      if (rng.int(3) === 0) batch.askLots[row] = 1 + rng.int(500);
    }
    const encodeStart = Bun.nanoseconds();
    for (let i = 0; i < GROUP; i += 1) {
      const length = encoder.encode(batch, first + i, 1, seq + i, timeUs + i * 37, out);
      checksum = (checksum + out[encoder.start + length - 2] + length) >>> 0;
    }
    const encodeNs = Bun.nanoseconds() - encodeStart;
    for (let i = 0; i < GROUP; i += 1) {
      const length = encoder.encode(batch, first + i, 1, seq + i, timeUs + i * 37, out);
      stored.set(out.subarray(encoder.start, encoder.start + length), i * SLOT_BYTES);
      starts[i] = i * SLOT_BYTES;
      ends[i] = i * SLOT_BYTES + length;
      messageBytes = length;
    }
    let complete = 0;
    const parseStart = Bun.nanoseconds();
    for (let i = 0; i < GROUP; i += 1) {
      if (parser.parse(stored, starts[i], ends[i], message) === PARSE.complete) complete += message.count;
    }
    const parseNs = Bun.nanoseconds() - parseStart;
    checksum = (checksum + complete) >>> 0;
    seq += GROUP;
    timeUs += 900;
    if (group < 0) continue;
    encode.record(encodeNs);
    parse.record(parseNs);
  }
  return {
    bench: "fix",
    host: benchHost(),
    seed: options.seed,
    // Sum of all bytes encoded and all fields parsed.
    checksum: checksum.toString(16),
    input: `one-entry MassQuotes of ${messageBytes} bytes`,
    rows: [row("fix/encode", encode, groups * GROUP), row("fix/parse", parse, groups * GROUP)],
    ratios: [],
    notes: [`percentiles are over groups of ${GROUP} messages`],
  };
}
