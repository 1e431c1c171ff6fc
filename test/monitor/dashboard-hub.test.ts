import { afterEach, describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Desk } from "../../src/desk/desk.ts";
import { DashboardHub, type LiveData } from "../../src/monitor/dashboard/hub.ts";
import {
  CLIENTS_MAX,
  COLUMNS,
  type RowChange,
  SECTIONS,
  type Update,
} from "../../src/monitor/dashboard/protocol.ts";
import { SentRows, wholeRow } from "../../src/monitor/dashboard/rows.ts";
import { readWatch } from "../../src/monitor/dashboard/watch.ts";
import { DeskBed } from "../desk/desk-bed.ts";
import { ScriptedEngine } from "../desk/scripted-engine.ts";
import { dashboardOf } from "./dashboard-source.ts";

const WATCH = { rate: 60, sections: [], rows: [0, 1], detail: null, underlying: 0, expiryMs: null };

/** A socket whose reader can be held up, which a real one's buffers would hide. */
class HeldSocket {
  readonly data: LiveData = {
    viewer: () => ({ canUnlock: false, unlockedMs: 0, by: "local" }),
    client: null,
  };
  readonly sent: Update[] = [];
  buffered = 0;
  closed: number | null = null;

  getBufferedAmount(): number {
    return this.buffered;
  }
  send(text: string): void {
    this.sent.push(JSON.parse(text));
  }
  close(code: number): void {
    this.closed = code;
  }
  terminate(): void {
    this.closed = 1_006;
  }
}

type Socket = Parameters<DashboardHub["open"]>[0];
const asSocket = (socket: HeldSocket): Socket => socket as unknown as Socket;

let hub: DashboardHub | null = null;
afterEach(() => {
  hub?.stop();
  hub = null;
});

function start(): { bed: DeskBed; hub: DashboardHub } {
  const bed = new DeskBed(new ScriptedEngine());
  bed.run(2_000);
  const source = { ...dashboardOf(bed, 2), timeUs: () => 1e15 };
  hub = new DashboardHub(source);
  return { bed, hub };
}

const changes = (sent: SentRows, desk: Desk): RowChange[] => JSON.parse(sent.changes(desk) || "[]");

describe("what a page is sent", () => {
  test("rows put together from changes are the rows as they are", () => {
    const { bed } = start();
    const sent = new SentRows();
    const ids = [0, 7];
    sent.watch(ids);
    const held = new Map<number, (number | null)[]>();
    let partial = 0;
    for (let step = 0; step < 30; step += 1) {
      for (const [id, mask, ...values] of changes(sent, bed.desk)) {
        const row = held.get(id ?? -1) ?? [];
        let next = 0;
        COLUMNS.forEach((_, column) => {
          if (((mask ?? 0) & (1 << column)) === 0) return;
          row[column] = values[next] ?? null;
          next += 1;
        });
        if (next < COLUMNS.length) partial += 1;
        held.set(id ?? -1, row);
      }
      for (const id of ids.slice(0, 1))
        expect([id, ...(held.get(id) ?? [])]).toEqual([id, ...wholeRow(bed.desk, id).slice(2)]);
      expect(sent.changes(bed.desk)).toBe("");
      bed.run(50);
    }
    expect(partial).toBeGreaterThan(3);
  });

  test("every section can be made, is JSON, and is sent again only when it has changed", () => {
    const { hub } = start();
    const socket = new HeldSocket();
    hub.open(asSocket(socket));
    hub.message(asSocket(socket), JSON.stringify({ ...WATCH, sections: SECTIONS, detail: 0 }));
    for (let turn = 0; turn < SECTIONS.length; turn += 1) hub.tick(1e15 + turn * 8_000);
    const made = socket.sent.flatMap(({ sections }) => Object.keys(sections ?? {}));
    expect([...new Set(made)].sort()).toEqual([...SECTIONS].sort());
    expect(made.filter((name) => name !== "overview")).toHaveLength(SECTIONS.length - 1);
    expect(socket.sent.find(({ detail }) => detail !== undefined)?.detail?.bids.length).toBeGreaterThan(0);
    expect(socket.sent[0]?.directory?.length).toBe(1);
  });

  test("in one turn the loop is held for one section at most; a page that is told once a second is told the others soon after", () => {
    for (const rate of [60, 1]) {
      const { hub } = start();
      const socket = new HeldSocket();
      hub.open(asSocket(socket));
      hub.message(asSocket(socket), JSON.stringify({ ...WATCH, rate, sections: SECTIONS, detail: 0 }));
      for (let turn = 0; turn < 20; turn += 1) hub.tick(1e15 + turn * 8_000);
      const parts = socket.sent.map(({ sections = {}, detail }) =>
        [...Object.keys(sections), ...(detail === undefined ? [] : ["detail"])].filter(
          (part) => part !== "pulse",
        ),
      );
      expect(new Set(parts.flat()).size).toBe(SECTIONS.length);
      expect(Math.max(...parts.map(({ length }) => length))).toBe(1);
      hub.stop();
    }
  });

  test("a page that does not read is sent nothing, then what has changed, and is cut off after ten seconds", () => {
    const { bed, hub } = start();
    const socket = new HeldSocket();
    hub.open(asSocket(socket));
    hub.message(asSocket(socket), JSON.stringify({ ...WATCH, rows: [0] }));
    hub.tick(1e15);
    expect(socket.sent).toHaveLength(1);
    socket.buffered = 1;
    for (let at = 1; at <= 50; at += 1) hub.tick(1e15 + at * 20_000);
    expect(socket.sent).toHaveLength(1);
    expect(hub.counters.conflated).toBe(50);
    bed.run(1_000);
    socket.buffered = 0;
    hub.tick(1e15 + 2e6);
    expect(socket.sent[1]?.rows?.length).toBe(1);
    socket.buffered = 1;
    hub.tick(1e15 + 3e6);
    hub.tick(1e15 + 14e6);
    expect(socket.closed).toBe(1_006);
    expect(hub.counters.slow).toBe(1);
    expect(hub.clients).toBe(0);
  });

  test("more pages than there is room for are refused, and who sends something else is cut off", () => {
    const { hub } = start();
    const sockets = Array.from({ length: CLIENTS_MAX + 1 }, () => new HeldSocket());
    for (const socket of sockets) hub.open(asSocket(socket));
    expect(sockets.map(({ closed }) => closed !== null).filter(Boolean)).toHaveLength(1);
    const [first] = sockets;
    if (first !== undefined) hub.message(asSocket(first), '{"rate":1e9}');
    expect(first?.closed).toBe(4_002);
    expect(hub.clients).toBe(CLIENTS_MAX - 1);
  });

  test("whatever a page sends is read as a message or as none", () => {
    expect(readWatch(JSON.stringify(WATCH))).toEqual(WATCH);
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        const read = readWatch(text);
        expect(read === null || read.rate > 0).toBe(true);
      }),
    );
    fc.assert(
      fc.property(fc.constantFrom(...Object.keys(WATCH)), fc.anything(), (name, value) => {
        const read = readWatch(JSON.stringify({ ...WATCH, [name]: value }) ?? "");
        expect(read === null || (read.rate >= 0.1 && read.rate <= 60 && read.rows.length <= 128)).toBe(true);
      }),
    );
  });
});
