import { dlopen, FFIType, ptr } from "bun:ffi";
import { unixAddress } from "../../src/core/unix-datagram.ts";

const AF_UNIX = 1;
const SOCK_DGRAM_NONBLOCK = 2 | 0o4000;
const MESSAGE_BYTES = 4_096;

/** The service manager's end of sd_notify(3): a Unix datagram socket. */
export class NotifySocket {
  readonly #libc = dlopen("libc.so.6", {
    socket: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
    bind: { args: [FFIType.i32, FFIType.ptr, FFIType.u32], returns: FFIType.i32 },
    recv: { args: [FFIType.i32, FFIType.ptr, FFIType.u64, FFIType.i32], returns: FFIType.i64 },
    close: { args: [FFIType.i32], returns: FFIType.i32 },
  });
  readonly #descriptor: number;
  /** Messages so far, each with the time it was read at. */
  readonly received: { readonly text: string; readonly atMs: number }[] = [];

  constructor(path: string) {
    const { symbols } = this.#libc;
    this.#descriptor = symbols.socket(AF_UNIX, SOCK_DGRAM_NONBLOCK, 0);
    const address = unixAddress(path);
    if (symbols.bind(this.#descriptor, ptr(address), address.length) !== 0) throw new Error(`bind ${path}`);
  }

  /** Reads what has come. */
  drain(): void {
    const buffer = Buffer.alloc(MESSAGE_BYTES);
    for (;;) {
      const bytes = Number(this.#libc.symbols.recv(this.#descriptor, ptr(buffer), MESSAGE_BYTES, 0));
      if (bytes < 0) return;
      this.received.push({ text: buffer.toString("utf8", 0, bytes), atMs: performance.now() });
    }
  }

  /** Waits for so many messages that have the assignment. @throws Error with what came instead */
  async until(assignment: string, timeoutMs: number, count = 1): Promise<void> {
    const endMs = performance.now() + timeoutMs;
    while (performance.now() < endMs) {
      this.drain();
      const found = this.received.filter(({ text }) => text.split("\n").includes(assignment));
      if (found.length >= count) return;
      await Bun.sleep(10);
    }
    throw new Error(`no ${assignment} within ${timeoutMs} ms but ${JSON.stringify(this.received)}`);
  }

  close(): void {
    this.#libc.symbols.close(this.#descriptor);
  }
}
