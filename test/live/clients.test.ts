import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runCommandLine } from "../../src/command/cli.ts";
import { writeOrder } from "../../src/gateway/fix/application/order.ts";
import { writeQuoteResponse } from "../../src/gateway/fix/application/quote.ts";
import { writeQuoteRequest } from "../../src/gateway/fix/application/quote-request.ts";
import { TAG } from "../../src/gateway/fix/tags.ts";
import { JsonGateway } from "../../src/gateway/json/gateway.ts";
import { FixClients } from "../../src/gateway/rfq/fix-clients.ts";
import { JournalReader } from "../../src/journal/reader.ts";
import { RECORD } from "../../src/journal/record.ts";
import { replay } from "../../src/journal/replay.ts";
import { rfqLives } from "../../src/journal/rfq-lives.ts";
import { showDecision } from "../../src/journal/show.ts";
import { DecisionComparer } from "../../src/journal/verify.ts";
import { httpTarget } from "../../src/live/http-target.ts";
import { engineForReplay } from "../../src/live/replay-engine.ts";
import { FEED_STATE } from "../../src/market/event-batch.ts";
import type { Instrument } from "../../src/market/instrument.ts";
import { MetricRegistry } from "../../src/monitor/metrics.ts";
import { TestFixClient, until } from "../gateway/rfq/fix-client.ts";
import { Harness } from "./harness.ts";

const TOKEN = "a-token-long-enough";

describe("clients of a live desk, over real sockets", () => {
  const folder = mkdtempSync(join(tmpdir(), "keel-clients-"));
  let harness: Harness;
  let fixPort: number;
  let apiPort: number;
  let options: Instrument[] = [];

  beforeAll(async () => {
    writeFileSync(join(folder, "tokens"), `desk-7 trade ${TOKEN}\n`);
    harness = await Harness.start({
      KEEL_FIX_ACCEPT: "127.0.0.1:0",
      KEEL_FIX_ACCEPT_CLIENTS: "ACME,BETA",
      KEEL_API: "127.0.0.1:0",
      KEEL_API_TOKENS_FILE: join(folder, "tokens"),
      KEEL_RFQ_LAST_LOOK_TOLERANCE: "10",
      KEEL_RFQ_QUOTE_LIFE_MS: "60000",
    });
    const { taps, desk } = harness.live;
    fixPort = taps.find((tap) => tap instanceof FixClients)?.acceptor.port ?? 0;
    apiPort = taps.find((tap) => tap instanceof JsonGateway)?.port ?? 0;
    const quotable = (): Instrument[] =>
      desk.market.instruments
        .all()
        .filter(
          ({ id, kind, optionType }) =>
            kind === "option" &&
            optionType === "call" &&
            desk.market.feedState[id] === FEED_STATE.live &&
            Math.abs(desk.quoter.values.delta[id] ?? 0) > 0.3 &&
            desk.quoter.standing(id).bidLots > 0,
        );
    await until("two options to be quoted", () => quotable().length >= 2);
    options = quotable();
  }, 120_000);

  afterAll(async () => {
    await harness.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  async function client(compId = "ACME"): Promise<TestFixClient> {
    const made = new TestFixClient({ port: fixPort, compId });
    await until(`${compId} to be logged on`, () => made.session.established);
    return made;
  }

  function option(at: number): Instrument {
    const found = options[at];
    if (found === undefined) throw new Error(`no option ${at}`);
    return found;
  }

  function single(requestId: string) {
    const { symbol, minSizeLots, lot } = option(0);
    const quantity = String((minSizeLots * lot.mantissa) / 10 ** lot.scale);
    const item = {
      symbol,
      exchange: "deribit",
      side: null,
      quantity,
      validUntilUs: Number.NaN,
      account: undefined,
      legs: [],
    };
    return { requestId, items: [item] };
  }

  function respond(acme: TestFixClient, quoteId: string, given: object): void {
    const response = {
      symbol: option(0).symbol,
      exchange: "deribit",
      responseId: `A-${quoteId}`,
      quoteId,
      kind: "hit",
      side: "buy",
      quantity: undefined,
      price: undefined,
      clOrdId: "C1",
      ...given,
    } as const;
    acme.send("AJ", (builder) => writeQuoteResponse(builder, response, 0));
  }

  test("a request by FIX is quoted, lifted and executed, and the position is the desk's", async () => {
    const acme = await client();
    acme.send("R", (builder) => writeQuoteRequest(builder, single("Q1"), "4.4"));
    const quote = (await acme.next("S", "AG")).tree;
    expect(quote.text(TAG.quoteReqId)).toBe("Q1");
    const offer = quote.text(TAG.offerPx);
    expect(Number(quote.text(TAG.bidPx))).toBeLessThan(Number(offer));
    const before = harness.live.desk.gate.positionLots(option(0).id);
    respond(acme, quote.text(TAG.quoteId) ?? "", { price: offer });
    const report = (await acme.next("8", "AI")).tree;
    expect(report.text(TAG.execType)).toBe("F");
    expect(report.text(TAG.lastPx)).toBe(offer);
    expect(report.text(TAG.clOrdId)).toBe("C1");
    expect(harness.live.desk.gate.positionLots(option(0).id)).toBeLessThan(before);
    await acme.close();
  });

  test("a structure by FIX is quoted with its legs and executed leg by leg", async () => {
    const acme = await client();
    const [item] = single("Q2").items;
    const legs = [
      { symbol: option(0).symbol, exchange: "deribit", side: "buy", ratio: "1" },
      { symbol: option(1).symbol, exchange: "deribit", side: "sell", ratio: "2" },
    ] as const;
    const request = { requestId: "Q2", items: [{ ...item, symbol: "[N/A]", exchange: undefined, legs }] };
    acme.send("R", (builder) => writeQuoteRequest(builder, request as never, "4.4"));
    const quote = (await acme.next("S", "AG")).tree;
    expect(quote.group(TAG.noLegs).map((leg) => leg.text(TAG.legSymbol))).toEqual(
      legs.map(({ symbol }) => symbol),
    );
    respond(acme, quote.text(TAG.quoteId) ?? "", { side: "sell" });
    const report = (await acme.next("8", "AI")).tree;
    expect(report.text(TAG.multiLegReportingType)).toBe("3");
    const traded = report
      .group(TAG.noLegs)
      .map((leg) => [leg.text(TAG.legSide), Number(leg.text(TAG.legLastPx)) > 0]);
    expect(traded).toEqual([
      ["2", true],
      ["1", true],
    ]);
    await acme.close();
  });

  test("countered, done away and unknown quotes are answered by FIX as they should be", async () => {
    const acme = await client();
    acme.send("R", (builder) => writeQuoteRequest(builder, single("Q3"), "4.4"));
    const first = (await acme.next("S", "AG")).tree;
    respond(acme, first.text(TAG.quoteId) ?? "", {
      kind: "counter",
      price: option(0).inverse ? "0.0005" : "1",
    });
    const second = (await acme.next("S", "AI")).tree;
    expect(second.text(TAG.quoteId)).not.toBe(first.text(TAG.quoteId));
    expect(second.text(TAG.bidPx)).toBeUndefined();
    respond(acme, second.text(TAG.quoteId) ?? "", { kind: "done-away", side: null });
    respond(acme, second.text(TAG.quoteId) ?? "", {});
    expect((await acme.next("AI")).tree.text(TAG.quoteStatus)).toBe("6");
    respond(acme, "nonsense", {});
    expect((await acme.next("AI")).tree.text(TAG.quoteStatus)).toBe("9");
    await acme.close();
  });

  test("what is malformed or unknown is refused with its reason, and the session lives on", async () => {
    const acme = await client();
    const [item] = single("Q4").items;
    const unknown = { requestId: "Q4", items: [{ ...item, symbol: "DOGE-1", exchange: undefined }] };
    acme.send("R", (builder) => writeQuoteRequest(builder, unknown as never, "4.4"));
    const reject = (await acme.next("AG")).tree;
    expect(reject.text(TAG.quoteRequestRejectReason)).toBe("1");
    acme.send("R", (builder) => builder.text(TAG.quoteReqId, "Q5"));
    expect((await acme.next("AG")).tree.text(TAG.text)).toContain("nothing is asked for");
    const order = {
      symbol: option(0).symbol,
      exchange: "deribit",
      clOrdId: "O1",
      origClOrdId: undefined,
      side: "sell",
      quantity: item?.quantity ?? "",
      price: "99999",
      minQuantity: undefined,
      timeInForce: "ioc",
      quoteId: undefined,
      account: undefined,
    } as const;
    acme.send("D", (builder) => writeOrder(builder, order, "4.4", 0));
    const report = (await acme.next("8")).tree;
    expect([report.text(TAG.execType), report.text(TAG.clOrdId), report.text(TAG.side)]).toEqual([
      "8",
      "O1",
      "2",
    ]);
    expect(acme.session.established).toBe(true);
    await acme.close();
  });

  test("a client subscribes to our own quotes", async () => {
    const beta = await client("BETA");
    beta.send("V", (builder) => {
      builder.text(TAG.mdReqId, "M1").text(TAG.subscriptionRequestType, "1").uint(TAG.marketDepth, 1);
      builder.uint(TAG.mdUpdateType, 1).uint(TAG.noMdEntryTypes, 2);
      builder.text(TAG.mdEntryType, "0").text(TAG.mdEntryType, "1");
      builder.uint(TAG.noRelatedSym, 1).text(TAG.symbol, option(0).symbol);
    });
    const snapshot = (await beta.next("W", "Y")).tree;
    expect(snapshot.text(TAG.securityExchange)).toBe("deribit");
    expect((await beta.next("X", "W")).tree.text(TAG.mdReqId)).toBe("M1");
    await beta.close();
  });

  test("a comp id that is not a client's is cut off without an answer", async () => {
    const stranger = new TestFixClient({ port: fixPort, compId: "EVE" });
    await until("the stranger to be cut off", () => stranger.loggedOut !== null);
    expect(stranger.session.established).toBe(false);
    expect(stranger.received).toEqual([]);
    await stranger.close();
  });

  test("an in-house client follows predictions, quotes and states and trades by JSON", async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${apiPort}`);
    const messages: Record<string, unknown>[] = [];
    socket.onmessage = ({ data }) => messages.push(JSON.parse(String(data)));
    const got = (type: string) => messages.find((message) => message.type === type);
    await new Promise((resolve) => {
      socket.onopen = resolve;
    });
    const send = (message: object) => socket.send(JSON.stringify(message));
    send({ op: "auth", token: TOKEN });
    for (const channel of ["predictions", "quotes", "states"]) send({ op: "subscribe", channel });
    await until("all three channels to tell", () =>
      ["prediction", "quote", "state"].every((type) => got(type)),
    );
    expect(got("welcome")).toMatchObject({ client: "desk-7", role: "trade" });
    const { symbol } = option(0);
    const [item] = single("J1").items;
    send({ op: "rfq", requestId: "J1", legs: [{ symbol }], quantity: item?.quantity, side: "buy" });
    await until("the RFQ to be quoted", () => got("rfq-quote") !== undefined);
    const quoteId = got("rfq-quote")?.quoteId;
    expect(got("rfq-quote")).not.toHaveProperty("terms");
    send({ op: "respond", responseId: "A1", quoteId, kind: "hit" });
    await until("the trade", () => got("trade") !== undefined);
    expect(got("trade")).toMatchObject({ quoteId, side: "buy", requestId: "J1" });
    send({ op: "order", orderId: "O1", symbol, side: "sell", quantity: item?.quantity, limit: "99999" });
    await until("the order to be refused", () => got("order-reject") !== undefined);
    expect(got("order-reject")).toMatchObject({ orderId: "O1", reason: "invalid-price" });
    socket.close();
  });

  test("the running process tells of its counterparties", async () => {
    const report = httpTarget(harness.live, new MetricRegistry(), null).rfq?.();
    expect(report).toMatchObject({
      counters: { trades: expect.any(Number) },
      counterparties: [{ name: "ACME", tier: 2, lastLook: { accepted: 2 } }, { name: "desk-7" }],
      clients: [{ compId: "ACME" }, { compId: "BETA" }],
    });
  });

  test("the kill switch during an RFQ takes the quote back and refuses the hit", async () => {
    const acme = await client();
    acme.send("R", (builder) => writeQuoteRequest(builder, single("K1"), "4.4"));
    const quoteId = (await acme.next("S")).tree.text(TAG.quoteId) ?? "";
    harness.live.trading.kill("drill");
    const status = (await acme.next("AI")).tree;
    expect([status.text(TAG.quoteId), status.text(TAG.quoteStatus)]).toEqual([quoteId, "6"]);
    respond(acme, quoteId, {});
    expect((await acme.next("AI", "8")).type).toBe("AI");
    acme.send("R", (builder) => writeQuoteRequest(builder, single("K2"), "4.4"));
    expect((await acme.next("AG")).tree.text(TAG.quoteRequestRejectReason)).toBe("8");
    harness.live.trading.resetKill();
    await acme.close();
  });

  test("the journal holds every RFQ's life, and a replay makes the same answers, bit for bit", async () => {
    await harness.live.stop();
    const directory = join(harness.folder, "journal");
    const { lives } = rfqLives(new JournalReader(directory).records());
    const outcomes = new Map(lives.map(({ name, outcome }) => [name, outcome]));
    expect(outcomes.get("ACME/Q1")).toBe("traded");
    expect(outcomes.get("ACME/Q2")).toBe("traded");
    expect(outcomes.get("ACME/Q3")).toBe("done-away");
    expect(outcomes.get("ACME/Q4")).toBe("refused");
    expect(outcomes.get("ACME/K1")).toBe("removed");
    expect(outcomes.get("desk-7/J1")).toBe("traded");
    expect(outcomes.get("desk-7/O1")).toBe("refused");
    const comparer = new DecisionComparer(showDecision);
    const answers: string[] = [];
    const reader = new JournalReader(directory);
    await replay(reader.records(), {
      engineFor: (start) => engineForReplay(start, undefined, { info: () => {}, warn: () => {} }),
      decisions: comparer,
      onRecord: (record) => {
        if (record.type === RECORD.rfqAction) answers.push(new TextDecoder().decode(record.payload));
        comparer.recorded(record);
      },
      stop: () => comparer.differs,
    });
    expect(comparer.finish()).toMatchObject({ identical: true, difference: null });
    expect(answers.length).toBeGreaterThan(10);
  });

  test("keel rfq lists the RFQs of a journal and shows the life of one", async () => {
    const run = async (...args: string[]) => {
      const parts: string[] = [];
      const sink = {
        write: (part: string) => {
          parts.push(part);
        },
      };
      const code = await runCommandLine(["rfq", ...args, "--journal", join(harness.folder, "journal")], {
        env: {},
        stdout: sink,
        stderr: sink,
        shutdown: new AbortController().signal,
      });
      return { code, text: parts.join("") };
    };
    const list = await run("ls");
    expect(list.code).toBe(0);
    expect(list.text).toContain("fix ACME/Q1");
    expect(list.text).toMatch(/ACME: \d+ asked, \d+ quoted, 2 traded, 1 done away; last look 2 accepted/);
    const shown = await run("show", "ACME/Q2");
    for (const part of ["> request", "< quote", "tierFactor", "> response", "< trade"]) {
      expect(shown.text).toContain(part);
    }
    expect((await run("show", "ACME/none")).code).toBe(6);
    expect((await run("fly")).code).toBe(2);
  });
});
