import { join } from "node:path";
import { systemClock } from "../../core/clock.ts";
import { KILL_SWITCH_FILE, KillSwitchStore } from "../../risk/kill-switch-store.ts";
import { type Check, findings } from "./check.ts";

/** A tripped kill switch holds nothing up: keel starts with it, quotes nothing and takes the reset. */
export const killSwitch: Check = {
  area: "risk",
  async run({ config }) {
    const { ok, warn } = findings("risk");
    const path = join(config.stateDir, KILL_SWITCH_FILE);
    const { tripped, reason, timeUs } = new KillSwitchStore(path).load(systemClock.wallUs());
    if (!tripped) return [ok("kill switch", "not tripped")];
    const since = new Date(timeUs / 1_000).toISOString();
    return [
      warn(
        "kill switch",
        `tripped since ${since}: ${reason}`,
        `nothing is quoted until it is reset: POST /reset while keel runs, or remove ${path} while it does not`,
      ),
    ];
  },
};
