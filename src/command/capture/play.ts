import { BadInputError } from "../../core/errors.ts";
import { loadNative } from "../../core/native.ts";
import { type CaptureEntry, CaptureReader } from "../../feed/capture.ts";
import type { Feed, FeedPort } from "../../feed/feed.ts";
import { createFeed, subscriptionProblem } from "../../feed/registry.ts";
import { EventBatch } from "../../market/event-batch.ts";
import { InstrumentTable, VENUES, type VenueName } from "../../market/instrument.ts";
import { MemoryVenue } from "../../sim/memory-venue.ts";

const INSTRUMENTS_MAX = 16_384;
const TIMER_US = 50_000;
/** Close code of a connection that the recording has a hole in: none was closed. */
const HOLE = 1_006;
/** Timer calls for one stretch without an entry. */
const TIMERS_MAX = 200;

/** A capture's events as the venue's feed decodes them. */
export interface DecodedCapture {
  readonly feed: Feed;
  readonly instruments: InstrumentTable;
  /** Files of which the end is missing, and why. */
  readonly damage: readonly string[];
}

/** Takes the events of one frame, answer or timer; the batch is valid during the call only. */
export type EventSink = (events: EventBatch, instruments: InstrumentTable, timeUs: number) => void;

/**
 * Plays the parts of one recording through the venue's own feed, with the recording's times. keel's recordings are played as they
 * were taken, HTTP answers included, for every venue; those of other recorders through the simulated venue, which makes up for
 * what they lack (Binance and Deribit).
 *
 * @throws BadInputError when the files are malformed, or of a recorder and venue that cannot be played
 */
export async function decodeCapture(files: readonly string[], sink: EventSink): Promise<DecodedCapture> {
  await loadNative();
  const recorded = await recordedSubscriptions(files[0] ?? "");
  return recorded === null ? decodeForeign(files, sink) : decodeRecorded(files, recorded, sink);
}

interface Recorded {
  readonly venue: VenueName;
  readonly subscriptions: readonly string[];
}

async function recordedSubscriptions(file: string): Promise<Recorded | null> {
  const reader = new CaptureReader(file, { malformed: "skip" });
  for await (const _ of reader.batches()) break;
  const { venue: name, subscriptions } = reader.report.about ?? {};
  const venue = VENUES.find((known) => known === name);
  if (venue === undefined || !Array.isArray(subscriptions)) return null;
  const texts = subscriptions.filter((text) => typeof text === "string");
  const problem = subscriptionProblem(venue, texts);
  if (problem !== undefined) throw problem;
  return { venue, subscriptions: texts };
}

/** The network as it was recorded: what the feed asks is answered when the recording comes to the answer. */
class RecordedPort implements FeedPort {
  readonly #asked = new Map<string, number[]>();
  /** The feed wants a connection in place of one that the recording has a hole in. */
  #wanted = false;

  connect(): void {
    this.#wanted = true;
  }

  disconnect(): void {}
  send(): void {}

  request(_feed: number, request: number, path: string): void {
    const asked = this.#asked.get(path) ?? [];
    asked.push(request);
    this.#asked.set(path, asked);
  }

  /** A connection is there, by the recording or after a hole in it. @returns whether the feed had wanted one */
  connected(): boolean {
    const wanted = this.#wanted;
    this.#wanted = false;
    return wanted;
  }

  /** The oldest open request that this address answers. */
  take(url: string): number | undefined {
    for (const [path, asked] of this.#asked) if (url.endsWith(path)) return asked.shift();
    return undefined;
  }
}

async function decodeRecorded(
  files: readonly string[],
  { venue, subscriptions }: Recorded,
  sink: EventSink,
): Promise<DecodedCapture> {
  const port = new RecordedPort();
  const instruments = new InstrumentTable(INSTRUMENTS_MAX);
  const out = new EventBatch();
  const feed = createFeed({
    id: 0,
    venue,
    subscriptions,
    instruments,
    port,
    seed: 1,
    silenceMs: Number.MAX_SAFE_INTEGER,
  });
  const tell = (timeUs: number): void => {
    if (out.count > 0) sink(out, instruments, timeUs);
    out.clear();
  };
  let nowUs = Number.NaN;
  const damage: string[] = [];
  // Where entries are lost the connection was not: the feed begins anew with the frames behind the hole.
  let isHole = false;
  for (const file of files) {
    const reader = new CaptureReader(file);
    for await (const entries of reader.batches()) {
      for (const entry of entries) {
        if (Number.isNaN(nowUs)) feed.start(entry.timeUs);
        nowUs = runTimers(feed, nowUs, entry.timeUs, out, tell);
        if (entry.kind === "lost") isHole = true;
        else if (entry.kind === "connect") isHole = false;
        else if (isHole && port.connected()) {
          isHole = false;
          feed.onOpen(entry.timeUs, out);
          tell(entry.timeUs);
        }
        give(feed, port, entry, out);
        tell(entry.timeUs);
      }
    }
    if (reader.report.truncated !== null) damage.push(`${file}: ${reader.report.truncated}`);
  }
  return { feed, instruments, damage };
}

function runTimers(
  feed: Feed,
  fromUs: number,
  toUs: number,
  out: EventBatch,
  tell: (timeUs: number) => void,
): number {
  if (Number.isNaN(fromUs) || toUs - fromUs < TIMER_US) return Number.isNaN(fromUs) ? toUs : fromUs;
  const step = Math.max(TIMER_US, (toUs - fromUs) / TIMERS_MAX);
  let timeUs = fromUs;
  for (; timeUs + step <= toUs; timeUs += step) {
    feed.onTimer(timeUs + step, out);
    tell(timeUs + step);
  }
  return timeUs;
}

function give(feed: Feed, port: RecordedPort, entry: CaptureEntry, out: EventBatch): void {
  const { kind, text, timeUs } = entry;
  if (kind === "connect") {
    port.connected();
    feed.onOpen(timeUs, out);
  } else if (kind === "lost")
    feed.onClose(HOLE, `${text} entries of the recording are lost here`, timeUs, out);
  else if (kind === "frame") feed.onFrame(text, timeUs, out);
  else if (kind === "disconnect") {
    const space = text.indexOf(" ");
    const code = Number(space < 0 ? text : text.slice(0, space));
    feed.onClose(code, space < 0 ? "" : text.slice(space + 1), timeUs, out);
  } else if (kind === "http") {
    const request = port.take(entry.url);
    if (request !== undefined) feed.onResponse(request, entry.status, text, Number.NaN, timeUs, out);
  }
}

async function decodeForeign(files: readonly string[], sink: EventSink): Promise<DecodedCapture> {
  const [file] = files;
  if (file === undefined || files.length > 1) {
    throw new BadInputError(
      files.join(", "),
      "several files that do not say what was recorded",
      "one of them at a time",
    );
  }
  const venue = await MemoryVenue.open(file);
  const instruments = new InstrumentTable(INSTRUMENTS_MAX);
  const out = new EventBatch();
  const feed = createFeed({
    id: 0,
    venue: venue.venue,
    subscriptions: subscriptionsIn(venue),
    instruments,
    port: venue,
    seed: 1,
    silenceMs: Number.MAX_SAFE_INTEGER,
  });
  const tell = (timeUs: number): void => {
    if (out.count > 0) sink(out, instruments, timeUs);
    out.clear();
  };
  let nowUs = venue.scan.firstUs;
  feed.start(nowUs);
  await venue.play(
    {
      onOpen: (_feed, timeUs) => {
        feed.onOpen(timeUs, out);
        tell(timeUs);
      },
      onFrame: (_feed, text, timeUs) => {
        feed.onFrame(text, timeUs, out);
        tell(timeUs);
      },
      onResponse: (_feed, request, status, body, timeUs) => {
        feed.onResponse(request, status, body, Number.NaN, timeUs, out);
        tell(timeUs);
      },
    },
    (timeUs) => {
      nowUs = runTimers(feed, nowUs, timeUs, out, tell);
    },
  );
  const { truncated } = venue.scan;
  return { feed, instruments, damage: truncated === null ? [] : [truncated] };
}

/** Every instrument that a capture of another recorder holds data of, one by one. */
function subscriptionsIn({ venue, scan }: MemoryVenue): string[] {
  const names = [...scan.channels].map((channel) =>
    venue === "deribit" ? (channel.split(".")[1] ?? "") : (channel.split("@")[0] ?? "").toUpperCase(),
  );
  return [...new Set(names)].filter(
    (name) => name !== "" && subscriptionProblem(venue, [name]) === undefined,
  );
}
