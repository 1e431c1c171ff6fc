import { describe, expect, test } from "bun:test";
import { FRAME } from "../../src/feed/feed.ts";
import { EVENT, UNSOUND } from "../../src/market/event-batch.ts";
import { type FakeVenue, Session } from "./fake-venue.ts";
import { FAKE_VENUES } from "./fake-venues.ts";

/** The frame that shows that one of the first book was lost. */
function revealing(venue: FakeVenue): string {
  return venue.reveal?.(0) ?? venue.next(0);
}

for (const [name, makeVenue] of FAKE_VENUES) {
  describe(`feed contract: ${name}`, () => {
    const live = (options: { readonly silenceMs?: number } = {}): Session => {
      const session = new Session(makeVenue(), options);
      session.goLive();
      expect([...session.live].toSorted()).toEqual([...session.venue.symbols].toSorted());
      return session;
    };
    const expectRecovered = (session: Session): void => {
      expect([...session.live].toSorted()).toEqual([...session.venue.symbols].toSorted());
      expect([session.agrees(0), session.agrees(1)]).toEqual([true, true]);
    };

    test("comes live by way of snapshot, and its books are the venue's", () => {
      const session = new Session(makeVenue());
      session.feed.start(session.timeUs);
      session.service();
      session.advance(100, true);
      const [first, second] = session.venue.symbols;
      for (const symbol of [first, second]) {
        const waited = session.venue.isDescribedByBooks === true ? [] : [`${symbol} snapshot none`];
        expect(session.log.filter((line) => line.startsWith(symbol))).toEqual([
          ...waited,
          `${symbol} live none`,
        ]);
      }
      expectRecovered(session);
      expect(session.feed.carried.map(({ symbol }) => symbol)).toEqual([first, second]);
      expect(session.feed.problem).toBe("");
    });

    test("follows a stream of changes", () => {
      const session = live();
      session.advance(2_000, true);
      expectRecovered(session);
      expect(session.log).toEqual([]);
      expect(session.feed.counters).toMatchObject({ gaps: 0, resyncs: 0, unparsable: 0, ignored: 0 });
    });

    test("a repeated book frame changes nothing", () => {
      const session = live();
      const frame = session.venue.next(0);
      session.deliver(frame);
      session.kinds = [];
      expect(session.deliver(frame)).toBe(FRAME.ok);
      expect(session.kinds).toEqual([]);
      session.deliver(session.venue.next(0));
      expectRecovered(session);
      expect(session.feed.counters.gaps).toBe(0);
    });

    test("a gap makes the book unsound in the same call, then it heals; the other book stays live", () => {
      const session = live();
      session.venue.next(0);
      const [symbol, other] = session.venue.symbols;
      const broken = revealing(session.venue);
      session.feed.onFrame(broken, session.timeUs, session.out);
      expect([...session.out.kind.subarray(0, session.out.count)]).toEqual([EVENT.status]);
      session.apply();
      const found = `${symbol} unsound ${session.venue.gapReason ?? "gap"}`;
      expect(session.log).toEqual([found]);
      expect(session.live.has(other)).toBe(true);
      session.service();
      session.advance(1_000, true);
      expectRecovered(session);
      expect(session.log).toEqual([found, `${symbol} live none`]);
      expect(session.feed.counters).toMatchObject({ resyncs: 1, reconnects: 0 });
      const { gaps, checksums } = session.feed.counters;
      expect({ gaps, checksums }).toEqual(
        session.venue.gapReason === "checksum" ? { gaps: 0, checksums: 1 } : { gaps: 1, checksums: 0 },
      );
      expect(session.feed.counters.lastResyncUs).toBeGreaterThanOrEqual(0);
      expect(session.feed.problem).toContain(symbol);
    });

    test.skipIf(makeVenue().isSequenced === false)(
      "a book whose sequence ran ahead does not stand still",
      () => {
        const session = live();
        const frame = session.venue.next(0);
        session.deliver(frame.replace(/"(u|change_id|seqId|sequence|number)":(\d+)/, '"$1":9$2'));
        session.advance(3_000, true);
        expectRecovered(session);
        expect(session.feed.counters.gaps).toBe(1);
      },
    );

    test("no change of an unsound book is told", () => {
      const session = live();
      session.venue.next(0);
      session.feed.onFrame(revealing(session.venue), session.timeUs, session.out);
      session.out.clear();
      session.feed.onFrame(session.venue.next(0), session.timeUs, session.out);
      expect(session.out.count).toBe(0);
    });

    test("a book that the desk found crossed is resynchronised", () => {
      const session = live();
      const { id, symbol } = session.feed.carried[1];
      session.feed.onUnsound(id, UNSOUND.crossed, session.timeUs, session.out);
      session.apply();
      expect(session.log).toEqual([`${symbol} unsound crossed`]);
      session.feed.onUnsound(id, UNSOUND.crossed, session.timeUs, session.out);
      session.service();
      session.advance(1_000, true);
      expectRecovered(session);
      expect(session.feed.counters).toMatchObject({ crossed: 1, resyncs: 1 });
    });

    test("garbage that names no instrument makes every book unsound", () => {
      const session = live();
      expect(session.deliver("\u0000garbage{{")).toBe(FRAME.unparsable);
      const [a, b] = session.venue.symbols;
      expect(session.log).toEqual([`${a} unsound unparsable`, `${b} unsound unparsable`]);
      session.advance(1_000, true);
      expectRecovered(session);
      expect(session.feed.counters).toMatchObject({ unparsable: 1, resyncs: 2 });
    });

    test("half a frame makes the book that it names unsound", () => {
      const session = live();
      const frame = session.venue.next(1);
      expect(session.deliver(frame.slice(0, frame.length - 12))).toBe(FRAME.unparsable);
      expect(session.log).toEqual([`${session.venue.symbols[1]} unsound unparsable`]);
      session.advance(1_000, true);
      expectRecovered(session);
      expect(session.feed.counters).toMatchObject({ unparsable: 1, resyncs: 1 });
    });

    test("a price off the grid makes the book unsound", () => {
      const session = live();
      session.deliver(session.venue.offGrid(0));
      const { problem } = session.feed;
      const reason = session.venue.offGridReason ?? "off-grid";
      expect(session.log).toEqual([`${session.venue.symbols[0]} unsound ${reason}`]);
      session.advance(1_000, true);
      expectRecovered(session);
      expect(problem).toContain(reason === "off-grid" ? "grid" : "level");
    });

    test("a lost connection makes every book unsound in the same call, and is opened again", () => {
      const session = live();
      session.disconnect();
      const [a, b] = session.venue.symbols;
      expect(session.log).toEqual([`${a} unsound disconnect`, `${b} unsound disconnect`]);
      session.advance(1_500, true);
      expectRecovered(session);
      expect(session.feed.counters).toMatchObject({ reconnects: 1, resyncs: 2 });
    });

    test("reconnects at growing, capped delays", () => {
      const session = live();
      session.acceptsConnections = false;
      const connectsBefore = session.port.connects;
      session.disconnect();
      session.advance(3_000);
      const early = session.port.connects - connectsBefore;
      expect(early).toBeGreaterThanOrEqual(3);
      expect(early).toBeLessThanOrEqual(6);
      session.advance(120_000);
      const before = session.port.connects;
      session.advance(60_000);
      expect(session.port.connects - before).toBeGreaterThanOrEqual(2);
      expect(session.port.connects - before).toBeLessThanOrEqual(4);
      session.acceptsConnections = true;
      session.advance(31_000, true);
      expectRecovered(session);
    });

    test("silence makes every book stale and the connection new; heartbeats are no data", () => {
      const session = live({ silenceMs: 500 });
      for (let i = 0; i < 9; i += 1) {
        session.advance(50);
        session.deliver(session.venue.heartbeat());
      }
      expect(session.log).toEqual([]);
      session.advance(80);
      const [a, b] = session.venue.symbols;
      expect(session.log).toEqual([`${a} stale silence`, `${b} stale silence`]);
      session.advance(1_000, true);
      expectRecovered(session);
      expect(session.feed.counters).toMatchObject({ silences: 1, reconnects: 1, resyncs: 2 });
    });

    test("a stall of the process longer than that pulls every book at once, and what waited is read and goes on", () => {
      const session = live({ silenceMs: 1_000 });
      session.advance(200, true);
      const [a, b] = session.venue.symbols;
      const waiting = [0, 1, 0, 1].map((index) => session.venue.next(index));
      session.stall(1_500);
      expect(session.log).toEqual([`${a} live stall`, `${b} live stall`]);
      expect(session.feed.problem).toContain("the process stood still");
      for (const frame of waiting) session.feed.onFrame(frame, session.timeUs, session.out);
      session.apply();
      session.advance(240, true);
      expect(session.log).toHaveLength(2);
      session.advance(2_000, true);
      expect(session.log.slice(2)).toEqual([`${a} live none`, `${b} live none`]);
      expectRecovered(session);
      expect(session.feed.counters).toMatchObject({ silences: 0, reconnects: 0, resyncs: 0, gaps: 0 });
    });

    // A relay tells its books again and again of its own.
    test.skipIf(name === "relay")("a connection on which nothing waited after a stall is silent", () => {
      const session = live({ silenceMs: 1_000 });
      session.advance(200, true);
      session.stall(1_500);
      session.advance(300);
      const [a, b] = session.venue.symbols;
      expect(session.log.slice(0, 4)).toEqual([
        `${a} live stall`,
        `${b} live stall`,
        `${a} stale silence`,
        `${b} stale silence`,
      ]);
      session.advance(1_500, true);
      expectRecovered(session);
      expect(session.feed.counters).toMatchObject({ silences: 1, reconnects: 1, resyncs: 2 });
    });

    test.skipIf(makeVenue().mayBeQuiet === true)("one instrument that falls silent is stale alone", () => {
      const session = live({ silenceMs: 300 });
      for (let i = 0; i < 60; i += 1) {
        session.advance(20);
        session.deliver(session.venue.next(1));
      }
      expect(session.log.slice(0, 1)).toEqual([`${session.venue.symbols[0]} stale silence`]);
      expect(session.live.has(session.venue.symbols[1])).toBe(true);
      session.advance(3_000, true);
      expectRecovered(session);
      expect(session.feed.counters.reconnects).toBe(0);
    });

    test("a frame of an unknown instrument is counted and passed over", () => {
      const session = live();
      const outcome = session.venue.strangersAre ?? FRAME.ignored;
      expect(session.deliver(session.venue.stranger())).toBe(outcome);
      expect(session.kinds).toEqual([]);
      expect(session.feed.counters.ignored).toBe(outcome === FRAME.ignored ? 1 : 0);
    });

    test("trades are told, whatever the book's state", () => {
      const session = live();
      session.venue.next(0);
      session.deliver(session.venue.next(0));
      session.kinds = [];
      session.feed.onFrame(session.venue.trade(0), session.timeUs, session.out);
      expect(session.out.kind[0]).toBe(EVENT.trade);
      expect(session.out.side[0]).toBe(1);
    });

    test("events of an abandoned socket are passed over", () => {
      const session = live();
      session.disconnect();
      session.log = [];
      session.feed.onClose(1_006, "again", session.timeUs, session.out);
      session.feed.onOpen(session.timeUs, session.out);
      expect(session.deliver(session.venue.next(0))).toBe(FRAME.ignored);
      session.apply();
      expect(session.log).toEqual([]);
      session.advance(1_500, true);
      expectRecovered(session);
    });

    test("a connection that is never opened is given up and tried again", () => {
      const session = live();
      session.disconnect();
      const before = session.port.connects;
      const opened = session.feed.onOpen;
      session.feed.onOpen = () => {};
      session.advance(11_000);
      session.feed.onOpen = opened;
      expect(session.port.connects).toBeGreaterThanOrEqual(before + 2);
      session.advance(12_000, true);
      expectRecovered(session);
    });

    test("statuses that find the batch full are told later", () => {
      const session = live();
      while (session.out.status(0, 0, 0) >= 0);
      session.feed.onClose(1_006, "", session.timeUs, session.out);
      session.out.clear();
      session.advance(10);
      const [a, b] = session.venue.symbols;
      expect(session.log.slice(0, 2)).toEqual([`${a} unsound disconnect`, `${b} unsound disconnect`]);
    });

    test("a book too large for the batch is unsound by overflow and loses nothing else", () => {
      const session = live();
      while (session.out.level(0, 0, 0));
      expect(session.feed.onFrame(session.venue.next(0), session.timeUs, session.out)).toBe(FRAME.overflow);
      session.out.levels = 0;
      session.apply();
      expect(session.log).toEqual([`${session.venue.symbols[0]} unsound overflow`]);
      session.advance(1_000, true);
      expectRecovered(session);
      expect(session.feed.counters.overflows).toBe(1);
    });

    test("the same inputs and seed ask for the same things at the same times", () => {
      const run = (): string[] => {
        const session = live();
        const asked: string[] = [];
        session.port.connect = () => {
          session.port.connects += 1;
          asked.push(`${session.timeUs} connect`);
        };
        session.acceptsConnections = false;
        session.disconnect();
        session.advance(20_000);
        return asked;
      };
      expect(run()).toEqual(run());
    });
  });
}
