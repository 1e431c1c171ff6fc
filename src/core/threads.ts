import { dlopen, FFIType, ptr } from "bun:ffi";
import { readdirSync } from "node:fs";
import { KeelError } from "./errors.ts";

const SCHED_FIFO = 1;
/** Threads that the thread starts do not inherit its priority. */
const SCHED_RESET_ON_FORK = 0x4000_0000;
/** `cpu_set_t` of glibc: 1,024 processors. */
const CPU_SET_BYTES = 128;

const LIBC = {
  sched_getaffinity: { args: [FFIType.i32, FFIType.u64, FFIType.ptr], returns: FFIType.i32 },
  sched_setaffinity: { args: [FFIType.i32, FFIType.u64, FFIType.ptr], returns: FFIType.i32 },
  sched_setscheduler: { args: [FFIType.i32, FFIType.i32, FFIType.ptr], returns: FFIType.i32 },
} as const;

const open = () => dlopen("libc.so.6", LIBC);
let libc: ReturnType<typeof open> | null = null;

function symbols(): ReturnType<typeof open>["symbols"] {
  libc ??= open();
  return libc.symbols;
}

/** Numbers of this process's threads; the one that runs the event loop has the number of the process. */
export function threadIds(): number[] {
  return readdirSync("/proc/self/task").map(Number);
}

/** The processors that a thread may run on. @throws KeelError when there is no such thread */
export function allowedCpus(threadId: number): number[] {
  const set = new Uint8Array(CPU_SET_BYTES);
  if (symbols().sched_getaffinity(threadId, BigInt(CPU_SET_BYTES), ptr(set)) < 0) {
    throw new KeelError("thread", `thread ${threadId}: its processors cannot be read`);
  }
  const cpus: number[] = [];
  for (let cpu = 0; cpu < CPU_SET_BYTES * 8; cpu += 1) {
    if (((set[cpu >> 3] ?? 0) & (1 << (cpu & 7))) !== 0) cpus.push(cpu);
  }
  return cpus;
}

/** Has a thread run on these processors only. @returns false when the host does not let it */
export function allowCpus(threadId: number, cpus: readonly number[]): boolean {
  const set = new Uint8Array(CPU_SET_BYTES);
  for (const cpu of cpus) set[cpu >> 3] = (set[cpu >> 3] ?? 0) | (1 << (cpu & 7));
  return symbols().sched_setaffinity(threadId, BigInt(CPU_SET_BYTES), ptr(set)) === 0;
}

/**
 * Gives a thread a real-time priority, first in first out (sched(7)).
 *
 * @param priority 1 to 99
 * @returns false when the process may not: it needs CAP_SYS_NICE or RLIMIT_RTPRIO
 */
export function setRealTime(threadId: number, priority: number): boolean {
  const parameters = new Int32Array([priority]);
  return symbols().sched_setscheduler(threadId, SCHED_FIFO | SCHED_RESET_ON_FORK, ptr(parameters)) === 0;
}
