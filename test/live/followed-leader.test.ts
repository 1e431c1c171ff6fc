import { afterAll, afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig } from "../../src/config.ts";
import { systemClock } from "../../src/core/clock.ts";
import { Logger } from "../../src/core/log.ts";
import { NoGateway } from "../../src/gateway/no-gateway.ts";
import { FollowedLeader } from "../../src/live/followed-leader.ts";
import { succeedTrading } from "../../src/live/followed-trading.ts";
import { LiveDesk } from "../../src/live/live-desk.ts";
import { NOT_TRIPPED } from "../../src/risk/kill-switch.ts";
import { KILL_SWITCH_FILE, KillSwitchStore } from "../../src/risk/kill-switch-store.ts";

const folder = mkdtempSync(join(tmpdir(), "keel-followed-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const KILLED = { tripped: true, reason: "http: enough", timeUs: 1 };
const REDUCING = { by: "reduceOnly", reason: "http: less", timeUs: 1 } as const;
const log = new Logger({ format: "text", level: "error", sink: () => {} });
let desks = 0;

function prepare(stateDir: string): Promise<LiveDesk> {
  const config = loadConfig({
    KEEL_FEEDS: "binance-usdm:BTCUSDT",
    KEEL_DEVICE: "wasm",
    KEEL_STATE_DIR: stateDir,
  });
  return LiveDesk.prepare({ config, log, clock: systemClock, pair: true, gateway: () => new NoGateway() });
}

let stateDir = "";
let live: LiveDesk;
let leader: FollowedLeader;

beforeEach(async () => {
  desks += 1;
  stateDir = join(folder, String(desks));
  live = await prepare(stateDir);
  leader = new FollowedLeader(live);
});

afterEach(async () => {
  await live.stop();
});

const told = (kill = NOT_TRIPPED, reducing: typeof REDUCING | null = null): void =>
  leader.apply({ what: "trading", kill, reducing });
const reason = (): string => live.desk.gate.kill.state.reason;
const reducing = (): string => live.desk.gate.reducing?.reason ?? "";

test("what the leader has killed or reduced, its reset frees, also after a restart in between", async () => {
  told(KILLED, REDUCING);
  expect([reason(), reducing()]).toEqual(["leader: http: enough", "leader: http: less"]);
  await live.stop();
  live = await prepare(stateDir);
  leader = new FollowedLeader(live);
  expect(reason()).toBe("leader: http: enough");
  told(NOT_TRIPPED, REDUCING);
  expect([live.desk.gate.kill.tripped, reducing()]).toEqual([false, "leader: http: less"]);
  told();
  expect(live.desk.gate.reducing).toBeNull();
});

test("a kill of this process's own outlives whatever the leader says", () => {
  live.trading.kill("operator");
  told();
  expect(reason()).toBe("operator");
  told(KILLED);
  told();
  expect(reason()).toBe("operator");
  live.trading.resetKill();
  told();
  expect(live.desk.gate.kill.tripped).toBe(false);
});

test("a kill that an operator repeats where the leader's is in force already is this process's own from then on", () => {
  told(KILLED, REDUCING);
  live.trading.reduce("operator: less");
  live.trading.kill("operator");
  told();
  expect([reason(), reducing()]).toEqual(["operator", "operator: less"]);
  expect(new KillSwitchStore(join(stateDir, KILL_SWITCH_FILE)).load(0).reason).toBe("operator");
});

test("a reduction of this process's own outlives the end of the leader's kill and reduction", () => {
  live.trading.reduce("operator");
  told(KILLED, REDUCING);
  expect([reason(), reducing()]).toEqual(["leader: http: enough", "operator"]);
  told();
  expect([live.desk.gate.kill.tripped, reducing()]).toEqual([false, "operator"]);
});

test("a process that takes another one's place on the same host has its kill as its own, and follows its reset", () => {
  const before = new FollowedLeader(live, succeedTrading);
  before.apply({ what: "trading", kill: KILLED, reducing: null });
  expect(reason()).toBe("http: enough");
  before.apply({ what: "trading", kill: NOT_TRIPPED, reducing: null });
  expect(live.desk.gate.kill.tripped).toBe(false);
});
