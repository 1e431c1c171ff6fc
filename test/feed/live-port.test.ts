import { afterEach, expect, test } from "bun:test";
import { LiveFeedPort, readRetryAfter } from "../../src/feed/live-port.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

interface Peer {
  readonly port: LiveFeedPort;
  readonly events: string[];
  readonly extensions: (string | null)[];
  until(event: RegExp): Promise<void>;
  broadcast(data: string | Uint8Array): void;
  closeAll(): void;
}

/** A venue on loopback and a port that is pointed at it. */
function peer(requestTimeoutMs = 60_000): Peer {
  const events: string[] = [];
  const extensions: (string | null)[] = [];
  const sockets = new Set<Bun.ServerWebSocket<undefined>>();
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request, self) {
      const { pathname } = new URL(request.url);
      if (pathname === "/stream") {
        extensions.push(request.headers.get("sec-websocket-extensions"));
        return self.upgrade(request) ? undefined : new Response("no", { status: 400 });
      }
      if (pathname === "/slow") return new Promise<Response>(() => {});
      if (pathname === "/busy")
        return new Response("later", { status: 429, headers: { "retry-after": "7" } });
      return new Response(`you asked for ${pathname}`);
    },
    websocket: {
      open: (socket) => void sockets.add(socket),
      message: (socket, text) => void socket.send(`echo ${text}`),
      close: (socket) => void sockets.delete(socket),
    },
  });
  const port = new LiveFeedPort({
    endpoints: new Map([
      [
        0,
        { webSocketUrl: `ws://127.0.0.1:${server.port}/stream`, restUrl: `http://127.0.0.1:${server.port}` },
      ],
      [1, { webSocketUrl: "ws://127.0.0.1:1/stream", restUrl: "http://127.0.0.1:1" }],
    ]),
    requestTimeoutMs,
    callbacks: {
      onOpen: (feed) => events.push(`open ${feed}`),
      onFrame: (feed, text) => events.push(`frame ${feed} ${text}`),
      onClose: (feed, code) => events.push(`close ${feed} ${code}`),
      onResponse: (feed, request, status, body, retryAfterMs) =>
        events.push(`response ${feed} ${request} ${status} ${body} ${retryAfterMs}`),
    },
  });
  cleanups.push(
    () => port.close(),
    () => server.stop(true),
  );
  return {
    port,
    events,
    extensions,
    broadcast: (data) => {
      for (const socket of sockets) socket.send(data);
    },
    closeAll: () => {
      for (const socket of sockets) socket.close(4_000, "bye");
    },
    until: async (event) => {
      const deadline = Date.now() + 45_000;
      while (!events.some((seen) => event.test(seen))) {
        if (Date.now() > deadline) throw new Error(`no ${event} among ${JSON.stringify(events)}`);
        await Bun.sleep(2);
      }
    },
  };
}

test("opens, sends, receives, and does not offer compression", async () => {
  const { port, events, extensions, until } = peer();
  port.connect(0);
  await until(/open 0/);
  port.send(0, "hello");
  await until(/frame/);
  expect(events).toEqual(["open 0", "frame 0 echo hello"]);
  expect(extensions).toEqual([null]);
});

test("a binary frame is read as text", async () => {
  const { port, until, broadcast } = peer();
  port.connect(0);
  await until(/open/);
  broadcast(new TextEncoder().encode("bytes"));
  await until(/frame 0 bytes/);
});

test("a connection that the venue closes is told with its code", async () => {
  const { port, until, closeAll } = peer();
  port.connect(0);
  await until(/open/);
  closeAll();
  await until(/close 0 4000/);
});

test("a connection that cannot be made is a close", async () => {
  const { port, until } = peer();
  port.connect(1);
  await until(/close 1 /);
});

test("nothing of a connection that was given up reaches its successor", async () => {
  const { port, events, until, broadcast } = peer();
  port.connect(0);
  await until(/open/);
  events.length = 0;
  port.disconnect(0, "silence");
  port.connect(0);
  await until(/open/);
  await Bun.sleep(30);
  broadcast("x");
  await until(/frame/);
  expect(events).toEqual(["open 0", "frame 0 x"]);
});

test("a connection attempt that hangs is given up without a trace", async () => {
  const events: string[] = [];
  const mute = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const port = new LiveFeedPort({
    endpoints: new Map([[0, { webSocketUrl: `ws://127.0.0.1:${mute.port}/stream`, restUrl: "" }]]),
    callbacks: {
      onOpen: () => events.push("open"),
      onFrame: () => events.push("frame"),
      onClose: () => events.push("close"),
      onResponse: () => events.push("response"),
    },
  });
  port.connect(0);
  await Bun.sleep(30);
  port.disconnect(0, "connect timed out");
  await Bun.sleep(30);
  mute.stop(true);
  await Bun.sleep(30);
  expect(events).toEqual([]);
});

test("a request is answered with status, body and Retry-After", async () => {
  const { port, events, until } = peer();
  port.request(0, 5, "/depth");
  await until(/response/);
  port.request(0, 6, "/busy");
  await until(/response 0 6/);
  expect(events).toEqual(["response 0 5 200 you asked for /depth NaN", "response 0 6 429 later 7000"]);
});

test("a request without an answer fails in time, with status 0", async () => {
  const { port, until } = peer(300);
  port.request(0, 1, "/slow");
  await until(/response 0 1 0 no answer within 300 ms NaN/);
  port.request(1, 2, "/depth");
  await until(/response 1 2 0 /);
});

test("nothing is called back after close", async () => {
  const { port, events, until } = peer();
  port.connect(0);
  await until(/open/);
  port.request(0, 1, "/slow");
  events.length = 0;
  port.close();
  port.send(0, "late");
  await Bun.sleep(30);
  expect(events).toEqual([]);
});

test("Retry-After counts seconds", () => {
  expect(readRetryAfter("3")).toBe(3_000);
  expect(readRetryAfter(null)).toBeNaN();
  expect(readRetryAfter("Wed, 21 Oct 2015 07:28:00 GMT")).toBeNaN();
});
