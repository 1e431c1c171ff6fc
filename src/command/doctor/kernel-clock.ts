import { dlopen, FFIType, ptr } from "bun:ffi";
import { type Check, type Finding, findings } from "./check.ts";

const { ok, warn } = findings("clock");

/** `struct timex` of 64-bit Linux: `modes` u32 at 0, `offset` at 8, `maxerror` and `esterror` (µs, i64) at 24 and 32, `status` i32 at 40. */
const TIMEX_BYTES = 208;
const MAX_ERROR_AT = 24;
const STATUS_AT = 40;
const STA_UNSYNC = 0x40;
const TIME_ERROR = 5;
const WARN_ERROR_US = 100_000;

/** What the kernel knows of its own clock's discipline: adjtimex(2) without changing anything. */
export const kernelClock: Check = {
  area: "clock",
  async run() {
    return [readKernelClock()];
  },
};

function readKernelClock(): Finding {
  const timex = new Uint8Array(TIMEX_BYTES);
  let state: number;
  try {
    const libc = dlopen("libc.so.6", { adjtimex: { args: [FFIType.ptr], returns: FFIType.i32 } });
    state = libc.symbols.adjtimex(ptr(timex));
    libc.close();
  } catch (error) {
    return warn("kernel", `unknown: ${error instanceof Error ? error.message : error}`, "");
  }
  const view = new DataView(timex.buffer);
  return kernelFinding(state, view.getInt32(STATUS_AT, true), Number(view.getBigInt64(MAX_ERROR_AT, true)));
}

/** @param state what adjtimex returned @param maxErrorUs the kernel's bound on the clock's error */
export function kernelFinding(state: number, status: number, maxErrorUs: number): Finding {
  const advice = "run chrony or another NTP client on the host";
  if (state < 0) return warn("kernel", "unknown: adjtimex is not permitted", "");
  if (state === TIME_ERROR || (status & STA_UNSYNC) !== 0) return warn("kernel", "not synchronised", advice);
  const detail = `synchronised, error at most ${(maxErrorUs / 1_000).toFixed(1)} ms`;
  return maxErrorUs > WARN_ERROR_US ? warn("kernel", detail, advice) : ok("kernel", detail);
}
