import { expect, test } from "bun:test";
import { Takeover, type TakeoverStages } from "../../src/live/takeover.ts";

test("a takeover's stages are told once, when its first quote has left", () => {
  let nowMs = 1_000;
  const told: TakeoverStages[] = [];
  const takeover = new Takeover(
    () => nowMs * 1e6,
    (stages) => told.push(stages),
  );
  takeover.onQuotes();
  takeover.begin(960e6);
  nowMs = 1_010;
  takeover.onTimer(false);
  nowMs = 1_030;
  takeover.onTimer(true);
  takeover.onTimer(true);
  nowMs = 1_037;
  takeover.onQuotes();
  takeover.onQuotes();
  expect(told).toEqual([{ leaseMs: 40, sessionMs: 30, quoteMs: 7 }]);
  takeover.begin(Number.NEGATIVE_INFINITY);
  expect(takeover.stages).toEqual({ leaseMs: Number.NaN, sessionMs: Number.NaN, quoteMs: Number.NaN });
  takeover.end();
  takeover.onTimer(true);
  takeover.onQuotes();
  expect(told).toHaveLength(1);
});

test("quotes that leave before the timer has seen the session end its stage, too", () => {
  let nowMs = 0;
  const takeover = new Takeover(
    () => nowMs * 1e6,
    () => {},
  );
  takeover.begin(0);
  nowMs = 12;
  takeover.onQuotes();
  expect(takeover.stages).toEqual({ leaseMs: 0, sessionMs: 12, quoteMs: 0 });
});
