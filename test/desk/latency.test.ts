import { describe, expect, test } from "bun:test";
import { STAGE, StageHistograms } from "../../src/desk/latency.ts";

/** A timer whose clock is moved by hand. */
function timerAt() {
  const clock = { ns: 0 };
  return { clock, timer: new StageHistograms(() => clock.ns) };
}

describe("StageHistograms", () => {
  test("adds up a stage's parts within a turn and the whole as total", () => {
    const { clock, timer } = timerAt();
    timer.begin(0);
    for (const [stage, ns] of [
      [STAGE.decode, 10],
      [STAGE.book, 20],
      [STAGE.feature, 5],
      [STAGE.book, 30],
    ] as const) {
      clock.ns += ns;
      timer.mark(stage);
    }
    timer.end(false);
    expect(timer.stages[STAGE.book].max).toBe(50);
    expect(timer.stages[STAGE.total].max).toBe(65);
    expect(timer.stages[STAGE.quote].count).toBe(0);
    expect(timer.quoted.count).toBe(0);
  });

  test("a turn that waits for its engine counts the wait as inference and in the total", () => {
    const { clock, timer } = timerAt();
    timer.begin(0);
    clock.ns = 10;
    timer.mark(STAGE.decode);
    timer.suspend();
    clock.ns = 1_000;
    timer.begin(1_000);
    clock.ns = 1_004;
    timer.mark(STAGE.decode);
    timer.end(false);
    clock.ns = 5_010;
    timer.resume();
    timer.mark(STAGE.inference);
    timer.end(true);
    expect(timer.stages[STAGE.decode].count).toBe(2);
    expect(timer.stages[STAGE.inference].max).toBe(5_000);
    expect(timer.quoted.max).toBe(5_010);
    expect(timer.stages[STAGE.total].count).toBe(2);
  });

  test("a batch counts from the receipt of its first frame, and its frames' stages one by one", () => {
    const { clock, timer } = timerAt();
    for (const receivedNs of [100, 200]) {
      clock.ns = receivedNs;
      timer.begin(receivedNs);
      clock.ns += 10;
      timer.mark(STAGE.decode);
      timer.defer();
    }
    expect(timer.stages[STAGE.total].count).toBe(0);
    clock.ns = 250;
    timer.gather();
    clock.ns = 257;
    timer.mark(STAGE.quote);
    timer.end(true);
    expect(timer.stages[STAGE.decode].count).toBe(2);
    expect(timer.stages[STAGE.quote].max).toBe(7);
    expect(timer.quoted.max).toBe(157);
    timer.gather();
    timer.end(true);
    expect(timer.quoted.count).toBe(1);
  });

  test("a submit that follows a result counts from that result, not from the frame before it", () => {
    const { clock, timer } = timerAt();
    timer.begin(0);
    clock.ns = 1_000;
    timer.mark(STAGE.decode);
    timer.end(false);
    timer.suspend();
    clock.ns = 1_200;
    timer.resume();
    timer.mark(STAGE.inference);
    timer.end(false);
    expect(timer.stages[STAGE.inference].max).toBe(200);
    expect(timer.stages[STAGE.total].max).toBe(1_000);
    expect(timer.stages[STAGE.total].min).toBe(200);
  });

  test("measures nothing outside a turn that was begun", () => {
    const { clock, timer } = timerAt();
    clock.ns = 1_000_000;
    timer.mark(STAGE.quote);
    timer.end(true);
    expect(timer.stages[STAGE.quote].count).toBe(0);
    timer.begin(1_000_000);
    clock.ns += 5;
    timer.mark(STAGE.decode);
    timer.end(false);
    clock.ns += 1_000_000;
    timer.mark(STAGE.quote);
    timer.end(true);
    expect(timer.stages[STAGE.quote].count).toBe(0);
    expect(timer.stages[STAGE.total].max).toBe(5);
  });
});
