import { describe, expect, test } from "bun:test";
import { GivingWay } from "../../src/live/giving-way.ts";

const AWAY = { unfit: [], sessionUp: false, inHours: true };
const QUOTES = { ...AWAY, sessionUp: true };
const UNFIT = { ...QUOTES, unfit: ["no feed is live"] };
const SECOND = 1e9;

/** Asks every 50 ms as of a time. @returns after how many seconds it gives way; null when not within an hour */
function seconds(way: GivingWay, standing: typeof AWAY | typeof UNFIT, fromNs: number): number | null {
  for (let nowNs = fromNs; nowNs < fromNs + 3_600 * SECOND; nowNs += SECOND / 20) {
    if (way.why(standing, nowNs) !== null) return (nowNs - fromNs) / SECOND;
  }
  return null;
}

describe("a leader", () => {
  test("that can quote goes on, and one that cannot gives way after its time, with the reason", () => {
    const way = new GivingWay(3_000);
    way.begin();
    expect(seconds(way, QUOTES, 0)).toBeNull();
    expect(seconds(way, UNFIT, 0)).toBe(3);
    expect(way.why(UNFIT, 4 * SECOND)).toBe("no feed is live");
  });

  test("that is fit again in between begins to count anew", () => {
    const way = new GivingWay(3_000);
    way.begin();
    expect(way.why(UNFIT, 0)).toBeNull();
    expect(way.why(UNFIT, 2.9 * SECOND)).toBeNull();
    expect(way.why(QUOTES, 2.95 * SECOND)).toBeNull();
    expect(way.why(UNFIT, 3.5 * SECOND)).toBeNull();
  });

  test("that loses its session lets the other one try", () => {
    const way = new GivingWay(3_000);
    way.begin();
    way.why(QUOTES, 0);
    expect(seconds(way, AWAY, SECOND)).toBe(3);
    expect(way.why(AWAY, 5 * SECOND)).toBe("the counterparty's session is down");
  });

  test("that had no session in all its term waits twice as long each time, until there is one", () => {
    const way = new GivingWay(3_000);
    const waited: (number | null)[] = [];
    for (let term = 0; term < 9; term += 1) {
      way.begin();
      waited.push(seconds(way, AWAY, term * 1e13));
      way.gave();
    }
    expect(waited).toEqual([3, 6, 12, 24, 48, 96, 192, 192, 192]);
    way.begin();
    way.why(QUOTES, 0);
    way.begin();
    expect(seconds(way, AWAY, SECOND)).toBe(3);
  });

  test("that has another reason than the session does not wait longer for it", () => {
    const way = new GivingWay(3_000);
    for (let term = 0; term < 5; term += 1) {
      way.begin();
      way.why(AWAY, 0);
      way.gave();
    }
    way.begin();
    expect(seconds(way, { ...UNFIT, sessionUp: false }, 0)).toBe(3);
  });

  test("stays where the schedule has the session closed, and where giving way is off", () => {
    const way = new GivingWay(3_000);
    way.begin();
    expect(seconds(way, { ...AWAY, inHours: false }, 0)).toBeNull();
    const never = new GivingWay(0);
    never.begin();
    expect(seconds(never, UNFIT, 0)).toBeNull();
  });
});
