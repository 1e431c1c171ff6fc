import { expect, test } from "bun:test";
import { FixQuoteGateway } from "../../src/gateway/fix/quote-gateway.ts";
import { parseSchedule, Schedule } from "../../src/gateway/fix/schedule.ts";
import { registerGateway } from "../../src/live/live-metrics.ts";
import { MetricRegistry } from "../../src/monitor/metrics.ts";
import { DeskBed } from "../desk/desk-bed.ts";

/** What is told of a session that is down, at a time of a Wednesday. */
function told(time: string, schedule: string | null, standsBy = false): string | undefined {
  const { desk } = new DeskBed(null);
  const clock = { wallUs: () => Date.parse(`2026-01-14T${time}Z`) * 1_000, monotonicNs: () => 0 };
  const gateway = new FixQuoteGateway({
    ...{ host: "127.0.0.1", port: 1, version: "4.4", senderCompId: "KEEL", targetCompId: "PEER" },
    ...{ heartbeatSeconds: 30, resetOnLogon: true, storeDir: null, seed: 1, clock },
    instruments: desk.market.instruments,
    schedule: schedule === null ? null : new Schedule(parseSchedule(schedule)),
  });
  const metrics = new MetricRegistry();
  const positionChecks = { agreed: 0, differed: 0, unanswered: 0, confirmed: 0 };
  registerGateway(metrics, { gateway, standsBy, desk, clock, positionChecks });
  const text = new TextDecoder().decode(metrics.expose());
  return /^keel_gateway_session_up (.*)$/m.exec(text)?.[1];
}

const HOURS = "08:00-17:30 mon-fri UTC";

test("a session that is down within its hours, or has none, is told as down", () => {
  expect(told("08:00:00", HOURS)).toBe("0");
  expect(told("17:29:59", HOURS)).toBe("0");
  expect(told("03:00:00", null)).toBe("0");
});

test("nothing is told of a session outside of its hours, nor of that of the other one of a pair: nobody is woken", () => {
  expect(told("07:59:59", HOURS)).toBeUndefined();
  expect(told("17:30:00", HOURS)).toBeUndefined();
  expect(told("12:00:00", HOURS, true)).toBeUndefined();
});
