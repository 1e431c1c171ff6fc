import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/core/clock.ts";
import { type CaptureEntry, CaptureReader } from "../../src/feed/capture.ts";
import { Recorder } from "../../src/feed/recorder.ts";
import { defaultEndpoint, endpointAt } from "../../src/feed/registry.ts";
import { VENUES, type VenueName } from "../../src/market/instrument.ts";
import { CaptureVenue, type PlaybackSpeed } from "../../src/sim/capture-venue.ts";
import { sharedPath, skipUnlessShared } from "../support/shared-data.ts";

const DATA = sharedPath("data");
const PRESENT = !skipUnlessShared("data/binance", "data/ws");

const folder = mkdtempSync(join(tmpdir(), "keel-recorder-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function recorder(served: CaptureVenue, subscriptions: string[], out: string): Recorder {
  const endpoints = Object.fromEntries(
    VENUES.map((venue) => [
      venue,
      venue === served.venue ? endpointAt(venue, served.url) : defaultEndpoint(venue),
    ]),
  ) as Record<VenueName, ReturnType<typeof defaultEndpoint>>;
  return new Recorder({
    feeds: [{ venue: served.venue, subscriptions }],
    endpoints,
    out,
    maxFileBytes: 1 << 28,
    silenceMs: 5_000,
    requestTimeoutMs: 5_000,
    seed: 1,
    clock: systemClock,
  });
}

/** Serves a capture, records what a feed with so many subscriptions sees of all of it, and gives the file. */
async function recordOnce(
  capture: string,
  subscriptions: string[],
  channels: number,
  name: string,
  speed: PlaybackSpeed,
): Promise<string> {
  const served = await CaptureVenue.start({ capture, speed });
  const out = join(folder, name);
  const recording = recorder(served, subscriptions, out);
  served.pause();
  recording.start();
  while (served.subscriptions < channels) await Bun.sleep(2);
  served.resume();
  await served.end();
  const seen = () => recording.recorded()[0];
  const untilMs = performance.now() + 60_000;
  while ((seen()?.live ?? 0) === 0 && performance.now() < untilMs) await Bun.sleep(5);
  const entries = () => seen()?.capture.entries ?? 0;
  for (let [quiet, before] = [0, entries()]; quiet < 60; quiet += 1) {
    await Bun.sleep(5);
    if (entries() !== before) [quiet, before] = [0, entries()];
  }
  await recording.stop();
  await served.stop();
  expect(recording.recorded()[0]).toMatchObject({
    problem: "",
    counters: { gaps: 0, reconnects: 0, unparsable: 0 },
  });
  return out;
}

function entries(path: string): CaptureEntry[] {
  return [...new CaptureReader(path).sync()];
}

function data(path: string): string[] {
  return entries(path)
    .filter(
      ({ kind, text }) => kind === "frame" && (text.startsWith('{"stream"') || text.includes('"channel":')),
    )
    .filter(({ text }) => !text.includes('"result"'))
    .map(({ text }) => text);
}

function beginning(path: string, lines: number): string {
  const text = Buffer.from(Bun.gunzipSync(readFileSync(path))).toString("utf8");
  const file = join(folder, "beginning.gz");
  writeFileSync(file, Bun.gzipSync(Buffer.from(`${text.split("\n").slice(0, lines).join("\n")}\n`)));
  return file;
}

describe.skipIf(!PRESENT)("a recording", () => {
  test("of Binance plays back as the capture it was made from, twice over", async () => {
    const capture = beginning(join(DATA, "binance/usdm-btcusdt-20240808.gz"), 3_000);
    const first = await recordOnce(capture, ["BTCUSDT"], 3, "binance-1.gz", "max");
    expect(data(first)).toEqual(data(capture));
    const kinds = new Set(entries(first).map(({ kind }) => kind));
    expect([...kinds].sort()).toEqual(["connect", "frame", "http", "sent"]);
    const urls = entries(first)
      .filter(({ kind }) => kind === "http")
      .map(({ url }) => new URL(url).pathname);
    expect(urls).toContain("/fapi/v1/exchangeInfo");
    expect(urls).toContain("/fapi/v1/depth");

    const second = await recordOnce(first, ["BTCUSDT"], 3, "binance-2.gz", "max");
    expect(data(second)).toEqual(data(capture));
  }, 120_000);

  test("of Deribit plays back, its instruments described by the recording itself", async () => {
    const capture = join(DATA, "ws/DERIBIT.ws.1.0.gz");
    const subscriptions = ["options:BTC", "options:ETH"];
    const first = await recordOnce(capture, subscriptions, 32, "deribit-1.gz", 40);
    expect(data(first).length).toBeGreaterThan(100);
    const second = await recordOnce(first, subscriptions, 32, "deribit-2.gz", 40);
    expect(data(second)).toEqual(data(first));
  }, 120_000);

  test("keeps local receive times in order and notes a lost connection", async () => {
    const capture = beginning(join(DATA, "binance/usdm-btcusdt-20240808.gz"), 2_000);
    const served = await CaptureVenue.start({ capture, speed: "max" });
    served.injectAt(900, { kind: "disconnect", code: 1_006, reason: "" });
    const recording = recorder(served, ["BTCUSDT"], join(folder, "series"));
    recording.start();
    await served.end();
    const seen = () => recording.recorded()[0]?.counters;
    const untilMs = performance.now() + 60_000;
    while (seen()?.reconnects !== 1 && performance.now() < untilMs) await Bun.sleep(20);
    await recording.stop();
    await served.stop();
    const [{ capture: written, counters } = { capture: undefined, counters: undefined }] =
      recording.recorded();
    expect(counters?.reconnects).toBe(1);
    const all = entries(written?.files[0] ?? "");
    expect(all.filter(({ kind }) => kind === "connect")).toHaveLength(2);
    expect(all.filter(({ kind }) => kind === "disconnect")).toHaveLength(1);
    expect(Math.max(...all.map(({ connection }) => connection))).toBe(1);
    for (let i = 1; i < all.length; i += 1) expect(all[i].timeUs).toBeGreaterThanOrEqual(all[i - 1].timeUs);
  }, 120_000);
});

test("one file for several venues is refused", () => {
  const feeds = [
    { venue: "deribit", subscriptions: ["BTC-PERPETUAL"] },
    { venue: "binance-usdm", subscriptions: ["BTCUSDT"] },
  ] as const;
  const endpoints = Object.fromEntries(VENUES.map((venue) => [venue, defaultEndpoint(venue)]));
  const options = { maxFileBytes: 1, silenceMs: 1_000, requestTimeoutMs: 1_000, seed: 1, clock: systemClock };
  const make = () =>
    new Recorder({
      ...options,
      feeds,
      endpoints: endpoints as Record<VenueName, ReturnType<typeof defaultEndpoint>>,
      out: join(folder, "all.gz"),
    });
  expect(make).toThrow(/one file for 2 venues/);
});
