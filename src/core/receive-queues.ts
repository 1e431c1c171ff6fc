import { dlopen, FFIType, ptr } from "bun:ffi";
import { readdirSync } from "node:fs";

/** Values of 64-bit Linux: ioctl_tty(2), ip(7), ipv6(7). */
const FIONREAD = 0x541bn;
const AF_INET = 2;
const AF_INET6 = 10;
const SOCKADDR_BYTES = 28;
/** Sockets that are looked at; a process with more feeds than that has other troubles. */
const SOCKETS_MAX = 256;

const LIBC = {
  ioctl: { args: [FFIType.i32, FFIType.u64, FFIType.ptr], returns: FFIType.i32 },
  getpeername: { args: [FFIType.i32, FFIType.ptr, FFIType.ptr], returns: FFIType.i32 },
} as const;

const open = () => dlopen("libc.so.6", LIBC);

/**
 * What the kernel has received for this process's connections to certain ports and nobody has read yet: how far behind the reader
 * is, told before a byte of it has been seen. Of any thread of the process. Tells NaN where there is no such call.
 */
export class ReceiveQueues {
  readonly #ports: ReadonlySet<number>;
  readonly #symbols: ReturnType<typeof open>["symbols"] | null;
  readonly #address = new Uint8Array(SOCKADDR_BYTES);
  readonly #addressBytes = new Uint32Array(1);
  readonly #waiting = new Int32Array(1);
  readonly #sockets = new Int32Array(SOCKETS_MAX);
  #count = 0;

  /** @param ports of the other ends */
  constructor(ports: Iterable<number>) {
    this.#ports = new Set(ports);
    this.#symbols = symbols();
  }

  /** Looks which connections there are; to be called now and then. Without a descriptor to look with, the ones from before stay. */
  refresh(): void {
    if (this.#symbols === null) return;
    let names: string[];
    try {
      names = readdirSync("/proc/self/fd");
    } catch {
      return;
    }
    this.#count = 0;
    for (const name of names) {
      const descriptor = Number(name);
      if (this.#count === SOCKETS_MAX) break;
      if (!this.#isWatched(descriptor)) continue;
      this.#sockets[this.#count] = descriptor;
      this.#count += 1;
    }
  }

  get connections(): number {
    return this.#count;
  }

  /** Bytes that wait on all of them; NaN where there are none, or the host does not tell. */
  waitingBytes(): number {
    const { ioctl } = this.#symbols ?? {};
    if (ioctl === undefined || this.#count === 0) return Number.NaN;
    let total = 0;
    for (let at = 0; at < this.#count; at += 1) {
      const descriptor = this.#sockets[at];
      if (ioctl(descriptor, FIONREAD, ptr(this.#waiting)) !== 0 || this.#waiting[0] <= 0) continue;
      // The number may have become another file's since the last look.
      if (this.#isWatched(descriptor)) total += this.#waiting[0];
    }
    return total;
  }

  #isWatched(descriptor: number): boolean {
    this.#addressBytes[0] = SOCKADDR_BYTES;
    const answer = this.#symbols?.getpeername(descriptor, ptr(this.#address), ptr(this.#addressBytes));
    if (answer !== 0) return false;
    const family = this.#address[0] | (this.#address[1] << 8);
    if (family !== AF_INET && family !== AF_INET6) return false;
    return this.#ports.has((this.#address[2] << 8) | this.#address[3]);
  }
}

function symbols(): ReturnType<typeof open>["symbols"] | null {
  if (process.platform !== "linux") return null;
  try {
    return open().symbols;
  } catch {
    return null;
  }
}
