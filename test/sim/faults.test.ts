import { describe, expect, test } from "bun:test";
import { Rng } from "../../src/core/rng.ts";
import { type Fault, FaultInjector } from "../../src/sim/protocol/faults.ts";

const FRAME = JSON.stringify({ stream: "btcusdt@depth@0ms", data: { b: [["60000.10", "1.000"]], a: [] } });

function setUp(...faults: Fault[]) {
  const closes: string[] = [];
  const injector = new FaultInjector(new Rng(1), (code, reason) => closes.push(`${code} ${reason}`));
  for (const fault of faults) injector.inject(fault, 0);
  const sent = (channel: string, timeUs = 0): string[] => {
    const out: string[] = [];
    injector.onFrame(channel, FRAME, timeUs, (text) => out.push(text));
    return out;
  };
  return { injector, closes, sent };
}

describe("FaultInjector", () => {
  test("passes frames on when nothing waits", () => {
    const { sent, injector } = setUp();
    expect(sent("x")).toEqual([FRAME]);
    expect(injector.active(0)).toBe(false);
  });

  test("drops exactly the counted frames", () => {
    const { sent, injector } = setUp({ kind: "drop", count: 2 });
    expect([sent("x"), sent("x"), sent("x")]).toEqual([[], [], [FRAME]]);
    expect(injector.counters.drop).toBe(2);
  });

  test("duplicates", () => {
    expect(setUp({ kind: "duplicate", count: 1 }).sent("x")).toEqual([FRAME, FRAME]);
  });

  test("halves", () => {
    expect(setUp({ kind: "half", count: 1 }).sent("x")).toEqual([FRAME.slice(0, FRAME.length >> 1)]);
  });

  test("garbles into something that is no JSON, at any seed", () => {
    for (let seed = 0; seed < 200; seed += 1) {
      const injector = new FaultInjector(new Rng(seed), () => {});
      injector.inject({ kind: "garble", count: 1 }, 0);
      injector.onFrame("x", FRAME, 0, (text) => expect(() => JSON.parse(text)).toThrow());
    }
  });

  test("meets only channels in scope", () => {
    const { sent } = setUp({ kind: "drop", count: 1, channel: "@depth" });
    expect(sent("btcusdt@trade")).toEqual([FRAME]);
    expect(sent("btcusdt@depth@0ms")).toEqual([]);
  });

  test("a freeze loses data, and control traffic only when told to", () => {
    const { sent, injector } = setUp({ kind: "freeze", forMs: 10, control: false });
    const control: string[] = [];
    injector.onControl("", "pong", 5_000, (text) => control.push(text));
    expect(sent("x", 5_000)).toEqual([]);
    expect(control).toEqual(["pong"]);
    expect(sent("x", 10_000)).toEqual([FRAME]);
    injector.inject({ kind: "freeze", forMs: 10, control: true }, 20_000);
    injector.onControl("", "pong", 21_000, (text) => control.push(text));
    expect(control).toEqual(["pong"]);
  });

  test("closes every socket on disconnect", () => {
    const { closes } = setUp({ kind: "disconnect", code: 1006, reason: "maintenance" });
    expect(closes).toEqual(["1006 maintenance"]);
  });

  test("refuses requests for a while, with Retry-After", () => {
    const { injector } = setUp({
      kind: "refuse",
      status: 429,
      forMs: 100,
      retryAfterSeconds: 2,
      channel: "/depth",
    });
    expect(injector.onRequest("/fapi/v1/time", 0)).toBeNull();
    expect(injector.onRequest("/fapi/v1/depth", 0)).toEqual({ status: 429, retryAfterSeconds: 2 });
    expect(injector.onRequest("/fapi/v1/depth", 100_000)).toBeNull();
  });

  test("is bounded", () => {
    const { injector } = setUp();
    for (let i = 0; i < 1_024; i += 1)
      expect(injector.inject({ kind: "drop", count: 1, channel: "never" }, 0)).toBe(true);
    expect(injector.inject({ kind: "drop", count: 1 }, 0)).toBe(false);
  });
});
