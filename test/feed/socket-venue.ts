import type { Server, ServerWebSocket } from "bun";
import { FRAME } from "../../src/feed/feed.ts";
import type { FeedEndpoint } from "../../src/feed/live-port.ts";
import { endpointAt } from "../../src/feed/registry.ts";
import { EventBatch } from "../../src/market/event-batch.ts";
import type { FakeVenue } from "./fake-venue.ts";
import type { Request as RestRequest } from "./scripted-port.ts";

interface Answer {
  readonly status: number;
  readonly body: string;
}

/** A fake venue on a real port: WebSocket and REST. */
export class SocketVenue {
  readonly venue: FakeVenue;
  /** REST is answered with 429 and a Retry-After so many times more. */
  tooManyRequests = 0;
  readonly #server: Server<undefined>;
  readonly #sockets = new Set<ServerWebSocket<undefined>>();
  readonly #timer: ReturnType<typeof setInterval>;
  #opened = 0;

  constructor(venue: FakeVenue) {
    this.venue = venue;
    this.#server = Bun.serve<undefined>({
      hostname: "127.0.0.1",
      port: 0,
      fetch: (request, server) => this.#fetch(request, server),
      websocket: {
        open: (socket) => {
          this.#opened += 1;
          this.#sockets.add(socket);
          // Some venues speak first.
          this.#serve([""], socket);
        },
        message: (socket, text) => {
          this.#serve([String(text)], socket);
        },
        close: (socket) => {
          this.#sockets.delete(socket);
          venue.disconnected();
        },
      },
    });
    this.#timer = setInterval(() => {
      const frames = [
        ...[0, 1].map((index) => venue.next(index)),
        ...(venue.unasked?.(Date.now() * 1_000) ?? []),
      ];
      for (const frame of frames) for (const socket of this.#sockets) socket.send(frame);
    }, 2);
  }

  get endpoint(): FeedEndpoint {
    return endpointAt(this.venue.venue, `ws://127.0.0.1:${this.#server.port}`);
  }

  get opened(): number {
    return this.#opened;
  }

  get connected(): number {
    return this.#sockets.size;
  }

  /** Cuts every connection off, or closes it in good order. */
  cut(inGoodOrder: boolean): void {
    for (const socket of this.#sockets) {
      if (inGoodOrder) socket.close(1_001, "going away");
      else socket.terminate();
    }
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#server.stop(true);
  }

  #fetch(request: Request, server: Server<undefined>): Response | undefined {
    const { pathname, search } = new URL(request.url);
    if (request.headers.get("upgrade") !== null) {
      return server.upgrade(request) ? undefined : new Response("", { status: 400 });
    }
    if (this.tooManyRequests > 0) {
      this.tooManyRequests -= 1;
      return new Response("", { status: 429, headers: { "retry-after": "1" } });
    }
    const { status, body } = this.#serve([], null, [{ request: 1, path: pathname + search }]);
    return new Response(body, { status });
  }

  /** Lets the fake answer one message or one request. */
  #serve(sent: string[], socket: ServerWebSocket<undefined> | null, requests: RestRequest[] = []): Answer {
    let answer: Answer = { status: 404, body: "" };
    const messages = sent.filter((text) => text !== "");
    this.venue.service({
      port: { takeSent: () => messages.splice(0), takeRequests: () => requests.splice(0) },
      feed: {
        onFrame: (frame) => {
          socket?.send(frame);
          return FRAME.ok;
        },
        onResponse: (_request, status, body) => {
          answer = { status, body };
        },
      },
      timeUs: Date.now() * 1_000,
      out: new EventBatch(1, 1),
      deliver: (frame) => socket?.send(frame),
      apply: () => {},
    });
    return answer;
  }
}
