import { expect, setDefaultTimeout, test } from "bun:test";
import { skipUnlessNative } from "../support/native.ts";
import { memoryVerdict, ratioVerdict, type WindowPair } from "./soak/verdict.ts";
import { soak } from "./soak.ts";

const noEngine = await skipUnlessNative(
  "a challenger beside the model in force, which the cpu engine alone runs",
);

setDefaultTimeout(120_000);

test.skipIf(noEngine)(
  "a desk with everything on loses nothing while a bare one beside it takes the same feeds",
  async () => {
    const rows: string[] = [];
    const report = await soak({
      seconds: 14,
      settleSeconds: 1,
      kafka: false,
      control: false,
      // A host that is short of processor time is no fault of what is tested.
      environment: { KEEL_SHED: "off", KEEL_SILENCE_MS: "20000" },
      rowSeconds: 10,
      pageMs: 1_500,
      progress: (row) => rows.push(row),
    });
    expect(report.losses).toEqual({});
    expect(report.idle).toEqual([]);
    expect(report.unseen).toEqual([]);
    expect(report.journalBytes).toBeGreaterThan(100_000);
    expect(report.scrapes).toBeGreaterThan(2);
    expect(JSON.stringify(report.challenger)).toContain('"stage":"shadow"');
    expect(report.memory.lastBytes).toBeLessThan(1e9);
    expect(report.runs.full?.quotesSent).toBeGreaterThan(0);
    expect(report.runs.bare?.quotesSent).toBeGreaterThan(0);
    expect(rows.length).toBeGreaterThan(1);
  },
);

test("memory is judged from when the process has settled, not from its start", () => {
  const samples = Array.from({ length: 1_000 }, (_, seconds) => ({
    seconds,
    bytes: seconds < 200 ? seconds * 1e6 : 200e6 + (seconds % 7) * 1e5,
  }));
  expect(Math.abs(memoryVerdict(samples).growth)).toBeLessThan(0.01);
  const leaking = samples.map(({ seconds, bytes }) => ({ seconds, bytes: bytes + seconds * 2e4 }));
  expect(memoryVerdict(leaking).growth).toBeGreaterThan(0.04);
});

test("a trend of memory is told from a sawtooth, with the interval that it lies in", () => {
  const samples = Array.from({ length: 3_600 }, (_, seconds) => ({
    seconds,
    bytes: 300e6 + (seconds % 97) * 1e5,
  }));
  const { low, high } = memoryVerdict(samples).hourly;
  expect(low).toBeLessThanOrEqual(0);
  expect(high).toBeGreaterThanOrEqual(0);
  const leaking = samples.map(({ seconds, bytes }) => ({ seconds, bytes: bytes + seconds * 5e3 }));
  const { hourly } = memoryVerdict(leaking);
  expect(hourly.low).toBeGreaterThan(0);
  expect(hourly.slope / 18e6).toBeGreaterThan(0.8);
  expect(hourly.slope / 18e6).toBeLessThan(1.2);
});

test("windows without enough events do not count, and a ratio comes with its interval", () => {
  const stage = (count: number, p99: number) => ({
    ...{ stage: "total", count, p50: 1, p99, p999: p99, max: p99, bins: [] },
    all: { count, p50: 1, p99, max: p99 },
  });
  const pairs: WindowPair[] = Array.from({ length: 40 }, (_, at) => ({
    of: stage(1_000, 110 + (at % 5)),
    bare: stage(1_000, 100),
  }));
  const few: WindowPair = { of: stage(10, 9_000), bare: stage(1_000, 100) };
  const { windows, median, low, high } = ratioVerdict([...pairs, few], "p99");
  expect(windows).toBe(40);
  expect(median).toBe(1.12);
  expect(low).toBeLessThanOrEqual(median);
  expect(high).toBeGreaterThanOrEqual(median);
  expect(high - low).toBeLessThan(0.03);
});
