import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { FAKE_VENUES } from "./fake-venues.ts";
import { JoinBed, type Step } from "./join-bed.ts";

const index = fc.nat(1);
const ordered: fc.Arbitrary<Step>[] = [
  fc.record({ does: fc.constant("tell" as const), index }),
  fc.record({ does: fc.constant("tell" as const), index }),
  fc.constant<Step>({ does: "arrive" }),
  fc.constant<Step>({ does: "arrive" }),
  fc.constant<Step>({ does: "answer" }),
  fc.constant<Step>({ does: "duplicate" }),
  fc.record({ does: fc.constant("wait" as const), ms: fc.constantFrom(10, 50, 300, 2_100) }),
];
/** What a venue with numbers finds out: a venue without has a connection that loses nothing and keeps the order. */
const disordered: fc.Arbitrary<Step>[] = [
  fc.constant<Step>({ does: "lose" }),
  fc.record({ does: fc.constant("late" as const), pick: fc.nat(1_000) }),
];
/** A Kafka partition keeps the order, and before its first book a relayed instrument is not known. */
const swapped = fc.constant<Step>({ does: "swap" });
const rare = fc.constant<Step>({ does: "cut" });

describe.each(FAKE_VENUES.map(([name, makeVenue]) => ({ name, makeVenue })))(
  "$name",
  ({ name, makeVenue }) => {
    const isBlind = makeVenue().isSequenced === false;
    const usual = fc.oneof(
      ...ordered,
      ...(isBlind ? [] : disordered),
      ...(isBlind || name === "relay" ? [] : [swapped]),
    );
    const script = fc.array(fc.oneof({ weight: 40, arbitrary: usual }, { weight: 1, arbitrary: rare }), {
      minLength: 40,
      maxLength: 200,
    });

    test("however snapshots, changes, repetitions and late ones interleave, a live book is the venue's and never an older one than has arrived", () => {
      let compared = 0;
      fc.assert(
        fc.property(script, (steps) => {
          const bed = new JoinBed(makeVenue());
          for (const step of steps) {
            bed.step(step);
            if (bed.wrong.length > 0) break;
          }
          expect(bed.wrong).toEqual([]);
          expect(bed.heal()).not.toBeNaN();
          expect(bed.wrong).toEqual([]);
          compared += bed.compared;
        }),
        { seed: 11, numRuns: 15 },
      );
      expect(compared).toBeGreaterThan(500);
    }, 30_000);
  },
);
