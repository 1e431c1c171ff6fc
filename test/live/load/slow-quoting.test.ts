/** Feeds on threads of their own, and a quoting thread that is slower than what they bring. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { LOAD_STAGE, TURN_WAIT_MAX_MS } from "../../../src/risk/load-shedder.ts";
import { Harness } from "../harness.ts";
import { FloodVenue } from "./flood-scene.ts";

setDefaultTimeout(240_000);
const RATE = 20_000;
/** By so much each turn is longer at first, and by a quarter more after each step, until quotes are pulled. */
const FIRST_SLOW_US = 10;
const STEP_MS = 500;
const PATIENCE_MS = 100_000;
/** Not yet told. */
const NEVER = { lost: Number.NaN, resyncs: Number.NaN, reconnects: Number.NaN };

function spin(us: number): void {
  const endNs = Bun.nanoseconds() + us * 1_000;
  while (Bun.nanoseconds() < endNs);
}

test("turns that wait have quotes conflated, widened and pulled; once they are pulled no thread is given up, and no book is joined anew", async () => {
  const venue = new FloodVenue();
  const { binance, deribit } = await venue.urls;
  const addresses = [binance, deribit];
  const harness = await Harness.start(
    {
      KEEL_SHED: "pull",
      KEEL_SHED_CALM_MS: "300",
      KEEL_SHARDS: "2",
      KEEL_JOURNAL_DIR: "",
      KEEL_SILENCE_MS: "30000",
    },
    {},
    (url) => addresses.shift() ?? url,
  );
  try {
    await harness.untilQuoting();
    const { live, desk, counterparty } = harness;
    const { load, shards } = live;
    if (load === null || shards === null || shards.set === null) throw new Error("sharded, and load is shed");
    const { set } = shards;
    const { shedder } = load;
    const lost = () => Object.values(set.losses).reduce((sum, count) => sum + count, 0);
    const told = () => {
      const { resyncs, reconnects } = live.summary();
      return { lost: lost(), resyncs, reconnects };
    };
    const stages: number[] = [];
    let entered = NEVER;
    let left = NEVER;
    const onLoad = desk.onLoad.bind(desk);
    desk.onLoad = (stage, ...rest) => {
      if (stage === LOAD_STAGE.pull && entered === NEVER) entered = told();
      else if (stages.at(-1) === LOAD_STAGE.pull && left === NEVER) left = told();
      stages.push(stage);
      onLoad(stage, ...rest);
    };
    const onDecoded = desk.onDecoded.bind(desk);
    let slowUs = FIRST_SLOW_US;
    desk.onDecoded = (...turn) => {
      onDecoded(...turn);
      spin(slowUs);
    };
    venue.offer(RATE);
    let steppedMs = performance.now();
    let lostSoFar = lost();
    await harness.until(
      "quotes are pulled",
      () => {
        // A host that stands still may cost a thread before quotes are pulled: then from the beginning.
        if (lost() > lostSoFar) slowUs = FIRST_SLOW_US;
        lostSoFar = lost();
        if (performance.now() - steppedMs > STEP_MS) {
          steppedMs = performance.now();
          slowUs *= 1.25;
        }
        return shedder.stage === LOAD_STAGE.pull && counterparty.liveQuotes.size === 0;
      },
      PATIENCE_MS,
    );
    Bun.sleepSync(TURN_WAIT_MAX_MS + 100);
    expect(shedder.stage).toBe(LOAD_STAGE.pull);
    expect(shards.waitedMs()).toBeGreaterThan(TURN_WAIT_MAX_MS);
    venue.offer(0);
    slowUs = 0;
    await harness.until("it is over", () => shedder.stage === LOAD_STAGE.normal, PATIENCE_MS);
    await harness.untilQuoting();
    expect(entered).not.toBe(NEVER);
    expect(left).toEqual(entered);
    expect(live.summary()).toMatchObject({ gaps: 0, crossed: 0 });
    expect(harness.violations).toEqual([]);
    expect(stages.slice(0, stages.indexOf(LOAD_STAGE.pull) + 1)).toEqual(
      expect.arrayContaining([LOAD_STAGE.conflate, LOAD_STAGE.widen, LOAD_STAGE.pull]),
    );
    for (const [at, stage] of stages.entries()) expect(Math.abs(stage - (stages[at - 1] ?? 0))).toBe(1);
  } finally {
    await harness.stop();
    harness.remove();
    await venue.close();
  }
});
