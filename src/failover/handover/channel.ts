import { dlopen, FFIType, ptr } from "bun:ffi";
import { chmodSync, rmSync } from "node:fs";
import type { Socket } from "bun";
import { KeelError } from "../../core/errors.ts";

/** `SOL_SOCKET` and `SO_PEERCRED` of socket(7), and `struct ucred` of unix(7): process, user, group. */
const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
const UCRED_WORDS = 3;
/** Longest message in either direction. */
const MESSAGE_BYTES_MAX = 64 << 20;
/** `sun_path` without its end, unix(7). */
const SOCKET_PATH_BYTES_MAX = 107;

const LIBC = {
  getsockopt: {
    args: [FFIType.i32, FFIType.i32, FFIType.i32, FFIType.ptr, FFIType.ptr],
    returns: FFIType.i32,
  },
} as const;

/** The process at the other end of a connection on this host, as the kernel knows it. */
export interface PeerProcess {
  readonly pid: number;
  readonly uid: number;
}

/** Messages of JSON, a line each, over a Unix socket; what was sent before the end was told is delivered before it. */
export class Channel {
  readonly peer: PeerProcess;
  onMessage: (text: string) => void = () => {};
  /** Called once. @param problem empty when the other end has closed it, or its process has ended */
  onClosed: (problem: string) => void = () => {};
  readonly #socket: Socket<Channel | undefined>;
  #out: Uint8Array[] = [];
  readonly #in: Uint8Array[] = [];
  #inBytes = 0;
  #open = true;

  constructor(socket: Socket<Channel | undefined>) {
    this.#socket = socket;
    this.peer = peerOf(socket);
  }

  get isOpen(): boolean {
    return this.#open;
  }

  send(message: object): void {
    if (!this.#open) return;
    this.#out.push(Buffer.from(`${JSON.stringify(message)}\n`));
    this.flush();
  }

  /** What was sent goes out first. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#write();
    this.#socket.end();
  }

  flush(): void {
    if (this.#open) this.#write();
  }

  /** From the socket. */
  take(chunk: Uint8Array): void {
    let from = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      this.#in.push(chunk.slice(from, end));
      const text = Buffer.concat(this.#in).toString("utf8");
      this.#in.length = 0;
      this.#inBytes = 0;
      from = end + 1;
      if (this.#open) this.onMessage(text);
    }
    if (from === chunk.length) return;
    this.#in.push(chunk.slice(from));
    this.#inBytes += chunk.length - from;
    if (this.#inBytes > MESSAGE_BYTES_MAX) {
      this.close();
      this.ended(`a message of more than ${MESSAGE_BYTES_MAX} bytes`);
    }
  }

  /** From the socket. */
  ended(problem: string): void {
    this.#open = false;
    const { onClosed } = this;
    this.onClosed = () => {};
    onClosed(problem);
  }

  #write(): void {
    while (this.#out.length > 0) {
      const [next] = this.#out;
      const taken = this.#socket.write(next);
      if (taken < 0) return;
      if (taken < next.length) {
        this.#out[0] = next.subarray(taken);
        return;
      }
      this.#out.shift();
    }
  }
}

const HANDLERS = {
  data: ({ data }: Socket<Channel | undefined>, chunk: Uint8Array) => data?.take(chunk),
  drain: ({ data }: Socket<Channel | undefined>) => data?.flush(),
  close: ({ data }: Socket<Channel | undefined>) => data?.ended(""),
  error: ({ data }: Socket<Channel | undefined>, error: Error) => data?.ended(error.message),
};

/** Serves channels at a path, to processes of the same user and of root. */
export class ChannelServer {
  readonly path: string;
  readonly #listener: { stop(closeActive?: boolean): void };

  /**
   * Takes the path over from whoever had it: to be called by who knows that nobody lives there.
   *
   * @param onRefused told of those that are of another user
   * @throws KeelError when the path cannot be served
   */
  constructor(path: string, onChannel: (channel: Channel) => void, onRefused: (peer: PeerProcess) => void) {
    this.path = path;
    if (Buffer.byteLength(path) > SOCKET_PATH_BYTES_MAX) {
      throw new KeelError(
        "socket-path",
        `${path}: ${Buffer.byteLength(path)} bytes, a socket's path has at most ${SOCKET_PATH_BYTES_MAX}`,
      );
    }
    rmSync(path, { force: true });
    const ownUid = process.getuid?.() ?? -1;
    this.#listener = Bun.listen<Channel | undefined>({
      unix: path,
      socket: {
        ...HANDLERS,
        open: (socket) => {
          const channel = new Channel(socket);
          const { uid } = channel.peer;
          if (uid !== ownUid && uid !== 0) {
            onRefused(channel.peer);
            socket.terminate();
            return;
          }
          socket.data = channel;
          onChannel(channel);
        },
      },
    });
    chmodSync(path, 0o600);
  }

  /** Nobody else can connect; channels that are open stay so. */
  stop(): void {
    rmSync(this.path, { force: true });
    this.#listener.stop(false);
  }
}

/** @returns null when nobody serves the path */
export async function openChannel(path: string): Promise<Channel | null> {
  try {
    const { promise, resolve } = Promise.withResolvers<Channel>();
    await Bun.connect<Channel | undefined>({
      unix: path,
      socket: {
        ...HANDLERS,
        open: (socket) => {
          const channel = new Channel(socket);
          socket.data = channel;
          resolve(channel);
        },
      },
    });
    return await promise;
  } catch {
    return null;
  }
}

function peerOf(socket: Socket<Channel | undefined>): PeerProcess {
  const libc = dlopen("libc.so.6", LIBC);
  const credentials = new Int32Array(UCRED_WORDS);
  const length = new Int32Array([credentials.byteLength]);
  const failed = libc.symbols.getsockopt(
    descriptorOf(socket),
    SOL_SOCKET,
    SO_PEERCRED,
    ptr(credentials),
    ptr(length),
  );
  libc.close();
  return failed === 0 ? { pid: credentials[0], uid: credentials[1] } : { pid: 0, uid: -1 };
}

/** Bun's sockets have their descriptor, which its types leave out. */
function descriptorOf(socket: object): number {
  return "fd" in socket && typeof socket.fd === "number" ? socket.fd : -1;
}
