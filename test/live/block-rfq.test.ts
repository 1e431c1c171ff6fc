import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig } from "../../src/config.ts";
import { systemClock } from "../../src/core/clock.ts";
import { Logger } from "../../src/core/log.ts";
import { DeribitGateway } from "../../src/gateway/deribit/gateway.ts";
import { Session } from "../../src/live/session.ts";
import { COUNTERPARTY_FILE, CounterpartyStore } from "../../src/rfq/counterparty-store.ts";
import { SIMULATED_KEY } from "../../src/sim/deribit-venue.ts";
import { Simulation } from "../../src/sim/simulation.ts";
import { until } from "../gateway/deribit/deribit-bed.ts";
import { deribitEnvironment } from "./deribit-environment.ts";

const folder = mkdtempSync(join(tmpdir(), "keel-block-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const TAKER = { id: "taker", secret: "takes" } as const;

test("block RFQs at Deribit become trades, positions and profit that are the venue's own, through a break and in a replay", async () => {
  const secretFile = join(folder, "secret");
  writeFileSync(secretFile, SIMULATED_KEY.secret);
  const journal = join(folder, "journal");
  const simulation = new Simulation({
    seed: 11,
    clock: systemClock,
    price: 60_000,
    deribitTrading: { clients: [SIMULATED_KEY, TAKER] },
  });
  simulation.start();
  const config = loadConfig({
    ...deribitEnvironment(simulation, secretFile),
    KEEL_DERIBIT_BLOCK_RFQ: "on",
    KEEL_RFQ_QUOTE_LIFE_MS: "2000",
    KEEL_RFQ_LAST_LOOK_TOLERANCE: "2",
    KEEL_STATE_DIR: join(folder, "state"),
    KEEL_JOURNAL_DIR: journal,
    KEEL_HTTP: "127.0.0.1:0",
  });
  mkdirSync(join(folder, "state"));
  const store = new CounterpartyStore(join(folder, "state", COUNTERPARTY_FILE));
  const counts = { requests: 100, quotes: 100, trades: 20, notional: 1e6 };
  store.saveSync([
    { name: "TAKER", ...counts, markoutSum: 40, tradeWeight: 20, hitSum: 10, quoteWeight: 20 },
  ]);
  const lines: string[] = [];
  const log = new Logger({ format: "json", level: "warn", sink: (line) => lines.push(line) });
  const session = await Session.start({ config, log, clock: systemClock });
  const { trading } = simulation.deribit;
  const { blockRfqs } = trading;
  blockRfqs.graceMs = 0;
  const taker = trading.accounts.get(TAKER.id);
  const keel = trading.accounts.get(SIMULATED_KEY.id);
  const { desk, gateway } = session.live;
  if (taker === undefined || keel === undefined || !(gateway instanceof DeribitGateway))
    throw new Error("two accounts at the venue and its gateway");
  await until(() => keel.openOrders().length >= 40, "quotes at the venue");

  const near = simulation.market.options.chain
    .map((option, number) => ({ option, mark: simulation.market.options.marks[number] }))
    .filter(({ mark }) => Math.abs(mark.delta) > 0.3 && Math.abs(mark.delta) < 0.6 && mark.price > 0.01);
  const [one, two] = near.map(({ option }) => option.symbol);
  const perpetual = "BTC-PERPETUAL";
  const ask = (params: object): number => {
    const answer = blockRfqs.call(taker, "private/create_block_rfq", { ...params });
    if (answer === null || !("result" in answer)) throw new Error(JSON.stringify(answer));
    return Number((answer.result as { block_rfq_id: number }).block_rfq_id);
  };
  const quotes = (id: number) => blockRfqs.open(keel).filter(({ rfq }) => rfq.id === id);
  const accept = async (id: number, direction: "buy" | "sell", amount: number): Promise<void> => {
    for (let attempt = 0; attempt < 50; attempt += 1) {
      await until(
        () => quotes(id).some(({ side }) => side === (direction === "buy" ? 1 : 0)),
        `a quote for ${id}`,
      );
      const price = direction === "buy" ? 10 : -10;
      const answer = blockRfqs.call(taker, "private/accept_block_rfq", {
        ...{ block_rfq_id: id, direction, amount, price },
      });
      if (answer !== null && "result" in answer) return;
      await Bun.sleep(20);
    }
    throw new Error(`block RFQ ${id} cannot be taken`);
  };

  // One option, bought by the taker; the quote is renewed while the request is open.
  const single = ask({ legs: [{ instrument_name: one, direction: "buy", amount: 2 }] });
  await until(() => quotes(single).length === 2, "both sides");
  const firstIds = quotes(single).map(({ id }) => id);
  await until(() => quotes(single).some(({ id }) => !firstIds.includes(id)), "a renewed quote");
  await accept(single, "buy", 2);
  await until(() => gateway.describe().blockRfqs?.fills === 1, "the fill");

  // A spread with a ratio and a hedge, sold by the taker.
  const ticks = Math.round(simulation.market.reference.mark(1) * 2) / 2;
  const spread = ask({
    legs: [
      { instrument_name: one, direction: "buy", amount: 1 },
      { instrument_name: two, direction: "sell", amount: 2 },
    ],
    hedge: { instrument_name: perpetual, direction: "sell", amount: 20_000, price: ticks },
  });
  await accept(spread, "sell", 1);
  await until(() => gateway.describe().blockRfqs?.fills === 2, "the second fill");

  // One that goes elsewhere, one that the taker gives up, and a break of the connection with one open.
  const away = ask({ legs: [{ instrument_name: two, direction: "buy", amount: 1 }] });
  await until(() => quotes(away).length > 0, "a quote for the third");
  blockRfqs.call(taker, "private/cancel_block_rfq", { block_rfq_id: away });
  expect(quotes(away)).toEqual([]);
  const broken = ask({ legs: [{ instrument_name: two, direction: "buy", amount: 1 }] });
  await until(() => quotes(broken).length === 2, "a quote for the fourth");
  const before = quotes(broken).map(({ id }) => id);
  gateway.client.cut("rehearsal", systemClock.wallUs());
  await until(() => gateway.ready, "another session");
  await until(() => quotes(broken).some(({ id }) => !before.includes(id)), "a quote of the new session");
  expect(quotes(broken).every(({ id }) => !before.includes(id))).toBe(true);
  await accept(broken, "sell", 1);
  await until(() => gateway.describe().blockRfqs?.fills === 3, "the fill after the break");

  const origin = `http://127.0.0.1:${session.http?.port ?? 0}`;
  const shown = (await (await fetch(`${origin}/deribit`)).json()) as { blockRfqs: { fills: number } };
  expect(shown.blockRfqs.fills).toBe(3);
  const metrics = await (await fetch(`${origin}/metrics`)).text();
  expect(metrics).toContain('keel_deribit_block_rfq_events_total{event="fills"} 3');

  await until(() => desk.counters.executions >= keel.trades.length, "every trade");
  const [counterparty] = desk.rfq?.counterparties() ?? [];
  expect(counterparty).toMatchObject({ name: "TAKER", trades: 23, requests: 104, tier: 4 });
  const attributed = [...desk.book.sums].filter(([key]) => key.startsWith("TAKER "));
  expect(attributed.reduce((fills, [, sums]) => fills + sums.fills, 0)).toBe(5);
  session.live.trading.kill("drill");
  await until(
    () => blockRfqs.open(keel).length === 0 && keel.openOrders().length === 0,
    "nothing at the venue",
  );
  await session.stop();
  await simulation.stop();

  let cash = 0;
  for (const { json } of keel.trades) {
    const {
      amount,
      price,
      fee,
      direction,
      instrument_name: symbol,
    } = json as Record<string, string & number>;
    // Of the hedge, which is the only trade in it, nothing is realised.
    const coins = symbol === perpetual ? 0 : amount * price;
    cash += (direction === "buy" ? -1 : 1) * coins - fee;
  }
  for (const { instrument, lots } of keel.positions.values()) {
    const known = desk.market.instruments.find("deribit", instrument.symbol);
    expect(desk.gate.positionLots(known?.id ?? -1), instrument.symbol).toBe(lots);
  }
  expect(desk.book.cash().BTC).toBeCloseTo(cash, 9);

  expect(store.load()).toMatchObject([{ name: "TAKER", trades: 23, requests: 104 }]);
  const run = (...verb: string[]) =>
    Bun.spawnSync([process.execPath, "src/main.ts", ...verb, "--json"], {
      cwd: join(import.meta.dir, "../.."),
    });
  const listed = run("rfq", "ls", "--journal", journal);
  expect(String(listed.stdout)).toContain(`TAKER/block-${single}`);
  const replay = run("replay", journal, "--verify");
  expect(replay.exitCode, `${replay.stderr}${replay.stdout}`).toBe(0);
}, 120_000);
