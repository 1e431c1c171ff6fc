import { describe, expect, test } from "bun:test";
import { DepthJoin, DIFF, JOINED, MATCH } from "../../src/feed/binance/depth-join.ts";
import { FUTURES_SEQUENCE, SPOT_SEQUENCE } from "../../src/feed/binance/venue.ts";
import { EVENT, EventBatch } from "../../src/market/event-batch.ts";
import { connected } from "./fake-binance.ts";

describe("snapshot join", () => {
  test("asks for a snapshot only once depth events come in", () => {
    const { session, venue } = connected();
    session.advance(500);
    expect(venue.depthRequests).toBe(0);
    session.deliver(venue.next(0));
    expect(venue.depthRequests).toBe(1);
  });

  test("a snapshot that falls between two events of its symbol joins", () => {
    const { session, venue } = connected();
    venue.depthFaults.push({ kind: "silent" });
    session.deliver(venue.next(0));
    venue.next(1);
    venue.books[0].sequence += 3;
    const between = venue.snapshot(0);
    venue.books[0].sequence -= 3;
    const [instrument] = session.feed.carried;
    session.feed.onResponse(2, 200, between, Number.NaN, session.timeUs, session.out);
    session.apply();
    expect(session.live.has(instrument.symbol)).toBe(false);
    session.deliver(venue.next(0));
    expect(session.live.has(instrument.symbol)).toBe(true);
    expect(session.agrees(0)).toBe(true);
  });

  test("a snapshot older than the events is asked for again, later each time", () => {
    const { session, venue } = connected();
    const old = venue.snapshot(0);
    venue.next(0);
    for (let i = 0; i < 3; i += 1) venue.depthFaults.push({ kind: "body", body: old });
    session.deliver(venue.next(0));
    expect(venue.depthRequests).toBe(1);
    expect(session.feed.problem).toContain("older");
    session.advance(100);
    expect(venue.depthRequests).toBe(1);
    session.advance(3_000, true);
    expect(venue.depthFaults.length).toBe(0);
    expect(session.live.size).toBe(2);
    expect([session.agrees(0), session.agrees(1)]).toEqual([true, true]);
  });

  test("events before and after the snapshot are joined in order, each once", () => {
    const { session, venue } = connected();
    venue.depthFaults.push({ kind: "silent" });
    session.deliver(venue.next(0));
    session.deliver(venue.next(0));
    const snapshot = venue.snapshot(0);
    session.deliver(venue.next(0));
    session.deliver(venue.next(0));
    session.kinds = [];
    session.feed.onResponse(2, 200, snapshot, Number.NaN, session.timeUs, session.out);
    session.apply();
    expect(session.kinds).toEqual([
      EVENT.bookSnapshot,
      EVENT.bookDelta,
      EVENT.bookDelta,
      EVENT.bookDelta,
      EVENT.status,
    ]);
    expect(session.agrees(0)).toBe(true);
  });

  test("a gap among the buffered events is a gap", () => {
    const { session, venue } = connected();
    venue.depthFaults.push({ kind: "silent" });
    const snapshot = venue.snapshot(0);
    session.deliver(venue.next(0));
    venue.next(0);
    session.deliver(venue.next(0));
    session.feed.onResponse(2, 200, snapshot, Number.NaN, session.timeUs, session.out);
    session.apply();
    expect(session.log.at(-1)).toBe("BTCUSDT unsound gap");
    expect(session.feed.counters.gaps).toBe(1);
    session.advance(2_000, true);
    expect(session.agrees(0)).toBe(true);
  });

  test("429 with Retry-After stops all requests until then", () => {
    const { session, venue } = connected();
    venue.depthFaults.push({ kind: "status", status: 429, retryAfterMs: 3_000 });
    session.deliver(venue.next(0));
    session.advance(2_900, true);
    expect(venue.depthRequests).toBe(1);
    session.advance(1_000, true);
    expect(session.live.size).toBe(2);
  });

  test("418 without Retry-After waits too, and holds reconnecting back", () => {
    const { session, venue } = connected();
    venue.depthFaults.push({ kind: "status", status: 418, retryAfterMs: 5_000 });
    session.deliver(venue.next(0));
    const { connects } = session.port;
    session.disconnect();
    session.advance(4_900);
    expect(session.port.connects).toBe(connects);
    session.advance(5_000, true);
    expect(session.port.connects).toBe(connects + 1);
    expect(session.live.size).toBe(2);
  });

  test("a request that is never answered is given up and repeated", () => {
    const { session, venue } = connected();
    venue.depthFaults.push({ kind: "silent" });
    session.advance(14_000, true);
    expect(session.live.size).toBe(1);
    session.advance(2_500, true);
    expect(session.live.size).toBe(2);
  });

  test("a snapshot that is no JSON, or off the grid, is asked for again", () => {
    const { session, venue } = connected();
    venue.depthFaults.push({ kind: "body", body: "<html>" });
    venue.depthFaults.push({ kind: "body", body: '{"lastUpdateId":5000,"bids":[["100.05","1"]],"asks":[]}' });
    session.deliver(venue.next(0));
    expect(session.log.at(-1)).toBe("BTCUSDT unsound unparsable");
    session.advance(3_000, true);
    expect(session.log).toContain("ETHUSDT unsound off-grid");
    expect([session.agrees(0), session.agrees(1)]).toEqual([true, true]);
    expect(session.feed.counters.unparsable).toBe(1);
  });

  test("events of a long wait are kept within bounds and the book still comes live", () => {
    const { session, venue } = connected();
    venue.depthFaults.push({ kind: "silent" });
    for (let i = 0; i < 600; i += 1) session.deliver(venue.next(0));
    expect(session.feed.counters.overflows).toBe(1);
    session.advance(17_000, true);
    expect(session.agrees(0)).toBe(true);
  });

  test("an answer that belongs to a lost connection is passed over", () => {
    const { session, venue } = connected();
    venue.depthFaults.push({ kind: "silent" });
    session.deliver(venue.next(0));
    session.disconnect();
    session.feed.onResponse(2, 200, venue.snapshot(0), Number.NaN, session.timeUs, session.out);
    session.apply();
    session.advance(2_000, true);
    expect([session.agrees(0), session.agrees(1)]).toEqual([true, true]);
  });
});

describe("sequence rules as documented", () => {
  const batch = new EventBatch(8, 8);
  const diff = (join: DepthJoin, U: number, u: number, pu: number): number => {
    batch.clear();
    const row = batch.begin(EVENT.bookDelta, 0, 0);
    batch.setSequence(row, U, u, pu);
    if (join.live) return join.judge(batch, row);
    join.keep(batch, row);
    return -1;
  };
  const out = new EventBatch(8, 8);

  test("spot joins where U <= lastUpdateId + 1 <= u, drops u <= lastUpdateId", () => {
    const join = new DepthJoin(SPOT_SEQUENCE);
    diff(join, 90, 99, Number.NaN);
    expect(join.match(100)).toBe(MATCH.waits);
    diff(join, 100, 105, Number.NaN);
    expect(join.match(105)).toBe(MATCH.waits);
    expect(join.match(98)).toBe(MATCH.joins);
    expect(join.match(88)).toBe(MATCH.stale);
    expect(join.join(100, out)).toBe(JOINED.done);
    expect(out.count).toBe(1);
    expect(diff(join, 106, 110, Number.NaN)).toBe(DIFF.next);
    expect(diff(join, 100, 105, Number.NaN)).toBe(DIFF.old);
    expect(diff(join, 112, 115, Number.NaN)).toBe(DIFF.gap);
  });

  test("futures join where U <= lastUpdateId <= u, then pu must be the last u", () => {
    const join = new DepthJoin(FUTURES_SEQUENCE);
    diff(join, 90, 99, 80);
    diff(join, 110, 120, 99);
    expect(join.match(120)).toBe(MATCH.joins);
    expect(join.match(121)).toBe(MATCH.waits);
    expect(join.match(104)).toBe(MATCH.joins);
    expect(join.match(79)).toBe(MATCH.stale);
    out.clear();
    expect(join.join(115, out)).toBe(JOINED.done);
    expect(diff(join, 130, 140, 120)).toBe(DIFF.next);
    expect(diff(join, 150, 160, 141)).toBe(DIFF.gap);
  });
});
