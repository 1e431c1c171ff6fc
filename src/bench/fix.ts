import { stepToNumber } from "../core/decimal.ts";
import { Histogram } from "../core/histogram.ts";
import { Rng } from "../core/rng.ts";
import { MassQuoteEncoder } from "../gateway/fix/mass-quote.ts";
import { FixMessage } from "../gateway/fix/message.ts";
import { FixParser, PARSE } from "../gateway/fix/parser.ts";
import type { InstrumentTable } from "../market/instrument.ts";
import { QuoteBatch } from "../quote/quote-batch.ts";
import { Jspurefix, type PeerTimes, type QuoteObject, timeQuickFix } from "./fix-peers.ts";
import { timeRoundTrips } from "./fix-roundtrip.ts";
import { optionTable } from "./option-table.ts";
import { type BenchRatio, type BenchReport, type BenchRow, benchHost, ratioOf, rowOf } from "./report.ts";

export interface FixBenchOptions {
  readonly messages: number;
  readonly seed: number;
  /** Round trips over loopback. */
  readonly roundTrips: number;
  /** Peers are timed on one in so many groups; 0 = not at all. */
  readonly peersEvery: number;
  /** Compile QuickFIX C++ and time it too; takes some seconds. */
  readonly quickFix: boolean;
}

/** The clock is read once for this many messages: it costs about as much as a message. */
const GROUP = 16;
const INSTRUMENTS = 256;
const SLOT_BYTES = 1_024;

function row(name: string, perMessage: Histogram, n: number): BenchRow {
  const [p50 = 0, p99 = 0, p999 = 0] = [0.5, 0.99, 0.999].map((q) => perMessage.quantile(q) / GROUP);
  const perSecond = Math.round((1e9 / perMessage.mean) * GROUP);
  return { name, unit: "ns", n, p50, p99, p999, max: perMessage.max / GROUP, perSecond };
}

function quoteObject(table: InstrumentTable, batch: QuoteBatch, row: number): QuoteObject {
  const { symbol, base, tick, lot } = table.get(batch.instrument[row]);
  return {
    ...{ symbol, base, id: batch.quoteId[row] },
    bidPx: batch.bidTicks[row] * stepToNumber(tick),
    offerPx: batch.askTicks[row] * stepToNumber(tick),
    bidSize: batch.bidLots[row] * stepToNumber(lot),
    offerSize: batch.askLots[row] * stepToNumber(lot),
  };
}

/**
 * Times the encoding of one-entry MassQuotes and the parsing of the same bytes, in ns per message, beside jspurefix and QuickFIX
 * C++ where they are installed; then quote and acknowledgement over loopback beside a bare echo.
 *
 * Messages differ in instrument, prices (a random walk), sizes (each changes one time in three), ids and times. Percentiles are over groups of 16 messages.
 */
export async function runFixBench(options: FixBenchOptions): Promise<BenchReport> {
  const notes = [`percentiles are over groups of ${GROUP} messages`];
  const jspurefix = options.peersEvery > 0 ? await Jspurefix.load(notes) : null;
  const jspurefixTimes: PeerTimes = { encode: new Histogram(), parse: new Histogram() };
  const forQuickFix: string[] = [];
  const table = optionTable(INSTRUMENTS);
  const rng = new Rng(options.seed);
  const identity = { version: "4.4", senderCompId: "KEEL", targetCompId: "COUNTERPARTY" } as const;
  const encoder = new MassQuoteEncoder(identity, table);
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
    if (options.peersEvery > 0 && group % options.peersEvery === 0) {
      const messages = Array.from({ length: GROUP }, (_none, i) =>
        Buffer.from(stored.subarray(starts[i], ends[i])),
      );
      const quotes = messages.map((_message, i) => quoteObject(table, batch, first + i));
      jspurefix?.time(quotes, messages, group < 0 ? null : jspurefixTimes);
      if (group >= 0) forQuickFix.push(...messages.map((message) => message.toString("latin1")));
    }
    if (group < 0) continue;
    encode.record(encodeNs);
    parse.record(parseNs);
  }
  const rows = [row("fix/encode", encode, groups * GROUP), row("fix/parse", parse, groups * GROUP)];
  const ratios: BenchRatio[] = [];
  const beside = (peer: string, times: PeerTimes): void => {
    const n = times.encode.count * GROUP;
    const theirs = [row(`fix/${peer}/encode`, times.encode, n), row(`fix/${peer}/parse`, times.parse, n)];
    rows.push(...theirs);
    ratios.push(
      ratioOf(`fix/encode/${peer}:keel`, theirs[0], rows[0]),
      ratioOf(`fix/parse/${peer}:keel`, theirs[1], rows[1]),
    );
  };
  if (jspurefix !== null) beside("jspurefix", jspurefixTimes);
  const quickFixTimes = options.quickFix ? timeQuickFix(forQuickFix, GROUP, notes) : null;
  if (quickFixTimes !== null) beside("quickfix", quickFixTimes);
  if (options.roundTrips > 0) {
    const { fix, echo } = await timeRoundTrips(options.roundTrips);
    const trips = [rowOf("fix/roundtrip", fix, "us"), rowOf("fix/echo", echo, "us")];
    rows.push(...trips);
    ratios.push(
      ratioOf("fix/roundtrip:echo", trips[0], trips[1]),
      ratioOf("fix/roundtrip:echo/p99", trips[0], trips[1]),
    );
    notes.push(
      "the round trip is quote out, acknowledgement back; both ends share one thread, as the echo's do",
    );
  }
  return {
    bench: "fix",
    host: benchHost(),
    seed: options.seed,
    // Sum of all bytes encoded and all fields parsed.
    checksum: checksum.toString(16),
    input: `one-entry MassQuotes of ${messageBytes} bytes`,
    rows,
    ratios,
    notes,
  };
}
