import { THIS_PROGRAM } from "../../core/child.ts";
import { EXIT, type ExitCode } from "../../core/errors.ts";
import { lockHolder } from "../../live/run-lock.ts";

const LOOK_MS = 50;

/**
 * Starts `keel run --handover` as a process of its own, which outlives this one. @returns ok when it holds the state directory, failed
 * when it has ended before
 */
export async function detached(stateDir: string, shutdown: AbortSignal): Promise<ExitCode> {
  const child = Bun.spawn([...THIS_PROGRAM, "run", "--handover"], {
    stdin: "ignore",
    stdout: "inherit",
    stderr: "inherit",
    detached: true,
  });
  while (child.exitCode === null && child.signalCode === null) {
    if (lockHolder(stateDir) === child.pid) {
      child.unref();
      return EXIT.ok;
    }
    if (shutdown.aborted) {
      child.kill("SIGTERM");
      break;
    }
    await Bun.sleep(LOOK_MS);
  }
  await child.exited;
  return EXIT.failed;
}
