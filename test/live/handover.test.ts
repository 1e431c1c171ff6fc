import { afterAll, beforeAll, expect, test } from "bun:test";
import { skipUnlessNative } from "../support/native.ts";
import { Host } from "./handover/host.ts";

const skipped = await skipUnlessNative("a handover with the cpu engine");
const host = new Host();

beforeAll(async () => {
  if (!skipped) await host.start();
}, 60_000);
afterAll(() => host.stop());

test.skipIf(skipped)(
  "a new process takes the running one's place: no fill is lost, no number used twice, and both journals prove themselves",
  async () => {
    const old = host.run("old");
    await host.untilQuoting("old");
    for (let trade = 0; trade < 3; trade += 1) await host.trade();
    const next = host.run("new", ["--handover"]);
    await next.says("prepares to take the place");
    for (let trade = 0; trade < 3; trade += 1) await host.trade();
    expect(await old.exited).toBe(0);
    await host.untilQuoting("new");
    await host.trade();
    expect((await host.peer()).orphans).toBe(0);
    expect(await host.differences()).toEqual([]);
    expect(host.problems()).toEqual([]);
    expect(JSON.parse(old.output.trim().split("\n").at(-1) ?? "").successor).toBe(next.pid);
    await next.end();
    const audit = await host.verb("audit", "verify", "--journal", host.journal);
    expect(audit.output).not.toContain("begins a chain of its own");
    expect(audit.exitCode).toBe(0);
    const replay = await host.verb("replay", host.journal, "--verify");
    expect(replay.output).toContain("identical: true");
  },
  120_000,
);
