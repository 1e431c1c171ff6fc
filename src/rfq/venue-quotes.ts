import { decimalToSteps, stepsToDecimal } from "../core/decimal.ts";
import type { Answerer } from "./answer.ts";
import type { Counterparty } from "./counterparty.ts";
import type { RfqCounters } from "./counters.ts";
import { splitPrice } from "./leg-prices.ts";
import { look } from "./look.ts";
import type { RfqPort } from "./market.ts";
import type { Markouts } from "./markouts.ts";
import type { ClientSide, RfqQuote, RfqVenueFill } from "./message.ts";
import type { Negotiator } from "./negotiator.ts";
import type { OpenRfq, OpenRfqs } from "./open-rfq.ts";
import type { RfqParameters } from "./parameters.ts";
import type { Structure } from "./structure.ts";

export interface VenueQuotesOptions {
  readonly parameters: RfqParameters;
  readonly port: RfqPort;
  readonly answerer: Answerer;
  readonly negotiator: Negotiator;
  readonly open: OpenRfqs;
  readonly markouts: Markouts;
  readonly counters: RfqCounters;
}

/**
 * Quotes that stand at a venue, which trades with them without asking again. In place of a last look they are looked at all the
 * time: what it would refuse is taken back before it is hit.
 */
export class VenueQuotes {
  readonly #options: VenueQuotesOptions;

  constructor(options: VenueQuotesOptions) {
    this.#options = options;
  }

  /** Takes a quote back that is no longer good, or that breaks a limit by now. */
  watch(rfq: OpenRfq, timeUs: number): void {
    const { parameters, answerer, negotiator } = this.#options;
    const { structure, answer, tiedSteps, counterparty } = rfq;
    const now = answerer.price(structure, tiedSteps, counterparty, timeUs);
    if ("refused" in now) {
      negotiator.remove(rfq, "not quoted at the moment", now.cause, timeUs);
      return;
    }
    for (const side of ["buy", "sell"] as const) {
      if (Number.isNaN(side === "buy" ? answer.askSteps : answer.bidSteps)) continue;
      const { share, reason } = look(parameters, answer, now, side);
      if (reason === null) continue;
      negotiator.remove(rfq, "the market has moved", `${reason} by ${share.toFixed(3)} half-spreads`, timeUs);
      return;
    }
    const limit = answerer.broken(structure, tiedSteps, answer, timeUs);
    if (limit !== "") negotiator.remove(rfq, "not quoted at the moment", `limit:${limit}`, timeUs);
  }

  /**
   * A venue has traded with a quote. The trade counts for the client's tier and is marked out, from the half-spread that was
   * quoted; of a quote that has ended meanwhile, from the one that it would be quoted with now.
   */
  onFill(fill: RfqVenueFill, counterparty: Counterparty, timeUs: number): void {
    const { answerer, open, markouts, counters, port } = this.#options;
    const { channel, client, requestId, quoteId, tradeId, side, price, quantity, legs } = fill;
    const rfq = open.ofRequest(fill, requestId);
    if (rfq !== undefined) open.end(rfq, "accepted", "traded");
    counters.trades += 1;
    port.act(
      {
        do: "trade",
        ...{ channel, client, requestId, quoteId, tradeId, side, price, quantity, legs },
        ...{ responseId: null, orderId: null, heldUs: 0 },
      },
      timeUs,
    );
    const structure = answerer.resolve(askedLegs(fill), quantity);
    const tied = legs.find(({ tiedPrice }) => tiedPrice !== null)?.tiedPrice ?? null;
    if ("refused" in structure) {
      counterparty.onTrade(0);
      markouts.missed += 1;
      return;
    }
    const tiedSteps =
      structure.tied === null || tied === null
        ? Number.NaN
        : decimalToSteps(tied, structure.tied.instrument.tick);
    const now = answerer.price(structure, tiedSteps, counterparty, timeUs);
    if ("refused" in now) {
      counterparty.onTrade(0);
      markouts.missed += 1;
      return;
    }
    counterparty.onTrade(now.notional);
    const { halfAsk, halfBid } = rfq?.answer.price ?? now;
    const half = side === "buy" ? halfAsk : halfBid;
    const sign = side === "buy" ? 1 : -1;
    markouts.add({ counterparty, structure, tiedSteps, sign, fair: now.terms.fair, half, timeUs });
  }
}

/** The legs as they were asked for, with the sides of buying the structure. */
function askedLegs({ side, legs }: RfqVenueFill) {
  return legs.map(({ symbol, venue, side: traded, ratio }) => {
    const bought: ClientSide = (side === "sell") === (traded === "sell") ? "buy" : "sell";
    return { symbol, venue, side: bought, ratio };
  });
}

/** Prices of a quote's legs, which add up to its sides exactly; null for a side that no prices above nothing make up. */
export function legPrices(
  {
    structure,
    answer,
    tiedSteps,
  }: { readonly structure: Structure; readonly answer: OpenRfq["answer"]; readonly tiedSteps: number },
  fair: ArrayLike<number>,
): NonNullable<RfqQuote["legPrices"]> {
  const side = (priceSteps: number): string[] | null => {
    if (Number.isNaN(priceSteps)) return null;
    const ticks = splitPrice(structure, priceSteps, fair);
    if (ticks.some((legTicks) => legTicks < 1)) return null;
    return structure.members.map((member) => {
      const at = structure.priced.indexOf(member);
      return stepsToDecimal(at < 0 ? tiedSteps : ticks[at], member.instrument.tick);
    });
  };
  return { bid: side(answer.bidSteps), offer: side(answer.askSteps) };
}
