import { afterEach, describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { systemClock } from "../../../src/core/clock.ts";
import { Rng } from "../../../src/core/rng.ts";
import { type Order, writeOrder } from "../../../src/gateway/fix/application/order.ts";
import { writeQuoteResponse } from "../../../src/gateway/fix/application/quote.ts";
import { writeQuoteRequest } from "../../../src/gateway/fix/application/quote-request.ts";
import { type FixVersion, TAG } from "../../../src/gateway/fix/tags.ts";
import { FixClients, type FixClientsOptions } from "../../../src/gateway/rfq/fix-clients.ts";
import { OwnQuotes } from "../../../src/gateway/rfq/own-quotes.ts";
import { DEFAULT_QUOTE_PARAMETERS } from "../../../src/quote/parameters.ts";
import { Quoter } from "../../../src/quote/quoter.ts";
import type { RfqParameters } from "../../../src/rfq/parameters.ts";
import { PRICE, RfqBed } from "../../rfq/rfq-bed.ts";
import { TestFixClient, until } from "./fix-client.ts";

const CREDENTIALS = { username: "acme", password: "hush" };

/** FIX clients before an RFQ desk whose market is moved by hand and whose time is the host's. */
class ClientsBed {
  readonly rfq: RfqBed;
  readonly clients: FixClients;
  readonly port: number;
  readonly problems: string[] = [];
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(parameters: Partial<RfqParameters> = {}, options: Partial<FixClientsOptions> = {}) {
    this.rfq = new RfqBed({ maxInputsPerSecond: 1_000, ...parameters }, {}, systemClock.wallUs());
    const quoter = new Quoter({ capacity: 16, underlyings: 1, parameters: DEFAULT_QUOTE_PARAMETERS });
    this.clients = new FixClients({
      ...{
        host: "127.0.0.1",
        port: 0,
        senderCompId: "KEEL",
        clock: systemClock,
        storeDir: null,
      },
      clients: [
        { compId: "ACME", version: "4.4", credentials: null },
        { compId: "OLDE", version: "4.2", credentials: null },
        { compId: "SAFE", version: "4.4", credentials: CREDENTIALS },
      ],
      quotes: new OwnQuotes(this.rfq.instruments, quoter),
      onInput: (input) => {
        const said = this.rfq.actions.length;
        this.rfq.timeUs = systemClock.wallUs();
        this.rfq.move(this.rfq.price);
        this.rfq.desk.onInput(input, this.rfq.timeUs);
        this.#answer(said);
      },
      onProblem: (text) => {
        this.problems.push(text);
      },
      ...options,
    });
    this.port = this.clients.start();
    this.#timer = setInterval(() => {
      const said = this.rfq.actions.length;
      this.rfq.timeUs = systemClock.wallUs();
      this.rfq.desk.onTimer(this.rfq.timeUs);
      this.#answer(said);
      this.clients.onTimer(this.rfq.timeUs);
    }, 10);
  }

  async logon(version: FixVersion = "4.4"): Promise<TestFixClient> {
    const compId = version === "4.4" ? "ACME" : "OLDE";
    const client = new TestFixClient({ port: this.port, compId, version });
    await until("the logon", () => client.session.established);
    return client;
  }

  close(): void {
    clearInterval(this.#timer);
    this.clients.close();
  }

  #answer(from: number): void {
    for (const action of this.rfq.actions.slice(from)) this.clients.onAnswer(action, this.rfq.timeUs);
  }
}

function ask(client: TestFixClient, version: FixVersion, requestId = "Q1"): void {
  const item = { symbol: "BTC-C60", exchange: "deribit", side: null, quantity: "10" } as const;
  const request = { requestId, items: [{ ...item, validUntilUs: Number.NaN, account: undefined, legs: [] }] };
  client.send("R", (builder) => writeQuoteRequest(builder, request, version));
}

function lift(client: TestFixClient, quoteId: string): void {
  const given = { symbol: "BTC-C60", exchange: "deribit", responseId: "A1", quoteId, kind: "hit" } as const;
  const rest = { side: "buy", quantity: undefined, price: undefined, clOrdId: undefined } as const;
  client.send("AJ", (builder) => writeQuoteResponse(builder, { ...given, ...rest }, systemClock.wallUs()));
}

function order(given: Partial<Order>): Order {
  return {
    ...{ symbol: "BTC-C60", exchange: "deribit", clOrdId: "O1", origClOrdId: undefined, side: "buy" },
    ...{ quantity: "10", price: undefined, minQuantity: undefined, timeInForce: "ioc" },
    ...{ quoteId: undefined, account: undefined },
    ...given,
  } as Order;
}

describe("FIX clients", () => {
  let bed: ClientsBed;

  afterEach(() => bed.close());

  test("who must give a password is let in with the right one alone", async () => {
    bed = new ClientsBed();
    const logonFields = (password: string) => [
      [TAG.username, "acme"] as const,
      [TAG.password, password] as const,
    ];
    const wrong = new TestFixClient({ port: bed.port, compId: "SAFE", logonFields: logonFields("guess") });
    await until("the wrong password to be cut off", () => wrong.loggedOut !== null);
    expect(wrong.session.established).toBe(false);
    await wrong.close();
    const right = new TestFixClient({ port: bed.port, compId: "SAFE", logonFields: logonFields("hush") });
    await until("the right one to be in", () => right.session.established);
    await right.close();
  });

  test("the last look refuses over the wire when the market has moved", async () => {
    bed = new ClientsBed({ lastLookMs: 30 });
    const acme = await bed.logon();
    ask(acme, "4.4");
    const quoteId = (await acme.next("S")).tree.text(TAG.quoteId) ?? "";
    lift(acme, quoteId);
    expect((await acme.next("AI")).tree.text(TAG.quoteStatus)).toBe("10");
    bed.rfq.move(PRICE * 1.05);
    const status = (await acme.next("AI")).tree;
    expect([status.text(TAG.quoteStatus), status.text(TAG.quoteRespId)]).toEqual(["5", "A1"]);
    expect(status.text(TAG.text)).toBe("the market has moved");
    expect(bed.rfq.fills).toEqual([]);
    await acme.close();
  });

  test("a quote runs out over the wire", async () => {
    bed = new ClientsBed({ quoteLifeMs: 60 });
    const acme = await bed.logon();
    ask(acme, "4.4");
    const quote = (await acme.next("S")).tree;
    const status = (await acme.next("AI")).tree;
    expect([status.text(TAG.quoteId), status.text(TAG.quoteStatus)]).toEqual([quote.text(TAG.quoteId), "7"]);
    await acme.close();
  });

  test("in FIX 4.2 a quote is taken by an order with its id, and refusals are quote acknowledgements", async () => {
    bed = new ClientsBed();
    const acme = await bed.logon("4.2");
    ask(acme, "4.2");
    const quote = (await acme.next("S")).tree;
    const quoteId = quote.text(TAG.quoteId);
    acme.send("D", (builder) => writeOrder(builder, order({ quoteId }), "4.2", systemClock.wallUs()));
    const report = (await acme.next("8")).tree;
    expect([report.text(TAG.execType), report.text(TAG.clOrdId)]).toEqual(["2", "O1"]);
    expect(report.text(TAG.lastPx)).toBe(quote.text(TAG.offerPx));
    bed.rfq.desk.halt("drill", bed.rfq.timeUs);
    ask(acme, "4.2", "Q2");
    const refusal = (await acme.next("b")).tree;
    expect([refusal.text(TAG.quoteReqId), refusal.text(TAG.quoteStatus)]).toEqual(["Q2", "5"]);
    await acme.close();
  });

  test("clients of both versions are served side by side; one that logs on in another than its own is not let in", async () => {
    bed = new ClientsBed();
    const [acme, olde] = [await bed.logon("4.4"), await bed.logon("4.2")];
    ask(acme, "4.4");
    ask(olde, "4.2", "Q2");
    const [toAcme, toOlde] = [(await acme.next("S")).tree, (await olde.next("S")).tree];
    expect([toAcme.text(TAG.quoteReqId), toOlde.text(TAG.quoteReqId)]).toEqual(["Q1", "Q2"]);
    const stranger = new TestFixClient({ port: bed.port, compId: "SAFE", version: "4.2" });
    await until("the stranger to be cut off", () => stranger.loggedOut !== null);
    expect(stranger.session.counters.logons).toBe(0);
    const states = bed.clients.describe().map(({ compId, version, state }) => [compId, version, state]);
    expect(states).toEqual([
      ["ACME", "4.4", "active"],
      ["OLDE", "4.2", "active"],
      ["SAFE", "4.4", "disconnected"],
    ]);
    await Promise.all([acme.close(), olde.close(), stranger.close()]);
  });

  test("an order without a quote trades at our price within its limit", async () => {
    bed = new ClientsBed();
    const acme = await bed.logon();
    const send = (given: Partial<Order>) =>
      acme.send("D", (builder) => writeOrder(builder, order(given), "4.4", systemClock.wallUs()));
    send({ price: "1" });
    expect((await acme.next("8")).tree.text(TAG.execType)).toBe("F");
    send({ clOrdId: "O2", price: "0.0001" });
    expect((await acme.next("8")).tree.text(TAG.execType)).toBe("8");
    send({ clOrdId: "O3", price: "1", timeInForce: "gtc" });
    expect((await acme.next("8")).tree.text(TAG.text)).toContain("TimeInForce (59)");
    await acme.close();
  });

  test("when a client goes, its quotes go", async () => {
    bed = new ClientsBed();
    const acme = await bed.logon();
    ask(acme, "4.4");
    await acme.next("S");
    expect(bed.rfq.desk.open).toBe(1);
    await acme.close();
    await until("the withdrawal", () => bed.rfq.desk.open === 0);
    expect(bed.rfq.last).toMatchObject({ do: "status", status: "removed" });
  });

  test("a client that floods is logged out, and one that sends noise is cut off; others trade on", async () => {
    bed = new ClientsBed({}, { session: { maxMessagesPerSecond: 50 } });
    const acme = await bed.logon();
    const noise = connect(bed.port, "127.0.0.1");
    const rng = new Rng(5);
    noise.write(Uint8Array.from({ length: 20_000 }, () => rng.int(256)));
    let cut = false;
    noise.once("close", () => {
      cut = true;
    });
    noise.on("error", () => {});
    await until("the noise to be cut off", () => cut);
    ask(acme, "4.4");
    await acme.next("S");
    for (let sent = 0; sent < 80 && acme.session.established; sent += 1) ask(acme, "4.4", `F${sent}`);
    await until("the flood to be logged out", () => acme.loggedOut !== null);
    expect(bed.rfq.desk.counters.requests).toBeLessThan(60);
    await until("its quotes to go", () => bed.rfq.desk.open === 0);
    await acme.close();
  });
});
