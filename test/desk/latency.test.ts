import { describe, expect, test } from "bun:test";
import { STAGE, StageHistograms } from "../../src/desk/latency.ts";

/** A timer whose clock is moved by hand. */
function timerAt(every = 1) {
  const clock = { ns: 0 };
  return { clock, timer: new StageHistograms(() => clock.ns, every) };
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

  test("of one turn in so many measures the stages, of every one the total", () => {
    const clock = { ns: 0, readings: 0 };
    const timer = new StageHistograms(() => {
      clock.readings += 1;
      return clock.ns;
    }, 4);
    for (let turn = 0; turn < 9; turn += 1) {
      timer.begin(clock.ns);
      clock.ns += 10;
      timer.mark(STAGE.decode);
      clock.ns += 5;
      timer.mark(STAGE.book);
      timer.end(false);
      clock.ns += 1_000;
    }
    expect(timer.stages[STAGE.decode].count).toBe(3);
    expect(timer.stages[STAGE.decode].max).toBe(10);
    expect(timer.stages[STAGE.book].max).toBe(5);
    expect(timer.stages[STAGE.total].count).toBe(9);
    expect(timer.stages[STAGE.total].min).toBe(15);
    expect(timer.stages[STAGE.total].max).toBe(15);
    expect(clock.readings).toBe(3 * 2 + 6);
  });

  test("measures the stages of every turn where turns are 10 ms apart", () => {
    const { clock, timer } = timerAt(8);
    for (let turn = 0; turn < 5; turn += 1) {
      timer.begin(clock.ns);
      clock.ns += 3;
      timer.mark(STAGE.decode);
      timer.end(false);
      clock.ns += 10_000_000;
    }
    expect(timer.stages[STAGE.decode].count).toBe(5);
  });

  test("the total of a turn without its stages ends with the hand-over, like that of one with them", () => {
    const { clock, timer } = timerAt(2);
    for (let turn = 0; turn < 3; turn += 1) {
      timer.begin(clock.ns);
      clock.ns += 7;
      timer.mark(STAGE.decode);
      clock.ns += 4;
      timer.mark(STAGE.encode);
      clock.ns += 100; // Whoever follows the desk is told.
      timer.end(true);
    }
    expect(timer.stages[STAGE.encode].count).toBe(2);
    expect(timer.quoted.count).toBe(3);
    expect(timer.quoted.max).toBe(11);
  });

  test("without its stages a turn that waits for its engine counts from its receipt to the result, a batch from its first frame", () => {
    const { clock, timer } = timerAt(1_000);
    timer.begin(0);
    timer.end(false);
    clock.ns = 100;
    timer.begin(100);
    timer.mark(STAGE.decode);
    timer.suspend();
    clock.ns = 5_100;
    timer.resume();
    timer.mark(STAGE.inference);
    timer.end(false);
    expect(timer.stages[STAGE.total].max).toBe(5_000);
    for (const receivedNs of [6_000, 6_010]) {
      clock.ns = receivedNs;
      timer.begin(receivedNs);
      timer.mark(STAGE.decode);
      timer.defer();
    }
    clock.ns = 6_050;
    timer.gather();
    timer.mark(STAGE.encode);
    timer.end(true);
    expect(timer.quoted.max).toBe(50);
    expect(timer.stages[STAGE.decode].count).toBe(0);
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
