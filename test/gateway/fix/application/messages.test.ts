import { describe, expect, test } from "bun:test";
import { FieldTree } from "../../../../src/gateway/fix/application/field-tree.ts";
import {
  levelChanges,
  readMarketDataRequest,
  writeIncremental,
  writeMarketDataReject,
  writeSnapshot,
} from "../../../../src/gateway/fix/application/market-data.ts";
import { newsSignals, readNews, writeNews } from "../../../../src/gateway/fix/application/news.ts";
import {
  type Execution,
  type Order,
  readMassCancel,
  readOrder,
  readOrderCancel,
  writeCancelReject,
  writeExecution,
  writeMassCancel,
  writeMassCancelReport,
  writeOrder,
  writeOrderCancel,
} from "../../../../src/gateway/fix/application/order.ts";
import {
  type Quote,
  type QuoteResponse,
  quoteRequestRejectType,
  quoteStatusReportType,
  readQuote,
  readQuoteResponse,
  writeQuote,
  writeQuoteRequestReject,
  writeQuoteResponse,
  writeQuoteStatusReport,
} from "../../../../src/gateway/fix/application/quote.ts";
import {
  type QuoteRequest,
  readQuoteRequest,
  writeQuoteRequest,
} from "../../../../src/gateway/fix/application/quote-request.ts";
import { MessageBuilder } from "../../../../src/gateway/fix/builder.ts";
import { Dictionary } from "../../../../src/gateway/fix/dictionary/dictionary.ts";
import { readFill } from "../../../../src/gateway/fix/execution-report.ts";
import { FixMessage } from "../../../../src/gateway/fix/message.ts";
import { FixParser, PARSE } from "../../../../src/gateway/fix/parser.ts";
import { Violation } from "../../../../src/gateway/fix/reject-reason.ts";
import { type FixVersion, MSG } from "../../../../src/gateway/fix/tags.ts";
import { instrumentTable } from "../instruments.ts";
import { fix } from "../script.ts";

const VERSIONS: readonly FixVersion[] = ["4.2", "4.4"];
const TIME_US = Date.UTC(2026, 0, 5, 12, 0, 0, 123) * 1_000;
const CALL = { symbol: "BTC-27DEC24-60000-C", exchange: "deribit" };

function parsed(bytes: Uint8Array): FixMessage {
  const message = new FixMessage(256);
  expect(new FixParser(1 << 16).parse(bytes, 0, bytes.length, message)).toBe(PARSE.complete);
  return message;
}

/** Writes a message, holds it to the full dictionary of its version, and unfolds it again. */
function sent(version: FixVersion, type: number, write: (builder: MessageBuilder) => void): FixMessage {
  const builder = new MessageBuilder({ version, senderCompId: "A", targetCompId: "B" }, 1 << 16);
  write(builder.begin(type, 1, TIME_US));
  expect(builder.finish()).toBe(true);
  const { bytes, start, at } = builder.writer;
  const message = parsed(bytes.slice(start, at));
  const violation = new Violation();
  const sound = new Dictionary(version).check(message, violation);
  expect([sound, sound ? 0 : violation.reason, sound ? 0 : violation.tag]).toEqual([true, 0, 0]);
  return message;
}

const tree = (version: FixVersion, type: number, write: (builder: MessageBuilder) => void) =>
  FieldTree.read(sent(version, type, write), version);

const received = (body: string) =>
  FieldTree.read(
    parsed(
      Uint8Array.from(
        Buffer.from(
          fix(`35=${body.slice(0, body.indexOf("|"))}|34=1|${body.slice(body.indexOf("|") + 1)}`),
          "latin1",
        ),
      ),
    ),
    "4.4",
  );

describe.each(VERSIONS)("messages of FIX %s come back as they were written", (version) => {
  test("QuoteRequest", () => {
    const legs = [
      { symbol: "BTC-27DEC24-60000-C", exchange: "deribit", side: "buy", ratio: "1" },
      { symbol: "BTC-27DEC24-70000-C", exchange: undefined, side: "sell", ratio: "2" },
    ] as const;
    const request: QuoteRequest = {
      requestId: "R1",
      items: [
        { ...CALL, side: "buy", quantity: "10.5", validUntilUs: TIME_US, account: undefined, legs: [] },
        {
          ...{ symbol: "SPREAD", exchange: undefined, side: null, quantity: undefined },
          ...{ validUntilUs: Number.NaN, account: undefined, legs: version === "4.4" ? legs : [] },
        },
      ],
    };
    expect(
      readQuoteRequest(tree(version, MSG.quoteRequest, (b) => writeQuoteRequest(b, request, version))),
    ).toEqual(request);
  });

  test("Quote, of one side too", () => {
    const quote: Quote = {
      ...CALL,
      ...{ quoteId: "Q1", requestId: "R1", bidPx: "0.0500", bidSize: "10", validUntilUs: TIME_US },
      ...{ offerPx: undefined, offerSize: undefined },
    };
    expect(readQuote(tree(version, MSG.quote, (b) => writeQuote(b, quote, TIME_US)))).toEqual(quote);
  });

  test("the refusal of a QuoteRequest and the report on a quote, as far as the version has them", () => {
    const reject = { ...CALL, requestId: "R1", reason: 6, text: "not for you" };
    const refused = tree(version, quoteRequestRejectType(version), (b) =>
      writeQuoteRequestReject(b, reject, version),
    );
    expect(refused.text(version === "4.2" ? 300 : 658)).toBe(version === "4.2" ? "9" : "6");
    expect(refused.text(58)).toBe("not for you");
    const report = { ...CALL, quoteId: "Q1", requestId: "R1", responseId: undefined, status: 7, text: "" };
    const told = tree(version, quoteStatusReportType(version), (b) =>
      writeQuoteStatusReport(b, report, version, TIME_US),
    );
    expect(told.text(297)).toBe(version === "4.2" ? "5" : "7");
  });

  test("NewOrderSingle and OrderCancelReplaceRequest", () => {
    const order: Order = {
      ...CALL,
      ...{ clOrdId: "C1", origClOrdId: undefined, side: "sell", quantity: "2.5", price: "0.0510" },
      ...{ minQuantity: "1", timeInForce: "ioc", quoteId: "Q1", account: "A1" },
    };
    expect(readOrder(tree(version, MSG.newOrder, (b) => writeOrder(b, order, version, TIME_US)))).toEqual(
      order,
    );
    const replace: Order = {
      ...order,
      clOrdId: "C2",
      origClOrdId: "C1",
      price: undefined,
      quoteId: undefined,
    };
    expect(
      readOrder(tree(version, MSG.orderReplace, (b) => writeOrder(b, replace, version, TIME_US))),
    ).toEqual(replace);
  });

  test("OrderCancelRequest and OrderCancelReject", () => {
    const cancel = { ...CALL, clOrdId: "C3", origClOrdId: "C1", side: "sell", quantity: "2.5" } as const;
    expect(
      readOrderCancel(tree(version, MSG.orderCancel, (b) => writeOrderCancel(b, cancel, TIME_US))),
    ).toEqual(cancel);
    const reject = { orderId: "O1", clOrdId: "C3", origClOrdId: "C1" };
    const told = tree(version, MSG.cancelReject, (b) => writeCancelReject(b, reject, "2", false, "too late"));
    expect([told.text(434), told.text(58)]).toEqual(["1", "too late"]);
  });

  test("ExecutionReport, read as a fill when it is one", () => {
    const execution: Execution = {
      ...CALL,
      ...{ orderId: "O1", executionId: "E1", clOrdId: "C1", side: "buy", state: "trade", text: "" },
      ...{
        last: { price: "0.0500", quantity: "0.3" },
        leaves: "0",
        cumulative: "0.3",
        averagePrice: "0.0500",
      },
    };
    const instruments = instrumentTable();
    const write = (report: Execution) =>
      readFill(
        sent(version, MSG.executionReport, (b) => writeExecution(b, report, version, TIME_US)),
        instruments,
      );
    expect(write(execution)).toMatchObject({
      executionId: "E1",
      instrument: 1,
      side: 0,
      priceTicks: 100,
      sizeLots: 3,
    });
    for (const state of ["new", "cancelled", "replaced", "rejected", "expired"] as const) {
      expect(write({ ...execution, state, last: undefined })).toBeNull();
    }
  });

  test("MarketDataSnapshot, its increments and the refusal of a request", () => {
    const before = [
      { type: "bid", price: "0.0500", size: "10" },
      { type: "bid", price: "0.0495", size: "5" },
    ] as const;
    const after = [
      { type: "bid", price: "0.0500", size: "7" },
      { type: "offer", price: "0.0510", size: "3" },
    ] as const;
    const changes = levelChanges(before, after);
    expect(changes.map(({ action, price }) => `${action} ${price}`)).toEqual([
      ...["delete 0.0495", "change 0.0500", "new 0.0510"],
    ]);
    const whole = tree(version, MSG.marketDataSnapshot, (b) => writeSnapshot(b, "M1", CALL, before));
    expect(whole.group(268).map((entry) => entry.text(270))).toEqual(["0.0500", "0.0495"]);
    const parts = tree(version, MSG.marketDataIncremental, (b) => writeIncremental(b, "M1", CALL, changes));
    expect(parts.group(268).map((entry) => [entry.text(279), entry.text(55), entry.text(271)])).toEqual([
      ["2", CALL.symbol, undefined],
      ["1", CALL.symbol, "7"],
      ["0", CALL.symbol, "3"],
    ]);
    const reject = { requestId: "M1", reason: "4", text: "no" };
    expect(tree(version, MSG.marketDataReject, (b) => writeMarketDataReject(b, reject)).text(281)).toBe("4");
  });

  test("News, whose lines of the form name=value are signals", () => {
    const news = {
      ...{ headline: "Desk wire", originalUs: TIME_US },
      lines: ["Prices fall", "sentiment.btc = -0.35", "sentiment.eth=1e-2", "rate=none", "x=1e999"],
    };
    const read = readNews(tree(version, MSG.news, (b) => writeNews(b, news)));
    expect(read).toEqual(news);
    expect(newsSignals(news)).toEqual([
      { signal: "sentiment.btc", value: -0.35, ts: TIME_US / 1_000 },
      { signal: "sentiment.eth", value: 0.01, ts: TIME_US / 1_000 },
    ]);
  });
});

test("QuoteResponse, and mass cancellation with its report, come back as they were written (4.4)", () => {
  const response: QuoteResponse = {
    ...CALL,
    ...{
      responseId: "P1",
      quoteId: "Q1",
      kind: "hit",
      side: "buy",
      quantity: "10",
      price: "0.05",
      clOrdId: "C1",
    },
  } as const;
  expect(
    readQuoteResponse(tree("4.4", MSG.quoteResponse, (b) => writeQuoteResponse(b, response, TIME_US))),
  ).toEqual(response);
  for (const request of [
    { clOrdId: "C1", instrument: undefined },
    { clOrdId: "C2", instrument: CALL },
  ]) {
    expect(readMassCancel(tree("4.4", MSG.massCancel, (b) => writeMassCancel(b, request, TIME_US)))).toEqual(
      request,
    );
    const told = tree("4.4", MSG.massCancelReport, (b) => writeMassCancelReport(b, request, "O1", 3, ""));
    expect(told.text(533)).toBe("3");
    const refused = tree("4.4", MSG.massCancelReport, (b) =>
      writeMassCancelReport(b, request, "O1", null, "no"),
    );
    expect([refused.text(531), refused.text(532)]).toEqual(["0", "99"]);
  }
});

test.each([
  ["R|146=1|55=X", "QuoteReqID (131) is missing"],
  ["R|131=R1", "request R1: nothing is asked for (146)"],
  ["R|131=R1|146=1|55=X|54=7", "request R1: Side (54) 7 is neither 1 nor 2"],
  ["R|131=R1|146=1|55=X|38=ten", "request R1: OrderQty (38) is no number"],
  ["R|131=R1|146=1|55=X|555=1|600=L|623=1", "request R1: leg L: LegSide (624) is neither 1 nor 2"],
])("a QuoteRequest that cannot be understood says why: %s", (body, why) => {
  expect(readQuoteRequest(received(body))).toBe(why);
});

test.each([
  ["D|55=X", "ClOrdID (11) is missing"],
  ["D|11=1|55=X|54=1|38=-5|40=2|44=1", "order 1: OrderQty (38) is no positive number"],
  ["D|11=1|55=X|54=1|38=5|40=2", "order 1: a limit order without Price (44)"],
  ["D|11=1|55=X|54=1|38=5|40=1|59=6", "order 1: TimeInForce (59) 6 is not supported"],
])("an order that cannot be understood says why: %s", (body, why) => {
  expect(readOrder(received(body))).toBe(why);
});

test("a market data request says what is wrong with it in the protocol's own words", () => {
  expect(readMarketDataRequest(received("V|262=M|263=9|264=1"))).toMatchObject({
    requestId: "M",
    reason: "4",
  });
  expect(readMarketDataRequest(received("V|262=M|263=1|264=1|267=1|269=Q"))).toMatchObject({ reason: "8" });
  expect(readMarketDataRequest(received("V|262=M|263=1|264=1|267=1|269=0"))).toMatchObject({ reason: "0" });
});

test("nested groups end where a field of another place begins", () => {
  const unfolded = received(
    "i|117=Q|296=2|302=A|304=2|295=2|299=1|55=X|454=2|455=a|456=1|455=b|456=2|132=1|299=2|55=Y|302=B|304=1|295=1|299=3|58=t",
  );
  const sets = unfolded.group(296).map((set) => set.group(295).map((entry) => entry.text(299)));
  expect(sets).toEqual([["1", "2"], ["3"]]);
  const [first] = unfolded.group(296)[0]?.group(295) ?? [];
  expect(first?.group(454).map((id) => id.text(455))).toEqual(["a", "b"]);
  expect([first?.text(132), unfolded.text(58), unfolded.text(132)]).toEqual(["1", "t", undefined]);
});
