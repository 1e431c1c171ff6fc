import { stepsToDecimal } from "../core/decimal.ts";
import type { Answer, Answerer } from "./answer.ts";
import type { LastLookReason } from "./counterparty.ts";
import type { RfqCounters } from "./counters.ts";
import { splitPrice } from "./leg-prices.ts";
import { look } from "./look.ts";
import type { RfqMarket, RfqPort } from "./market.ts";
import type { Markouts } from "./markouts.ts";
import type { ClientSide, RfqResponse, RfqStatusName } from "./message.ts";
import type { EndedQuote, HeldHit, OpenRfq, OpenRfqs } from "./open-rfq.ts";
import type { RfqParameters } from "./parameters.ts";
import { steps } from "./pricing.ts";
import { priceSteps, priceText, type Structure, sideOf, statedLegs } from "./structure.ts";
import { legPrices } from "./venue-quotes.ts";

/** What a status answers. */
type ResponseRef = Pick<HeldHit, "responseId" | "orderId">;

const NO_RESPONSE: ResponseRef = { responseId: null, orderId: null };

export interface NegotiatorOptions {
  readonly parameters: RfqParameters;
  readonly market: RfqMarket;
  readonly port: RfqPort;
  readonly answerer: Answerer;
  readonly open: OpenRfqs;
  readonly markouts: Markouts;
  readonly counters: RfqCounters;
}

/** What happens between an RFQ's first quote and its end: responses, last look, trade. */
export class Negotiator {
  readonly #parameters: RfqParameters;
  readonly #market: RfqMarket;
  readonly #port: RfqPort;
  readonly #answerer: Answerer;
  readonly #open: OpenRfqs;
  readonly #markouts: Markouts;
  readonly counters: RfqCounters;
  #trades = 0;
  /** Begins the ids of this run's quotes and trades. */
  prefix = "0";

  constructor(options: NegotiatorOptions) {
    this.#parameters = options.parameters;
    this.#market = options.market;
    this.#port = options.port;
    this.#answerer = options.answerer;
    this.#open = options.open;
    this.#markouts = options.markouts;
    this.counters = options.counters;
  }

  /** Hands out the quote in force. @param responseId the counter that it answers; null = the request */
  sendQuote(rfq: OpenRfq, responseId: string | null, timeUs: number): void {
    const { channel, client, requestId, quoteId, structure, answer, tiedSteps, validUntilUs } = rfq;
    rfq.quotes += 1;
    this.counters.quotes += 1;
    if (!rfq.again || responseId !== null) rfq.counterparty.onQuote();
    this.#port.act(
      {
        do: "quote",
        ...{ channel, client, requestId, quoteId, responseId },
        legs: statedLegs(structure, tiedSteps),
        bid: priceText(structure, answer.bidSteps),
        offer: priceText(structure, answer.askSteps),
        quantity: structure.quantity,
        validUntilUs,
        terms: answer.price.terms,
        ...(channel === "deribit" ? { legPrices: legPrices(rfq, this.#market.values.fair) } : {}),
      },
      timeUs,
    );
  }

  onResponse(response: RfqResponse, timeUs: number): void {
    const rfq = this.#open.ofQuote(response.quoteId);
    if (rfq === undefined || rfq.client !== response.client || rfq.channel !== response.channel) {
      this.#answerEnded(response, timeUs);
      return;
    }
    if (!rfq.counterparty.admit(timeUs)) {
      this.#status(rfq, response, "rejected", "too many messages", "rate", timeUs);
      return;
    }
    if (rfq.held !== null) {
      this.#status(rfq, response, "rejected", "a hit is being looked at", "", timeUs);
      return;
    }
    switch (response.kind) {
      case "hit":
        this.#onHit(rfq, response, timeUs);
        break;
      case "counter":
        this.#onCounter(rfq, response, timeUs);
        break;
      case "done-away":
      case "cover":
        this.counters.doneAway += 1;
        rfq.counterparty.doneAway += 1;
        this.#open.end(rfq, "removed", "done away");
        break;
      default:
        this.#open.end(
          rfq,
          "removed",
          response.kind === "pass" ? "the client passed" : "the client let it expire",
        );
        break;
    }
  }

  /** A response to a quote that is not alive is answered with how it ended; a repeated hit so learns of its trade. */
  #answerEnded(response: RfqResponse, timeUs: number): void {
    const ended = this.#open.ended(response.quoteId);
    const known = ended !== undefined && ended.client === response.client;
    const { channel, client, quoteId, responseId, orderId } = response;
    this.#port.act(
      {
        do: "status",
        ...{ channel, client, quoteId, responseId, orderId, requestId: "", cause: "" },
        status: known ? ended.status : "unknown",
        text: known ? ended.text : "no such quote",
      },
      timeUs,
    );
  }

  #onHit(rfq: OpenRfq, response: RfqResponse, timeUs: number): void {
    this.counters.hits += 1;
    if (timeUs >= rfq.validUntilUs) {
      this.counters.expired += 1;
      rfq.counterparty.expired += 1;
      this.end(rfq, "expired", "the quote has run out", "", timeUs, response);
      return;
    }
    const hit = this.#hit(rfq, response, timeUs);
    if (typeof hit === "string") {
      this.#status(rfq, response, "rejected", hit, "", timeUs);
      return;
    }
    if (this.#parameters.lastLookMs === 0) {
      this.lastLook(rfq, hit, timeUs);
      return;
    }
    rfq.held = hit;
    this.#status(rfq, response, "pending", "the hit is looked at", "", timeUs);
  }

  /** @returns in words what is wrong with a response that is no hit of the quote. */
  #hit(rfq: OpenRfq, response: RfqResponse, timeUs: number): HeldHit | string {
    const { responseId, orderId, price, quantity } = response;
    const { bidSteps, askSteps } = rfq.answer;
    const side = response.side ?? (Number.isNaN(bidSteps) ? "buy" : Number.isNaN(askSteps) ? "sell" : null);
    if (side === null) return "the side is missing";
    const quoted = side === "buy" ? askSteps : bidSteps;
    if (Number.isNaN(quoted)) return side === "buy" ? "no offer was quoted" : "no bid was quoted";
    if (price !== null && priceSteps(price, rfq.structure.grid) !== quoted)
      return "the price is not the quote's";
    const hit = { responseId, orderId, side, sinceUs: timeUs };
    if (quantity === null || quantity === rfq.structure.quantity) return { ...hit, structure: rfq.structure };
    const part = this.#answerer.resolve(rfq.legs, quantity);
    if ("refused" in part) return part.text;
    return part.units > rfq.structure.units ? "more than was quoted" : { ...hit, structure: part };
  }

  /**
   * Whether a hit is good: the legs may be traded now; the value, with what the prediction adds to it, has not moved against us
   * by more than the tolerance since the quote, nor, where the look is symmetric, in our favour; and the gate lets the trade pass.
   */
  lastLook(rfq: OpenRfq, hit: HeldHit, timeUs: number): void {
    const { answer, tiedSteps, counterparty } = rfq;
    const { structure, side } = hit;
    const now = this.#answerer.price(structure, tiedSteps, counterparty, timeUs);
    if ("refused" in now) {
      this.rejectHit(rfq, hit, "no-market", Number.NaN, now.cause, timeUs);
      return;
    }
    const { half, share, reason } = look(this.#parameters, answer, now, side);
    if (reason !== null) {
      this.rejectHit(rfq, hit, reason, share, `moved ${share.toFixed(3)} half-spreads`, timeUs);
      return;
    }
    const bidSteps = side === "sell" ? answer.bidSteps : Number.NaN;
    const askSteps = side === "buy" ? answer.askSteps : Number.NaN;
    const checked = this.#answerer.check(structure, tiedSteps, now, bidSteps, askSteps, timeUs);
    if ("refused" in checked) {
      this.rejectHit(rfq, hit, "limit", share, checked.cause, timeUs);
      return;
    }
    const heldUs = timeUs - hit.sinceUs;
    counterparty.onLastLook(null, heldUs, share);
    this.#open.end(rfq, "accepted", "traded");
    this.trade(rfq, hit, { ...checked, price: now }, half, heldUs, timeUs);
  }

  /** Refuses a hit; the RFQ ends with it. @param share move of the value against us, in half-spreads; NaN = not known */
  rejectHit(
    rfq: OpenRfq,
    hit: HeldHit,
    reason: LastLookReason,
    share: number,
    cause: string,
    timeUs: number,
  ): void {
    this.counters.lastLookRejects += 1;
    rfq.counterparty.onLastLook(reason, timeUs - hit.sinceUs, share);
    const text =
      reason === "moved-against-us" || reason === "moved-for-us"
        ? "the market has moved"
        : "not quoted at the moment";
    this.end(rfq, "rejected", text, `last look: ${reason}${cause === "" ? "" : `, ${cause}`}`, timeUs, hit);
  }

  /** Books a trade and tells the client. @param half half-spread earned */
  trade(
    rfq: Pick<OpenRfq, "channel" | "client" | "requestId" | "quoteId" | "counterparty" | "tiedSteps">,
    { structure, side, responseId, orderId }: HeldHit,
    answer: Answer,
    half: number,
    heldUs: number,
    timeUs: number,
  ): void {
    const { channel, client, requestId, quoteId, counterparty, tiedSteps } = rfq;
    const priceSteps = side === "buy" ? answer.askSteps : answer.bidSteps;
    const sign = side === "buy" ? 1 : -1;
    const { price } = answer;
    this.#trades += 1;
    this.counters.trades += 1;
    counterparty.onTrade(price.notional);
    const tradeId = `${this.prefix}-T${this.#trades}`;
    const ticks = splitPrice(structure, priceSteps, this.#market.values.fair);
    const priced = structure.members.map((member) => {
      const at = structure.priced.indexOf(member);
      return { ...member, ticks: at < 0 ? tiedSteps : ticks[at] };
    });
    const stated = statedLegs(structure, tiedSteps);
    this.#port.act(
      {
        do: "trade",
        ...{ channel, client, requestId, quoteId, responseId, orderId, tradeId, side, heldUs },
        price: priceText(structure, priceSteps) ?? "",
        quantity: structure.quantity,
        legs: priced.map(({ instrument, lots, ticks: legTicks }, leg) => ({
          ...stated[leg],
          side: sideOf(sign * lots),
          price: stepsToDecimal(legTicks, instrument.tick),
          quantity: stepsToDecimal(Math.abs(lots), instrument.lot),
        })),
      },
      timeUs,
    );
    const { fair } = price.terms;
    this.#markouts.add({ counterparty, structure, tiedSteps, sign, fair, half, timeUs });
    for (const [leg, { instrument, lots, ticks: legTicks }] of priced.entries()) {
      this.#port.fill(
        {
          tradeId: `${tradeId}-${leg + 1}`,
          structureId: answer.structureId,
          rfqQuoteId: quoteId,
          counterparty: counterparty.name,
          instrument: instrument.id,
          side: sign * lots > 0 ? 1 : 0,
          priceTicks: legTicks,
          lots: Math.abs(lots),
        },
        timeUs,
      );
    }
  }

  #onCounter(rfq: OpenRfq, response: RfqResponse, timeUs: number): void {
    this.counters.counters += 1;
    rfq.counterparty.counters += 1;
    rfq.counters += 1;
    const side = response.side ?? rfq.side;
    const wanted = response.price === null ? Number.NaN : priceSteps(response.price, rfq.structure.grid);
    if (side === null || Number.isNaN(wanted) || wanted % rfq.structure.multiple !== 0) {
      this.#status(rfq, response, "rejected", "a counter needs a side and a price on the grid", "", timeUs);
      return;
    }
    if (rfq.counters > this.#parameters.maxCounters) {
      this.end(rfq, "pass", "no further counter is answered", "", timeUs, response);
      return;
    }
    const structure =
      response.quantity === null ? rfq.structure : this.#answerer.resolve(rfq.legs, response.quantity);
    if ("refused" in structure) {
      this.#status(rfq, response, "rejected", structure.text, structure.cause, timeUs);
      return;
    }
    const { tiedSteps, counterparty } = rfq;
    const best = this.#answerer.answer(
      structure,
      tiedSteps,
      side,
      counterparty,
      this.#parameters.maxConcession,
      timeUs,
    );
    if ("refused" in best) {
      this.end(rfq, "removed", best.text, best.cause, timeUs, response);
      return;
    }
    rfq.structure = structure;
    rfq.answer = meet(structure, best, side, wanted);
    rfq.validUntilUs = Math.min(rfq.askedUntilUs, timeUs + this.#parameters.quoteLifeMs * 1_000);
    this.#open.renew(rfq, `${this.prefix}-${rfq.number}-${rfq.quotes + 1}`);
    this.sendQuote(rfq, response.responseId, timeUs);
  }

  /** Takes a quote back. */
  remove(rfq: OpenRfq, text: string, cause: string, timeUs: number): void {
    this.counters.removed += 1;
    this.end(rfq, "removed", text, cause, timeUs);
  }

  end(
    rfq: OpenRfq,
    status: EndedQuote["status"],
    text: string,
    cause: string,
    timeUs: number,
    answered: ResponseRef | null = null,
  ): void {
    this.#open.end(rfq, status, text);
    this.#status(rfq, answered, status, text, cause, timeUs);
  }

  #status(
    { channel, client, requestId, quoteId }: OpenRfq,
    answered: ResponseRef | null,
    status: RfqStatusName,
    text: string,
    cause: string,
    timeUs: number,
  ): void {
    const { responseId, orderId } = answered ?? NO_RESPONSE;
    this.#port.act(
      { do: "status", channel, client, requestId, quoteId, responseId, orderId, status, text, cause },
      timeUs,
    );
  }
}

/** The counter's price where it lies between our best and our plain price, else the nearer of the two. */
function meet(structure: Structure, best: Answer, side: ClientSide, wanted: number): Answer {
  const { terms, halfBid, halfAsk } = best.price;
  if (side === "buy") {
    const plain = steps(structure, terms.fair + terms.inventoryAsk + halfAsk, "ask");
    return { ...best, askSteps: Math.min(Math.max(wanted, best.askSteps), plain) };
  }
  const plain = steps(structure, terms.fair + terms.inventoryBid - halfBid, "bid");
  const least = Number.isNaN(plain) ? Number.NEGATIVE_INFINITY : plain;
  return { ...best, bidSteps: Math.max(Math.min(wanted, best.bidSteps), least) };
}
