import { expect, test } from "bun:test";
import { join } from "node:path";
import { lockHolder } from "../../src/live/run-lock.ts";
import { skipUnlessNative } from "../support/native.ts";
import { HostScene } from "./host-scene.ts";

test.skipIf(await skipUnlessNative("a handover with the cpu engine"))(
  "a desk that quotes to a paper counterparty is replaced while it runs, and whoever asked for that hears of it when it is done",
  async () => {
    await using scene = await HostScene.enter();
    const state = join(scene.root, "state");
    const env = {
      ...(await scene.venues()),
      KEEL_FEEDS: "binance-usdm:BTCUSDT,deribit:BTC-PERPETUAL",
      KEEL_DEVICE: "cpu",
      KEEL_STATE_DIR: state,
    };
    const old = scene.start(env, [], ["run"]);
    await old.until("it quotes", async () => (await old.metric("keel_quote_sent_total")) > 5);
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
