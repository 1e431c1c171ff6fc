import { afterAll, afterEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { failover } from "../../src/command/doctor/failover.ts";
import { loadConfig } from "../../src/config.ts";
import { Secret } from "../../src/core/secret.ts";
import { StreamServer } from "../../src/failover/stream-server.ts";
import { EMPTY_SNAPSHOT } from "../failover/empty-snapshot.ts";
import { freePort, RedisServer, redisMissing } from "../support/services.ts";

const folder = mkdtempSync(join(tmpdir(), "keel-doctor-pair-"));
const TOKEN = "a token of the pair's own";
const open: { stop(): unknown }[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.stop();
});
afterAll(() => rmSync(folder, { recursive: true }));

async function look(lease: string, peerPort: number, token = TOKEN): Promise<string[]> {
  writeFileSync(join(folder, "token"), token);
  writeFileSync(join(folder, "password"), "a redis password");
  const env = {
    KEEL_STATE_DIR: folder,
    KEEL_FIX_HOST: "127.0.0.1",
    KEEL_FIX_TARGET_COMP_ID: "PEER",
    KEEL_LEASE_URL: lease,
    KEEL_LEASE_PASSWORD_FILE: join(folder, "password"),
    KEEL_PEER: `ws://127.0.0.1:${peerPort}`,
    KEEL_PEER_LISTEN: `127.0.0.1:${freePort()}`,
    KEEL_PEER_TOKEN_FILE: join(folder, "token"),
  };
  const found = await failover.run({ config: loadConfig(env), env, offline: false });
  return found.map(({ status, detail }) => `${status}: ${detail}`);
}

function peer(leading: boolean): number {
  const server = new StreamServer({
    ...{ host: "127.0.0.1", port: 0, token: new Secret(TOKEN), run: "run", leading: () => leading },
    snapshot: () => EMPTY_SNAPSHOT,
    ...{ outgoing: () => 1, onProblem: () => {} },
  });
  open.push(server);
  return server.port;
}

test.skipIf(redisMissing() !== null)(
  "a service and a peer that answer are well, whether it leads or not",
  async () => {
    const redis = new RedisServer();
    await redis.start();
    open.push({
      stop: async () => {
        await redis.stop();
        redis.remove();
      },
    });
    const [lease, followed] = await look(redis.url, peer(true));
    expect(lease).toMatch(/^(ok|warn): nobody leads, term 0; answered in/);
    expect(followed).toBe("ok: leads, and can be followed");
    expect((await look(redis.url, peer(false)))[1]).toBe("ok: does not lead");
  },
);

test("what cannot be reached, and a token that is not the peer's, fail", async () => {
  const [lease, gone] = await look(`redis://127.0.0.1:${freePort()}`, freePort());
  expect(lease).toMatch(/^fail: /);
  expect(gone).toMatch(/^fail: ws:\/\/127.0.0.1:\d+: connection closed/);
  const [, refused] = await look(`redis://127.0.0.1:${freePort()}`, peer(true), "another token altogether");
  expect(refused).toMatch(/^fail: /);
});

test("a process that is alone has nothing to look at", async () => {
  expect(
    await failover.run({ config: loadConfig({ KEEL_STATE_DIR: folder }), env: {}, offline: false }),
  ).toEqual([]);
});
