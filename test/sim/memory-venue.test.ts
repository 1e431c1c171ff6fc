import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readScript } from "../../src/bench/ingest-input.ts";
import { KeelIngest } from "../../src/bench/ingest-subjects.ts";
import { CaptureWriter } from "../../src/feed/capture-writer.ts";
import type { VenueName } from "../../src/market/instrument.ts";
import { bitstampFrames, coinbaseFrames, krakenFrames } from "../feed/spot-frames.ts";

const folder = mkdtempSync(join(tmpdir(), "keel-memory-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Frames of a fake venue as the recorder writes them. */
async function captureOf(venue: VenueName, frames: readonly string[]): Promise<string> {
  const writer = new CaptureWriter({
    directory: folder,
    name: venue,
    maxFileBytes: 1 << 24,
    about: { venue },
  });
  for (const [at, text] of frames.entries()) {
    writer.write({ kind: "frame", timeUs: 1e15 + at * 1_000, text, url: "", connection: 0, status: 0 });
  }
  await writer.close();
  return writer.counters.files[0] ?? "";
}

describe("captures of venues of channels, in memory", () => {
  const isBook = (text: string): boolean => !/"(?:bts:|heartbeat)/.test(text);
  test.each<[VenueName, readonly string[], readonly string[]]>([
    ["kraken", krakenFrames().frames, ["BTC/USD", "ETH/USD"]],
    [
      "coinbase",
      coinbaseFrames().frames.filter((text) => text.includes('"l2update"')),
      ["BTC-USD", "ETH-EUR"],
    ],
    [
      "bitstamp",
      bitstampFrames().frames.filter((text) => text.includes('"diff_order_book')),
      ["btcusd", "etheur"],
    ],
  ])("%s: its feed hears all of it, and asks for what it needs", async (venue, frames, subscriptions) => {
    const script = await readScript(await captureOf(venue, frames.filter(isBook)));
    expect(script.venue).toBe(venue);
    expect([...script.subscriptions].sort()).toEqual([...subscriptions].sort());
    const heard = script.inputs.filter(({ type }) => type === "frame").length;
    expect(heard).toBeGreaterThan(frames.length / 2);
    const keel = new KeelIngest(script);
    keel.restart();
    for (const input of script.inputs) {
      if (input.type === "open") keel.onOpen();
      else if (input.type === "frame") keel.onFrame(input.text, input.timeUs);
      else if (input.type === "timer") keel.onTimer(input.timeUs);
      else keel.onResponse(input.request, input.status, input.body, input.timeUs);
    }
    expect(keel.checksum).not.toBe(new KeelIngest(script).checksum);
  });
});
