import { afterEach, describe, expect, test } from "bun:test";
import type { Socket, TCPSocketListener } from "bun";
import { systemClock } from "../../../src/core/clock.ts";
import { FixQuoteGateway } from "../../../src/gateway/fix/quote-gateway.ts";
import { FixClients } from "../../../src/gateway/rfq/fix-clients.ts";
import { OwnQuotes } from "../../../src/gateway/rfq/own-quotes.ts";
import { InstrumentTable } from "../../../src/market/instrument.ts";
import { registerFixCutMetrics } from "../../../src/monitor/client-metrics.ts";
import { MetricRegistry } from "../../../src/monitor/metrics.ts";
import { DEFAULT_QUOTE_PARAMETERS } from "../../../src/quote/parameters.ts";
import { Quoter } from "../../../src/quote/quoter.ts";
import type { RfqInput } from "../../../src/rfq/message.ts";
import { exposition } from "../../support/exposition.ts";
import { utcTimestamp } from "./reference-mass-quote.ts";
import { fix } from "./script.ts";

const MAX_PENDING_BYTES = 16 << 10;
const BURST = 200;
const REASON = `the peer does not read: no room for more beyond the ${MAX_PENDING_BYTES} bytes that may wait for it`;

/** The far end of a connection: it asks for answers again and again, whole message by whole message, and reads none. */
class DeafPeer {
  closed = false;
  readonly #from: string;
  readonly #to: string;
  #seq = 1;
  #rest = new Uint8Array(0);

  constructor(from: string, to: string) {
    this.#from = from;
    this.#to = to;
  }

  logon(socket: Socket<undefined>): void {
    this.#rest = Buffer.from(this.#message("A", "98=0|108=30"));
    this.#offer(socket);
  }

  async ask(socket: Socket<undefined>): Promise<void> {
    socket.pause();
    const untilMs = performance.now() + 45_000;
    while (!this.closed && performance.now() < untilMs) {
      this.#offer(socket);
      await Bun.sleep(1);
    }
    expect(this.closed).toBe(true);
  }

  end(): void {
    this.closed = true;
  }

  #offer(socket: Socket<undefined>): void {
    if (this.#rest.length === 0) {
      const requests = Array.from({ length: BURST }, () => this.#message("1", `112=${"x".repeat(1_000)}`));
      this.#rest = Buffer.from(requests.join(""));
    }
    const taken = socket.write(this.#rest);
    if (taken > 0) this.#rest = this.#rest.subarray(taken);
  }

  #message(type: string, body: string): string {
    const head = `35=${type}|34=${this.#seq}|49=${this.#from}|52=${utcTimestamp(systemClock.wallUs())}|56=${this.#to}`;
    this.#seq += 1;
    return fix(`${head}|${body}`);
  }
}

function exposed(sides: Parameters<typeof registerFixCutMetrics>[1]): string {
  const metrics = new MetricRegistry();
  registerFixCutMetrics(metrics, sides);
  return exposition(metrics);
}

async function until(what: string, holds: () => boolean): Promise<void> {
  const untilMs = performance.now() + 45_000;
  while (!holds()) {
    if (performance.now() > untilMs) throw new Error(`not in time: ${what}`);
    await Bun.sleep(1);
  }
}

describe("a peer that does not read is cut off, counted and named", () => {
  const ends: (() => unknown)[] = [];

  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end();
  });

  test("a client", async () => {
    const problems: string[] = [];
    const inputs: RfqInput[] = [];
    const quoter = new Quoter({ capacity: 1, underlyings: 1, parameters: DEFAULT_QUOTE_PARAMETERS });
    const clients = new FixClients({
      ...{ host: "127.0.0.1", port: 0, senderCompId: "KEEL", clock: systemClock, storeDir: null },
      clients: [{ compId: "ACME", version: "4.4", credentials: null }],
      quotes: new OwnQuotes(new InstrumentTable(1), quoter),
      onInput: (input) => inputs.push(input),
      onProblem: (text) => problems.push(text),
      maxPendingBytes: MAX_PENDING_BYTES,
    });
    const port = clients.start();
    const timer = setInterval(() => clients.onTimer(systemClock.wallUs()), 5);
    const peer = new DeafPeer("ACME", "KEEL");
    const socket = await Bun.connect<undefined>({
      hostname: "127.0.0.1",
      port,
      socket: { data() {}, close: () => peer.end(), error: () => peer.end() },
    });
    ends.push(() => {
      clearInterval(timer);
      socket.terminate();
      clients.close();
    });
    peer.logon(socket);
    await until("the logon", () => clients.established === 1);
    expect(clients.acceptor.unreadCuts).toBe(0);
    await Promise.race([peer.ask(socket), until("the cut", () => clients.established === 0)]);
    peer.end();
    expect(clients.acceptor.unreadCuts).toBe(1);
    expect(exposed({ client: clients.acceptor, counterparty: undefined })).toContain(
      'keel_fix_cuts_total{peer="client"} 1',
    );
    expect(problems).toEqual([`ACME: the connection was cut, ${REASON}`]);
    expect(inputs).toEqual([
      { on: "withdraw", channel: "fix", client: "ACME", requestId: null, reason: REASON },
    ]);
  });

  test("the counterparty", async () => {
    const peer = new DeafPeer("PEER", "KEEL");
    const listener: TCPSocketListener<undefined> = Bun.listen<undefined>({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        data(socket, chunk) {
          if (!Buffer.from(chunk).includes("\x0135=A\x01")) return;
          peer.logon(socket);
          void peer.ask(socket);
        },
        close: () => peer.end(),
      },
    });
    const gateway = new FixQuoteGateway({
      ...{
        host: "127.0.0.1",
        port: listener.port,
        version: "4.4",
        senderCompId: "KEEL",
        targetCompId: "PEER",
      },
      ...{ heartbeatSeconds: 30, resetOnLogon: true, storeDir: null, seed: 1, clock: systemClock },
      ...{ instruments: new InstrumentTable(1), maxPendingBytes: MAX_PENDING_BYTES, onProblem: () => {} },
    });
    const downs: string[] = [];
    let ups = 0;
    gateway.start({
      onSessionUp: () => {
        ups += 1;
      },
      onSessionDown: (reason) => downs.push(reason),
      onQuoteAck: () => {},
      onExecution: () => {},
    });
    const timer = setInterval(() => gateway.onTimer(systemClock.wallUs()), 5);
    ends.push(async () => {
      peer.end();
      clearInterval(timer);
      await gateway.stop(0);
      listener.stop(true);
    });
    await until("the cut", () => downs.length > 0);
    expect(ups).toBe(1);
    expect(downs).toEqual([REASON]);
    expect(exposed({ client: undefined, counterparty: gateway })).toContain(
      'keel_fix_cuts_total{peer="counterparty"} 1',
    );
  });
});
