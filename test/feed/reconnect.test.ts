import { describe, expect, test } from "bun:test";
import { FAKE_VENUES } from "./fake-venues.ts";
import { ReconnectSession } from "./reconnect-session.ts";

const RECONNECTS = 4;

/** `bun test/feed/reconnect-run.ts` does it a thousand times and looks at what is left behind. */
describe.each(FAKE_VENUES.map(([name, makeVenue]) => ({ name, makeVenue })))(
  "real sockets: $name",
  ({ makeVenue }) => {
    test("comes live again after each lost connection, with one connection at a time", async () => {
      const session = new ReconnectSession(makeVenue());
      try {
        await session.untilLive();
        for (let i = 0; i < RECONNECTS; i += 1) await session.reconnect(i % 2 === 0);
        expect(session.server.connected).toBe(1);
        expect(session.feed.counters).toMatchObject({ reconnects: RECONNECTS, unparsable: 0 });
        expect(session.feed.healingUs.count).toBeGreaterThanOrEqual(2 * RECONNECTS);
      } finally {
        await session.stop();
      }
    });
  },
);

test("a Retry-After is waited for on a real connection", async () => {
  const [, makeVenue] = FAKE_VENUES[1];
  const session = new ReconnectSession(makeVenue());
  try {
    await session.untilLive();
    session.server.tooManyRequests = 2;
    await session.reconnect(true);
    expect(session.server.tooManyRequests).toBe(0);
  } finally {
    await session.stop();
  }
});
