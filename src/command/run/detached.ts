import { THIS_PROGRAM } from "../../core/child.ts";
import { EXIT, type ExitCode } from "../../core/errors.ts";
import { lockHolder } from "../../live/run-lock.ts";

const LOOK_MS = 50;

/**
 * Starts `keel run --handover` as a process of its own, which outlives this one. @returns ok when it holds the state directory and the process
 * before it has ended, which that does when it has been told that the other one leads; failed when the new one has ended before
 */
export async function detached(stateDir: string, shutdown: AbortSignal): Promise<ExitCode> {
  const before = lockHolder(stateDir);
  const child = Bun.spawn([...THIS_PROGRAM, "run", "--handover"], {
    stdin: "ignore",
    stdout: "inherit",
    stderr: "inherit",
    detached: true,
  });
  while (child.exitCode === null && child.signalCode === null) {
    if (lockHolder(stateDir) === child.pid && (before === null || !runs(before))) {
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

function runs(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}
