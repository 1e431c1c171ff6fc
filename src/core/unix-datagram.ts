import { dlopen, FFIType, ptr } from "bun:ffi";

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const MSG_NOSIGNAL = 0x4000;
/** `sun_path` of `struct sockaddr_un`, unix(7). */
const PATH_BYTES = 108;

const LIBC = {
  socket: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
  sendto: {
    args: [FFIType.i32, FFIType.ptr, FFIType.u64, FFIType.i32, FFIType.ptr, FFIType.u32],
    returns: FFIType.i64,
  },
  close: { args: [FFIType.i32], returns: FFIType.i32 },
} as const;

/**
 * Sends datagrams to a Unix socket by sendto(2); Bun has no such sockets. It never waits: a datagram that the receiver has no room
 * for is not sent.
 */
export class UnixDatagramSender {
  readonly #libc = dlopen("libc.so.6", LIBC);
  readonly #address: Uint8Array;
  readonly #descriptor: number;

  /** @param path a path, or `@` and a name in the abstract namespace @throws Error when it is too long, or there are no sockets */
  constructor(path: string) {
    this.#address = unixAddress(path);
    this.#descriptor = this.#libc.symbols.socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (this.#descriptor < 0) throw new Error("no Unix datagram socket can be made");
  }

  /** @returns whether the receiver has it */
  send(text: string): boolean {
    const bytes = Buffer.from(text);
    const { symbols } = this.#libc;
    const sent = symbols.sendto(
      this.#descriptor,
      ptr(bytes),
      bytes.length,
      MSG_NOSIGNAL,
      ptr(this.#address),
      this.#address.length,
    );
    return Number(sent) === bytes.length;
  }

  close(): void {
    this.#libc.symbols.close(this.#descriptor);
    this.#libc.close();
  }
}

/** `struct sockaddr_un` with as many bytes of the path as it has. @throws Error when it is too long */
export function unixAddress(path: string): Uint8Array {
  const isAbstract = path.startsWith("@");
  const name = Buffer.from(isAbstract ? `\0${path.slice(1)}` : `${path}\0`);
  if (name.length > PATH_BYTES) throw new Error(`${path}: longer than ${PATH_BYTES} bytes`);
  const address = new Uint8Array(2 + name.length);
  new DataView(address.buffer).setUint16(0, AF_UNIX, true);
  address.set(name, 2);
  return address;
}
