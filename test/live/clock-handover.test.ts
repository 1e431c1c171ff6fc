import { expect, test } from "bun:test";
import { skipUnlessNative } from "../support/native.ts";
import { CLOCK_FIXED, PutClock } from "../support/put-clock.ts";
import type { Link } from "./failover/link.ts";
import { Host } from "./handover/host.ts";

if (CLOCK_FIXED !== null) console.log(`skipped: ${CLOCK_FIXED}`);
const skipped = CLOCK_FIXED !== null || (await skipUnlessNative("a handover with the cpu engine"));

/** Less than a counterparty tolerates, and more than a busy host takes to send what it has made. */
const PUT_SECONDS = 90;

/** The SendingTime (52) of the last message that went over a link, less the host's clock, ms. */
function sendingTimes(link: Link): () => number {
  const { onSent } = link;
  let offMs = Number.NaN;
  link.onSent = (bytes, connection) => {
    const text = Buffer.from(bytes).toString("latin1").replaceAll("\u0001", "|");
    const times = [...text.matchAll(/\|52=(\d{4})(\d\d)(\d\d)-([\d:.]+)/g)];
    const [, year, month, day, time] = times.at(-1) ?? [];
    if (year !== undefined) offMs = Date.parse(`${year}-${month}-${day}T${time}Z`) - Date.now();
    onSent(bytes, connection);
  };
  return () => offMs;
}

test.skipIf(skipped)(
  "times on the wire go on evenly when the host's clock is put, and are the host's again after a handover, without a break",
  async () => {
    const host = new Host();
    try {
      await host.start();
      const clock = new PutClock(host.folder);
      const old = host.run("old", [], clock.environment);
      const oldOffMs = sendingTimes(old.fix);
      await host.untilQuoting("old");
      clock.put(PUT_SECONDS);
      await old.says("the host's clock was put");
      await Bun.sleep(500);
      expect(Math.abs(oldOffMs())).toBeLessThan(30_000);
      const next = host.run("new", ["--handover"], clock.environment);
      const nextOffMs = sendingTimes(next.fix);
      expect(await old.exited).toBe(0);
      await host.untilQuoting("new");
      expect(Math.abs(nextOffMs() - PUT_SECONDS * 1_000)).toBeLessThan(30_000);
      await host.trade();
      expect(await host.differences()).toEqual([]);
      expect(host.problems()).toEqual([]);
      await next.end();
    } finally {
      await host.stop();
    }
  },
  120_000,
);
