import { readFileSync } from "node:fs";
import { loadConfig } from "../../src/config.ts";
import { type Decision, decodeDecision } from "../../src/desk/decision.ts";
import { Desk } from "../../src/desk/desk.ts";
import { noTimer } from "../../src/desk/latency.ts";
import type { StepEngine } from "../../src/inference/engine.ts";
import { NOT_TRIPPED } from "../../src/risk/kill-switch.ts";
import { MemoryPort } from "../../src/sim/memory-port.ts";
import { MemoryVenue } from "../../src/sim/memory-venue.ts";

/** Quotes that a desk sent, and when. */
export interface TimedDecision extends Decision {
  readonly timeUs: number;
}

export interface CaptureRun {
  readonly decisions: readonly TimedDecision[];
  /** Every prediction, `[n][heads]`, in order. */
  readonly probabilities: readonly number[][];
  readonly desk: Desk;
}

class RecordingPort extends MemoryPort {
  readonly decisions: TimedDecision[] = [];
  rows = 0;

  override submit(rows: number): void {
    this.rows = rows;
  }

  override decided(_underlying: number, timeUs: number, payload: Uint8Array): void {
    this.decisions.push({ timeUs, ...decodeDecision(payload) });
  }
}

/** The first `lines` lines of a capture, gzipped or not. */
export function captureHead(path: string, lines: number): string {
  const bytes = readFileSync(path);
  const text = Buffer.from(path.endsWith(".gz") ? Bun.gunzipSync(bytes) : bytes).toString();
  let end = 0;
  for (let line = 0; line < lines && end >= 0; line += 1) end = text.indexOf("\n", end) + 1;
  return text.slice(0, end);
}

/** A whole desk over a capture; an engine that answers later is waited for after each frame. */
export async function deskOnCapture(path: string, engine: StepEngine): Promise<CaptureRun> {
  const venue = await MemoryVenue.open(path);
  const config = loadConfig({});
  const port = new RecordingPort(venue);
  const desk = new Desk({
    feeds: [{ venue: venue.venue, subscriptions: venue.subscriptions }],
    signals: [],
    instrumentCapacity: 16,
    silenceMs: 60_000,
    seed: 1,
    engine,
    quote: config.quote,
    risk: config.risk,
    kill: NOT_TRIPPED,
    port,
    timer: noTimer,
  });
  port.attach(desk.market.instruments);
  const probabilities: number[][] = [];
  let counted = 0;
  const take = (): void => {
    if (desk.counters.predictions === counted) return;
    counted = desk.counters.predictions;
    probabilities.push(Array.from(desk.probabilities.subarray(0, engine.card.heads.length)));
  };
  const drain = async (timeUs: number): Promise<void> => {
    while (port.rows > 0) {
      const { rows } = port;
      port.rows = 0;
      await engine.submit(rows);
      desk.onInference(timeUs);
      take();
    }
  };
  const { firstUs } = venue.scan;
  desk.start(firstUs);
  desk.onSessionUp(firstUs);
  await venue.play(
    {
      onOpen: (feed, timeUs) => desk.onFeedOpen(feed, timeUs),
      onFrame: (feed, text, timeUs) => {
        desk.onFrame(feed, text, timeUs);
        take();
      },
      onResponse: (feed, request, status, body, timeUs) =>
        desk.onFeedResponse(feed, request, status, body, Number.NaN, timeUs),
    },
    () => {},
    (timeUs) => (port.rows === 0 ? null : drain(timeUs)),
  );
  return { decisions: port.decisions, probabilities, desk };
}
