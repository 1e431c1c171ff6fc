import { BUILD } from "../core/executable.ts";
import type { DeviceProbe } from "../inference/probe.ts";
import { probeIsa } from "../inference/probe.ts";

const TIMEOUT_MS = 20_000;

/** Command line that starts this very program again. */
function ownCommandLine(): string[] {
  return BUILD === undefined ? [process.execPath, Bun.main] : [process.execPath];
}

/**
 * Looks for devices in a child process, so that a graphics driver that faults or hangs takes nothing else with it. Never
 * throws: what the child did not tell is reported as absent, with the reason.
 */
export async function isolatedProbe(command: readonly string[] = ownCommandLine()): Promise<DeviceProbe> {
  const without = (reason: string): DeviceProbe => ({
    isa: probeIsa(),
    gpuAdapters: [],
    gpuReason: reason,
    tensorrt: null,
  });
  try {
    const child = Bun.spawn([...command, "probe-devices", "--json"], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "ignore",
      timeout: TIMEOUT_MS,
      killSignal: "SIGKILL",
    });
    const [text] = await Promise.all([child.stdout.text(), child.exited]);
    if (child.signalCode !== null)
      return without(`the probe of GPUs ended with ${child.signalCode}: a faulty driver`);
    const last = text.trimEnd().split("\n").at(-1) ?? "";
    if (child.exitCode !== 0) return without(`the probe of GPUs ended with exit code ${child.exitCode}`);
    return JSON.parse(last) as DeviceProbe;
  } catch (error) {
    return without(
      `the probe of GPUs did not run: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}
