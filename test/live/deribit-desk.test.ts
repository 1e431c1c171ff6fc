import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig } from "../../src/config.ts";
import { systemClock } from "../../src/core/clock.ts";
import { Logger } from "../../src/core/log.ts";
import { DeribitGateway } from "../../src/gateway/deribit/gateway.ts";
import { Session } from "../../src/live/session.ts";
import { SIMULATED_KEY } from "../../src/sim/deribit-venue.ts";
import { Simulation } from "../../src/sim/simulation.ts";
import { until } from "../gateway/deribit/deribit-bed.ts";
import { deribitEnvironment } from "./deribit-environment.ts";

const folder = mkdtempSync(join(tmpdir(), "keel-deribit-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("a desk quotes options by Deribit's API and its positions are the venue's own", async () => {
  const secret = "a-secret-nobody-may-see";
  const secretFile = join(folder, "secret");
  writeFileSync(secretFile, `${secret}\n`);
  const journal = join(folder, "journal");
  const simulation = new Simulation({
    seed: 7,
    clock: systemClock,
    price: 60_000,
    deribitTrading: { clients: [{ id: SIMULATED_KEY.id, secret }] },
    deribitRawNeedsLogin: true,
  });
  simulation.start();
  const lines: string[] = [];
  const config = loadConfig({
    ...deribitEnvironment(simulation, secretFile),
    KEEL_DERIBIT_FEED_LOGIN: "on",
    KEEL_STATE_DIR: join(folder, "state"),
    KEEL_JOURNAL_DIR: journal,
  });
  const log = new Logger({ format: "json", level: "debug", sink: (line) => lines.push(line) });
  const session = await Session.start({ config, log, clock: systemClock });
  const { trading } = simulation.deribit;
  const account = trading.accounts.get(SIMULATED_KEY.id);
  if (account === undefined) throw new Error("the simulated venue has the key");
  const { desk, gateway } = session.live;
  await until(() => account.openOrders().length >= 40, "quotes at the venue");

  let hits = 0;
  for (const order of account
    .openOrders()
    .filter(({ instrument }) => instrument.kind === "option")
    .slice(0, 12)) {
    hits +=
      trading.exchange.hit(order.instrument.symbol, order.side, Math.min(2 - order.side, order.lots)) > 0
        ? 1
        : 0;
  }
  expect(hits).toBeGreaterThan(5);
  await until(() => desk.counters.executions >= account.trades.length, "the fills at the desk");
  await until(() => gateway.ready && account.openOrders().length > 0, "quotes after the fills");

  const summary = await session.stop();
  await simulation.stop();
  expect(account.openOrders()).toEqual([]);
  const held = [...account.positions.values()].filter(({ lots }) => lots !== 0);
  expect(held.length).toBeGreaterThan(0);
  for (const { instrument, lots } of held) {
    const own = desk.market.instruments.find("deribit", instrument.symbol);
    expect(desk.gate.positionLots(own?.id ?? -1), instrument.symbol).toBe(lots);
  }
  expect(desk.counters.executions).toBe(account.trades.length);
  expect(gateway instanceof DeribitGateway && gateway.describe().counters.foreignTrades).toBe(0);
  expect(summary.quotesSent).toBeGreaterThan(40);

  const seen = [
    ...lines,
    ...readdirSync(journal).map((file) => readFileSync(join(journal, file), "latin1")),
  ].join("\n");
  for (const hidden of [secret, "client_signature", "refresh-keel", "access-keel"])
    expect(seen).not.toContain(hidden);
  expect(seen).toContain("book.BTC-PERPETUAL.raw");
  expect(simulation.deribit.trading.requests.get("private/mass_quote")).toBeGreaterThan(1);

  const replay = Bun.spawnSync([process.execPath, "src/main.ts", "replay", journal, "--verify", "--json"], {
    cwd: join(import.meta.dir, "../.."),
  });
  expect(replay.exitCode, `${replay.stderr}${replay.stdout}`).toBe(0);
}, 120_000);
