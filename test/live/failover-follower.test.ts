import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/core/clock.ts";
import { Logger } from "../../src/core/log.ts";
import type { StreamSnapshot } from "../../src/failover/stream.ts";
import { LeaderFollower } from "../../src/live/failover-follower.ts";
import { NOT_TRIPPED } from "../../src/risk/kill-switch.ts";
import { KILL_SWITCH_FILE, KillSwitchStore, type SavedState } from "../../src/risk/kill-switch-store.ts";
import { EMPTY_SNAPSHOT } from "../failover/empty-snapshot.ts";

const folder = mkdtempSync(join(tmpdir(), "keel-follower-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const log = new Logger({ format: "text", level: "error", sink: () => {} });
const OPERATOR = { tripped: true, reason: "http: stop", timeUs: 5 };
const LEADERS = { ...OPERATOR, reason: "leader: http: stop" };
const REDUCING = { by: "loss", reason: "limit:loss", timeUs: 6 } as const;
let hosts = 0;

/** What a start beside this leader leaves in the state directory. @param file what stood there; null = nothing */
async function started(
  file: string | SavedState | null,
  leader: Partial<StreamSnapshot>,
): Promise<SavedState> {
  hosts += 1;
  const stateDir = join(folder, String(hosts));
  mkdirSync(stateDir);
  const path = join(stateDir, KILL_SWITCH_FILE);
  if (typeof file === "string") writeFileSync(path, file);
  else if (file !== null) new KillSwitchStore(path).save(file.kill, file.reducing);
  const follower = new LeaderFollower({ stateDir, clock: systemClock, log }, () => {});
  const taken = follower.takeOver();
  follower.onSnapshot({ ...EMPTY_SNAPSHOT, ...leader });
  await taken;
  return new KillSwitchStore(path).loadState(0);
}

test("a start beside a leader keeps a kill and a reduction of this host's own", async () => {
  expect(await started({ kill: OPERATOR, reducing: null }, {})).toEqual({ kill: OPERATOR, reducing: null });
  expect((await started({ kill: OPERATOR, reducing: null }, { reducing: REDUCING })).reducing?.reason).toBe(
    "leader: limit:loss",
  );
  expect((await started({ kill: NOT_TRIPPED, reducing: REDUCING }, {})).reducing).toEqual(REDUCING);
  expect((await started("{", {})).kill.reason).toStartWith("state-unreadable");
});

test("a start beside a leader takes its kill over, and takes back what an earlier leader had said", async () => {
  expect(await started(null, { kill: OPERATOR })).toEqual({ kill: LEADERS, reducing: null });
  expect(await started(null, { kill: LEADERS })).toEqual({ kill: LEADERS, reducing: null });
  const reducing = { ...REDUCING, reason: "leader: limit:loss" };
  expect(await started({ kill: LEADERS, reducing }, {})).toEqual({ kill: NOT_TRIPPED, reducing: null });
});
