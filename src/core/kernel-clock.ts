import { dlopen, FFIType, ptr } from "bun:ffi";

/** `struct timex` of 64-bit Linux: `modes` u32 at 0, `offset` at 8, `maxerror` and `esterror` (µs, i64) at 24 and 32, `status` i32 at 40. */
const TIMEX_BYTES = 208;
const OFFSET_AT = 8;
const MAX_ERROR_AT = 24;
const STATUS_AT = 40;
const STA_UNSYNC = 0x40;
/** The offset counts ns, else µs. */
const STA_NANO = 0x2000;
const TIME_ERROR = 5;

/** What the kernel knows of the discipline of the host's clock. */
export interface KernelClock {
  /** What adjtimex(2) returned; below 0 when it is not permitted. */
  readonly state: number;
  readonly status: number;
  /** Bound on the clock's error, µs. */
  readonly maxErrorUs: number;
  /** What the clock is still off the time that an NTP or PTP client told it, µs. */
  readonly offsetUs: number;
}

/** Reads the clock's discipline by adjtimex(2) without changing anything. @throws Error where there is no such call */
export function readKernelClock(): KernelClock {
  const timex = new Uint8Array(TIMEX_BYTES);
  const libc = dlopen("libc.so.6", { adjtimex: { args: [FFIType.ptr], returns: FFIType.i32 } });
  const state = libc.symbols.adjtimex(ptr(timex));
  libc.close();
  const view = new DataView(timex.buffer);
  const status = view.getInt32(STATUS_AT, true);
  const offset = Number(view.getBigInt64(OFFSET_AT, true));
  return {
    state,
    status,
    maxErrorUs: Number(view.getBigInt64(MAX_ERROR_AT, true)),
    offsetUs: (status & STA_NANO) !== 0 ? offset / 1_000 : offset,
  };
}

/** Some NTP or PTP client keeps the clock. */
export function isSynchronised({ state, status }: KernelClock): boolean {
  return state >= 0 && state !== TIME_ERROR && (status & STA_UNSYNC) === 0;
}

/** The kernel's bound on the clock's error, µs; NaN when nothing keeps the clock or the kernel does not tell. */
export function kernelClockErrorUs(): number {
  try {
    const clock = readKernelClock();
    return isSynchronised(clock) ? clock.maxErrorUs : Number.NaN;
  } catch {
    return Number.NaN;
  }
}
