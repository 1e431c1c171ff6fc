import { numberToSteps, stepToNumber } from "../core/decimal.ts";
import { reasonNames } from "../quote/quote-batch.ts";
import type { StructureQuote } from "../risk/order.ts";
import type { LimitName } from "../risk/refusal.ts";
import type { Counterparty } from "./counterparty.ts";
import type { RfqMarket, RfqPort } from "./market.ts";
import type { ClientSide, DecimalText, RequestedLeg, RfqRefusal } from "./message.ts";
import type { RfqParameters } from "./parameters.ts";
import { priceStructure, type StructurePrice, steps } from "./pricing.ts";
import { positiveDecimal, resolveStructure, type Structure } from "./structure.ts";

/** A leg in the underlying may be tied to a price this far from its value, as a share of it. */
const TIED_REACH = 0.02;

/** A price that may leave. */
export interface Answer {
  readonly structureId: number;
  readonly price: StructurePrice;
  /** NaN where the side is not quoted. */
  readonly bidSteps: number;
  readonly askSteps: number;
}

/** Why there is none. */
export interface NoAnswer {
  readonly refused: RfqRefusal;
  readonly text: string;
  readonly cause: string;
}

/** Limits that say that nothing may be traded now, rather than that this is too much. */
const CLOSED: ReadonlySet<LimitName> = new Set([
  "killed",
  "unreconciled",
  "feed",
  "stale",
  "protection",
  "unknownInstrument",
]);

const noMarket = (cause: string): NoAnswer => ({
  refused: "no-market",
  text: "not quoted at the moment",
  cause,
});

/** Makes prices that the risk gate lets through. */
export class Answerer {
  readonly #market: RfqMarket;
  readonly #port: RfqPort;
  readonly #parameters: RfqParameters;
  #structureId = 0;

  constructor(market: RfqMarket, port: RfqPort, parameters: RfqParameters) {
    this.#market = market;
    this.#port = port;
    this.#parameters = parameters;
  }

  /** Finds what is asked for, or says why that is none. */
  resolve(legs: readonly RequestedLeg[], quantity: DecimalText): Structure | NoAnswer {
    const { instruments } = this.#market;
    const underlyingOf = (instrument: number): number => this.#market.underlyingOf(instrument);
    const structure = resolveStructure(legs, quantity, instruments, underlyingOf, this.#parameters);
    return "refused" in structure ? { ...structure, cause: "" } : structure;
  }

  /** Brings a structure's values up to the time. @returns why it may not be traded now; empty when it may */
  obstacles({ members }: Structure, timeUs: number): string {
    let reasons = 0;
    for (const { instrument } of members) reasons |= this.#market.appraise(instrument.id, timeUs);
    return reasonNames(reasons).join(" ");
  }

  /** The structure's value now; NaN where it has none. */
  fair(structure: Structure, tiedSteps: number, timeUs: number): number {
    if (this.obstacles(structure, timeUs) !== "") return Number.NaN;
    const price = priceStructure(structure, tiedSteps, this.#market, this.#parameters, {
      tier: 2,
      factor: 1,
    });
    return price?.terms.fair ?? Number.NaN;
  }

  /**
   * Price of the tied leg in its ticks: as the client wants it, or at its value now.
   *
   * @returns NaN where the structure has no such leg
   */
  tie({ tied }: Structure, wanted: string | null, timeUs: number): number | NoAnswer {
    if (tied === null) return Number.NaN;
    const { instrument } = tied;
    const reasons = this.#market.appraise(instrument.id, timeUs);
    if (reasons !== 0) return noMarket(reasonNames(reasons).join(" "));
    const fair = this.#market.values.fair[instrument.id];
    const tick = stepToNumber(instrument.tick);
    if (wanted === null) return Math.round(fair / tick);
    const price = positiveDecimal(wanted);
    const ticks = numberToSteps(price, instrument.tick);
    if (Number.isNaN(ticks) || !(Math.abs(price / fair - 1) <= TIED_REACH)) {
      return {
        refused: "invalid-price",
        text: `${instrument.symbol} cannot be traded at ${wanted}`,
        cause: "",
      };
    }
    return ticks;
  }

  /** Prices a structure now, without asking the gate. */
  price(
    structure: Structure,
    tiedSteps: number,
    counterparty: Counterparty,
    timeUs: number,
  ): StructurePrice | NoAnswer {
    const obstacles = this.obstacles(structure, timeUs);
    if (obstacles !== "") return noMarket(obstacles);
    const { terms } = counterparty;
    return priceStructure(structure, tiedSteps, this.#market, this.#parameters, terms) ?? noMarket("noFair");
  }

  /**
   * Prices a structure and has the price checked.
   *
   * @param side the client's; null = both
   * @param concession share of the half-spread that is given up
   */
  answer(
    structure: Structure,
    tiedSteps: number,
    side: ClientSide | null,
    counterparty: Counterparty,
    concession: number,
    timeUs: number,
  ): Answer | NoAnswer {
    const price = this.price(structure, tiedSteps, counterparty, timeUs);
    if ("refused" in price) return price;
    const { terms, halfBid, halfAsk, notional } = price;
    if (!(notional <= counterparty.maxNotional)) {
      return {
        refused: "exceeds-limit",
        text: "larger than we quote",
        cause: `notional of tier ${terms.tier}`,
      };
    }
    const kept = 1 - concession;
    const bid = terms.fair + terms.inventoryBid - kept * halfBid;
    const ask = terms.fair + terms.inventoryAsk + kept * halfAsk;
    const bidSteps = side === "buy" ? Number.NaN : steps(structure, bid, "bid");
    const askSteps = side === "sell" ? Number.NaN : steps(structure, ask, "ask");
    return this.check(structure, tiedSteps, price, bidSteps, askSteps, timeUs);
  }

  /** Has sides at given prices checked by the gate. */
  check(
    structure: Structure,
    tiedSteps: number,
    price: StructurePrice,
    bidSteps: number,
    askSteps: number,
    timeUs: number,
  ): Answer | NoAnswer {
    if (Number.isNaN(bidSteps) && Number.isNaN(askSteps)) return noMarket("a price at or below nothing");
    this.#structureId += 1;
    const quote = this.#quote(this.#structureId, structure, tiedSteps, bidSteps, askSteps);
    const checked = this.#port.check(quote, timeUs);
    if (typeof checked === "string") {
      return CLOSED.has(checked)
        ? noMarket(`limit:${checked}`)
        : { refused: "exceeds-limit", text: "larger than we can take on", cause: `limit:${checked}` };
    }
    return {
      structureId: this.#structureId,
      price,
      bidSteps: checked.bid === null ? Number.NaN : bidSteps,
      askSteps: checked.ask === null ? Number.NaN : askSteps,
    };
  }

  /** The limit that an answer breaks now which stands at a venue; empty when it may stand. */
  broken(structure: Structure, tiedSteps: number, answer: Answer, timeUs: number): string {
    const { structureId, bidSteps, askSteps } = answer;
    return (
      this.#port.standing(this.#quote(structureId, structure, tiedSteps, bidSteps, askSteps), timeUs) ?? ""
    );
  }

  #quote(
    structureId: number,
    structure: Structure,
    tiedSteps: number,
    bidSteps: number,
    askSteps: number,
  ): StructureQuote {
    const scale = Math.abs(structure.priced[0].lots / structure.parts / structure.priced[0].ratio);
    const step = stepToNumber(structure.grid) * scale;
    const { tied, parts } = structure;
    const beside = tied === null ? 0 : (tied.lots / parts) * tiedSteps * stepToNumber(tied.instrument.tick);
    const { fair, delta, vega } = this.#market.values;
    return {
      structureId,
      legs: structure.members.map(({ instrument: { id }, lots }) => ({
        instrument: id,
        ratio: lots / parts,
        fair: fair[id],
        delta: delta[id],
        vega: vega[id],
      })),
      lots: parts,
      bid: Number.isNaN(bidSteps) ? null : bidSteps * step + beside,
      ask: Number.isNaN(askSteps) ? null : askSteps * step + beside,
    };
  }
}
