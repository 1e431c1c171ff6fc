import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FileMessageLog } from "../../../src/gateway/fix/message-log.ts";
import { fix } from "./script.ts";
import { SessionHarness, START_US } from "./session-harness.ts";

describe("FileMessageLog", () => {
  let folder = "";
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "keel-messages-"));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const bytes = (text: string) => Uint8Array.from(Buffer.from(text, "latin1"));

  test("writes readable lines of both directions, and of what was garbled", () => {
    const log = new FileMessageLog(folder);
    const message = bytes(fix("35=0|34=2"));
    log.incoming(message, 0, message.length, START_US);
    log.outgoing(message, 0, message.length, START_US + 1_500);
    log.garbled("check-sum", bytes("x\x01\x00\xff8=F"), 0, 7, START_US);
    log.close();
    expect(readFileSync(log.path, "utf8").split("\n")).toEqual([
      "20260105-12:00:00.000 in  8=FIX.4.4|9=10|35=0|34=2|10=166|",
      "20260105-12:00:00.001 out 8=FIX.4.4|9=10|35=0|34=2|10=166|",
      "20260105-12:00:00.000 in  garbled (check-sum) x|..8=F",
      "",
    ]);
  });

  test("never holds a password, of ours or of the peer's", () => {
    const log = new FileMessageLog(folder);
    const us = new SessionHarness({
      role: "initiator",
      messageLog: log,
      logonFields: [
        [553, "desk"],
        [554, "hunter2=|x"],
      ],
    });
    us.connect();
    us.receive("35=A|98=0|108=30|95=11|96=sec\x01=ret=96|554=theirs|925=fresh");
    us.session.onDisconnected("end", us.timeUs);
    const text = readFileSync(log.path, "utf8");
    expect(text).toContain("|553=desk|554=***|");
    expect(text).toContain("|96=***|554=***|925=***|");
    expect(text).not.toMatch(/hunter2|ret|theirs|fresh/);
    expect(statSync(log.path).mode & 0o777).toBe(0o600);
    log.close();
  });

  test("turns files over by size and drops the oldest", () => {
    const log = new FileMessageLog(folder, { maxFileBytes: 1_000, maxFiles: 3 });
    const message = bytes(fix(`35=0|112=${"x".repeat(400)}`));
    for (let i = 0; i < 20; i += 1) {
      log.incoming(message, 0, message.length, START_US + i * 1_000);
      log.flush();
    }
    log.close();
    expect(readdirSync(folder).sort()).toEqual(["messages.1.log", "messages.2.log", "messages.log"]);
    expect(readFileSync(join(folder, "messages.1.log"), "utf8")).toContain("20260105-12:00:00.017 in");
  });

  test("goes on when the disk takes nothing", () => {
    const log = new FileMessageLog(folder);
    log.close();
    const message = bytes(fix("35=0"));
    for (let i = 0; i < 20_000; i += 1) log.incoming(message, 0, message.length, START_US);
    log.flush();
    expect(log.lostBytes).toBeGreaterThan(20_000 * message.length);
  });
});
