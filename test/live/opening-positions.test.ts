import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Logger } from "../../src/core/log.ts";
import { Reconciler } from "../../src/desk/reconciler.ts";
import { OpeningPositions } from "../../src/live/opening-positions.ts";
import { InstrumentTable } from "../../src/market/instrument.ts";
import { Book } from "../../src/position/book.ts";
import { BookStore } from "../../src/position/book-store.ts";
import { DEFAULT_FEE_RATES } from "../../src/position/fees.ts";
import { OPENING_FILE, OpeningStore } from "../../src/position/opening-store.ts";
import { RiskGate } from "../../src/risk/gate.ts";
import { NOT_TRIPPED } from "../../src/risk/kill-switch.ts";
import { DEFAULT_RISK_LIMITS } from "../../src/risk/limits.ts";
import type { VenuePosition } from "../../src/risk/reconciliation.ts";
import { PERPETUAL } from "../support/perpetuals.ts";

const NOW_US = 1_700_000_000_000_000;
const folder = mkdtempSync(join(tmpdir(), "keel-opening-"));
afterAll(() => rmSync(folder, { recursive: true }));

const position = (size: string): VenuePosition => ({
  ...{ venue: PERPETUAL.venue, symbol: PERPETUAL.symbol },
  ...{ size, averagePrice: 50_000 },
});

/** A process's life: its books, and the opening positions that it is started with. */
class Run {
  readonly logged: string[] = [];
  readonly #books: BookStore;
  readonly #store: OpeningStore;
  readonly #instruments = new InstrumentTable(2);
  readonly #gate = new RiskGate({
    ...{ instruments: this.#instruments, limits: DEFAULT_RISK_LIMITS, kill: NOT_TRIPPED },
  });
  readonly #book: Book;
  readonly #reconciler: Reconciler;
  readonly #opening: OpeningPositions;

  constructor(state: string, positions: readonly VenuePosition[], handedOver = false) {
    const instruments = this.#instruments;
    const gate = this.#gate;
    const log = new Logger({ format: "text", level: "info", sink: (line) => this.logged.push(line) });
    this.#books = new BookStore(join(state, "positions.json"));
    this.#store = new OpeningStore(join(state, OPENING_FILE));
    const opening = this.#books.load();
    const book = new Book({ capacity: 2, gate, rates: DEFAULT_FEE_RATES, model: "m@1", opening });
    book.onChange = () => {};
    this.#book = book;
    const expiry = { explains: () => false, passes: () => false };
    this.#reconciler = new Reconciler({ instruments, gate, book, rule: null, expiry });
    this.#opening = new OpeningPositions({
      ...{ positions, instruments, log },
      adopt: (left) => this.#reconciler.apply({ positions: left, openOrders: [], quotes: [] }, true, NOW_US),
      save: (taken) => this.#store.save(taken, () => {}),
    });
    gate.onReference(0, 50_000, NOW_US);
    this.#opening.begin(this.#store.load(), { hasBooks: opening !== null, handedOver }, NOW_US);
  }

  /** A feed describes the perpetual. */
  described(): this {
    const perpetual = this.#instruments.add(PERPETUAL);
    if (perpetual === undefined) throw new Error("the table is full");
    this.#gate.add(perpetual, 0);
    this.#gate.positions.set(perpetual.id, this.#book.add(perpetual, 0));
    this.#reconciler.onInstrument(perpetual, NOW_US);
    this.#turn();
    return this;
  }

  buys(lots: number): this {
    const perpetual = this.#instruments.get(0);
    this.#book.onFill(perpetual, 0, 100_000, lots, { fee: 0 }, NOW_US);
    this.#gate.positions.set(0, this.#gate.positionLots(0) + lots);
    this.#turn();
    return this;
  }

  get lots(): number {
    return this.#gate.positionLots(0);
  }

  #turn(): void {
    this.#books.append(this.#book.changes());
    this.#opening.onTimer();
  }
}

const state = (): string => mkdtempSync(join(folder, "state-"));

test("opening positions are taken over once: a restart goes on with what was traded since", () => {
  const dir = state();
  const given = [position("-250")];
  const first = new Run(dir, given).described();
  const { lots } = first;
  expect(lots).toBeLessThan(0);
  first.buys(10);
  const second = new Run(dir, given).described();
  expect(second.lots).toBe(lots + 10);
  expect(second.logged.join()).toContain("were taken over at an earlier start");
  expect(second.logged.join()).not.toContain("replace what the books hold");
});

test("others than before are taken over anew, and said so", () => {
  const dir = state();
  const { lots } = new Run(dir, [position("-250")]).described().buys(10);
  const changed = new Run(dir, [position("-500")]).described();
  expect(changed.lots).toBe((lots - 10) * 2);
  expect(changed.logged.join()).toContain("replace what the books hold");
  expect(new Run(dir, [position("-500")]).described().buys(1).lots).toBe((lots - 10) * 2 + 1);
});

test("a process that ends before a feed describes the instrument has taken nothing over", () => {
  const dir = state();
  const given = [position("-250"), { ...position("3"), symbol: "ELSEWHERE" }];
  expect(new Run(dir, given).lots).toBe(0);
  const { lots } = new Run(dir, given).described().buys(10);
  const again = new Run(dir, given).described();
  expect(again.lots).toBe(lots);
  expect(again.logged.join()).toContain("waiting=1 takenBefore=1");
});

test("positions first given at a handover leave those of the process before as they are, then and later", () => {
  const dir = state();
  const given = [position("-250")];
  new Run(dir, []).described().buys(10);
  const successor = new Run(dir, given, true).described();
  expect(successor.lots).toBe(10);
  expect(successor.logged.join()).toContain("opening positions are not taken over");
  expect(new Run(dir, given).described().lots).toBe(10);
  expect(new Run(dir, [position("-500")], true).described().lots).toBe(-50);
});

test("without books the positions are in none, whatever was taken over before", () => {
  const dir = state();
  const given = [position("-250")];
  const { lots } = new Run(dir, given).described();
  rmSync(join(dir, "positions.json.0"));
  expect(new Run(dir, given).described().lots).toBe(lots);
});

test("a size that is no whole number of lots is told, once, and not taken for taken over", () => {
  const dir = state();
  const given = [position("-250.123456789")];
  const run = new Run(dir, given).described();
  expect(run.lots).toBe(0);
  expect(run.logged.filter((line) => line.includes("no whole number of lots"))).toHaveLength(1);
  expect(new OpeningStore(join(dir, OPENING_FILE)).load()).toBeNull();
});

test("a record that cannot be read, or is a later keel's, stops the start", () => {
  const path = join(state(), OPENING_FILE);
  for (const text of ["", "{}", '{"version":1,"digest":1,"timeUs":0,"taken":[]}']) {
    writeFileSync(path, text);
    expect(() => new OpeningStore(path).load()).toThrow(`${path}: found`);
  }
  writeFileSync(path, '{"version":99}');
  expect(() => new OpeningStore(path).load()).toThrow("version 99, expected version 1");
  new OpeningStore(path).save({ digest: "d", timeUs: 1, taken: ["deribit:X"] }, () => {});
  expect(JSON.parse(readFileSync(path, "utf8"))).toMatchObject({ version: 1 });
  expect(new OpeningStore(path).load()).toEqual({ digest: "d", timeUs: 1, taken: ["deribit:X"] });
});
