import { afterEach, describe, expect, test } from "bun:test";
import fc from "fast-check";
import { systemClock } from "../../../src/core/clock.ts";
import type { RfqInput, RfqQuote } from "../../../src/rfq/message.ts";
import type { BlockQuote } from "../../../src/sim/deribit-trading/block-rfq.ts";
import { SIMULATED_KEY } from "../../../src/sim/deribit-venue.ts";
import { Bed, until } from "./deribit-bed.ts";

const TAKER = { id: "taker", secret: "takes" } as const;
const TERMS = {
  ...{
    fair: 0,
    delta: 0,
    vega: 0,
    base: 0,
    moveBid: 0,
    moveAsk: 0,
    volatility: 0,
    impactBid: 0,
    impactAsk: 0,
  },
  ...{ inventoryBid: 0, inventoryAsk: 0, tier: 2, tierFactor: 1, reasons: 1 },
};

let bed: BlockBed | null = null;
afterEach(async () => {
  await bed?.stop();
  bed = null;
});

/** A gateway whose desk quotes each request at given prices, or not at all. */
class BlockBed extends Bed {
  readonly inputs: RfqInput[] = [];
  bid = 0.0295;
  offer = 0.0305;
  quoting = true;
  lifeMs = 60_000;
  #quotes = 0;
  readonly #ticks: ReturnType<typeof setInterval>;

  constructor() {
    super(
      { onRfq: (input) => this.#onInput(input), timeoutMs: 1_500, budget: WIDE },
      { clients: [SIMULATED_KEY, TAKER] },
    );
    this.trading.blockRfqs.graceMs = 0;
    this.#ticks = setInterval(() => this.room.onTimer(systemClock.wallUs()), 5);
  }

  get room() {
    const { blockRfqs } = this.gateway;
    if (blockRfqs === null) throw new Error("block RFQs are answered");
    return blockRfqs;
  }

  get open(): BlockQuote[] {
    return this.trading.blockRfqs.open(this.account);
  }

  override async stop(): Promise<void> {
    clearInterval(this.#ticks);
    await super.stop();
  }

  asked(method: string): number {
    return this.trading.requests.get(`private/${method}`) ?? 0;
  }

  request(amount = 10): number {
    const symbol = this.option().symbol;
    return this.#taker("create_block_rfq", {
      legs: [{ instrument_name: symbol, direction: "buy", amount }],
    }).block_rfq_id as number;
  }

  accept(id: number, amount = 10): void {
    this.#taker("accept_block_rfq", { block_rfq_id: id, direction: "buy", amount, price: 1 });
  }

  giveUp(id: number): void {
    this.#taker("cancel_block_rfq", { block_rfq_id: id });
  }

  /** The desk takes the quote back; it is asked again with the next timer. */
  takeBack(id: number): void {
    const timeUs = systemClock.wallUs();
    const client = { channel: "deribit", client: "TAKER", requestId: `block-${id}` } as const;
    const about = { responseId: null, orderId: null, text: "", cause: "" };
    const quoteId = `Q${this.#quotes}`;
    this.room.onAnswer({ do: "status", ...client, ...about, quoteId, status: "removed" }, timeUs);
  }

  #onInput(input: RfqInput): void {
    this.inputs.push(input);
    if (input.on !== "request") return;
    const { channel, client, requestId, quantity } = input;
    const timeUs = systemClock.wallUs();
    if (!this.quoting) {
      const about = { reason: "no-market", text: "", cause: "" } as const;
      this.room.onAnswer({ do: "reject", channel, client, requestId, ...about }, timeUs);
      return;
    }
    this.#quotes += 1;
    const [bid, offer] = [String(this.bid), String(this.offer)];
    const quote: RfqQuote = {
      ...{ do: "quote", channel, client, requestId, quoteId: `Q${this.#quotes}`, responseId: null },
      ...{ legs: [], bid, offer, quantity, validUntilUs: timeUs + this.lifeMs * 1_000, terms: TERMS },
      legPrices: { bid: [bid], offer: [offer] },
    };
    this.room.onAnswer(quote, timeUs);
  }

  #taker(method: string, params: object): Record<string, unknown> {
    const taker = this.trading.accounts.get(TAKER.id);
    if (taker === undefined) throw new Error("the simulated venue has the taker");
    const answer = this.trading.blockRfqs.call(taker, `private/${method}`, { ...params });
    if (answer === null || !("result" in answer)) throw new Error(JSON.stringify(answer));
    return answer.result as Record<string, unknown>;
  }
}

const WIDE = {
  trading: { burst: 100, perSecond: 100 },
  massQuotes: { burst: 10, perSecond: 10 },
  quotes: { burst: 500, perSecond: 500 },
};

async function started(): Promise<BlockBed> {
  bed = new BlockBed();
  await bed.start();
  return bed;
}

describe("a block RFQ", () => {
  test("is quoted on both sides with an end, and the trade comes back with its legs", async () => {
    const desk = await started();
    const { room } = desk;
    const id = desk.request();
    await until(() => desk.open.length === 2);
    expect(desk.open.every(({ expiresMs }) => Number.isFinite(expiresMs))).toBe(true);
    expect(desk.inputs[0]).toMatchObject({ on: "request", client: "TAKER", quantity: "10.0", side: null });
    desk.accept(id);
    await until(() => room.counters.fills === 1);
    const fill = desk.inputs.find(({ on }) => on === "fill");
    expect(fill).toMatchObject({ side: "buy", price: "0.0305", quantity: "10.0", legs: [{ side: "buy" }] });
    expect(desk.heard.executions).toMatchObject([
      {
        side: 1,
        sizeLots: 100,
        priceTicks: 305,
        detail: { counterparty: "TAKER", structureId: id, rfqQuoteId: expect.any(String) },
      },
    ]);
    expect(desk.open).toEqual([]);
  });

  test("another price is an edit of what stands", async () => {
    const desk = await started();
    const id = desk.request();
    await until(() => desk.open.length === 2);
    const ids = desk.open.map((quote) => quote.id);
    desk.offer = 0.031;
    desk.takeBack(id);
    await until(() => desk.open.some(({ side, terms }) => side === 1 && terms.ticks[0] === 310));
    expect(desk.open.map((quote) => quote.id)).toEqual(ids);
    expect(desk.inputs.at(-1)).toMatchObject({ on: "request", again: true });
  });

  test("an answer that is lost: the venue is asked by label, what stands is taken away and quoted anew", async () => {
    const desk = await started();
    desk.trading.rehearsals.push({ method: "private/add_block_rfq_quote", left: 1, code: null });
    desk.request();
    await until(() => desk.room.counters.unknownOutcomes === 1);
    await until(() => desk.open.length === 2 && desk.room.standing === 2);
    expect(desk.asked("get_block_rfq_quotes")).toBeGreaterThanOrEqual(2);
    expect(desk.asked("cancel_block_rfq_quote")).toBe(1);
    expect(desk.problems.join("\n")).toContain("the venue is asked");
  });

  test("what the venue cannot take now goes out later, what it refuses does not", async () => {
    const desk = await started();
    desk.trading.rehearsals.push({ method: "private/add_block_rfq_quote", left: 1, code: 10_047 });
    const id = desk.request();
    await until(() => desk.open.length === 2);
    desk.giveUp(id);
    desk.trading.rehearsals.push({ method: "private/add_block_rfq_quote", left: 1, code: 13_917 });
    const before = desk.asked("add_block_rfq_quote");
    desk.request();
    await until(() => desk.room.counters.quotesRefused === 1 && desk.open.length === 1);
    await Bun.sleep(100);
    expect(desk.asked("add_block_rfq_quote")).toBe(before + 2);
    expect(desk.problems.join("\n")).toContain("13917");
  });

  test("that the desk does not want now is asked for again later, and ends when the taker gives up", async () => {
    const desk = await started();
    desk.quoting = false;
    const id = desk.request();
    await until(() => desk.inputs.length === 1);
    desk.quoting = true;
    await until(() => desk.open.length === 2, "a quote after a second");
    desk.giveUp(id);
    await until(() => desk.inputs.at(-1)?.on === "withdraw", "its end");
    expect(desk.room.open).toBe(0);
  });

  test("the venue's protection takes the quotes away, and nothing is sent while it lasts", async () => {
    const desk = await started();
    const big = desk.request(60);
    const other = desk.request();
    await until(() => desk.open.length === 4);
    desk.accept(big, 60);
    await until(() => desk.room.counters.mmpTriggers === 1 && desk.open.length === 0);
    const adds = desk.asked("add_block_rfq_quote");
    desk.takeBack(other);
    await Bun.sleep(50);
    expect(desk.asked("add_block_rfq_quote")).toBe(adds);
    expect(desk.heard.frozen).toEqual([]);
  });

  test("a break withdraws, and the next session begins with nothing and quotes what is still open", async () => {
    const desk = await started();
    const id = desk.request();
    await until(() => desk.open.length === 2);
    const before = desk.open.map((quote) => quote.id);
    desk.gateway.client.cut("rehearsal", systemClock.wallUs());
    expect(desk.inputs.at(-1)).toMatchObject({ on: "withdraw", requestId: `block-${id}` });
    await until(() => desk.gateway.ready && desk.open.length === 2);
    await until(() => desk.open.every((quote) => !before.includes(quote.id)));
  });

  test("a cancellation of everything that stays unanswered cuts the connection", async () => {
    const desk = await started();
    desk.request();
    await until(() => desk.open.length === 2);
    desk.trading.rehearsals.push({ method: "private/cancel_all_block_rfq_quotes", left: 1, code: null });
    const { ups } = desk.heard;
    desk.room.onCancelAll(systemClock.wallUs());
    await until(() => desk.heard.ups > ups, "another session");
    expect(desk.problems.concat(desk.heard.downs).join("\n")).toContain("not sure that block RFQ quotes");
  });

  test("whatever the venue sends on its channels is answered or counted", async () => {
    const { room } = await started();
    const channel = fc.constantFrom(
      "block_rfq.maker.BTC",
      "block_rfq.maker.quotes.BTC",
      "block_rfq.trades.BTC",
    );
    const record = fc.record(
      {
        ...{
          block_rfq_id: fc.oneof(fc.integer(), fc.string()),
          state: fc.constantFrom("open", "filled", "x"),
        },
        ...{ amount: fc.double(), expiration_timestamp: fc.double(), direction: fc.string() },
        legs: fc.array(
          fc.record({ instrument_name: fc.string(), direction: fc.string(), ratio: fc.anything() }),
        ),
        hedge: fc.anything(),
        ...{ taker: fc.string(), trades: fc.anything(), quote_state: fc.string() },
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(channel, fc.oneof(record, fc.array(record), fc.anything()), (name, data) => {
        expect(room.onNotification(name, data, systemClock.wallUs())).toBe(true);
      }),
      { numRuns: 500 },
    );
    expect(room.counters.unreadable).toBeGreaterThan(100);
  });
});
