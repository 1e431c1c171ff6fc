import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { lockHolder } from "../../src/live/run-lock.ts";
import { skipUnlessNative } from "../support/native.ts";
import { HostScene } from "./host-scene.ts";

const skipped = await skipUnlessNative("a handover with the cpu engine");

/** A desk that quotes to a paper counterparty. @returns its state folder and environment, too */
async function quoting(scene: HostScene) {
  const state = join(scene.root, "state");
  const env = {
    ...(await scene.venues()),
    KEEL_FEEDS: "binance-usdm:BTCUSDT,deribit:BTC-PERPETUAL",
    KEEL_DEVICE: "cpu",
    KEEL_STATE_DIR: state,
  };
  const old = scene.start(env, [], ["run"]);
  await old.until("it quotes", async () => (await old.metric("keel_quote_sent_total")) > 5);
  return { state, env, old };
}

test.skipIf(skipped)(
  "a desk that quotes to a paper counterparty is replaced while it runs, and whoever asked for that hears of it when it is done",
  async () => {
    await using scene = await HostScene.enter();
    const { state, env, old } = await quoting(scene);
    const address = { KEEL_HTTP: `127.0.0.1:${old.port}` };
    const asked = scene.start({ ...env, ...address }, [], ["run", "--handover", "--detach"]);
    expect(await asked.child.exited, asked.log()).toBe(0);
    const pid = lockHolder(state) ?? 0;
    scene.ends.push(() => process.kill(pid, "SIGTERM"));
    expect(old.child.exitCode, old.log()).toBe(0);
    expect(pid).not.toBe(old.child.pid);
    await old.until("the other one quotes", async () => (await old.metric("keel_quote_sent_total")) > 5);
  },
  200_000,
);

test.skipIf(skipped)(
  "whoever asked for a new process and is told to end ends it too, and the old one goes on",
  async () => {
    await using scene = await HostScene.enter();
    const { state, env, old } = await quoting(scene);
    const sent = () => old.metric("keel_quote_sent_total");
    const more = { KEEL_URL_DERIBIT: "ws://127.0.0.1:1", KEEL_HANDOVER_WAIT_MS: "300000" };
    const asked = scene.start({ ...env, ...more }, [], ["run", "--handover", "--detach"]);
    await asked.until("the new one waits", async () => asked.log().includes("prepares to take the place"));
    const { pid } = asked.child;
    const child = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
    expect(child).toMatch(/^\d+$/);
    asked.child.kill("SIGTERM");
    expect(await asked.child.exited, asked.log()).toBe(1);
    expect(existsSync(`/proc/${child}`)).toBe(false);
    expect(lockHolder(state)).toBe(old.child.pid);
    const before = await sent();
    await old.until("it quotes on", async () => (await sent()) > before);
  },
  200_000,
);
