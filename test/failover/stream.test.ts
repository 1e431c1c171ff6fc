import { afterEach, expect, test } from "bun:test";
import fc from "fast-check";
import { Secret } from "../../src/core/secret.ts";
import {
  followerMessage,
  leaderMessage,
  MESSAGE_LENGTH_MAX,
  readMessage,
  type StreamRecord,
  type StreamSnapshot,
} from "../../src/failover/stream.ts";
import { StreamClient } from "../../src/failover/stream-client.ts";
import { StreamServer } from "../../src/failover/stream-server.ts";
import { EMPTY_SNAPSHOT } from "./empty-snapshot.ts";

const TOKEN = new Secret("a token of the pair's own");
const SNAPSHOT: StreamSnapshot = { ...EMPTY_SNAPSHOT, session: { nextIncoming: 3, startedUs: null } };
const record = (next: number): StreamRecord => ({ what: "session", word: { said: "incoming", next } });

const open: { stop(): unknown }[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.stop();
});

function serve(port = 0, run = "run 1") {
  const state = { leading: true };
  const server = new StreamServer({
    ...{ host: "127.0.0.1", port, token: TOKEN, run, leading: () => state.leading },
    ...{ snapshot: () => SNAPSHOT, outgoing: () => 77, onProblem: () => {} },
  });
  open.push(server);
  return { server, state };
}

function follow(port: number, token = TOKEN) {
  const got: (StreamRecord | "snapshot" | "lost")[] = [];
  const client = new StreamClient({
    ...{ url: `ws://127.0.0.1:${port}`, token, ca: undefined, holder: "b" },
    monotonicNs: () => Bun.nanoseconds(),
    onSnapshot: () => void got.push("snapshot"),
    onRecord: (one) => void got.push(one),
    onLost: () => void got.push("lost"),
    onProblem: () => {},
  });
  const timer = setInterval(() => client.onTimer(), 10);
  open.push({
    stop: () => {
      clearInterval(timer);
      client.leave();
    },
  });
  client.follow();
  return { client, got };
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 45_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error("not in time");
    await Bun.sleep(5);
  }
}

test("a follower gets the whole first, then every record in order, and tells how far it is", async () => {
  const { server } = serve();
  server.add(record(4));
  const { client, got } = follow(server.port);
  await until(() => got.length === 1);
  server.add(record(5));
  server.add(record(6));
  server.beat();
  await until(() => got.length === 3 && client.outgoing === 77);
  expect(got).toEqual(["snapshot", record(5), record(6)]);
  client.tell(["no feed"]);
  await until(() => server.followers()[0]?.number === 3);
  expect(server.followers()[0]).toMatchObject({ holder: "b", unfit: ["no feed"] });
});

test("after a break it goes on behind the last record of the same run, and begins anew with another", async () => {
  const { server } = serve();
  const { client, got } = follow(server.port);
  await until(() => client.synced);
  const { port } = server;
  open.splice(open.indexOf(server), 1);
  await server.stop();
  await until(() => got.includes("lost"));
  const { server: again } = serve(port);
  again.add(record(9));
  await until(() => got.length === 3);
  expect(got).toEqual(["snapshot", "lost", record(9)]);
  open.splice(open.indexOf(again), 1);
  await again.stop();
  serve(port, "run 2");
  await until(() => got.at(-1) === "snapshot");
});

test("without the token there is nothing, and one that does not lead serves nobody", async () => {
  const { server, state } = serve();
  const stranger = follow(server.port, new Secret("another token altogether"));
  await until(() => server.refused > 0);
  expect(stranger.got).toEqual([]);
  state.leading = false;
  const { client, got } = follow(server.port);
  await Bun.sleep(200);
  expect([client.synced, got]).toEqual([false, []]);
  state.leading = true;
  await until(() => client.synced);
});

test("a message longer than any is none", () => {
  const text = JSON.stringify({ type: "resumed", run: "a run" });
  expect(readMessage(leaderMessage, text)).not.toBeNull();
  expect(readMessage(leaderMessage, text + " ".repeat(MESSAGE_LENGTH_MAX))).toBeNull();
});

test("whatever is sent, it is a message of the form or none", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.json(),
        fc.jsonValue().map((value) => JSON.stringify(value)),
      ),
      (text) => {
        for (const form of [leaderMessage, followerMessage]) {
          const read = readMessage<unknown>(form, text);
          expect(read === null || typeof read === "object").toBe(true);
        }
      },
    ),
  );
});
