import { afterAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadConfig } from "../../src/config.ts";
import { systemClock } from "../../src/core/clock.ts";
import { Logger } from "../../src/core/log.ts";
import { Session } from "../../src/live/session.ts";
import type { MismatchRule } from "../../src/risk/reconciliation.ts";
import type { SimAccount } from "../../src/sim/deribit-trading/account.ts";
import { SIMULATED_KEY } from "../../src/sim/deribit-venue.ts";
import { Simulation } from "../../src/sim/simulation.ts";
import { until } from "../gateway/deribit/deribit-bed.ts";
import { temporaryFolders } from "../support/temporary-folders.ts";
import { deribitEnvironment } from "./deribit-environment.ts";

const { folder } = temporaryFolders("keel-by-hand-");
const SAID = "the counterparty holds other positions than the books";

interface Running {
  readonly session: Session;
  readonly simulation: Simulation;
  readonly account: SimAccount;
  readonly journal: string;
  readonly lines: Readonly<Record<string, unknown>>[];
}

const started: Running[] = [];
afterAll(async () => {
  for (const { session, simulation } of started) {
    await session.stop();
    await simulation.stop();
  }
});

/** A desk that quotes at the simulated Deribit and looks at its positions there every second. */
async function quoting(rule: MismatchRule): Promise<Running> {
  const root = folder();
  const secret = join(root, "secret");
  writeFileSync(secret, SIMULATED_KEY.secret);
  const simulation = new Simulation({ seed: 7, clock: systemClock, price: 60_000 });
  simulation.start();
  const journal = join(root, "journal");
  const lines: Readonly<Record<string, unknown>>[] = [];
  const config = loadConfig({
    ...deribitEnvironment(simulation, secret),
    KEEL_POSITION_CHECK_SECONDS: "1",
    KEEL_POSITION_MISMATCH: rule,
    KEEL_STATE_DIR: join(root, "state"),
    KEEL_JOURNAL_DIR: journal,
  });
  const log = new Logger({ format: "json", level: "info", sink: (line) => lines.push(JSON.parse(line)) });
  const session = await Session.start({ config, log, clock: systemClock });
  const account = simulation.deribit.trading.accounts.get(SIMULATED_KEY.id);
  if (account === undefined) throw new Error("the simulated venue has the key");
  const running = { session, simulation, account, journal, lines };
  started.push(running);
  await until(() => account.openOrders().length >= 40, "quotes at the venue");
  return running;
}

/** Somebody buys three lots of an option in the desk's account. @returns what the desk then holds of it */
function tradeByHand({ session, simulation, account }: Running): () => number {
  const option = [...simulation.deribit.trading.exchange.instruments.values()].find(
    ({ kind, symbol }) => kind === "option" && !account.positions.has(symbol),
  );
  if (option === undefined) throw new Error("an option that was never traded");
  account.fill(option, 0, 3, 400);
  const { desk } = session.live;
  return () =>
    desk.gate.positionLots(desk.market.instruments.find("deribit", option.symbol)?.id ?? Number.NaN);
}

test("a trade by hand in the account is found while the session lasts, taken over, and quoted on; fills are none", async () => {
  const running = await quoting("adopt");
  const { session, simulation, account, journal, lines } = running;
  const { live } = session;
  const { desk } = live;
  for (const { instrument, side } of account.openOrders().slice(0, 8))
    simulation.deribit.trading.exchange.hit(instrument.symbol, side, 1);
  await until(() => desk.counters.executions >= account.trades.length, "the fills");
  const agreed = live.positionChecks.agreed;
  await until(() => live.positionChecks.agreed > agreed + 1, "two looks that agree");
  expect(live.positionChecks.confirmed).toBe(0);

  const held = tradeByHand(running);
  await until(() => held() === 3, "the trade in the books");
  await until(() => account.openOrders().length >= 40, "quotes again");
  expect(desk.gate.reconciled).toBe(true);
  expect(live.positionChecks).toMatchObject({ unanswered: 0, confirmed: 1 });
  const said = lines.filter(({ message }) => String(message).startsWith(SAID));
  expect(said).toMatchObject([{ level: "warn", differences: [expect.stringContaining("books 0.0,")] }]);

  await session.stop();
  for (const { instrument, lots } of account.positions.values())
    expect(
      desk.gate.positionLots(desk.market.instruments.find("deribit", instrument.symbol)?.id ?? -1),
      instrument.symbol,
    ).toBe(lots);
  const replay = Bun.spawnSync([process.execPath, "src/main.ts", "replay", journal, "--verify"], {
    cwd: join(import.meta.dir, "../.."),
  });
  expect(replay.exitCode, `${replay.stderr}${replay.stdout}`).toBe(0);
}, 120_000);

test("where differences are refused nothing is quoted from then on until an operator has them adopted", async () => {
  const running = await quoting("refuse");
  const { account } = running;
  const { live } = running.session;
  const held = tradeByHand(running);
  await until(() => account.openOrders().length === 0, "no quote at the venue");
  await until(() => live.desk.reconciliation?.reconciled === false, "the second look");
  expect([held(), live.desk.gate.reconciled, account.openOrders().length]).toEqual([0, false, 0]);
  await Bun.sleep(1_500);
  expect([live.positionChecks.confirmed, account.openOrders().length]).toEqual([1, 0]);
  expect(live.adoptPositions()).toBe(true);
  await until(() => account.openOrders().length >= 40, "quotes again");
  expect(held()).toBe(3);
}, 120_000);
