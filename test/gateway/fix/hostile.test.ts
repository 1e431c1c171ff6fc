import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Socket } from "bun";
import { type Clock, systemClock } from "../../../src/core/clock.ts";
import { Rng } from "../../../src/core/rng.ts";
import { FixAcceptor, type FixAcceptorOptions } from "../../../src/gateway/fix/acceptor.ts";
import { AddressList } from "../../../src/gateway/fix/address-list.ts";
import type { FixSession } from "../../../src/gateway/fix/session.ts";
import { SESSION_DEFAULTS, type SessionOptions } from "../../../src/gateway/fix/session-options.ts";
import { MemoryStore } from "../../../src/gateway/fix/store.ts";
import { utcTimestamp } from "./reference-mass-quote.ts";
import { fix } from "./script.ts";

const APPLICATION = {
  onLogon: () => {},
  onLogout: () => {},
  onMessage: () => true,
  onReject: () => {},
  onResend: () => {},
};

let skippedUs = 0;
/** The host's own, and ahead of it by what was skipped: time runs out when a test says so, and not because the host is slow. */
const clock: Clock = {
  wallUs: () => systemClock.wallUs() + skippedUs,
  monotonicNs: () => systemClock.monotonicNs() + skippedUs * 1_000,
};

/** A peer on a real socket that sends whatever it is told to. */
class RawPeer {
  received = "";
  closed = false;
  #socket: Socket | null = null;
  #seq = 1;

  static async connect(port: number, reads = true): Promise<RawPeer> {
    const peer = new RawPeer();
    peer.#socket = await Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: {
        data: (_socket, chunk) => {
          peer.received += Buffer.from(chunk).toString("latin1");
        },
        close: () => {
          peer.closed = true;
        },
        error: () => {
          peer.closed = true;
        },
      },
    });
    if (!reads) peer.#socket.pause();
    return peer;
  }

  send(bytes: Uint8Array | string): void {
    this.#socket?.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
  }

  message(type: string, body: string, sender: string, seq = this.#seq): string {
    this.#seq = seq + 1;
    return fix(
      `35=${type}|34=${seq}|49=${sender}|52=${utcTimestamp(systemClock.wallUs())}|56=US|${body}`,
    ).replaceAll("\x01\x01", "\x01");
  }

  logon(sender: string): string {
    const text = this.message("A", "98=0|108=30", sender);
    this.send(text);
    return text;
  }

  end(): void {
    this.#socket?.terminate();
  }
}

async function until(done: () => boolean): Promise<void> {
  const deadline = performance.now() + 45_000;
  while (!done() && performance.now() < deadline) await Bun.sleep(1);
  expect(done()).toBe(true);
}

describe("a hostile peer is cut off without touching another session", () => {
  let acceptor = new FixAcceptor({ host: "127.0.0.1", port: 0, clock });
  let port = 0;
  let good: FixSession;
  let bad: FixSession;
  let honest: RawPeer;
  let timer: Timer;

  function listen(options: Partial<FixAcceptorOptions> = {}, limits: Partial<SessionOptions> = {}): void {
    acceptor = new FixAcceptor({ host: "127.0.0.1", port: 0, clock, ...options });
    const add = (targetCompId: string, more: Partial<SessionOptions>) =>
      acceptor.add(
        { ...SESSION_DEFAULTS, role: "acceptor", version: "4.4", senderCompId: "US", targetCompId, ...more },
        new MemoryStore(),
        APPLICATION,
      );
    good = add("GOOD", {});
    bad = add("BAD", limits);
    port = acceptor.start();
  }

  async function logOnHonest(): Promise<void> {
    honest = await RawPeer.connect(port);
    honest.logon("GOOD");
    await until(() => good.established);
  }

  beforeEach(() => {
    skippedUs = 0;
    timer = setInterval(() => acceptor.onTimer(clock.wallUs()), 5);
  });

  afterEach(async () => {
    const before = honest.received.length;
    honest.send(honest.message("1", "112=alive", "GOOD"));
    await until(() => honest.received.length > before);
    expect(honest.received).toContain("112=alive");
    expect([good.state, good.counters.logons, good.counters.garbled]).toEqual(["active", 1, 0]);
    clearInterval(timer);
    honest.end();
    acceptor.stop();
  });

  test("one that says nothing", async () => {
    listen({ logonTimeoutMs: 10_000 });
    await logOnHonest();
    const peer = await RawPeer.connect(port);
    await until(() => acceptor.connections === 2);
    expect(peer.closed).toBe(false);
    skippedUs += 10_000_000;
    await until(() => peer.closed);
  });

  test("one that dribbles its logon byte by byte", async () => {
    listen({ logonTimeoutMs: 10_000 });
    await logOnHonest();
    const peer = await RawPeer.connect(port);
    await until(() => acceptor.connections === 2);
    const logon = peer.message("A", "98=0|108=30", "BAD");
    for (let i = 0; i < logon.length - 1 && !peer.closed; i += 1) {
      peer.send(logon[i]);
      skippedUs += 200_000;
      await Bun.sleep(1);
    }
    await until(() => peer.closed);
    expect(bad.counters.logons).toBe(0);
  });

  test("one that floods", async () => {
    listen({}, { maxMessagesPerSecond: 100 });
    await logOnHonest();
    const peer = await RawPeer.connect(port);
    peer.logon("BAD");
    await until(() => bad.established);
    let flood = "";
    for (let i = 0; i < 2_000; i += 1) flood += peer.message("0", "", "BAD");
    peer.send(flood);
    await until(() => peer.closed);
    expect(peer.received).toContain("58=more than 100 messages a second");
    expect(bad.counters.cutOff).toBe(1);
    expect(bad.counters.messagesIn).toBeLessThan(200);
  });

  test("one that asks for answers and does not read them", async () => {
    listen({ maxPendingBytes: 32 << 10 });
    await logOnHonest();
    const peer = await RawPeer.connect(port, false);
    peer.logon("BAD");
    await until(() => bad.established);
    const burst = () => {
      let text = "";
      for (let i = 0; i < 200; i += 1) text += peer.message("1", `112=${"x".repeat(1_000)}`, "BAD");
      peer.send(text);
    };
    const deadline = performance.now() + 45_000;
    while (bad.state !== "disconnected" && performance.now() < deadline) {
      burst();
      await Bun.sleep(1);
    }
    expect(bad.state).toBe("disconnected");
    peer.end();
  });

  test("one that sends random bytes, before a logon and after it", async () => {
    listen();
    await logOnHonest();
    const rng = new Rng(7);
    const noise = () => Uint8Array.from({ length: 4_096 }, () => rng.int(256));
    const early = await RawPeer.connect(port);
    early.send(noise());
    await until(() => early.closed);
    const late = await RawPeer.connect(port);
    late.logon("BAD");
    await until(() => bad.established);
    while (!late.closed) {
      late.send(noise());
      late.send("8=FIX.4.4\x019=x");
      await Bun.sleep(1);
    }
    expect(bad.counters.cutOff).toBe(1);
  });

  test.each(["999999999", "99999999999999", "65536"])("one whose BodyLength is %s", async (length) => {
    listen({}, { maxGarbledInRow: 4 });
    await logOnHonest();
    const early = await RawPeer.connect(port);
    early.send(`8=FIX.4.4\x019=${length}\x0135=A\x01`);
    await until(() => early.closed);
    const peer = await RawPeer.connect(port);
    peer.logon("BAD");
    await until(() => bad.established);
    while (!peer.closed) {
      peer.send(`8=FIX.4.4\x019=${length}\x0135=0\x0110=000\x01`);
      await Bun.sleep(1);
    }
    expect(bad.counters.cutOff).toBe(1);
  });

  test("one whose checksums are wrong", async () => {
    listen({}, { maxGarbledInRow: 8 });
    await logOnHonest();
    const peer = await RawPeer.connect(port);
    peer.logon("BAD");
    await until(() => bad.established);
    peer.send(
      peer
        .message("0", "", "BAD")
        .replace(/10=\d+/, "10=999")
        .repeat(20),
    );
    await until(() => peer.closed);
    expect(peer.received).toContain("58=8 garbled messages in a row, the last for its check-sum");
    expect(bad.counters.garbled).toBe(8);
  });

  test("one that replays a logon, on a connection of its own or on the session's", async () => {
    listen();
    await logOnHonest();
    const first = await RawPeer.connect(port);
    const logon = first.logon("BAD");
    await until(() => bad.established);
    const second = await RawPeer.connect(port);
    second.send(logon);
    await until(() => second.closed);
    expect(bad.established).toBe(true);
    first.send(logon);
    await until(() => first.closed);
    expect(first.received).toContain("58=MsgSeqNum too low, expecting 2 but received 1");
    const third = await RawPeer.connect(port);
    third.send(logon);
    await until(() => third.closed);
    expect(bad.counters.logons).toBe(1);
  });

  test("one without the credentials of its session", async () => {
    listen({}, { requiredLogonFields: [[554, "right"]] });
    await logOnHonest();
    const peer = await RawPeer.connect(port);
    peer.send(peer.message("A", "98=0|108=30|554=wrong", "BAD"));
    await until(() => peer.closed);
    expect(peer.received).toContain("58=credentials refused");
    expect(bad.counters.logons).toBe(0);
    const again = await RawPeer.connect(port);
    again.send(again.message("A", "98=0|108=30|554=right", "BAD"));
    await until(() => bad.established);
    again.end();
  });

  test("one that opens more connections than an address may have", async () => {
    listen({ maxConnectionsPerAddress: 3 });
    await logOnHonest();
    const peers = await Promise.all(Array.from({ length: 8 }, () => RawPeer.connect(port)));
    await until(() => peers.filter((peer) => peer.closed).length === 6);
    expect(acceptor.connections).toBe(3);
    for (const peer of peers) peer.end();
  });

  test("many that say nothing do not keep out one that logs on, and never end a session", async () => {
    listen({ maxConnections: 4 });
    await logOnHonest();
    const silent = await Promise.all(Array.from({ length: 12 }, () => RawPeer.connect(port)));
    await until(() => silent.filter((peer) => peer.closed).length === 9);
    const late = await RawPeer.connect(port);
    late.logon("BAD");
    await until(() => bad.established);
    expect(acceptor.connections).toBe(4);
    expect(silent.filter((peer) => !peer.closed)).toHaveLength(2);
    for (const peer of [...silent, late]) peer.end();
  });

  test("one that finds every connection logged on", async () => {
    listen({ maxConnections: 1 });
    await logOnHonest();
    const peer = await RawPeer.connect(port);
    await until(() => peer.closed);
    expect(acceptor.refused).toBe(1);
  });

  test("one at an address that may not connect, or not to that session", async () => {
    listen();
    await logOnHonest();
    const elsewhere = new AddressList(["10.0.0.0/8"]);
    acceptor.add(
      { ...SESSION_DEFAULTS, role: "acceptor", version: "4.4", senderCompId: "US", targetCompId: "FAR" },
      new MemoryStore(),
      APPLICATION,
      elsewhere,
    );
    const peer = await RawPeer.connect(port);
    peer.logon("FAR");
    await until(() => peer.closed);
    const closed = new FixAcceptor({ host: "127.0.0.1", port: 0, clock: systemClock, allowed: elsewhere });
    const other = await RawPeer.connect(closed.start());
    await until(() => other.closed);
    expect(closed.refused).toBe(1);
    closed.stop();
  });
});

test("an address list takes addresses and blocks of both families, and nothing else", () => {
  const list = new AddressList(["10.1.0.0/16", "192.168.0.7", "fd00::/8"]);
  const has = ["10.1.255.1", "10.2.0.1", "192.168.0.7", "::ffff:10.1.2.3", "fd12::1", "::1", "x"];
  expect(has.map((address) => list.has(address))).toEqual([true, false, true, true, true, false, false]);
  for (const entry of ["10.0.0.0/33", "host", "1.2.3.4/", "::/129", "1.2.3.4/8/8"]) {
    expect(() => new AddressList([entry])).toThrow(entry);
  }
});

const openssl = Bun.which("openssl");
if (openssl === null)
  console.log("skipped: FIX with certificates on both sides, no openssl to make them with");

test.skipIf(openssl === null)(
  "a peer without the certificate that is asked for cannot say anything",
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "keel-mtls-"));
    const make = (name: string): { cert: string; key: string } => {
      const made = Bun.spawnSync([
        ...["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
        ...["-keyout", join(folder, `${name}.key`), "-out", join(folder, `${name}.pem`), "-days", "2"],
        ...["-subj", `/CN=${name}`, "-addext", `subjectAltName=DNS:${name}`],
      ]);
      expect(made.exitCode).toBe(0);
      const read = (kind: string) => readFileSync(join(folder, `${name}.${kind}`), "utf8");
      return { cert: read("pem"), key: read("key") };
    };
    try {
      const server = make("localhost");
      const peer = make("peer");
      const stranger = make("stranger");
      const acceptor = new FixAcceptor({
        host: "localhost",
        port: 0,
        clock: systemClock,
        tls: { ...server, ca: peer.cert, requestCert: true, rejectUnauthorized: true },
      });
      const session = acceptor.add(
        { ...SESSION_DEFAULTS, role: "acceptor", version: "4.4", senderCompId: "US", targetCompId: "BAD" },
        new MemoryStore(),
        APPLICATION,
      );
      const port = acceptor.start();
      const tries = async (own: { cert: string; key: string } | object): Promise<boolean> => {
        let closed = false;
        const socket = await Bun.connect({
          hostname: "localhost",
          port,
          tls: { ...own, ca: server.cert },
          socket: {
            data: () => {},
            handshake: (ready) => void ready.write(new RawPeer().message("A", "98=0|108=30", "BAD")),
            close: () => {
              closed = true;
            },
            error: () => {
              closed = true;
            },
          },
        });
        const deadline = performance.now() + 45_000;
        while (!closed && !session.established && performance.now() < deadline) await Bun.sleep(1);
        const up = session.established;
        socket.terminate();
        return up;
      };
      expect(await tries({})).toBe(false);
      expect(await tries(stranger)).toBe(false);
      expect(session.counters.messagesIn).toBe(0);
      expect(await tries(peer)).toBe(true);
      acceptor.stop();
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
);
