import type { ConfigProblem } from "../config.ts";
import type { ServiceManager } from "../monitor/service-notifier.ts";

/**
 * What systemd says of itself to the process: `NOTIFY_SOCKET`, and `WATCHDOG_USEC` when `WATCHDOG_PID` is this process or not
 * given. Null where no service manager started it.
 */
export function readServiceManager(
  env: Readonly<Record<string, string | undefined>>,
  pid: number,
  problems: ConfigProblem[],
): ServiceManager | null {
  const socket = env.NOTIFY_SOCKET ?? "";
  if (socket === "") return null;
  if (!/^[/@]./.test(socket)) {
    problems.push({ name: "NOTIFY_SOCKET", found: socket, expected: "a path, or a name that begins with @" });
    return null;
  }
  return { socket, watchdogUs: readWatchdog(env, pid, problems) };
}

function readWatchdog(
  env: Readonly<Record<string, string | undefined>>,
  pid: number,
  problems: ConfigProblem[],
): number | null {
  const { WATCHDOG_USEC: text = "", WATCHDOG_PID: watched = "" } = env;
  if (text === "" || (watched !== "" && Number(watched) !== pid)) return null;
  const watchdogUs = Number(text);
  if (Number.isSafeInteger(watchdogUs) && watchdogUs > 0) return watchdogUs;
  problems.push({ name: "WATCHDOG_USEC", found: text, expected: "a whole number of microseconds above 0" });
  return null;
}
