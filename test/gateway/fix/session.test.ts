import { describe, expect, test } from "bun:test";
import { Dictionary } from "../../../src/gateway/fix/dictionary/dictionary.ts";
import { MemoryStore } from "../../../src/gateway/fix/store.ts";
import { utcTimestamp } from "./reference-mass-quote.ts";
import { fix } from "./script.ts";
import { SessionHarness, START_US } from "./session-harness.ts";

const initiator = { role: "initiator", heartbeatSeconds: 10 } as const;

describe("logon", () => {
  test("acceptor answers", () => {
    const us = new SessionHarness().connect().receive("35=A|98=0|108=30");
    expect(us.sent()).toEqual(["35=A|34=1|98=0|108=30"]);
    expect(us.session.established).toBe(true);
    expect(us.events).toEqual(["logon"]);
  });

  test("initiator asks", () => {
    const us = new SessionHarness(initiator).connect();
    expect(us.sent()).toEqual(["35=A|34=1|98=0|108=10"]);
    us.receive("35=A|98=0|108=10");
    expect(us.session.established).toBe(true);
    expect(us.sent()).toEqual([]);
  });

  test("initiator resets when told to", () => {
    const store = new MemoryStore();
    store.nextOutgoing = 50;
    store.nextIncoming = 60;
    const us = new SessionHarness({ ...initiator, resetOnLogon: true }, store).connect();
    expect(us.sent()).toEqual(["35=A|34=1|98=0|108=10|141=Y"]);
    us.receive("35=A|98=0|108=10|141=Y");
    expect(us.session.established).toBe(true);
    expect([store.nextOutgoing, store.nextIncoming]).toEqual([2, 2]);
  });

  test("initiator follows a reset it did not ask for", () => {
    const store = new MemoryStore();
    store.nextOutgoing = 50;
    store.nextIncoming = 60;
    const us = new SessionHarness(initiator, store).connect().receive("35=A|98=0|108=10|141=Y");
    expect(us.sent()).toEqual(["35=A|34=50|98=0|108=10", "35=A|34=1|98=0|108=10|141=Y"]);
    expect([store.nextOutgoing, store.nextIncoming]).toEqual([2, 2]);
  });

  test("in the middle of a session, with a reset, starts it anew", () => {
    const us = new SessionHarness().logon().receive("35=0").receive("35=A|34=1|98=0|108=20|141=Y");
    expect(us.sent()).toEqual(["35=A|34=1|98=0|108=20|141=Y"]);
    expect(us.events).toEqual(["logon", "logout: peer reset the session", "logon"]);
    expect([us.session.store.nextOutgoing, us.session.store.nextIncoming]).toEqual([2, 2]);
  });

  test("sends the fields configured", () => {
    const us = new SessionHarness({ ...initiator, logonFields: [[553, "desk"]] }).connect();
    expect(us.sent()).toEqual(["35=A|34=1|98=0|108=10|553=desk"]);
  });

  test("refused by the peer", () => {
    const us = new SessionHarness(initiator).connect().receive("35=5|58=go away");
    expect(us.closed).toBe("logon refused: go away");
    expect(us.events).toEqual(["logout: logon refused: go away"]);
  });

  test("with encryption is refused", () => {
    const us = new SessionHarness().connect().receive("35=A|98=1|108=30");
    expect(us.sent()).toEqual(["35=5|34=1|58=EncryptMethod must be 0 (none)"]);
    expect(us.closed).not.toBeNull();
  });

  test("without HeartBtInt is refused", () => {
    const us = new SessionHarness().connect().receive("35=A|98=0");
    expect(us.sent()).toEqual(["35=5|34=1|58=HeartBtInt must be a number of seconds"]);
  });

  test("with a number too low is refused", () => {
    const store = new MemoryStore();
    store.nextIncoming = 7;
    const us = new SessionHarness({}, store).connect().receive("35=A|98=0|108=30");
    expect(us.sent()).toEqual(["35=5|34=1|58=MsgSeqNum too low, expecting 7 but received 1"]);
    expect(us.session.state).toBe("disconnected");
  });

  test("times out", () => {
    const us = new SessionHarness().connect().wait(9);
    expect(us.closed).toBeNull();
    expect(us.wait(1).closed).toBe("no logon in time");
  });

  test("garbled is cut off", () => {
    const us = new SessionHarness().connect().receiveRaw("GET / HTTP/1.1\r\n\r\n8=FIX");
    expect(us.closed).toStartWith("garbled message before logon");
    expect(us.sent()).toEqual([]);
  });

  test("exchanges the next expected numbers", () => {
    const store = new MemoryStore();
    store.nextOutgoing = 5;
    store.nextIncoming = 9;
    const us = new SessionHarness({ nextExpected: true }, store).connect();
    us.receive("35=A|34=12|98=0|108=30|789=3");
    expect(us.sent()).toEqual([
      "35=A|34=5|98=0|108=30|789=9",
      `35=4|34=3|43=Y|122=${utcTimestamp(START_US)}|36=5|123=Y`,
    ]);
    expect(us.session.established).toBe(true);
  });

  test("with a next expected number too high is refused", () => {
    const us = new SessionHarness({ nextExpected: true }).connect().receive("35=A|98=0|108=30|789=3");
    expect(us.sent()).toEqual(["35=5|34=1|58=NextExpectedMsgSeqNum too high, at most 1 but received 3"]);
  });
});

describe("liveness", () => {
  test("heartbeat when we are silent", () => {
    const us = new SessionHarness().logon(10).wait(9.9);
    expect(us.sent()).toEqual([]);
    expect(us.wait(0.2).sent()).toEqual(["35=0|34=2"]);
  });

  test("test request when the peer is silent", () => {
    const us = new SessionHarness().logon(10).wait(10);
    us.sent();
    expect(us.wait(2).sent()).toEqual(["35=1|34=3|112=TEST"]);
    us.receive("35=0|112=TEST");
    expect(us.wait(9).session.established).toBe(true);
  });

  test("disconnect when the peer is dead", () => {
    const us = new SessionHarness().logon(10).wait(12).wait(11);
    expect(us.session.established).toBe(true);
    expect(us.wait(1).closed).toBe("peer silent: no answer to the test request");
  });

  test("none when HeartBtInt is 0", () => {
    const us = new SessionHarness().logon(0).wait(10_000);
    expect(us.sent()).toEqual([]);
  });

  test("test request is answered", () => {
    expect(new SessionHarness().logon().receive("35=1|112=42").sent()).toEqual(["35=0|34=2|112=42"]);
  });
});

describe("sequence", () => {
  test("gap is asked for once and acted on in order", () => {
    const us = new SessionHarness().logon();
    us.receive("35=D|34=4").receive("35=D|34=5");
    expect(us.sent()).toEqual(["35=2|34=2|7=2|16=0"]);
    expect(us.events).toEqual(["logon"]);
    us.receive("35=D|34=2").receive("35=D|34=3");
    expect(us.events).toEqual(["logon", "D:2", "D:3", "D:4", "D:5"]);
  });

  test("gap is filled", () => {
    const us = new SessionHarness().logon();
    us.receive("35=D|34=9").receive("35=4|34=2|123=Y|36=9");
    expect(us.events).toEqual(["logon", "D:9"]);
    expect(us.session.store.nextIncoming).toBe(10);
  });

  test("gap not filled is asked for again, then given up", () => {
    const us = new SessionHarness().logon(0).receive("35=D|34=9");
    expect(us.wait(10).wait(10).sent()).toEqual([
      "35=2|34=2|7=2|16=0",
      "35=2|34=3|7=2|16=0",
      "35=2|34=4|7=2|16=0",
    ]);
    expect(us.wait(10).sent()).toEqual(["35=5|34=5|58=Resend request not answered"]);
  });

  test("queue ahead of a gap is bounded", () => {
    const us = new SessionHarness({ maxQueued: 4 }).logon();
    for (let seq = 3; seq < 100; seq += 1) us.receive(`35=D|34=${seq}`);
    expect(us.session.counters.queued).toBe(4);
    us.receive("35=D|34=2");
    expect(us.session.store.nextIncoming).toBe(7);
    us.receive("35=D|34=99");
    expect(us.sent()).toEqual(["35=2|34=2|7=2|16=0", "35=2|34=3|7=7|16=0"]);
  });

  test("too low is the end", () => {
    const us = new SessionHarness().logon().receive("35=0|34=1");
    expect(us.sent()).toEqual(["35=5|34=2|58=MsgSeqNum too low, expecting 2 but received 1"]);
    expect(us.closed).not.toBeNull();
  });

  test("possible duplicate is ignored", () => {
    const us = new SessionHarness().logon().receive("35=D");
    us.receive(`35=D|34=2|43=Y|122=${utcTimestamp(START_US - 1e6)}`);
    expect(us.events).toEqual(["logon", "D:2"]);
    expect(us.session.counters.duplicates).toBe(1);
  });

  test("reset goes forward only", () => {
    const us = new SessionHarness().logon().receive("35=4|34=999|36=20");
    expect(us.session.store.nextIncoming).toBe(20);
    us.receive("35=4|34=1|36=19");
    expect(us.session.store.nextIncoming).toBe(20);
    expect(us.sent()).toHaveLength(1);
  });

  test("message without a number is the end", () => {
    const us = new SessionHarness().logon().receive("35=0|34=x");
    expect(us.sent()).toEqual(["35=5|34=2|58=MsgSeqNum missing or malformed"]);
    expect(us.closed).not.toBeNull();
  });
});

describe("resend", () => {
  test("repeats what was kept and fills the rest", () => {
    const us = new SessionHarness().logon();
    us.order("one", true);
    us.order("stale", false);
    us.order("two", true);
    us.wait(1).sent();
    const original = utcTimestamp(START_US);
    const now = utcTimestamp(us.timeUs);
    us.receive("35=2|7=1|16=0");
    expect(us.sent()).toEqual([
      `35=4|34=1|43=Y|122=${now}|36=2|123=Y`,
      `35=D|34=2|43=Y|122=${original}|58=one`,
      `35=4|34=3|43=Y|122=${now}|36=4|123=Y`,
      `35=D|34=4|43=Y|122=${original}|58=two`,
    ]);
    expect(us.session.store.nextOutgoing).toBe(5);
  });

  test("after the clock was put back says of no message that it was first sent later than now", () => {
    const us = new SessionHarness().logon();
    us.order("one", true);
    us.order("two", true);
    us.sent();
    us.timeUs = START_US - 5e6;
    const now = utcTimestamp(us.timeUs);
    us.receive("35=2|7=2|16=0");
    expect(us.sent()).toEqual([`35=D|34=2|43=Y|122=${now}|58=one`, `35=D|34=3|43=Y|122=${now}|58=two`]);
  });

  test("pauses while the socket does not drain", () => {
    const us = new SessionHarness().logon();
    us.order("one", true);
    us.order("two", true);
    us.sent();
    us.pendingBytes = 1 << 20;
    expect(us.receive("35=2|7=2|16=3").sent()).toEqual([]);
    us.pendingBytes = 0;
    us.session.onWritable(us.timeUs);
    expect(us.sent()).toHaveLength(2);
  });

  test("of what was never sent is rejected", () => {
    const us = new SessionHarness().logon().receive("35=2|7=9|16=0");
    expect(us.sent()).toEqual([
      "35=3|34=2|45=2|58=Value is incorrect (out of range) for this tag|371=7|372=2|373=5",
    ]);
  });

  test("of a great many quotes is one gap fill", () => {
    const us = new SessionHarness().logon();
    for (let i = 0; i < 10_000; i += 1) us.session.store.claimOutgoing();
    us.receive("35=2|7=2|16=0");
    expect(us.sent()).toEqual([`35=4|34=2|43=Y|122=${utcTimestamp(START_US)}|36=10002|123=Y`]);
  });
});

describe("message", () => {
  test("of an unsupported type", () => {
    const us = new SessionHarness().logon();
    us.supported = false;
    expect(us.receive("35=D").sent()).toEqual(["35=j|34=2|45=2|58=Unsupported Message Type|372=D|380=3"]);
  });

  test("with a wrong field is rejected and counts as received", () => {
    const us = new SessionHarness({ dictionary: new Dictionary("4.4") }).logon();
    us.receive("35=0|55=BTC");
    expect(us.sent()).toEqual(["35=3|34=2|45=2|58=Tag not defined for this message type|371=55|372=0|373=2"]);
    expect(us.session.store.nextIncoming).toBe(3);
  });

  test("rejected in 4.2 carries only the reasons that 4.2 knows", () => {
    const us = new SessionHarness({ version: "4.2", dictionary: new Dictionary("4.2") }).logon();
    us.receive("35=0|112=a|112=b");
    expect(us.sent()).toEqual(["35=3|34=2|45=2|58=Tag appears more than once|371=112|372=0"]);
  });

  test("from another peer is the end", () => {
    const us = new SessionHarness().logon();
    us.receiveRaw(fix(`35=0|34=2|49=EVE|52=${utcTimestamp(us.timeUs)}|56=US`));
    expect(us.sent()).toEqual(["35=3|34=2|45=2|58=CompID problem|372=0|373=9", "35=5|34=3"]);
    expect(us.session.state).toBe("logout-sent");
  });

  test.each([-121, 121])("sent %d seconds from now is the end", (seconds) => {
    const us = new SessionHarness().logon();
    us.receiveRaw(fix(`35=0|34=2|49=PEER|52=${utcTimestamp(us.timeUs + seconds * 1e6)}|56=US`));
    expect(us.sent()).toEqual(["35=3|34=2|45=2|58=SendingTime accuracy problem|372=0|373=10", "35=5|34=3"]);
  });

  test.each([-119, 119])("sent %d seconds from now is taken", (seconds) => {
    const us = new SessionHarness().logon();
    us.receiveRaw(fix(`35=0|34=2|49=PEER|52=${utcTimestamp(us.timeUs + seconds * 1e6)}|56=US`));
    expect(us.sent()).toEqual([]);
  });

  test("our own reject from the peer is told", () => {
    const us = new SessionHarness().logon().receive("35=3|45=7|58=no");
    expect(us.events).toEqual(["logon", "reject 7: no"]);
    expect(us.sent()).toEqual([]);
  });

  test("too long to send leaves a gap that is filled", () => {
    const us = new SessionHarness({ maxMessageBytes: 1_024 }).logon();
    us.session.begin(0x44, us.timeUs).text(58, "x".repeat(2_000));
    expect(us.session.send(true)).toBe(false);
    expect(us.sent()).toEqual([`35=4|34=2|43=Y|122=${utcTimestamp(START_US)}|36=3|123=Y`]);
  });
});

describe("logout", () => {
  test("from the peer is answered", () => {
    const us = new SessionHarness().logon().receive("35=5|58=bye");
    expect(us.sent()).toEqual(["35=5|34=2"]);
    expect(us.closed).toBe("peer logged out: bye");
    expect(us.events).toEqual(["logon", "logout: peer logged out: bye"]);
  });

  test("of ours waits for the answer", () => {
    const us = new SessionHarness().logon();
    us.session.logout("", us.timeUs);
    expect(us.sent()).toEqual(["35=5|34=2"]);
    expect(us.closed).toBeNull();
    us.receive("35=5");
    expect(us.closed).toBe("logged out");
    expect(us.sent()).toEqual([]);
  });

  test("of ours does not wait for ever", () => {
    const us = new SessionHarness().logon();
    us.session.logout("", us.timeUs);
    expect(us.wait(2).closed).toBe("logged out");
  });

  test("keeps the numbers for the next connection", () => {
    const store = new MemoryStore();
    const us = new SessionHarness(initiator, store).connect().receive("35=A|98=0|108=10").receive("35=5");
    us.sent();
    us.connect();
    expect(us.sent()).toEqual(["35=A|34=3|98=0|108=10"]);
    us.peerSeq = 3;
    us.receive("35=A|98=0|108=10");
    expect(us.session.established).toBe(true);
  });
});
