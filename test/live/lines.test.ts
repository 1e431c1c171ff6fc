import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { JournalReader } from "../../src/journal/reader.ts";
import { replay } from "../../src/journal/replay.ts";
import { showDecision } from "../../src/journal/show.ts";
import { DecisionComparer } from "../../src/journal/verify.ts";
import { engineForReplay } from "../../src/live/replay-engine.ts";
import { FEED_STATE } from "../../src/market/event-batch.ts";
import { REASON } from "../../src/quote/quote-batch.ts";
import { Harness } from "./harness.ts";
import { LineProxy, type ProxiedLine } from "./line-proxy.ts";

const LINES = 2;

describe("two lines to each venue, over real sockets", () => {
  const proxies: LineProxy[] = [];
  let harness: Harness;
  let reference: () => ProxiedLine[];
  let chain: () => ProxiedLine[];

  beforeAll(async () => {
    harness = await Harness.start({ KEEL_LINES: String(LINES), KEEL_SILENCE_MS: "5000" }, {}, (url) => {
      const proxy = new LineProxy(url);
      proxies.push(proxy);
      return proxy.url;
    });
    const [binance, deribit] = proxies;
    reference = () => binance?.open ?? [];
    chain = () => deribit?.open ?? [];
    await harness.until("every instrument live on every line", allLive);
    await harness.untilQuoting();
  }, 120_000);
  // What one trouble has done is not held against the next.
  beforeEach(() => {
    harness.violations.length = 0;
  });
  afterAll(async () => {
    for (const proxy of proxies) await proxy.stop();
    harness.remove();
  });

  function allLive(): boolean {
    const { desk } = harness;
    return (
      desk.market.instruments.size > 100 &&
      desk.feeds.every(({ id, carried }) => carried.length > 0 && desk.lines.liveOn(id) === carried.length)
    );
  }

  /** Does something to a line and waits until all is well; the desk must not have noticed. */
  async function isUnnoticed(trouble: () => void, struck: () => boolean, ended: () => void): Promise<void> {
    const { desk } = harness;
    await harness.until("every line to be live", allLive);
    const pulled = (): number => desk.reasonCounts[31 - Math.clz32(REASON.pulled)] ?? 0;
    const before = pulled();
    const states: string[] = [];
    const watch = setInterval(() => {
      for (const { id, symbol } of desk.market.instruments.all()) {
        if (desk.market.feedState[id] !== FEED_STATE.live) states.push(symbol);
      }
    }, 1);
    const { quotesSent } = desk.counters;
    trouble();
    await harness.until("the trouble to strike", struck);
    await harness.until("quotes while it lasts", () => desk.counters.quotesSent > quotesSent);
    ended();
    await harness.until("every line to be live again", allLive);
    clearInterval(watch);
    expect([...new Set(states)]).toEqual([]);
    expect(pulled()).toBe(before);
    expect(harness.violations).toEqual([]);
  }

  const covered = (): number =>
    harness.desk.lines.counters.reduce((total, counters) => total + counters.covered, 0);

  test.each([0, 1])("a cut of the reference's line %d", async (at) => {
    const before = covered();
    await isUnnoticed(
      () => reference()[at]?.cut(),
      () => covered() > before,
      () => {},
    );
  });

  test("a cut of a line with the whole chain", async () => {
    const before = covered();
    await isUnnoticed(
      () => chain()[0]?.cut(),
      () => covered() > before + 100,
      () => {},
    );
  });

  test("a line that goes silent", async () => {
    const before = covered();
    const [line] = reference();
    await isUnnoticed(
      () => {
        if (line !== undefined) line.frozen = true;
      },
      () => covered() > before,
      () => {},
    );
  });

  test("a line that is late", async () => {
    const [line] = reference();
    const { feeds, lines } = harness.desk;
    /** Events that came by a line of the reference more than 100 ms after they had come by the other. */
    const late = (): number =>
      feeds
        .filter(({ venue }) => venue === "binance-usdm")
        .reduce((sum, { id }) => sum + lines.lagUs[id].count - lines.lagUs[id].countAtMost(100_000), 0);
    const before = late();
    await isUnnoticed(
      () => {
        if (line !== undefined) line.delayMs = 150;
      },
      () => late() >= before + 20,
      () => {
        if (line !== undefined) line.delayMs = 0;
      },
    );
  });

  test("a line that loses depth frames", async () => {
    const before = covered();
    const [line] = reference();
    let counted = 0;
    await isUnnoticed(
      () => {
        if (line === undefined) return;
        line.loses = (frame) => {
          if (!frame.includes("@depth")) return false;
          counted += 1;
          return counted % 7 === 0;
        };
      },
      () => covered() > before + 1,
      () => {
        if (line !== undefined) line.loses = () => false;
      },
    );
  });

  test("the journal replays to the same decisions", async () => {
    const summary = await harness.stop();
    expect(summary.journal?.dropped).toBe(0);
    const comparer = new DecisionComparer(showDecision);
    await replay(new JournalReader(join(harness.folder, "journal")).records(), {
      engineFor: (start) => engineForReplay(start, undefined, { info: () => {}, warn: () => {} }),
      decisions: comparer,
      onRecord: (record) => comparer.recorded(record),
      stop: () => comparer.differs,
    });
    const verification = comparer.finish();
    expect(verification.difference).toBeNull();
    expect(verification.compared).toBeGreaterThan(20);
  }, 120_000);
});
