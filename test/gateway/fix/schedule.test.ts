import { describe, expect, test } from "bun:test";
import { BadInputError } from "../../../src/core/errors.ts";
import { parseSchedule, Schedule } from "../../../src/gateway/fix/schedule.ts";
import { MemoryStore } from "../../../src/gateway/fix/store.ts";
import { SessionHarness, START_US } from "./session-harness.ts";

function start(rule: string, iso: string): string | null {
  const us = new Schedule(parseSchedule(rule)).sessionStartUs(Date.parse(iso) * 1_000);
  return Number.isNaN(us) ? null : new Date(us / 1_000).toISOString().slice(0, 16);
}

describe("Schedule", () => {
  test.each([
    ["08:00-17:30", "2026-01-05T07:59:59.999Z", null],
    ["08:00-17:30", "2026-01-05T08:00:00Z", "2026-01-05T08:00"],
    ["08:00-17:30", "2026-01-05T17:30:00Z", null],
    ["08:00-17:30 mon-fri", "2026-01-04T12:00:00Z", null],
    ["08:00-17:30 fri-mon", "2026-01-04T12:00:00Z", "2026-01-04T08:00"],
    ["08:00-17:30 wed", "2026-01-07T12:00:00Z", "2026-01-07T08:00"],
    ["22:00-06:00 mon-fri", "2026-01-10T05:59:00Z", "2026-01-09T22:00"],
    ["22:00-06:00 mon-fri", "2026-01-11T05:59:00Z", null],
    ["00:00-00:00", "2026-01-05T23:59:59Z", "2026-01-05T00:00"],
    ["17:00-17:00 America/New_York", "2026-01-05T21:59:00Z", "2026-01-04T22:00"],
    ["17:00-17:00 America/New_York", "2026-07-05T21:00:00Z", "2026-07-05T21:00"],
    ["sun 17:00-fri 16:00 America/New_York", "2026-01-09T20:59:00Z", "2026-01-04T22:00"],
    ["sun 17:00-fri 16:00 America/New_York", "2026-01-09T21:00:00Z", null],
    ["sun 00:00-sun 00:00", "2026-01-10T12:00:00Z", "2026-01-04T00:00"],
    ["02:30-03:30 Europe/London", "2026-03-29T02:00:00Z", "2026-03-29T01:30"],
    ["01:30-03:30 Europe/London", "2026-03-29T01:45:00Z", "2026-03-29T01:30"],
  ])("%s at %s", (rule, iso, wanted) => {
    expect(start(rule, iso)).toBe(wanted);
  });

  test("answers the same whichever way time runs", () => {
    const schedule = new Schedule(parseSchedule("09:00-17:00 mon-fri Europe/Berlin"));
    for (let hour = 400; hour > -400; hour -= 1) {
      const timeUs = START_US + hour * 3_600e6;
      const fresh = new Schedule(parseSchedule("09:00-17:00 mon-fri Europe/Berlin"));
      expect(schedule.sessionStartUs(timeUs)).toBe(fresh.sessionStartUs(timeUs));
    }
  });

  test.each([
    "",
    "8:00-17:00",
    "24:00-01:00",
    "08:00-17:00 mo-fr",
    "08:00-17:00 mon-fri Nowhere/City",
    "mon-fri",
  ])("refuses %j", (text) => {
    expect(() => parseSchedule(text)).toThrow(BadInputError);
  });
});

describe("a session with a schedule", () => {
  const schedule = () => new Schedule(parseSchedule("11:00-13:00"));

  test("refuses connections outside of its hours", () => {
    const us = new SessionHarness({ schedule: schedule() });
    us.timeUs = START_US + 2 * 3_600e6;
    us.connect();
    expect(us.closed).toBe("outside of the session's hours");
    expect(us.session.state).toBe("disconnected");
  });

  test("logs out when its time is over", () => {
    const us = new SessionHarness({ schedule: schedule() }).logon(0).wait(3_599);
    expect(us.sent()).toEqual([]);
    us.wait(2);
    expect(us.sent()).toEqual(["35=5|34=2|58=session time is over"]);
  });

  test("starts both sequences at 1 with each of its sessions, and only then", () => {
    const store = new MemoryStore();
    const us = new SessionHarness({ schedule: schedule() }, store).logon(0);
    us.receive("35=0").receive("35=0");
    us.session.onDisconnected("cut", us.timeUs);
    us.connect();
    expect([store.nextIncoming, store.nextOutgoing]).toEqual([4, 2]);
    us.session.onDisconnected("cut", us.timeUs);
    us.timeUs += 86_400e6;
    us.connect();
    expect([store.nextIncoming, store.nextOutgoing]).toEqual([1, 1]);
  });
});
