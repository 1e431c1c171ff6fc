/**
 * Answers requests for quotes: a deterministic state machine with time as a parameter. Channels (FIX, JSON) hand in what clients
 * say and carry out what comes back; prices, limits and positions are the desk's.
 *
 * An RFQ is `quoted`, may be countered and quoted anew, and ends `filled`, `rejected` at the last look, `expired`, `passed`, done
 * away or removed. Whatever cannot be trusted is not quoted.
 *
 * @module
 */
import { Answerer, type NoAnswer } from "./answer.ts";
import { Counterparty, type CounterpartyState } from "./counterparty.ts";
import { COUNTERPARTIES_MAX, type SavedCounterparty } from "./counterparty-store.ts";
import { newRfqCounters } from "./counters.ts";
import type { RfqMarket, RfqPort } from "./market.ts";
import { Markouts } from "./markouts.ts";
import type { RfqClient, RfqInput, RfqOrder, RfqRequest } from "./message.ts";
import { Negotiator } from "./negotiator.ts";
import { type OpenRfq, OpenRfqs } from "./open-rfq.ts";
import type { RfqParameters } from "./parameters.ts";
import { priceSteps, priceText } from "./structure.ts";
import { VenueQuotes } from "./venue-quotes.ts";

/** Clients beyond {@link COUNTERPARTIES_MAX} share one set of statistics. */
const OTHERS = "(others)";
/** RFQs whose legs are looked at with each timer tick, so that none is quoted on a market that is gone. */
const WATCHED_PER_TICK = 32;

export interface RfqDeskOptions {
  readonly parameters: RfqParameters;
  readonly market: RfqMarket;
  readonly port: RfqPort;
  /** What earlier runs have learnt of counterparties. */
  readonly known?: readonly SavedCounterparty[] | undefined;
}

export class RfqDesk {
  readonly counters = newRfqCounters();
  readonly #parameters: RfqParameters;
  readonly #port: RfqPort;
  readonly #answerer: Answerer;
  readonly #open = new OpenRfqs();
  readonly #counterparties = new Map<string, Counterparty>();
  readonly #markouts: Markouts;
  readonly #negotiator: Negotiator;
  readonly #venueQuotes: VenueQuotes;
  #number = 0;
  #watched = 0;
  #halted = "";

  constructor(options: RfqDeskOptions) {
    const { parameters, market, port } = options;
    this.#parameters = parameters;
    this.#port = port;
    for (const saved of options.known ?? []) {
      this.#counterparties.set(saved.name, new Counterparty(saved.name, parameters, saved));
    }
    this.#answerer = new Answerer(market, port, parameters);
    this.#markouts = new Markouts(parameters.markoutMs);
    const parts = {
      ...options,
      answerer: this.#answerer,
      open: this.#open,
      markouts: this.#markouts,
      counters: this.counters,
    };
    this.#negotiator = new Negotiator(parts);
    this.#venueQuotes = new VenueQuotes({ ...parts, negotiator: this.#negotiator });
  }

  /** Ids begin with this time, so that those of two runs differ. */
  start(timeUs: number): void {
    this.#negotiator.prefix = Math.floor(timeUs / 1_000)
      .toString(36)
      .toUpperCase();
  }

  /** RFQs that are alive. */
  get open(): number {
    return this.#open.size;
  }

  get missedMarkouts(): number {
    return this.#markouts.missed;
  }

  /** Changes with everything that is learnt of a counterparty. */
  get revision(): number {
    const { requests, quotes, trades } = this.counters;
    return requests + quotes + trades + this.#markouts.marked;
  }

  /** What the next run is to know of counterparties. */
  saved(): SavedCounterparty[] {
    return [...this.#counterparties.values()].map((counterparty) => counterparty.saved());
  }

  /** What is known of each counterparty, in the order in which they came. */
  counterparties(): CounterpartyState[] {
    return [...this.#counterparties.values()].map((counterparty) => counterparty.describe());
  }

  onInput(input: RfqInput, timeUs: number): void {
    switch (input.on) {
      case "request":
        this.#onRequest(input, timeUs);
        break;
      case "response":
        this.#negotiator.onResponse(input, timeUs);
        break;
      case "order":
        this.#onOrder(input, timeUs);
        break;
      case "fill":
        this.#venueQuotes.onFill(input, this.#counterparty(input), timeUs);
        break;
      case "withdraw":
        this.#withdraw(input, input.requestId, input.reason, timeUs);
        break;
    }
  }

  /** Decides hits that were held, ends what has run out, takes back what may not be quoted any more, marks trades out. */
  onTimer(timeUs: number): void {
    const open = this.#open.all();
    const holdUs = this.#parameters.lastLookMs * 1_000;
    for (const rfq of open) {
      if (rfq.held !== null) {
        if (timeUs - rfq.held.sinceUs >= holdUs) this.#negotiator.lastLook(rfq, rfq.held, timeUs);
      } else if (timeUs >= rfq.validUntilUs) {
        this.counters.expired += 1;
        rfq.counterparty.expired += 1;
        this.#negotiator.end(rfq, "expired", "the quote has run out", "", timeUs);
      }
    }
    for (let i = 0; i < Math.min(WATCHED_PER_TICK, open.length); i += 1) {
      this.#watched = (this.#watched + 1) % open.length;
      const rfq = open[this.#watched];
      if (rfq.held !== null || this.#open.ofQuote(rfq.quoteId) !== rfq) continue;
      if (rfq.channel === "deribit") {
        this.#venueQuotes.watch(rfq, timeUs);
        continue;
      }
      const obstacles = this.#answerer.obstacles(rfq.structure, timeUs);
      if (obstacles !== "") this.#negotiator.remove(rfq, "not quoted at the moment", obstacles, timeUs);
    }
    this.#markouts.onTimer(timeUs, (structure, tiedSteps) =>
      this.#answerer.fair(structure, tiedSteps, timeUs),
    );
  }

  /** Takes every quote back, refuses what is held, and answers nothing until {@link resume}. */
  halt(reason: string, timeUs: number): void {
    this.#halted = reason;
    for (const rfq of this.#open.all()) {
      if (rfq.held !== null)
        this.#negotiator.rejectHit(rfq, rfq.held, "no-market", Number.NaN, reason, timeUs);
      else this.#negotiator.remove(rfq, "not quoted at the moment", reason, timeUs);
    }
  }

  resume(): void {
    this.#halted = "";
  }

  #counterparty({ client }: RfqClient): Counterparty {
    const name =
      this.#counterparties.has(client) || this.#counterparties.size < COUNTERPARTIES_MAX ? client : OTHERS;
    const known = this.#counterparties.get(name);
    if (known !== undefined) return known;
    const counterparty = new Counterparty(name, this.#parameters);
    this.#counterparties.set(name, counterparty);
    return counterparty;
  }

  #onRequest(request: RfqRequest, timeUs: number): void {
    const counterparty = this.#counterparty(request);
    if (request.again !== true) {
      this.counters.requests += 1;
      counterparty.requests += 1;
    }
    const made = this.#quoteRequest(request, counterparty, timeUs);
    if (!("refused" in made)) return;
    if (request.again !== true) {
      this.counters.refused += 1;
      counterparty.refused += 1;
    }
    const { channel, client, requestId } = request;
    const { refused, text, cause } = made;
    this.#port.act({ do: "reject", channel, client, requestId, reason: refused, text, cause }, timeUs);
  }

  #quoteRequest(request: RfqRequest, counterparty: Counterparty, timeUs: number): OpenRfq | NoAnswer {
    const { channel, client, requestId, side, quantity, legs, tiedPrice, validUntilUs } = request;
    const parameters = this.#parameters;
    const busy = this.#busy(request, counterparty, timeUs);
    if (busy !== null) return busy;
    if (this.#open.ofRequest(request, requestId) !== undefined) {
      return { refused: "other", text: "a request of this id is alive", cause: "" };
    }
    const until = Math.min(validUntilUs ?? Number.POSITIVE_INFINITY, timeUs + parameters.quoteLifeMs * 1_000);
    if (until - timeUs < Math.min(parameters.leastLifeMs, parameters.quoteLifeMs) * 1_000) {
      return { refused: "too-late", text: "runs out too soon", cause: "" };
    }
    const structure = this.#answerer.resolve(legs, quantity);
    if ("refused" in structure) return structure;
    const tiedSteps = this.#answerer.tie(structure, tiedPrice, timeUs);
    if (typeof tiedSteps !== "number") return tiedSteps;
    const answer = this.#answerer.answer(structure, tiedSteps, side, counterparty, 0, timeUs);
    if ("refused" in answer) return answer;
    this.#number += 1;
    const rfq: OpenRfq = {
      ...{ channel, client, requestId, counterparty, side, legs, tiedSteps, structure, answer },
      again: request.again === true,
      number: this.#number,
      quoteId: `${this.#negotiator.prefix}-${this.#number}-1`,
      quotes: 0,
      counters: 0,
      askedUntilUs: validUntilUs ?? Number.POSITIVE_INFINITY,
      validUntilUs: until,
      held: null,
    };
    this.#open.add(rfq);
    this.#negotiator.sendQuote(rfq, null, timeUs);
    return rfq;
  }

  /** What is refused whatever is asked for. */
  #busy(client: RfqClient, counterparty: Counterparty, timeUs: number): NoAnswer | null {
    if (!counterparty.admit(timeUs)) return { refused: "other", text: "too many messages", cause: "rate" };
    if (this.#halted !== "")
      return { refused: "no-market", text: "not quoted at the moment", cause: this.#halted };
    if (
      this.#open.size >= this.#parameters.maxOpen ||
      counterparty.open >= this.#parameters.maxOpenPerClient
    ) {
      return { refused: "other", text: "too many requests are open", cause: `open of ${client.client}` };
    }
    return null;
  }

  #onOrder(order: RfqOrder, timeUs: number): void {
    this.counters.orders += 1;
    const { channel, client, orderId } = order;
    const counterparty = this.#counterparty(order);
    const refusal = this.#takeOrder(order, counterparty, timeUs);
    if (refusal === null) return;
    const { refused, text, cause } = refusal;
    this.#port.act({ do: "order-reject", channel, client, orderId, reason: refused, text, cause }, timeUs);
  }

  #takeOrder(order: RfqOrder, counterparty: Counterparty, timeUs: number): NoAnswer | null {
    const { channel, client, orderId, symbol, venue, side, quantity, limit } = order;
    const busy = this.#busy(order, counterparty, timeUs);
    if (busy !== null) return busy;
    const structure = this.#answerer.resolve([{ symbol, venue, side: "buy", ratio: "1" }], quantity);
    if ("refused" in structure) return structure;
    const limitSteps = priceSteps(limit, structure.grid);
    if (Number.isNaN(limitSteps))
      return { refused: "invalid-price", text: "limit is off the price grid", cause: "" };
    const answer = this.#answerer.answer(structure, Number.NaN, side, counterparty, 0, timeUs);
    if ("refused" in answer) return answer;
    counterparty.onQuote();
    const ours = side === "buy" ? answer.askSteps : answer.bidSteps;
    if (side === "buy" ? ours > limitSteps : ours < limitSteps) {
      return {
        refused: "invalid-price",
        text: `our price is ${priceText(structure, ours) ?? ""}`,
        cause: "",
      };
    }
    this.#number += 1;
    const half = side === "buy" ? answer.price.halfAsk : answer.price.halfBid;
    this.#negotiator.trade(
      {
        ...{ channel, client, counterparty, requestId: orderId, tiedSteps: Number.NaN },
        quoteId: `${this.#negotiator.prefix}-${this.#number}-1`,
      },
      { structure, side, responseId: null, orderId, sinceUs: timeUs },
      answer,
      half,
      0,
      timeUs,
    );
    return null;
  }

  #withdraw(client: RfqClient, requestId: string | null, reason: string, timeUs: number): void {
    for (const rfq of this.#open.all()) {
      if (rfq.client !== client.client || rfq.channel !== client.channel) continue;
      if (requestId !== null && rfq.requestId !== requestId) continue;
      if (rfq.held !== null) this.#negotiator.rejectHit(rfq, rfq.held, "session", Number.NaN, reason, timeUs);
      else this.#negotiator.remove(rfq, "withdrawn", reason, timeUs);
    }
  }
}
