import { isSynchronised, type KernelClock, readKernelClock } from "../../core/kernel-clock.ts";
import { type Check, type Finding, findings } from "./check.ts";

const { ok, warn } = findings("clock");

const WARN_ERROR_US = 100_000;

/** What the kernel knows of its own clock's discipline. */
export const kernelClock: Check = {
  area: "clock",
  async run() {
    try {
      return [kernelFinding(readKernelClock())];
    } catch (error) {
      return [warn("kernel", `unknown: ${error instanceof Error ? error.message : error}`, "")];
    }
  },
};

export function kernelFinding(clock: KernelClock): Finding {
  const { state, maxErrorUs, offsetUs } = clock;
  const advice = "run chrony or another NTP client on the host";
  if (state < 0) return warn("kernel", "unknown: adjtimex is not permitted", "");
  if (!isSynchronised(clock)) return warn("kernel", "not synchronised", advice);
  const detail = `synchronised, offset ${offsetUs.toFixed(0)} µs, error at most ${(maxErrorUs / 1_000).toFixed(1)} ms`;
  return maxErrorUs > WARN_ERROR_US ? warn("kernel", detail, advice) : ok("kernel", detail);
}
