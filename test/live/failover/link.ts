import type { Socket, TCPSocketListener } from "bun";

interface Half {
  readonly near: Socket<Half>;
  far: Socket<Half> | null;
  /** What the near side has sent and the far side has not been given. */
  out: Uint8Array[];
  /** The other way. */
  back: Uint8Array[];
  open: boolean;
}

/**
 * A TCP connection's way through the network, from one process to a server. While it is cut nothing gets through in either
 * direction, no end is told, and what was sent is delivered late when it heals, as TCP does.
 */
export class Link {
  /** Sees what the near side sends, when it sends it, cut or not. */
  onSent: (bytes: Uint8Array, connection: object) => void = () => {};
  readonly #listener: TCPSocketListener<Half>;
  readonly #target: () => number;
  readonly #far: () => string;
  readonly #halves = new Set<Half>();
  #cut = false;

  /**
   * @param target port of the server, asked with every connection
   * @param near the host's address that the process connects to
   * @param far address of the server, asked with every connection
   */
  constructor(target: () => number, near = "127.0.0.1", far = () => "127.0.0.1") {
    this.#target = target;
    this.#far = far;
    this.#listener = Bun.listen<Half>({
      hostname: near,
      port: 0,
      socket: {
        open: (near) => {
          near.data = { near, far: null, out: [], back: [], open: true };
          this.#halves.add(near.data);
          if (!this.#cut) void this.#connect(near.data);
        },
        data: ({ data: half }, chunk) => {
          const bytes = new Uint8Array(chunk);
          this.onSent(bytes, half);
          half.out.push(bytes);
          this.#flush(half);
        },
        drain: ({ data: half }) => this.#flush(half),
        close: ({ data: half }) => this.#end(half),
        error: () => {},
      },
    });
  }

  get port(): number {
    return this.#listener.port;
  }

  cut(): void {
    this.#cut = true;
  }

  heal(): void {
    this.#cut = false;
    for (const half of [...this.#halves]) {
      if (!half.open) this.#end(half);
      else if (half.far === null) void this.#connect(half);
      else this.#flush(half);
    }
  }

  stop(): void {
    this.#listener.stop(true);
    for (const { near, far } of this.#halves) {
      near.terminate();
      far?.terminate();
    }
  }

  async #connect(half: Half): Promise<void> {
    try {
      half.far = await Bun.connect<Half>({
        hostname: this.#far(),
        port: this.#target(),
        socket: {
          open: (far) => {
            far.data = half;
          },
          data: (_far, chunk) => {
            half.back.push(new Uint8Array(chunk));
            this.#flush(half);
          },
          drain: () => this.#flush(half),
          close: () => this.#end(half),
          error: () => {},
        },
      });
      this.#flush(half);
    } catch {
      this.#end(half);
    }
  }

  #flush(half: Half): void {
    if (this.#cut) return;
    if (half.far !== null) push(half.far, half.out);
    push(half.near, half.back);
  }

  /** One side has gone; the other one hears of it unless the link is cut. */
  #end(half: Half): void {
    half.open = false;
    if (this.#cut) return;
    this.#halves.delete(half);
    this.#flush(half);
    half.near.end();
    half.far?.end();
  }
}

function push(socket: Socket<Half>, waiting: Uint8Array[]): void {
  while (waiting.length > 0) {
    const taken = socket.write(waiting[0]);
    if (taken < 0) return;
    if (taken < waiting[0].length) {
      waiting[0] = waiting[0].subarray(taken);
      return;
    }
    waiting.shift();
  }
}
