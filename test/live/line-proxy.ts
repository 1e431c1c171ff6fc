import type { ServerWebSocket } from "bun";

/** One WebSocket connection through the proxy, and what happens to its frames on the way to the client. */
export class ProxiedLine {
  delayMs = 0;
  /** Frames are swallowed, and nobody says so. */
  frozen = false;
  /** Says of each frame whether it is lost. */
  loses: (frame: string) => boolean = () => false;
  frames = 0;
  lost = 0;
  readonly #upstream: WebSocket;
  #client: ServerWebSocket<ProxiedLine> | null = null;
  #waiting: string[] = [];
  /** Keeps delayed frames in their order when the delay changes. */
  #dueMs = 0;

  constructor(url: string) {
    this.#upstream = new WebSocket(url);
    this.#upstream.onopen = () => {
      for (const text of this.#waiting.splice(0)) this.#upstream.send(text);
    };
    this.#upstream.onmessage = ({ data }) => this.#forward(String(data));
    this.#upstream.onclose = () => this.#client?.terminate();
  }

  get open(): boolean {
    return this.#client !== null;
  }

  opened(client: ServerWebSocket<ProxiedLine>): void {
    this.#client = client;
  }

  closed(): void {
    this.#client = null;
    this.#upstream.terminate();
  }

  fromClient(text: string): void {
    if (this.#upstream.readyState === WebSocket.OPEN) this.#upstream.send(text);
    else this.#waiting.push(text);
  }

  /** Cuts the connection off, as a network does. */
  cut(): void {
    this.#client?.terminate();
  }

  #forward(frame: string): void {
    this.frames += 1;
    if (this.frozen || this.loses(frame)) {
      this.lost += 1;
      return;
    }
    const nowMs = performance.now();
    this.#dueMs = Math.max(this.#dueMs, nowMs + this.delayMs);
    if (this.#dueMs <= nowMs) this.#client?.send(frame);
    else setTimeout(() => this.#client?.send(frame), this.#dueMs - nowMs);
  }
}

/** Stands between a desk and a venue, WebSocket and REST, and keeps the connections apart: what befalls one leaves the others alone. */
export class LineProxy {
  /** Connections in the order in which they were made. */
  readonly lines: ProxiedLine[] = [];
  readonly #server: Bun.Server<ProxiedLine>;

  constructor(target: string) {
    const http = target.replace(/^ws/, "http");
    this.#server = Bun.serve<ProxiedLine>({
      hostname: "127.0.0.1",
      port: 0,
      fetch: async (request, server) => {
        const { pathname, search } = new URL(request.url);
        if (request.headers.get("upgrade") === null) {
          const { status, body } = await fetch(http + pathname + search);
          return new Response(body, { status });
        }
        const line = new ProxiedLine(target + pathname + search);
        if (!server.upgrade(request, { data: line })) return new Response(null, { status: 400 });
        this.lines.push(line);
        return undefined;
      },
      websocket: {
        open: (socket) => socket.data.opened(socket),
        message: (socket, message) => socket.data.fromClient(String(message)),
        close: (socket) => socket.data.closed(),
      },
    });
  }

  get url(): string {
    return `ws://127.0.0.1:${this.#server.port}`;
  }

  /** Connections that are up, in the order in which they were made. */
  get open(): ProxiedLine[] {
    return this.lines.filter(({ open }) => open);
  }

  async stop(): Promise<void> {
    await this.#server.stop(true);
  }
}
