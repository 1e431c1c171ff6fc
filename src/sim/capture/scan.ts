import { BadInputError } from "../../core/errors.ts";
import { BYBIT_VENUES } from "../../feed/bybit/venue.ts";
import { type CaptureEntry, CaptureReader } from "../../feed/capture.ts";
import { VENUES, type VenueName } from "../../market/instrument.ts";
import { isDepthStream, payloadOf, streamOf, symbolOf } from "./binance-text.ts";
import { asDepthSnapshot, asDepthUpdate } from "./depth-book.ts";
import { channelOf } from "./deribit-text.ts";
import { type CaptureDialect, type Decimals, type LevelText, NO_DECIMALS } from "./dialect.ts";
import { captureDialect } from "./dialects.ts";

/** Text looked at before serving begins; what comes after is taken to be of the same kind. */
const SCAN_BYTES_MAX = 256 * 1024 * 1024;

/** What a capture turns out to hold, found by one pass over it before it is served. */
export interface CaptureScan {
  readonly venue: VenueName;
  /** How the venue words what it sends; null for Binance and Deribit, whose protocols know by themselves. */
  readonly dialect: CaptureDialect | null;
  /** Streams (Binance) or channels with data. */
  readonly channels: ReadonlySet<string>;
  /** By symbol; not for Deribit. */
  readonly decimals: ReadonlyMap<string, Decimals>;
  /** Symbols (Binance) or channels whose book's REST snapshot is in the capture. */
  readonly snapshots: ReadonlySet<string>;
  /** Frames and REST answers of the capture that describe instruments. */
  readonly descriptions: readonly string[];
  readonly firstUs: number;
  readonly lastUs: number;
  readonly frames: number;
  /** Why the end of the capture is missing; null when it is whole. */
  readonly truncated: string | null;
}

/**
 * Looks through capture files (parts of one recording, in order).
 *
 * @throws BadInputError when a file is malformed, of a venue that is not served, or holds no market data.
 */
export async function scanCapture(files: readonly string[]): Promise<CaptureScan> {
  const scanner = new Scanner();
  let truncated: string | null = null;
  for (const file of files) {
    const reader = new CaptureReader(file);
    for await (const batch of reader.batches()) {
      scanner.isOf(venueNamed(reader.report.about), file);
      for (const entry of batch) scanner.look(entry);
      if (scanner.bytes > SCAN_BYTES_MAX) break;
    }
    if (reader.report.truncated !== null) truncated = `${file}: ${reader.report.truncated}`;
  }
  return scanner.result(files.join(", "), truncated);
}

/**
 * The snapshot in an entry: a bare one, or a recorded REST answer to a depth request.
 *
 * @returns its symbol, empty when neither the snapshot nor the address says it
 */
export function snapshotSymbol(entry: CaptureEntry): string | null {
  if (entry.kind === "snapshot") return /"symbol":"([A-Z0-9_]+)"/.exec(entry.text.slice(0, 200))?.[1] ?? "";
  if (entry.kind !== "http" || entry.status !== 200) return null;
  return /\/depth\?(?:\S*&)?symbol=([A-Z0-9_]+)/.exec(entry.url)?.[1] ?? null;
}

class Scanner {
  venue: VenueName | null = null;
  bytes = 0;
  readonly #channels = new Set<string>();
  readonly #decimals = new Map<string, Decimals>();
  readonly #snapshots = new Set<string>();
  readonly #bareSnapshots = new Set<string>();
  readonly #descriptions: string[] = [];
  #dialect: CaptureDialect | null = null;
  #firstUs = Number.NaN;
  #lastUs = Number.NaN;
  #frames = 0;

  /** The recorder said of which venue the file is. @throws BadInputError when a file before it was of another one. */
  isOf(venue: VenueName | null, file: string): void {
    if (venue === null || venue === this.venue) return;
    if (this.venue !== null)
      throw new BadInputError(file, `a recording of ${venue}`, `one of ${this.venue}, as before it`);
    this.#enter(venue);
  }

  look(entry: CaptureEntry): void {
    this.bytes += entry.text.length;
    if (entry.kind === "frame") this.#frame(entry);
    else if (entry.kind === "connect" && this.venue === null) this.#enter(venueAt(entry.url));
    else if (entry.kind === "snapshot" || entry.kind === "http") this.#answer(entry);
  }

  result(where: string, truncated: string | null): CaptureScan {
    const { venue } = this;
    if (venue === null || this.#channels.size === 0) {
      throw new BadInputError(
        where,
        "no market data of a venue that can be served",
        `frames of ${VENUES.join(", ")}`,
      );
    }
    const snapshots = new Set(this.#snapshots);
    if (this.#bareSnapshots.size > 0) {
      for (const channel of this.#channels) if (isDepthStream(channel)) snapshots.add(symbolOf(channel));
    }
    return {
      venue,
      dialect: this.#dialect,
      channels: this.#channels,
      decimals: this.#decimals,
      snapshots,
      descriptions: this.#descriptions,
      firstUs: this.#firstUs,
      lastUs: this.#lastUs,
      frames: this.#frames,
      truncated,
    };
  }

  #enter(venue: VenueName | null): void {
    this.venue = venue;
    this.#dialect = venue === null ? null : captureDialect(venue);
  }

  #frame({ text, timeUs }: CaptureEntry): void {
    if (this.#dialect !== null) {
      this.#dialectFrame(this.#dialect, text, timeUs);
      return;
    }
    const channel = channelOf(text);
    if (channel !== null) {
      this.venue ??= "deribit";
    } else if (text.includes('"instrument_name"') && text.includes('"result":[')) {
      this.#descriptions.push(text);
    }
    const stream = channel ?? streamOf(text);
    if (stream === null) return;
    this.#data(stream, timeUs);
    if (channel === null) this.#binance(stream, text);
  }

  #dialectFrame(dialect: CaptureDialect, text: string, timeUs: number): void {
    const channel = dialect.channelOf(text);
    if (channel === null) {
      if (dialect.describedIn(text).length > 0) this.#descriptions.push(text);
      return;
    }
    this.#data(channel, timeUs);
    if (dialect.isBook(channel)) this.#refine(dialect.symbolOf(channel), dialect.levelsOf(text));
  }

  #data(channel: string, timeUs: number): void {
    this.#channels.add(channel);
    this.#frames += 1;
    if (Number.isNaN(this.#firstUs)) this.#firstUs = timeUs;
    this.#lastUs = timeUs;
  }

  #binance(stream: string, text: string): void {
    const symbol = symbolOf(stream);
    if (isDepthStream(stream)) {
      const update = asDepthUpdate(parse(payloadOf(text)));
      if (update === null) return;
      if (text.includes('"ps":"')) this.venue ??= "binance-coinm";
      this.venue ??= update.pu === undefined ? "binance-spot" : "binance-usdm";
      this.#refine(symbol, update.b);
      this.#refine(symbol, update.a);
    } else if (stream.endsWith("@bookTicker")) {
      this.#refineText(symbol, text, /"[ba]":"([\d.]+)","[BA]":"([\d.]+)"/g);
    } else {
      this.#refineText(symbol, text, /"p":"([\d.]+)","q":"([\d.]+)"/g);
    }
  }

  #answer(entry: CaptureEntry): void {
    if (this.#dialect !== null) {
      this.#dialectAnswer(this.#dialect, entry);
      return;
    }
    if (entry.url.includes("exchangeInfo") || entry.url.includes("get_instruments")) {
      this.#descriptions.push(entry.text);
      return;
    }
    const symbol = snapshotSymbol(entry);
    const snapshot = symbol === null ? null : asDepthSnapshot(parse(entry.text));
    if (symbol === null || snapshot === null) return;
    if (symbol === "") this.#bareSnapshots.add(entry.url);
    else this.#snapshots.add(symbol);
  }

  #dialectAnswer(dialect: CaptureDialect, { url, status, text }: CaptureEntry): void {
    if (status !== 200 || !URL.canParse(url)) return;
    const book = dialect.restBook(new URL(url));
    if (book !== null) this.#snapshots.add(book);
    else if (dialect.describedIn(text).length > 0) this.#descriptions.push(text);
  }

  #refine(symbol: string, levels: readonly LevelText[]): void {
    const decimals = this.#decimalsOf(symbol);
    for (const [price, size] of levels) {
      decimals.price = Math.max(decimals.price, decimalsIn(price));
      decimals.size = Math.max(decimals.size, decimalsIn(size));
      decimals.priceWritten = Math.max(decimals.priceWritten, digitsAfterPoint(price));
      decimals.sizeWritten = Math.max(decimals.sizeWritten, digitsAfterPoint(size));
    }
  }

  #refineText(symbol: string, text: string, pattern: RegExp): void {
    const decimals = this.#decimalsOf(symbol);
    for (const match of text.matchAll(pattern)) {
      decimals.price = Math.max(decimals.price, decimalsIn(match[1] ?? ""));
      decimals.size = Math.max(decimals.size, decimalsIn(match[2] ?? ""));
    }
  }

  #decimalsOf(symbol: string): Decimals {
    let decimals = this.#decimals.get(symbol);
    if (decimals === undefined) {
      decimals = { ...NO_DECIMALS };
      this.#decimals.set(symbol, decimals);
    }
    return decimals;
  }
}

function digitsAfterPoint(text: string): number {
  const point = text.indexOf(".");
  return point < 0 ? 0 : text.length - point - 1;
}

/** Decimals without trailing zeros: `61800.20` has one. */
function decimalsIn(text: string): number {
  const point = text.indexOf(".");
  if (point < 0) return 0;
  let end = text.length;
  while (end > point + 1 && text.charCodeAt(end - 1) === 48) end -= 1;
  return end - point - 1;
}

function venueNamed(about: Readonly<Record<string, unknown>> | null): VenueName | null {
  return VENUES.find((venue) => venue === about?.venue) ?? null;
}

/** Hosts of the venues' WebSockets, in all the forms they have had. */
const HOSTS: readonly (readonly [RegExp, VenueName])[] = [
  [/deribit\.com$/, "deribit"],
  [/^fstream\.binance/, "binance-usdm"],
  [/^dstream\.binance/, "binance-coinm"],
  [/^stream\.binance/, "binance-spot"],
  [/(?:^|\.)okx\.com$/, "okx"],
  [/(?:^|\.)kraken\.com$/, "kraken"],
  [/(?:^|\.)coinbase\.com$/, "coinbase"],
  [/(?:^|\.)bitstamp\.net$/, "bitstamp"],
];

function venueAt(url: string): VenueName | null {
  if (!URL.canParse(url)) return null;
  const { hostname, pathname } = new URL(url);
  if (hostname.endsWith("bybit.com")) {
    const bybit = Object.values(BYBIT_VENUES).find(({ webSocketPath }) => webSocketPath === pathname);
    return bybit?.name ?? null;
  }
  return HOSTS.find(([host]) => host.test(hostname))?.[1] ?? null;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
