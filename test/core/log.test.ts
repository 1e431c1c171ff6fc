import { expect, test } from "bun:test";
import { type LogFormat, Logger, type LogLevel, loggerFromEnvironment } from "../../src/core/log.ts";
import { Secret } from "../../src/core/secret.ts";
import { ManualClock } from "../support/manual-clock.ts";

function logger(format: LogFormat, level: LogLevel = "debug") {
  const lines: string[] = [];
  const clock = new ManualClock(Date.UTC(2026, 0, 2, 3, 4, 5) * 1_000);
  const log = new Logger({
    format,
    level,
    clock,
    sink: (line) => lines.push(line),
    burst: 2,
    windowMs: 1_000,
  });
  return { lines, clock, log };
}

test("text is readable", () => {
  const { lines, log } = logger("text");
  log.warn("feed stale", { feed: "deribit", silentMs: 5_000, note: "two words" });
  expect(lines).toEqual([
    '2026-01-02T03:04:05.000Z warn  feed stale feed=deribit silentMs=5000 note="two words"',
  ]);
});

test("JSON is one object a line", () => {
  const { lines, log } = logger("json");
  log.with({ feed: "deribit" }).error("lost", { cause: new TypeError("no\nway"), count: 3n });
  expect(lines.map((line) => JSON.parse(line))).toEqual([
    {
      time: "2026-01-02T03:04:05.000Z",
      level: "error",
      message: "lost",
      feed: "deribit",
      cause: { code: "TypeError", message: "no\nway" },
      count: "3",
    },
  ]);
});

test("a line feed in a value does not break the line", () => {
  const { lines, log } = logger("text");
  log.info("reject", { text: "first\nsecond" });
  expect(lines[0]).not.toContain("\n");
});

test("less severe messages than the level are not written", () => {
  const { lines, log } = logger("text", "warn");
  log.debug("a");
  log.info("b");
  log.warn("c");
  expect(lines).toHaveLength(1);
});

test("a message that repeats is limited and the rest is counted", () => {
  const { lines, log, clock } = logger("json");
  for (let i = 0; i < 7; i += 1) log.warn("gap", { i });
  log.warn("another");
  expect(lines).toHaveLength(3);
  clock.advanceUs(1_000_000);
  log.warn("gap", { i: 7 });
  expect(JSON.parse(lines[3] ?? "")).toMatchObject({ message: "gap", i: 7, suppressed: 5 });
});

test("loggers with other fields share the limit", () => {
  const { lines, log } = logger("json");
  for (let i = 0; i < 4; i += 1) log.with({ i }).warn("gap");
  expect(lines).toHaveLength(2);
});

test("more different messages than are tracked are still written", () => {
  const { lines, log } = logger("json");
  for (let i = 0; i < 2_000; i += 1) log.info(`message ${i}`);
  expect(lines).toHaveLength(2_000);
});

test.each(["json", "text"] as const)("secrets never reach a %s line", (format) => {
  const { lines, log } = logger(format);
  log.info("logon to ws://user:hunter2@host/path", {
    password: "hunter2",
    apiKey: "hunter2",
    url: "wss://user:hunter2@host",
    secretValue: new Secret("hunter2"),
    value: new Secret("hunter2"),
    nested: { authorization: "hunter2", url: "http://a:hunter2@b" },
  });
  expect(lines).toHaveLength(1);
  expect(lines[0]).not.toContain("hunter2");
});

test("a long value is cut and a line beyond all bounds says so", () => {
  const { lines, log } = logger("json");
  log.info("frame", { text: "x".repeat(100_000) });
  log.info("frames", { texts: Array.from({ length: 100_000 }, () => "x") });
  expect(JSON.parse(lines[0] ?? "").text).toHaveLength(2_001);
  expect(JSON.parse(lines[1] ?? "").omitted).toMatch(/^\d{6} characters$/);
});

test("bad values of the environment fall back", () => {
  expect(() => loggerFromEnvironment({ KEEL_LOG: "xml", KEEL_LOG_LEVEL: "loud" })).not.toThrow();
});
