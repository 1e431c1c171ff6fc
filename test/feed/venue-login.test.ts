import { afterEach, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { systemClock } from "../../src/core/clock.ts";
import { Secret } from "../../src/core/secret.ts";
import { CoinbaseFeedLogin } from "../../src/feed/coinbase/feed-login.ts";
import { DeribitFeedLogin } from "../../src/feed/deribit/feed-login.ts";
import { LiveFeedPort } from "../../src/feed/live-port.ts";
import type { VenueLogin } from "../../src/feed/venue-login.ts";
import { Simulation } from "../../src/sim/simulation.ts";
import { until } from "../gateway/deribit/deribit-bed.ts";

const SECRET = "the-secret-of-the-key";
const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

interface Heard {
  opens: number;
  readonly frames: string[];
  readonly closes: { code: number; reason: string }[];
}

function connect(webSocketUrl: string, login: () => VenueLogin): { port: LiveFeedPort; heard: Heard } {
  const heard: Heard = { opens: 0, frames: [], closes: [] };
  const port = new LiveFeedPort({
    endpoints: new Map([[0, { webSocketUrl, restUrl: "" }]]),
    logins: new Map([[0, login]]),
    callbacks: {
      onOpen: () => {
        heard.opens += 1;
      },
      onFrame: (_feed, text) => heard.frames.push(text),
      onClose: (_feed, code, reason) => heard.closes.push({ code, reason }),
      onResponse: () => {},
    },
  });
  closing.push(() => port.close());
  port.connect(0);
  return { port, heard };
}

function deribit(tokenSeconds = 900): Simulation {
  const simulation = new Simulation({
    seed: 1,
    clock: systemClock,
    deribitRawNeedsLogin: true,
    deribitTrading: { clients: [{ id: "reader", secret: SECRET }], tokenSeconds },
  });
  closing.push(() => simulation.stop());
  return simulation;
}

const key = (secret: string) =>
  ({ clientId: "reader", clientSecret: new Secret(secret), grant: "signature" }) as const;

test("a connection to Deribit is told once it is logged in, and gets raw channels", async () => {
  const simulation = deribit();
  const { port, heard } = connect(
    `${simulation.deribit.server.url}/ws/api/v2`,
    () => new DeribitFeedLogin(key(SECRET)),
  );
  await until(() => heard.opens === 1);
  const channels = ["book.BTC-PERPETUAL.raw"];
  port.send(0, JSON.stringify({ jsonrpc: "2.0", id: 1, method: "public/subscribe", params: { channels } }));
  await until(() => heard.frames.length >= 2);
  expect(JSON.parse(heard.frames[0]).result).toEqual(channels);
  expect(JSON.parse(heard.frames[1]).params.data.type).toBe("snapshot");
  expect(heard.frames.join("\n")).not.toContain("token");
});

test("the token of a feed is refreshed without the feed knowing", async () => {
  const simulation = deribit(3);
  const { heard } = connect(
    `${simulation.deribit.server.url}/ws/api/v2`,
    () => new DeribitFeedLogin(key(SECRET)),
  );
  await until(() => heard.opens === 1);
  const [session] = simulation.deribit.sessions();
  await Bun.sleep(3_300);
  expect(simulation.deribit.trading.isLoggedIn(session, systemClock.wallUs())).toBe(true);
  expect(heard).toEqual({ opens: 1, frames: [], closes: [] });
});

test("a login that is refused ends the connection, and the reason holds no secret", async () => {
  const simulation = deribit();
  const { heard } = connect(
    `${simulation.deribit.server.url}/ws/api/v2`,
    () => new DeribitFeedLogin(key("no-such-secret")),
  );
  await until(() => heard.closes.length === 1);
  expect(heard).toEqual({
    opens: 0,
    frames: [],
    closes: [{ code: 4_003, reason: "login refused: 13004 invalid_credentials" }],
  });
});

test("subscriptions of Coinbase's orders are signed, others are left as they are", async () => {
  const received: string[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request, self) => (self.upgrade(request) ? undefined : new Response("", { status: 400 })),
    websocket: { message: (_socket, message) => void received.push(String(message)) },
  });
  closing.push(() => server.stop(true));
  const secret = Buffer.from("another secret").toString("base64");
  const keys = { key: "the-key", secret: new Secret(secret), passphrase: new Secret("phrase") };
  const { port, heard } = connect(`ws://127.0.0.1:${server.port}`, () => new CoinbaseFeedLogin(keys));
  await until(() => heard.opens === 1);
  const orders = { type: "subscribe", product_ids: ["BTC-USD"], channels: ["full", "heartbeat"] };
  const levels = JSON.stringify({ type: "subscribe", product_ids: ["BTC-USD"], channels: ["level2_batch"] });
  port.send(0, JSON.stringify(orders));
  port.send(0, levels);
  await until(() => received.length === 2);
  const signed = JSON.parse(received[0]);
  const expected = createHmac("sha256", "another secret")
    .update(`${signed.timestamp}GET/users/self/verify`)
    .digest("base64");
  expect(signed).toEqual({
    ...orders,
    key: "the-key",
    passphrase: "phrase",
    signature: expected,
    timestamp: signed.timestamp,
  });
  expect(Math.abs(Number(signed.timestamp) - Date.now() / 1_000)).toBeLessThan(30);
  expect(received[1]).toBe(levels);
});
