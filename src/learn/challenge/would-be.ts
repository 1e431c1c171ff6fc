import type { ModelCard } from "../../inference/card.ts";
import type { QuoteParameters } from "../../quote/parameters.ts";
import { Adjustment, QuotePolicy } from "../../quote/policy.ts";
import { TERM } from "../../quote/term.ts";
import { type ObservedInstrument, QUOTED } from "../outcomes/observation.ts";
import { sentQuote } from "../outcomes/standing.ts";

const NOT_SENT = { mark: Number.NaN, model: "", basis: undefined } as const;

/**
 * What a model would have quoted: the champion's quote without its model's terms, with this model's. Base spread, skews and the time
 * of the quote stay the champion's; what a quote's minimum life or the calm after a prediction would have held back is not in it.
 */
export class WouldBeQuotes {
  readonly #policy: QuotePolicy;
  /** By underlying. */
  readonly #adjustments: Adjustment[] = [];

  constructor(parameters: QuoteParameters, heads: ModelCard["heads"]) {
    this.#policy = new QuotePolicy(parameters, heads);
  }

  onPrediction(underlying: number, probabilities: ArrayLike<number>, offset: number): void {
    this.#policy.decide(this.#of(underlying), probabilities, offset);
  }

  onStatus(underlying: number, cause: number): void {
    this.#policy.defend(this.#of(underlying), cause);
  }

  /** Writes the model's quote over the champion's, as `OBSERVED.quote` has it. */
  rewrite(values: Float64Array, about: ObservedInstrument, underlying: number): void {
    const adjustment = this.#of(underlying);
    const { ticks, lots, staticTicks, staticRatio } = sentQuote(values, about, NOT_SENT, 0);
    const forward = values[QUOTED.terms + TERM.forward];
    const delta = values[QUOTED.terms + TERM.delta];
    const unit = about.option && about.inverse ? forward : 1;
    const bp = (1e-4 * forward * Math.abs(delta)) / unit;
    const longBid = delta >= 0;
    const jump = (0.01 * values[QUOTED.terms + TERM.vega] * adjustment.volatilityPoints) / unit;
    const moveBid = bp * (longBid ? adjustment.widenLongBp : adjustment.widenShortBp);
    const moveAsk = bp * (longBid ? adjustment.widenShortBp : adjustment.widenLongBp);
    const cutBid = longBid ? adjustment.sizeLong : adjustment.sizeShort;
    const cutAsk = longBid ? adjustment.sizeShort : adjustment.sizeLong;
    const steps = (added: number): number => Math.ceil(Math.max(0, added) / about.tick - 1e-6);
    values[QUOTED.bidTicks] = ticks[0] < 0 ? values[QUOTED.bidTicks] : staticTicks[0] - steps(moveBid + jump);
    values[QUOTED.askTicks] = ticks[1] < 0 ? values[QUOTED.askTicks] : staticTicks[1] + steps(moveAsk + jump);
    values[QUOTED.bidLots] = ticks[0] < 0 ? 0 : lots[0] * staticRatio[0] * cutBid;
    values[QUOTED.askLots] = ticks[1] < 0 ? 0 : lots[1] * staticRatio[1] * cutAsk;
    values[QUOTED.widenBp] = adjustment.widenBp;
    values[QUOTED.sizeFactor] = adjustment.sizeFactor;
    values[QUOTED.reasons] = adjustment.reasons;
    values[QUOTED.terms + TERM.volatilityJump] = jump;
    values[QUOTED.terms + TERM.moveBid] = moveBid;
    values[QUOTED.terms + TERM.moveAsk] = moveAsk;
    values[QUOTED.terms + TERM.predictedBid] = cutBid;
    values[QUOTED.terms + TERM.predictedAsk] = cutAsk;
  }

  #of(underlying: number): Adjustment {
    let adjustment = this.#adjustments[underlying];
    if (adjustment === undefined) {
      adjustment = new Adjustment();
      this.#adjustments[underlying] = adjustment;
    }
    return adjustment;
  }
}
