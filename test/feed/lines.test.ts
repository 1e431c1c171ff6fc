import { describe, expect, test } from "bun:test";
import { Rng } from "../../src/core/rng.ts";
import { VENUE_ENTRIES } from "../../src/feed/venues.ts";
import { FAKE_VENUES } from "./fake-venues.ts";
import { LineBed } from "./line-bed.ts";

const PASS_MS = 2_000;
const LATE_MS = 300;

/** One of each way to follow a venue; those of the same make differ in names only. A relay has one topic, however often it is read. */
const FOLLOWED = FAKE_VENUES.filter(([name]) => !/coinm|option|inverse|bybit-spot|relay/.test(name));

describe.each(FOLLOWED.map(([name, makeVenue]) => ({ name, makeVenue })))(
  "two lines to $name",
  ({ makeVenue }) => {
    const start = (): LineBed => {
      const bed = new LineBed(makeVenue, 2);
      bed.goLive();
      expect(bed.lines.map(({ feed }) => bed.arbiter.liveOn(feed.id))).toEqual([2, 2]);
      expect(bed.log).toEqual([]);
      return bed;
    };
    /** The desk saw no state change, no book that was not the venue's, and has the venue's now. */
    const isUnnoticed = (bed: LineBed): void => {
      expect({ log: bed.log, unsound: bed.unsound, crossed: bed.crossed }).toEqual({
        log: [],
        unsound: [],
        crossed: 0,
      });
      expect([bed.agrees(0), bed.agrees(1)]).toEqual([true, true]);
    };

    test("each event is taken once", () => {
      const bed = start();
      bed.trades.length = 0;
      bed.pass(PASS_MS);
      isUnnoticed(bed);
      // What takes from a book by order is a trade of its own number; the other venues tell one every 500 ms.
      const distinct = new Set(bed.trades).size;
      expect(bed.trades.length).toBe(Math.max(distinct, PASS_MS / 500));
      const [first, second] = bed.arbiter.counters;
      expect(first.duplicates + second.duplicates).toBeGreaterThan(PASS_MS / 20);
    });

    test.each([0, 1])("line %d is cut and comes back", (victim) => {
      const bed = start();
      bed.pass(500);
      const line = bed.lines[victim];
      line.acceptsConnections = false;
      line.cut();
      bed.pass(PASS_MS);
      expect(bed.arbiter.liveOn(victim)).toBe(0);
      isUnnoticed(bed);
      line.acceptsConnections = true;
      bed.pass(6_000);
      expect(bed.arbiter.liveOn(victim)).toBe(2);
      isUnnoticed(bed);
    });

    const held = (bed: LineBed): string[] => bed.lines[0].venue.symbols.map((symbol) => `${symbol} held`);
    const released = (bed: LineBed): string[] => bed.lines[0].venue.symbols.map((symbol) => `${symbol} live`);

    test("a stall of the process holds both back, and what waited is read", () => {
      const bed = start();
      bed.pass(500);
      bed.stall(1_500);
      expect(bed.log.splice(0)).toEqual(held(bed));
      bed.pass(200);
      isUnnoticed(bed);
      bed.pass(100);
      expect(bed.log.splice(0)).toEqual(released(bed));
      bed.pass(PASS_MS);
      isUnnoticed(bed);
      expect(bed.lines.map(({ feed }) => feed.counters.reconnects + feed.counters.resyncs)).toEqual([0, 0]);
    });

    test.each([0, 1])("line %d is found dead after a stall: the other one goes on", (victim) => {
      const bed = start();
      bed.pass(500);
      bed.lines[victim].halfOpen = true;
      bed.stall(1_500);
      expect(bed.log.splice(0)).toEqual(held(bed));
      bed.pass(300);
      expect(bed.log.splice(0).toSorted()).toEqual(released(bed).toSorted());
      expect(bed.arbiter.liveOn(victim)).toBe(0);
      isUnnoticed(bed);
      bed.pass(6_000);
      expect(bed.arbiter.liveOn(victim)).toBe(2);
      isUnnoticed(bed);
    });

    test.each([0, 1])("line %d dies without saying so", (victim) => {
      const bed = start();
      bed.lines[victim].halfOpen = true;
      bed.pass(6_000);
      expect(bed.arbiter.counters[victim].covered).toBeGreaterThan(0);
      expect(bed.arbiter.liveOn(victim)).toBe(2);
      isUnnoticed(bed);
    });

    test.each([0, 1])("line %d is late, then the other one is cut", (late) => {
      const bed = start();
      bed.lines[late].delayMs = LATE_MS;
      bed.pass(PASS_MS);
      const lagUs = bed.arbiter.lagUs[late];
      // Also of events that are long past when the late line brings them.
      if (VENUE_ENTRIES[bed.lines[late].feed.venue].arbitration === "sequence") {
        expect(lagUs.quantile(0.5) / 1_000).toBeCloseTo(LATE_MS, -1.5);
      } else expect(lagUs.count).toBe(0);
      expect({ log: bed.log, unsound: bed.unsound }).toEqual({ log: [], unsound: [] });
      bed.lines[1 - late].cut();
      bed.pass(200);
      expect({ log: bed.log, unsound: bed.unsound }).toEqual({ log: [], unsound: [] });
      bed.lines[late].delayMs = 0;
      bed.pass(5_000);
      isUnnoticed(bed);
    });

    test("both are cut: the desk is told, and the book comes back", () => {
      const bed = start();
      for (const line of bed.lines) line.cut();
      expect(bed.live.size).toBe(0);
      bed.pass(5_000);
      expect(bed.live.size).toBe(2);
      expect(bed.unsound).toEqual([]);
      expect([bed.agrees(0), bed.agrees(1)]).toEqual([true, true]);
    });

    test.skipIf(makeVenue().isSequenced === false).each([0, 1])(
      "line %d sends old frames again and again: the desk's book is never an older one",
      (liar) => {
        const bed = start();
        const rng = new Rng(13);
        for (let round = 0; round < 40; round += 1) {
          bed.pass(100);
          const { sent } = bed.lines[liar];
          for (let i = 0; i < 4; i += 1) bed.lines[liar].deliver(sent[rng.int(sent.length)]);
          // More of them than are taken for repetitions, in a row: that line begins anew, the other one goes on.
          if (round % 8 === 7) for (let i = 0; i < 12; i += 1) bed.lines[liar].deliver(sent[i]);
          expect([bed.agrees(0), bed.agrees(1)]).toEqual([true, true]);
        }
        isUnnoticed(bed);
        bed.pass(8_000);
        expect(bed.arbiter.liveOn(liar)).toBe(2);
        isUnnoticed(bed);
      },
    );

    test("whatever happens to one line at a time is not noticed", () => {
      const bed = start();
      const rng = new Rng(7);
      const isBlind = bed.lines[0].venue.isSequenced === false;
      for (let round = 0; round < 6; round += 1) {
        const line = bed.lines[rng.int(2)];
        const trouble = rng.int(isBlind ? 3 : 4);
        if (trouble === 0) line.cut();
        else if (trouble === 1) line.halfOpen = true;
        else if (trouble === 2) line.delayMs = 20 + rng.int(400);
        else line.loses = () => rng.int(20) === 0;
        bed.pass(1_000);
        line.delayMs = 0;
        line.loses = () => false;
        for (let ms = 0; ms < 60_000 && bed.arbiter.liveOn(line.feed.id) < 2; ms += 100) bed.pass(100);
        bed.pass(500);
      }
      isUnnoticed(bed);
    });
  },
);
