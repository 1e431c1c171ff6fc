import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Socket } from "bun";
import { FixAcceptor } from "../../../src/gateway/fix/acceptor.ts";
import { Dictionary, VERSION_TABLES } from "../../../src/gateway/fix/dictionary/dictionary.ts";
import type { FixMessage } from "../../../src/gateway/fix/message.ts";
import type { FixSession } from "../../../src/gateway/fix/session.ts";
import { SESSION_DEFAULTS, type SessionApplication } from "../../../src/gateway/fix/session-options.ts";
import { MemoryStore } from "../../../src/gateway/fix/store.ts";
import { type FixVersion, msgTypeCode, TAG } from "../../../src/gateway/fix/tags.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { completeMessage, difference, parseScript, type Step, wholeMessageLength } from "./script.ts";
import { scriptFor42 } from "./script-42.ts";

const SCRIPTS = join(import.meta.dir, "../../../../shared/vectors/fix44");
const present = existsSync(SCRIPTS);
if (!present) console.log(`skipped: FIX acceptance scripts, no ${SCRIPTS}`);

/** Scripts whose behaviour is out of scope, with the reason. */
const OUT_OF_SCOPE: Record<FixVersion, Record<string, string>> = { "4.4": {}, "4.2": {} };

const START_US = Date.UTC(2026, 0, 5, 12) * 1_000;
/** How far the clock is moved each time nothing is under way. */
const CLOCK_STEP_US = 200_000;
const GIVE_UP_AFTER_US = 60e6;

const HEADER_TAGS = new Set(VERSION_TABLES["4.4"].header.match(/\d+/g)?.map(Number));
/** Header fields that an answer does not take over. */
const OWN_HEADER_TAGS = new Set<number>([
  TAG.msgType,
  TAG.msgSeqNum,
  TAG.senderCompId,
  TAG.targetCompId,
  TAG.sendingTime,
  TAG.possDupFlag,
  TAG.origSendingTime,
]);

/** The application the scripts are written for: sends orders and security definitions back, each ClOrdID once. */
class Echo implements SessionApplication {
  session: FixSession | null = null;
  readonly #orders = new Set<string>();

  onLogon(): void {}

  onLogout(): void {
    this.#orders.clear();
  }

  onResend(): void {}

  onReject(): void {}

  onMessage(message: FixMessage, timeUs: number): boolean {
    if (message.msgType !== msgTypeCode("D") && message.msgType !== msgTypeCode("d")) return false;
    const order = message.text(11);
    if (order !== undefined) {
      if (message.isYes(TAG.possResend) && this.#orders.has(order)) return true;
      this.#orders.add(order);
    }
    const fields: { tag: number; index: number; header: boolean }[] = [];
    for (let i = 0; i < message.count; i += 1) {
      const tag = message.tags[i];
      if (!OWN_HEADER_TAGS.has(tag)) fields.push({ tag, index: i, header: HEADER_TAGS.has(tag) });
    }
    fields.sort((a, b) => Number(b.header) - Number(a.header) || a.tag - b.tag);
    const builder = this.session?.begin(message.msgType, timeUs);
    for (const { tag, index } of fields) builder?.copy(tag, message, index);
    this.session?.send(true);
    return true;
  }
}

/** One connection of a script: what has been received and not yet expected. */
class Peer {
  socket: Socket<undefined> | null = null;
  text = "";
  closed = false;
  bytesReceived = 0;

  async connect(port: number): Promise<void> {
    this.socket = await Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: {
        data: (_socket, chunk) => {
          this.text += Buffer.from(chunk).toString("latin1");
          this.bytesReceived += chunk.length;
        },
        close: () => {
          this.closed = true;
        },
        error: () => {
          this.closed = true;
        },
      },
    });
  }

  /** Takes the next whole message. */
  take(): string | null {
    const length = wholeMessageLength(this.text);
    if (length === 0) return null;
    const message = this.text.slice(0, length);
    this.text = this.text.slice(length);
    return message;
  }
}

class Runner {
  readonly #clock = new ManualClock(START_US);
  readonly #acceptor = new FixAcceptor({ host: "127.0.0.1", port: 0, clock: this.#clock });
  readonly #peers = new Map<number, Peer>();
  #port = 0;
  #bytesSent = 0;
  #bytesReceivedBefore = 0;
  readonly #version: FixVersion;

  constructor(version: FixVersion) {
    this.#version = version;
  }

  start(): void {
    const echo = new Echo();
    echo.session = this.#acceptor.add(
      {
        ...SESSION_DEFAULTS,
        role: "acceptor",
        version: this.#version,
        senderCompId: "ISLD",
        targetCompId: `TW${this.#version.replace(".", "")}`,
        resetOnLogon: true,
        dictionary: new Dictionary(this.#version),
      },
      new MemoryStore(),
      echo,
    );
    this.#port = this.#acceptor.start();
  }

  stop(): void {
    for (const peer of this.#peers.values()) peer.socket?.terminate();
    this.#acceptor.stop();
  }

  async run(step: Step): Promise<void> {
    const peer = this.#peers.get(step.connection);
    if (step.kind === "connect") {
      if (peer !== undefined) this.#bytesReceivedBefore += peer.bytesReceived;
      const fresh = new Peer();
      await fresh.connect(this.#port);
      this.#peers.set(step.connection, fresh);
      return;
    }
    if (peer === undefined) throw new Error(`line ${step.line}: no connection ${step.connection}`);
    switch (step.kind) {
      case "send": {
        const message = completeMessage(step.message, this.#clock.wallUs());
        this.#bytesSent += message.length;
        peer.socket?.write(Buffer.from(message, "latin1"));
        return;
      }
      case "expect": {
        await this.#until(() => peer.closed || wholeMessageLength(peer.text) > 0);
        const message = peer.take();
        if (message === null)
          throw new Error(`line ${step.line}: expected ${step.message.replaceAll("\x01", "|")}`);
        const wrong = difference(message, step.message);
        if (wrong !== null) throw new Error(`line ${step.line}: ${wrong}`);
        return;
      }
      case "expect-disconnect":
        await this.#until(() => peer.closed || peer.text !== "");
        if (peer.text !== "")
          throw new Error(`line ${step.line}: not closed: ${peer.text.replaceAll("\x01", "|")}`);
        return;
      case "disconnect":
        peer.socket?.end();
        await this.#until(() => peer.closed);
    }
  }

  /** Moves the clock only when every byte sent either way has arrived, so that a slow host changes nothing. */
  async #until(done: () => boolean): Promise<void> {
    const startUs = this.#clock.wallUs();
    let quiet = 0;
    while (!done()) {
      await Bun.sleep(1);
      quiet = this.#settled() ? quiet + 1 : 0;
      if (quiet < 5) continue;
      if (this.#clock.wallUs() - startUs > GIVE_UP_AFTER_US) return;
      this.#clock.advanceUs(CLOCK_STEP_US);
      this.#acceptor.onTimer(this.#clock.wallUs());
    }
  }

  #settled(): boolean {
    let received = this.#bytesReceivedBefore;
    for (const peer of this.#peers.values()) received += peer.bytesReceived;
    return this.#acceptor.bytesReceived >= this.#bytesSent && received >= this.#acceptor.bytesSent;
  }
}

describe.skipIf(!present).each(["4.4", "4.2"] as const)("FIX %s acceptance scripts", (version) => {
  const names = present ? readdirSync(SCRIPTS).filter((name) => name.endsWith(".def")) : [];
  for (const name of names) {
    const reason = OUT_OF_SCOPE[version][name];
    if (reason !== undefined) console.log(`out of scope of FIX ${version}: ${name}: ${reason}`);
    describe.skipIf(reason !== undefined)(name, () => {
      const runner = new Runner(version);
      beforeAll(() => runner.start());
      afterAll(() => runner.stop());
      test("is passed", async () => {
        const text = readFileSync(join(SCRIPTS, name), "latin1");
        const steps = parseScript(version === "4.4" ? text : scriptFor42(text));
        expect(steps.length).toBeGreaterThan(1);
        for (const step of steps) await runner.run(step);
      });
    });
  }
});
