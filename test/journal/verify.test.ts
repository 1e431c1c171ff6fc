import { describe, expect, test } from "bun:test";
import { type JournalRecord, RECORD, type RecordType } from "../../src/journal/record.ts";
import { DecisionComparer } from "../../src/journal/verify.ts";

function decision(
  sequence: number,
  text: string,
  type: RecordType = RECORD.quote,
  timeUs = 10,
): JournalRecord {
  return { sequence, type, subject: 1, timeUs, payload: Buffer.from(text) };
}

function comparer(): DecisionComparer {
  return new DecisionComparer((_type, payload) => Buffer.from(payload).toString());
}

describe("comparing decisions", () => {
  test("the same decisions in the same order are identical, whichever side is ahead", () => {
    const compare = comparer();
    compare.text(RECORD.quote, 1, 10, "a");
    compare.recorded(decision(4, "a"));
    compare.recorded(decision(5, "b", RECORD.risk));
    compare.recorded(decision(7, "c"));
    compare.bytes(RECORD.risk, 1, 10, Buffer.from("b"));
    compare.text(RECORD.quote, 1, 10, "c");
    expect(compare.finish()).toEqual({ identical: true, complete: false, compared: 3, difference: null });
  });

  test("inputs are passed over", () => {
    const compare = comparer();
    compare.recorded(decision(0, "frame", RECORD.feedFrame));
    compare.text(RECORD.timer, 0, 0, "");
    expect(compare.finish()).toMatchObject({ identical: true, compared: 0 });
  });

  test("a waiting payload is kept although its buffer is used again", () => {
    const compare = comparer();
    const buffer = Buffer.from("one");
    compare.bytes(RECORD.quote, 1, 10, buffer);
    buffer.write("two");
    compare.bytes(RECORD.quote, 1, 10, buffer);
    compare.recorded(decision(0, "one"));
    compare.recorded(decision(1, "two"));
    expect(compare.finish()).toMatchObject({ identical: true, compared: 2 });
  });

  test("the first different payload is shown with both sides, and later ones are not looked at", () => {
    const compare = comparer();
    for (const text of ["a", "b", "x", "y"]) compare.text(RECORD.quote, 1, 10, text);
    for (const [i, text] of ["a", "b", "c", "d"].entries()) compare.recorded(decision(20 + i, text));
    expect(compare.differs).toBe(true);
    expect(compare.finish()).toEqual({
      identical: false,
      complete: false,
      compared: 2,
      difference: {
        index: 2,
        sequence: 22,
        what: "payload",
        recorded: { type: "quote", subject: 1, timeUs: 10, payload: "c" },
        replayed: { type: "quote", subject: 1, timeUs: 10, payload: "x" },
      },
    });
  });

  test("type, subject and time count too", () => {
    const different: readonly [string, (compare: DecisionComparer) => void][] = [
      ["type", (compare) => compare.text(RECORD.risk, 1, 10, "a")],
      ["subject", (compare) => compare.text(RECORD.quote, 2, 10, "a")],
      ["time", (compare) => compare.text(RECORD.quote, 1, 10.25, "a")],
    ];
    for (const [what, replay] of different) {
      const compare = comparer();
      replay(compare);
      compare.recorded(decision(0, "a"));
      expect(compare.finish().difference?.what).toBe(what as "type");
    }
  });

  test("a decision that only one side has is a difference", () => {
    const missing = comparer();
    missing.recorded(decision(3, "a"));
    expect(missing.finish().difference).toMatchObject({
      what: "missing-in-replay",
      sequence: 3,
      replayed: null,
    });
    const extra = comparer();
    extra.text(RECORD.quote, 1, 10, "a");
    extra.recorded(decision(4, "{}", RECORD.end));
    expect(extra.finish().difference).toMatchObject({
      what: "extra-in-replay",
      sequence: null,
      recorded: null,
    });
  });

  test("where the journal was cut off, decisions on its last input may be missing from it, earlier ones may not", () => {
    const cut = comparer();
    cut.recorded(decision(0, "frame", RECORD.feedFrame));
    cut.text(RECORD.quote, 1, 10, "a");
    expect(cut.finish()).toEqual({ identical: true, complete: false, compared: 0, difference: null });
    const early = comparer();
    early.text(RECORD.quote, 1, 10, "a");
    for (let i = 0; i < 3; i += 1) early.recorded(decision(i, "frame", RECORD.feedFrame));
    expect(early.finish().difference?.what).toBe("extra-in-replay");
  });
});
