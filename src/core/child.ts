import { join } from "node:path";
import { BUILD } from "./executable.ts";

const TIMEOUT_MS = 60_000;

/** How a child process ended: with its JSON line, or without one. */
export type ChildEnd<T> =
  | { readonly result: T }
  | { readonly error: { readonly code: string; readonly message: string } };

/** How this very program is started. */
export const THIS_PROGRAM: readonly string[] =
  BUILD === undefined ? [process.execPath, join(import.meta.dir, "../main.ts")] : [process.execPath];

/**
 * Runs a verb of this very program in a child process, so that a driver that faults or hangs takes nothing else with it.
 * Never throws.
 *
 * @param command how this program is started; a test gives its own
 */
export async function runIsolated<T>(
  verb: string,
  env: Readonly<Record<string, string | undefined>>,
  command: readonly string[] = THIS_PROGRAM,
): Promise<ChildEnd<T>> {
  const failed = (code: string, message: string) => ({ error: { code, message } });
  try {
    const child = Bun.spawn([...command, verb, "--json"], {
      env: { ...env },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "ignore",
      timeout: TIMEOUT_MS,
      killSignal: "SIGKILL",
    });
    const [text] = await Promise.all([child.stdout.text(), child.exited]);
    if (child.signalCode !== null)
      return failed("child-signal", `ended with ${child.signalCode}: a faulty driver`);
    const result: unknown = JSON.parse(text.trimEnd().split("\n").at(-1) ?? "");
    if (child.exitCode === 0) return { result: result as T };
    return result as ChildEnd<T>;
  } catch (error) {
    return failed("child-broken", error instanceof Error ? error.message : String(error));
  }
}
