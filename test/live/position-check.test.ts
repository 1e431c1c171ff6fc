import { expect, test } from "bun:test";
import { Logger } from "../../src/core/log.ts";
import { PositionCheck } from "../../src/live/position-check.ts";
import type { PositionDifference, VenuePosition } from "../../src/risk/reconciliation.ts";
import { ManualClock } from "../support/manual-clock.ts";

const EVERY_MS = 30_000;
const AGAIN_MS = 2_000;

/** Books that hold nothing in two instruments, and a counterparty that answers what it is told to. */
class Bed {
  readonly clock = new ManualClock(1_700_000_000e6);
  readonly found: PositionDifference[][] = [];
  readonly lines: string[] = [];
  asked = 0;
  /** What the counterparty holds, lots by instrument; null while it cannot be asked. */
  held: readonly number[] | null = [0, 0];
  refuses = false;
  readonly check: PositionCheck;

  constructor(everyMs = EVERY_MS) {
    this.check = new PositionCheck({
      desk: {
        comparePositions: (positions) =>
          positions.flatMap(({ lots = 0 }, instrument) =>
            lots === 0 ? [] : [{ instrument, ownLots: 0, venueLots: lots }],
          ),
      },
      ...{ everyMs, clock: this.clock, log: new Logger({ ...LOG, sink: (line) => this.lines.push(line) }) },
      ask: () => (this.held === null ? null : this.#answer(this.held)),
      onDifferent: (differences) => this.found.push([...differences]),
    });
  }

  /** Time passes, in steps of the desk's timer; answers come at once. */
  async pass(ms: number): Promise<void> {
    for (let step = 0; step < ms; step += 500) {
      this.clock.advanceUs(500_000);
      this.check.onTimer(this.clock.monotonicNs());
      await Bun.sleep(0);
    }
  }

  async #answer(lots: readonly number[]): Promise<readonly VenuePosition[]> {
    this.asked += 1;
    if (this.refuses) throw new Error("no answer");
    return lots.map((held) => ({ venue: "deribit", symbol: "", size: "", lots: held, averagePrice: null }));
  }
}

const LOG = { format: "json", level: "info" } as const;

test("it is asked at its interval and never before the first", async () => {
  const bed = new Bed();
  await bed.pass(EVERY_MS - 500);
  expect(bed.asked).toBe(0);
  await bed.pass(500 + 4 * EVERY_MS);
  expect(bed.asked).toBe(5);
  expect([bed.check.counters, bed.found]).toEqual([
    { agreed: 5, differed: 0, unanswered: 0, confirmed: 0 },
    [],
  ]);
  const never = new Bed(0);
  await never.pass(2 * EVERY_MS);
  expect(never.asked).toBe(0);
});

test("what differs by the same lots in three answers is found once, and looked for again at the interval", async () => {
  const bed = new Bed();
  bed.held = [0, -3];
  await bed.pass(EVERY_MS + AGAIN_MS);
  expect([bed.asked, bed.found]).toEqual([2, []]);
  await bed.pass(AGAIN_MS);
  expect([bed.asked, bed.found]).toEqual([3, [[{ instrument: 1, ownLots: 0, venueLots: -3 }]]]);
  await bed.pass(EVERY_MS - 500);
  expect(bed.asked).toBe(3);
  // Nothing was done about it.
  await bed.pass(500 + 2 * AGAIN_MS);
  expect([bed.asked, bed.found.length, bed.check.counters.confirmed]).toEqual([6, 2, 2]);
});

test("fills on their way are no difference, however many there are, and hide none", async () => {
  const bed = new Bed();
  bed.held = [1, 0];
  await bed.pass(EVERY_MS);
  for (let answer = 0; answer < 20; answer += 1) {
    bed.held = [(answer % 3) - 1, 0];
    await bed.pass(AGAIN_MS);
    if (answer % 3 === 1) await bed.pass(EVERY_MS);
  }
  expect(bed.found).toEqual([]);
  for (let answer = 0; answer < 20 && bed.found.length === 0; answer += 1) {
    bed.held = [(answer % 2) + 1, 7];
    await bed.pass(AGAIN_MS);
  }
  expect(bed.found).toEqual([[{ instrument: 1, ownLots: 0, venueLots: 7 }]]);
});

test("an answer that fails, and a time in which it cannot be asked, begin the count anew", async () => {
  for (const fails of [true, false]) {
    const bed = new Bed();
    bed.held = [2, 0];
    await bed.pass(EVERY_MS + AGAIN_MS);
    if (fails) bed.refuses = true;
    else bed.held = null;
    await bed.pass(AGAIN_MS);
    bed.refuses = false;
    bed.held = [2, 0];
    await bed.pass(EVERY_MS + AGAIN_MS);
    expect([bed.found, bed.check.counters.unanswered, bed.lines.length]).toEqual([
      [],
      ...(fails ? [1, 1] : [0, 0]),
    ]);
    await bed.pass(AGAIN_MS);
    expect(bed.found).toHaveLength(1);
  }
});

test("nothing is asked while an answer is out", async () => {
  const bed = new Bed();
  const { promise, resolve } = Promise.withResolvers<readonly VenuePosition[]>();
  let asked = 0;
  const { clock } = bed;
  const check = new PositionCheck({
    ...{ desk: { comparePositions: () => [] }, everyMs: 1_000, clock, log: new Logger(LOG) },
    ask: () => {
      asked += 1;
      return promise;
    },
    onDifferent: () => {},
  });
  for (let second = 0; second < 10; second += 1) {
    clock.advanceUs(1e6);
    check.onTimer(clock.monotonicNs());
  }
  expect(asked).toBe(1);
  resolve([]);
  await Bun.sleep(0);
  clock.advanceUs(1e6);
  check.onTimer(clock.monotonicNs());
  expect(asked).toBe(2);
});
