import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConfigError, loadConfig } from "../../src/config.ts";
import { InstrumentTable } from "../../src/market/instrument.ts";
import { Book } from "../../src/position/book.ts";
import { BookStore } from "../../src/position/book-store.ts";
import { DEFAULT_FEE_RATES } from "../../src/position/fees.ts";
import { RiskGate } from "../../src/risk/gate.ts";
import { NOT_TRIPPED } from "../../src/risk/kill-switch.ts";
import { KillSwitchStore } from "../../src/risk/kill-switch-store.ts";
import { DEFAULT_RISK_LIMITS } from "../../src/risk/limits.ts";
import { PERPETUAL } from "../support/perpetuals.ts";

const NOW_US = 1_700_000_000_000_000;
const folder = mkdtempSync(join(tmpdir(), "keel-risk-"));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, content: unknown): string {
  const path = join(folder, name);
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
}

function problemsOf(
  environment: Record<string, string>,
): readonly { name: string; found: string | null; expected: string }[] {
  try {
    loadConfig(environment);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

test("a file's limits go before the environment's, the rest keep theirs", () => {
  const path = file("limits.json", { maxLoss: 1_234, protectionFills: 7 });
  const { risk } = loadConfig({
    KEEL_RISK_FILE: path,
    KEEL_RISK_MAX_LOSS: "9",
    KEEL_RISK_MAX_DRAWDOWN: "77",
  });
  expect(risk).toEqual({ ...DEFAULT_RISK_LIMITS, maxLoss: 1_234, protectionFills: 7, maxDrawdown: 77 });
});

test("a file with an unknown limit and a bad value is refused, with both named", () => {
  const path = file("bad.json", { maxLosses: 1, maxVega: -5 });
  const problems = problemsOf({ KEEL_RISK_FILE: path });
  expect(problems).toHaveLength(2);
  expect(problems.map(({ found, expected }) => [found, expected])).toEqual([
    [`${path}: maxVega = -5`, "a number of quote currency per vol point from 0 to 1000000000000"],
    [`${path}: maxLosses`, "the name of a limit, perhaps maxLoss"],
  ]);
});

test("a limit of another type is told with the range that was expected", () => {
  const path = file("types.json", { maxVega: "40000", protectionFills: 1.5 });
  expect(problemsOf({ KEEL_RISK_FILE: path }).map(({ found, expected }) => [found, expected])).toEqual([
    [`${path}: protectionFills = 1.5`, "a number of fills from 1 to 1000000"],
    [`${path}: maxVega = "40000"`, "a number of quote currency per vol point from 0 to 1000000000000"],
  ]);
});

test.each([
  ["KEEL_RISK_FILE", "missing.json", null],
  ["KEEL_RISK_FILE", "half.json", '{"maxLoss": 1'],
  ["KEEL_POSITIONS_FILE", "no-venue.json", [{ venue: "nowhere", symbol: "X", size: "1" }]],
  ["KEEL_POSITIONS_FILE", "no-size.json", [{ venue: "deribit", symbol: "X", size: "1e5" }]],
])("%s: %s is refused", (name, path, content) => {
  const at = content === null ? join(folder, path) : file(path, content);
  expect(problemsOf({ [name]: at }).map((problem) => problem.name)).toEqual([name]);
});

test("opening positions are read", () => {
  const path = file("positions.json", [{ venue: "deribit", symbol: "BTC-PERPETUAL", size: "-250" }]);
  expect(loadConfig({ KEEL_POSITIONS_FILE: path }).openingPositions).toEqual([
    { venue: "deribit", symbol: "BTC-PERPETUAL", size: "-250", averagePrice: null },
  ]);
});

test.each([
  ["KEEL_GATEWAY", { KEEL_GATEWAY: "deribit" }, "the venue is asked"],
  ["KEEL_LEASE_URL", { KEEL_LEASE_URL: "redis://127.0.0.1:6379" }, "its leader's"],
])("opening positions are refused beside %s, which says who knows better", (name, beside, why) => {
  const path = file("beside.json", [{ venue: "deribit", symbol: "BTC-PERPETUAL", size: "-250" }]);
  const problem = problemsOf({ KEEL_POSITIONS_FILE: path, ...beside }).find(
    (one) => one.name === "KEEL_POSITIONS_FILE",
  );
  expect(problem).toEqual({
    ...{ name: "KEEL_POSITIONS_FILE", found: path },
    expected: expect.stringMatching(new RegExp(`because ${name} is.*${why}`)),
  });
});

test("a desk that only reduces does so after a restart, and lets go when reset", () => {
  const path = join(folder, "state", "kill-switch.json");
  const store = new KillSwitchStore(path);
  const reducing = { by: "drawdown", reason: "limit:drawdown", timeUs: NOW_US } as const;
  store.save(NOT_TRIPPED, reducing);
  const saved = new KillSwitchStore(path).loadState(1);
  expect(saved).toEqual({ kill: NOT_TRIPPED, reducing });
  const gate = new RiskGate({ instruments: new InstrumentTable(1), limits: DEFAULT_RISK_LIMITS, ...saved });
  expect([gate.tradingState, gate.reducing?.reason]).toEqual(["reducing", "limit:drawdown"]);
  gate.resume();
  store.save(NOT_TRIPPED, gate.reducing);
  expect(new KillSwitchStore(path).loadState(1).reducing).toBeNull();
});

test("changes are kept behind the books, also those that came while the books were written", async () => {
  const path = join(folder, "logged", "books.json");
  const store = new BookStore(path);
  const { book, perpetual } = books(null);
  book.onChange = () => {};
  const fill = (id: string, lots: number): void => {
    book.isNew(id);
    book.onFill(perpetual, 0, 100_000, lots, { counterparty: "PEER", fee: 0.0001 }, NOW_US);
    store.append(book.changes());
  };
  const reopened = () => JSON.stringify(books(new BookStore(path).load()).book.view());
  fill("E1", 10);
  expect(reopened()).toBe(JSON.stringify(book.view()));
  const saving = store.save(book.snapshot());
  fill("E2", 5);
  expect(reopened()).toBe(JSON.stringify(book.view()));
  await saving;
  expect(reopened()).toBe(JSON.stringify(book.view()));
  fill("E3", 7);
  const opened = books(new BookStore(path).load());
  expect(opened.lots).toBe(22);
  expect([...opened.book.sums.values()].map(({ fills }) => fills)).toEqual([3]);
  expect(["E1", "E2", "E3"].map((id) => opened.book.isNew(id))).toEqual([false, false, false]);
  store.saveSync(book.snapshot());
  store.close();
  expect(readdirSync(join(folder, "logged")).sort()).toEqual(["books.json", "books.json.2"]);
  expect(reopened()).toBe(JSON.stringify(book.view()));
});

test("a change that was cut off is left out, one that is damaged is an error", () => {
  const path = join(folder, "cut", "books.json");
  const store = new BookStore(path);
  const { book, perpetual } = books(null);
  book.onChange = () => {};
  for (const lots of [10, 20]) {
    book.onFill(perpetual, 0, 100_000, lots, { fee: 0 }, NOW_US);
    store.append(book.changes());
  }
  store.close();
  const log = `${path}.0`;
  const whole = readFileSync(log, "utf8");
  const first = whole.indexOf("\n") + 1;
  for (let length = first; length < whole.length; length += 17) {
    writeFileSync(log, whole.slice(0, length));
    expect(books(new BookStore(path).load()).lots).toBe(10);
  }
  writeFileSync(log, whole.replace('"lots":10', '"lots":11'));
  expect(() => new BookStore(path).load()).toThrow("line 1");
});

test("books that were saved open the next run: the same positions, profit, and executions not counted twice", () => {
  const path = join(folder, "books.json");
  const first = books(null);
  first.book.onFill(first.perpetual, 0, 100_000, 50, { counterparty: "PEER", fee: 0.0001 }, NOW_US);
  first.book.isNew("E1");
  first.gate.onReference(0, 51_000, NOW_US);
  first.book.step(0, NOW_US + 1_000);
  new BookStore(path).saveSync(first.book.snapshot());
  const second = books(new BookStore(path).load());
  expect(second.lots).toBe(50);
  expect(second.book.profit).toBe(first.book.profit);
  expect(second.book.isNew("E1")).toBe(false);
  expect(JSON.stringify(second.book.view())).toBe(JSON.stringify(first.book.view()));
});

test("books that cannot be read stop the start; where there are none, nothing was traded", () => {
  expect(new BookStore(join(folder, "none.json")).load()).toBeNull();
  for (const content of ["", '{"positions":', "{}"]) {
    expect(() => new BookStore(file("broken.json", content)).load()).toThrow("broken.json");
  }
});

function books(opening: ReturnType<BookStore["load"]>) {
  const instruments = new InstrumentTable(2);
  const perpetual = instruments.add(PERPETUAL);
  if (perpetual === undefined) throw new Error("the table is full");
  const gate = new RiskGate({ instruments, limits: DEFAULT_RISK_LIMITS, kill: NOT_TRIPPED });
  gate.onReference(0, 50_000, NOW_US);
  gate.add(perpetual, 0);
  const book = new Book({ capacity: 2, gate, rates: DEFAULT_FEE_RATES, model: "m@1", opening });
  const lots = book.add(perpetual, 0);
  return { gate, book, perpetual, lots };
}
