import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/core/clock.ts";
import type { SimAccount } from "../../src/sim/deribit-trading/account.ts";
import { SIMULATED_KEY } from "../../src/sim/deribit-venue.ts";
import { Simulation } from "../../src/sim/simulation.ts";
import { until } from "../gateway/deribit/deribit-bed.ts";
import { deribitEnvironment } from "./deribit-environment.ts";

const ROOT = join(import.meta.dir, "../..");
const folder = mkdtempSync(join(tmpdir(), "keel-operator-"));
const limits = join(folder, "limits.json");
const journal = join(folder, "journal");
const WIDE = { maxPositionNotional: 2_000_000 };

interface Position {
  readonly symbol: string;
  readonly lots: number;
}

/** `keel run` as a process of its own, against the simulated venue. */
class Process {
  readonly child: Bun.Subprocess<"ignore", "ignore", "pipe">;
  origin = "";

  constructor(environment: Readonly<Record<string, string>>) {
    this.child = Bun.spawn([process.execPath, join(ROOT, "src/main.ts"), "run"], {
      env: { ...environment, KEEL_LOG: "json" },
      cwd: ROOT,
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
    });
    void this.#listen();
  }

  async get<T>(path: string): Promise<T> {
    return (await (await fetch(`${this.origin}${path}`)).json()) as T;
  }

  async post(path: string): Promise<number> {
    return (await fetch(`${this.origin}${path}`, { method: "POST" })).status;
  }

  async metric(name: string): Promise<number> {
    const text = await (await fetch(`${this.origin}/metrics`)).text();
    return Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1]);
  }

  async positions(): Promise<Map<string, number>> {
    const { positions } = await this.get<{ positions: Position[] }>("/positions");
    return new Map(positions.filter(({ lots }) => lots !== 0).map(({ symbol, lots }) => [symbol, lots]));
  }

  async end(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    this.child.kill(signal);
    await this.child.exited;
  }

  async #listen(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of this.child.stderr) {
      const port = /"HTTP is served".*?"port":(\d+)/.exec(decoder.decode(chunk))?.[1];
      if (port !== undefined) this.origin = `http://127.0.0.1:${port}`;
    }
  }
}

describe("an operator's hand on a process", () => {
  const simulation = new Simulation({ seed: 5, clock: systemClock, price: 60_000 });
  const { trading } = simulation.deribit;
  const { exchange, requests } = trading;
  let account: SimAccount;
  let desk: Process;
  let environment: Record<string, string>;

  const held = (): Map<string, number> =>
    new Map(
      [...account.positions.values()]
        .filter(({ lots }) => lots !== 0)
        .map(({ instrument, lots }) => [instrument.symbol, lots]),
    );
  const agrees = async (): Promise<boolean> => {
    const own = await desk.positions().catch(() => new Map<string, number>());
    const venue = held();
    return own.size === venue.size && [...venue].every(([symbol, lots]) => own.get(symbol) === lots);
  };
  const settle = async (what: string, met: () => Promise<boolean>): Promise<void> => {
    for (const untilMs = performance.now() + 45_000; performance.now() < untilMs; ) {
      if (await met()) return;
      await Bun.sleep(25);
    }
    throw new Error(`${what} was not met within 45 s`);
  };
  const bids = () =>
    account.openOrders().filter(({ side, instrument }) => side === 0 && instrument.kind === "option");
  const ready = async (): Promise<void> => {
    await until(() => desk.origin !== "", "HTTP");
    await until(() => account.openOrders().length >= 40, "quotes at the venue");
  };

  /** @returns what the process held when it was killed; its quotes are gone, too */
  const kill = async (): Promise<Map<string, number>> => {
    await settle("the fills", agrees);
    const before = held();
    await desk.end("SIGKILL");
    await until(() => account.openOrders().length === 0, "the end of the quotes that nobody watches");
    return before;
  };

  beforeAll(async () => {
    simulation.start();
    const known = trading.accounts.get(SIMULATED_KEY.id);
    if (known === undefined) throw new Error("the simulated venue has the key");
    account = known;
    const secret = join(folder, "secret");
    writeFileSync(secret, SIMULATED_KEY.secret);
    writeFileSync(limits, JSON.stringify(WIDE));
    environment = {
      ...deribitEnvironment(simulation, secret),
      KEEL_RISK_FILE: limits,
      KEEL_STATE_DIR: join(folder, "state"),
      KEEL_JOURNAL_DIR: journal,
      KEEL_HTTP: "127.0.0.1:0",
    };
    desk = new Process(environment);
    await ready();
  }, 120_000);

  afterAll(async () => {
    desk.child.kill("SIGKILL");
    await simulation.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  test("limits change on SIGHUP under load: what breaks them is pulled, the rest stands on, and a bad file changes nothing", async () => {
    const [hit] = bids().sort((a, b) => b.lots - a.lots);
    const taken = Math.ceil(hit.lots / 2);
    exchange.hit(hit.instrument.symbol, 0, taken);
    await settle("the fill", agrees);
    const left = (): number =>
      bids()
        .filter(({ instrument }) => instrument === hit.instrument)
        .reduce((sum, { lots, filled }) => sum + lots - filled, 0);
    await until(() => left() > 2, "a bid after the fill");
    const most = taken + Math.floor(left() / 2);
    const within = (): boolean =>
      left() + taken <= most + 1 && bids().every(({ lots, filled }) => lots - filled <= most + 1);
    const cancels = (): number =>
      (requests.get("private/cancel_all") ?? 0) + (requests.get("private/cancel_quotes") ?? 0);
    const before = { cancels: cancels(), open: account.openOrders().length };
    let fewest = before.open;
    const watch = setInterval(() => {
      fewest = Math.min(fewest, account.openOrders().length);
    }, 1);
    // Half of the bid that stands is too much beside what was bought.
    const price = simulation.market.reference.index;
    writeFileSync(limits, JSON.stringify({ maxPositionNotional: most * 0.1 * price * 1.02 }));
    desk.child.kill("SIGHUP");
    await settle("the reload", async () => (await desk.metric("keel_risk_reloads_total")) === 1);
    await until(within, "smaller bids where they are too much");
    clearInterval(watch);
    expect(cancels()).toBe(before.cancels);
    expect(fewest).toBeGreaterThan(0.8 * before.open);

    writeFileSync(limits, '{"maxPositionNotional": "none", "noSuchLimit": 1}');
    desk.child.kill("SIGHUP");
    await settle("the refusal", async () => (await desk.metric("keel_risk_reload_failures_total")) === 1);
    expect(await desk.metric("keel_risk_reloads_total")).toBe(1);
    expect(within()).toBe(true);
    writeFileSync(limits, JSON.stringify(WIDE));
  }, 120_000);

  test("a standing quote is explained over HTTP", async () => {
    const [{ instrument }] = bids();
    const explain = Bun.spawn(
      [
        process.execPath,
        "src/main.ts",
        "explain",
        "--url",
        desk.origin,
        "--instrument",
        instrument.symbol,
        "--json",
      ],
      { cwd: ROOT, stdout: "pipe", stderr: "pipe" },
    );
    const text = await new Response(explain.stdout).text();
    expect(await explain.exited, text).toBe(0);
    const { quotes } = JSON.parse(text.trim().split("\n").at(-1) ?? "") as {
      quotes: { instrument: string; terms: object; reasons: string[] }[];
    };
    expect(JSON.stringify(quotes)).toContain(instrument.symbol);
    expect(Object.keys(quotes[0].terms).length).toBeGreaterThan(3);
    expect(quotes[0].reasons).toContain("base");
  }, 120_000);

  test("positions that the counterparty has otherwise are taken over when told to", async () => {
    const other = [...exchange.instruments.values()].find(
      ({ kind, symbol }) => kind === "option" && !account.positions.has(symbol),
    );
    if (other === undefined) throw new Error("an option that was never traded");
    account.fill(other, 0, 3, 400);
    expect(await agrees()).toBe(false);
    expect(await desk.post("/positions/adopt")).toBe(200);
    await settle("the positions taken over", agrees);
  }, 120_000);

  test("reduce and reset: only reductions are quoted, then everything again", async () => {
    expect(await desk.post("/reduce")).toBe(200);
    const short = held();
    await until(
      () => bids().every(({ instrument }) => (short.get(instrument.symbol) ?? 0) < 0),
      "no bid that adds",
    );
    expect((await fetch(`${desk.origin}/readyz`)).status).toBe(503);
    expect(await desk.post("/reset")).toBe(200);
    await until(() => account.openOrders().length >= 40, "quotes after the reset");
    expect(await desk.post("/reset")).toBe(409);
  }, 120_000);

  test("SIGKILL loses no fill: the next process opens with every one of them", async () => {
    const trades = account.trades.length;
    // Of one side alone: what cancels out would agree before the process has seen any of it.
    for (const { instrument, side } of bids().slice(0, 10)) exchange.hit(instrument.symbol, side, 1);
    expect(account.trades.length).toBeGreaterThan(trades + 4);
    let before = await kill();
    // What the market took of the quotes that nobody watched no process has seen: one that takes it over is killed in its turn.
    while (!Bun.deepEquals(before, held())) {
      desk = new Process({ ...environment, KEEL_POSITION_MISMATCH: "adopt" });
      await ready();
      before = await kill();
    }
    desk = new Process({ ...environment, KEEL_POSITION_MISMATCH: "refuse" });
    await ready();
    expect([...(await desk.positions())].sort()).toEqual([...before].sort());
    expect(await desk.metric("keel_risk_reconciled")).toBe(1);
  }, 120_000);

  test("the kill switch cancels everything, holds over a restart, and a quote of before is explained from the journal", async () => {
    const [{ instrument }] = bids();
    const [{ quoteId }] = await desk.get<{ quoteId: number }[]>(`/quotes?instrument=${instrument.symbol}`);
    expect(await desk.post("/kill")).toBe(200);
    await until(() => account.openOrders().length === 0, "nothing at the venue");
    await desk.end("SIGTERM");
    const explain = Bun.spawn(
      [
        process.execPath,
        "src/main.ts",
        "explain",
        "--journal",
        journal,
        "--quote",
        String(quoteId),
        "--json",
      ],
      { cwd: ROOT, stdout: "pipe", stderr: "pipe" },
    );
    const text = await new Response(explain.stdout).text();
    expect(await explain.exited, `${text}${await new Response(explain.stderr).text()}`).toBe(0);
    const { quotes } = JSON.parse(text.trim().split("\n").at(-1) ?? "") as { quotes: { quoteId: number }[] };
    expect(quotes[0].quoteId).toBe(quoteId);
    desk = new Process(environment);
    await until(() => desk.origin !== "", "HTTP");
    await settle("the state", async () =>
      (await (await fetch(`${desk.origin}/readyz`)).text()).includes("kill switch"),
    );
    expect(account.openOrders()).toEqual([]);
    await desk.end("SIGTERM");
  }, 120_000);
});
