import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { CaptureReader } from "../../src/feed/capture.ts";
import { CaptureVenue, type CaptureVenueOptions } from "../../src/sim/capture-venue.ts";
import { sharedPath, skipUnlessShared } from "../support/shared-data.ts";

export const DATA = sharedPath("data");
export const PRESENT = !skipUnlessShared("data/binance", "data/ws");
export const USDM = join(DATA, "binance/usdm-btcusdt-20240808.gz");
export const DERIBIT = join(DATA, "ws/DERIBIT.ws.1.0.gz");
export const ALL_USDM = ["btcusdt@depth@0ms", "btcusdt@bookTicker", "btcusdt@trade"];
const TIMEOUT_MS = 60_000;

let folder: string | null = null;
const closing: (() => Promise<void> | void)[] = [];

/** A folder of the test file's own, until {@link removeFolder}. */
export function ownFolder(): string {
  folder ??= mkdtempSync(join(tmpdir(), "keel-venue-"));
  return folder;
}

/** After all tests of a file. */
export function removeFolder(): void {
  if (folder !== null) rmSync(folder, { recursive: true, force: true });
  folder = null;
}

/** After each test: ends the venues and clients that it opened. */
export async function closeOpened(): Promise<void> {
  for (const close of closing.splice(0)) await close();
}

export async function venue(options: CaptureVenueOptions): Promise<CaptureVenue> {
  const started = await CaptureVenue.start({ speed: "max", ...options });
  closing.push(() => started.stop());
  return started;
}

/** A client of a venue, which keeps what it is sent. */
export class Client {
  readonly messages: string[] = [];
  readonly socket: WebSocket;
  closed = 0;
  /** Set while the client is to take nothing more into memory. */
  onMessage: ((text: string) => void) | null = null;

  private constructor(url: string) {
    this.socket = new WebSocket(url);
    this.socket.onmessage = ({ data }) => {
      this.messages.push(String(data));
      this.onMessage?.(String(data));
    };
    this.socket.onclose = ({ code }) => {
      this.closed = code;
    };
  }

  static async open(url: string): Promise<Client> {
    const client = new Client(url);
    closing.push(() => client.socket.close());
    await new Promise<void>((opened, failed) => {
      client.socket.onopen = () => opened();
      client.socket.onerror = () => failed(new Error(`no connection to ${url}`));
    });
    return client;
  }

  send(message: object): void {
    this.socket.send(JSON.stringify(message));
  }

  subscribe(streams: readonly string[]): void {
    this.send({ method: "SUBSCRIBE", params: streams, id: 1 });
  }

  /** Frames with market data, acknowledgements left out. */
  get frames(): string[] {
    return this.messages.filter(
      (text) => text.startsWith('{"stream"') || text.includes('"method":"subscription"'),
    );
  }
}

export async function until(what: string, holds: () => boolean): Promise<void> {
  const deadline = performance.now() + TIMEOUT_MS;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`waited too long for ${what}`);
    await Bun.sleep(2);
  }
}

export async function get(
  from: CaptureVenue,
  path: string,
): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await fetch(from.url.replace("ws:", "http:") + path);
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

const linesOf = new Map<string, string[]>();

/** The first `lines` lines of a capture as a file of its own. */
export function slice(path: string, lines: number): string {
  let all = linesOf.get(path);
  if (all === undefined) {
    all = Buffer.from(Bun.gunzipSync(readFileSync(path)))
      .toString("utf8")
      .split("\n");
    linesOf.set(path, all);
  }
  const file = join(ownFolder(), `${lines}-${basename(path)}`);
  writeFileSync(file, `${all.slice(0, lines).join("\n")}\n`);
  return file;
}

/** The market data of a capture, as its frames were. */
export function recorded(path: string): string[] {
  return [...new CaptureReader(path).sync()]
    .filter(
      ({ kind, text }) => kind === "frame" && (text.startsWith('{"stream"') || text.includes('"channel"')),
    )
    .filter(({ text }) => !text.includes('"result"'))
    .map(({ text }) => text);
}
