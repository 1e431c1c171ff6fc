import { expect } from "bun:test";
import { INVERSE_OPTION } from "../../../src/bench/option-table.ts";
import { systemClock } from "../../../src/core/clock.ts";
import { JsonGateway, type JsonGatewayOptions } from "../../../src/gateway/json/gateway.ts";
import { InstrumentTable } from "../../../src/market/instrument.ts";
import { DEFAULT_QUOTE_PARAMETERS } from "../../../src/quote/parameters.ts";
import { Quoter } from "../../../src/quote/quoter.ts";
import type { RfqInput } from "../../../src/rfq/message.ts";
import { until } from "../rfq/fix-client.ts";

export const READ = "reading-token-0001";
export const TRADE = "trading-token-0001";
const UNDERLYINGS = 8;

/** A gateway on a real socket, with its updates made by hand. */
export class GatewayBed {
  readonly inputs: RfqInput[] = [];
  readonly problems: string[] = [];
  readonly gateway: JsonGateway;
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #clients: WebSocket[] = [];
  open = 0;

  constructor(options: Partial<JsonGatewayOptions> = {}) {
    const instruments = new InstrumentTable(1_024);
    for (let number = 0; number < 600; number += 1) {
      instruments.add({ ...INVERSE_OPTION, symbol: `BTC-${number}-C`, strike: number });
    }
    this.gateway = new JsonGateway({
      host: "127.0.0.1",
      port: 0,
      origins: [],
      clients: [
        { name: "risk", role: "read", token: READ },
        { name: "book", role: "trade", token: TRADE },
      ],
      maxConnections: 8,
      maxConnectionsPerClient: 2,
      maxMessagesPerSecond: 1_000,
      maxSubscriptions: 4,
      maxBufferBytes: 256 << 10,
      clock: systemClock,
      desk: {
        instruments,
        quoter: new Quoter({ capacity: 1_024, underlyings: 1, parameters: DEFAULT_QUOTE_PARAMETERS }),
        underlyings: { size: 1, base: () => "BTC" },
        underlyingCapacity: UNDERLYINGS,
        model: { name: "m", heads: ["down50", "up50"] },
        state: () => ({
          ...{ trading: "active", reason: null, counterpartyUp: true, models: [["BTC", 0]] },
          ...{ liveInstruments: { deribit: 1 }, openRfqs: this.open },
        }),
      },
      onInput: (input) => {
        this.inputs.push(input);
      },
      onProblem: (text) => {
        this.problems.push(text);
      },
      ...options,
    });
    this.#timer = setInterval(() => this.gateway.onTimer(systemClock.wallUs()), 10);
  }

  /** @param origin as a browser names the page */
  async connect(
    token: string | null,
    header = false,
    { tls, origin }: { readonly tls?: Bun.TLSOptions; readonly origin?: string } = {},
  ): Promise<TestClient> {
    const headers = {
      ...(header && token !== null ? { authorization: `Bearer ${token}` } : {}),
      ...(origin === undefined ? {} : { origin }),
    };
    const scheme = tls === undefined ? "ws://127.0.0.1" : "wss://localhost";
    const socket = new WebSocket(`${scheme}:${this.gateway.port}`, {
      headers,
      ...(tls === undefined ? {} : { tls }),
    });
    this.#clients.push(socket);
    const client = new TestClient(socket);
    await until("the socket to open or close", () => client.opened || client.closed !== null);
    if (token !== null && !header) client.send({ op: "auth", token });
    return client;
  }

  predict(probability: number): void {
    this.gateway.onPrediction(0, new Float32Array([probability, 0]), 0, 2, 0, systemClock.wallUs());
  }

  close(): void {
    clearInterval(this.#timer);
    for (const socket of this.#clients) socket.close();
    this.gateway.close();
  }
}

export class TestClient {
  readonly messages: Record<string, unknown>[] = [];
  opened = false;
  closed: { readonly code: number; readonly reason: string } | null = null;
  readonly #socket: WebSocket;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.onopen = () => {
      this.opened = true;
    };
    socket.onmessage = ({ data }) => this.messages.push(JSON.parse(String(data)));
    socket.onclose = ({ code, reason }) => {
      this.closed = { code, reason };
    };
  }

  send(message: object | string): void {
    this.#socket.send(typeof message === "string" ? message : JSON.stringify(message));
  }

  close(): void {
    this.#socket.close();
  }

  got(type: string): Record<string, unknown> | undefined {
    return this.messages.findLast((message) => message.type === type);
  }

  /** Of the first head, as last told. */
  get probability(): unknown {
    const { probabilities = {} } = this.got("prediction") ?? {};
    return Object.values(probabilities as Record<string, number>)[0];
  }

  async next(type: string): Promise<Record<string, unknown>> {
    await until(`a message of type ${type}`, () => this.got(type) !== undefined);
    return this.got(type) ?? {};
  }

  async closedWith(code: number): Promise<void> {
    await until("the connection to be closed", () => this.closed !== null);
    expect(this.closed?.code).toBe(code);
  }
}
