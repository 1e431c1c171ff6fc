import { dlopen, FFIType, ptr } from "bun:ffi";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { takeAfterBatch } from "./after-batch.ts";
import { KeelError } from "./errors.ts";

/** The loop gets a turn of its own at least this often, so timers are late by at most that. */
const SPIN_NS = 50_000;
const POLLIN = 1;
const EVENTPOLL = "anon_inode:[eventpoll]";

const LIBC = { poll: { args: [FFIType.ptr, FFIType.u64_fast, FFIType.i32], returns: FFIType.i32 } } as const;

/**
 * Keeps the event loop of the calling thread from sleeping: instead of waiting in the kernel until something is readable it asks
 * again and again, and takes what has come within a few hundred nanoseconds, without being woken. Takes all of a processor.
 *
 * What is asked is `poll(2)` of the loop's own epoll descriptor, which is readable when one of its descriptors is and takes nothing
 * from it; Bun's loop then does what it always does, with a wait of zero because an immediate is due. So nothing is bypassed, and
 * between two events the loop allocates one immediate every {@link SPIN_NS}.
 */
export class SpinningLoop {
  /** Spins, and those that something readable ended. */
  readonly counters = { spins: 0, events: 0 };
  readonly #libc = dlopen("libc.so.6", LIBC);
  /** `struct pollfd`: descriptor, events and returned events. */
  readonly #pollfd: Int32Array;
  readonly #address: ReturnType<typeof ptr>;
  readonly #monotonicNs: () => number;
  #immediate: ReturnType<typeof setImmediate>;
  /** Something was readable: its callbacks may have put something off, which stands behind this loop's own immediate. */
  #delivers = false;
  #isStopped = false;

  /** @throws KeelError where the host does not show which descriptor is the loop's */
  constructor(monotonicNs: () => number = Bun.nanoseconds) {
    this.#monotonicNs = monotonicNs;
    this.#pollfd = new Int32Array([loopDescriptor(), POLLIN]);
    this.#address = ptr(this.#pollfd);
    this.#immediate = setImmediate(this.#turn);
  }

  /** The loop sleeps again. */
  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    clearImmediate(this.#immediate);
    this.#libc.close();
  }

  readonly #turn = (): void => {
    if (this.#isStopped) return;
    const putOff = takeAfterBatch();
    if (putOff || this.#delivers) this.#delivers = false;
    else this.#spin();
    this.#immediate = setImmediate(this.#turn);
  };

  #spin(): void {
    const { poll } = this.#libc.symbols;
    const untilNs = this.#monotonicNs() + SPIN_NS;
    let readable = 0;
    do readable = poll(this.#address, 1, 0);
    while (readable === 0 && this.#monotonicNs() < untilNs);
    this.counters.spins += 1;
    if (readable <= 0) return;
    this.counters.events += 1;
    this.#delivers = true;
  }
}

/** The epoll descriptor of this thread's event loop: the one that watches a socket which this thread has just opened. */
function loopDescriptor(): number {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => {} } });
  try {
    const socket = "fd" in listener ? Number(listener.fd) : Number.NaN;
    const watched = new RegExp(`^tfd:\\s+${socket}\\s`, "m");
    for (const name of readdirSync("/proc/self/fd")) {
      if (linkOf(name) === EVENTPOLL && watched.test(readFileSync(`/proc/self/fdinfo/${name}`, "utf8"))) {
        return Number(name);
      }
    }
  } catch (error) {
    throw new KeelError("placement", `KEEL_SPIN: the event loop's descriptor cannot be found: ${error}`);
  } finally {
    listener.stop(true);
  }
  throw new KeelError(
    "placement",
    "KEEL_SPIN: found no epoll descriptor of the event loop in /proc/self/fd, expected Linux with /proc",
  );
}

/** A descriptor may be gone by the time that it is looked at. */
function linkOf(descriptor: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${descriptor}`);
  } catch {
    return "";
  }
}
