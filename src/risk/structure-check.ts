import { type GateState, PASSED } from "./gate-state.ts";
import type { StructureQuote } from "./order.ts";
import { structureLimit } from "./order-check.ts";
import { LIMIT, LIMITS, type LimitName } from "./refusal.ts";

/** Holds answers to requests for quotes against the limits. */
export class StructureCheck {
  readonly #state: GateState;
  #lastStructureId = 0;

  constructor(state: GateState) {
    this.#state = state;
  }

  /** @returns the answer with the sides that may leave, or the limit that the last of them broke */
  check(quote: StructureQuote, timeUs: number): StructureQuote | LimitName {
    const state = this.#state;
    if (!(quote.structureId > this.#lastStructureId)) return state.refuse(LIMIT.duplicate, timeUs);
    this.#lastStructureId = quote.structureId;
    if (quote.legs.length === 0) return state.refuse(LIMIT.malformed, timeUs);
    if (quote.bid !== null && quote.ask !== null && !(quote.bid < quote.ask)) {
      return state.refuse(LIMIT.selfCross, timeUs);
    }
    let { bid, ask } = quote;
    let broken: LimitName = "malformed";
    const bidLimit = bid === null ? PASSED : structureLimit(state, quote, 0, bid, timeUs);
    if (bidLimit !== PASSED) {
      bid = null;
      broken = state.refuse(bidLimit, timeUs);
    }
    const askLimit = ask === null ? PASSED : structureLimit(state, quote, 1, ask, timeUs);
    if (askLimit !== PASSED) {
      ask = null;
      broken = state.refuse(askLimit, timeUs);
    }
    if (bid === null && ask === null) return broken;
    if (!state.messages.take(timeUs)) return state.refuse(LIMIT.messageRate, timeUs);
    return { ...quote, bid, ask };
  }

  /** Looks at an answer that stands. Nothing is counted. @returns the first limit that a side breaks now, or null */
  standing(quote: StructureQuote, timeUs: number): LimitName | null {
    for (const [side, price] of [quote.bid, quote.ask].entries()) {
      if (price === null) continue;
      const limit = structureLimit(this.#state, quote, side === 0 ? 0 : 1, price, timeUs);
      if (limit !== PASSED) return LIMITS[limit] ?? "malformed";
    }
    return null;
  }
}
