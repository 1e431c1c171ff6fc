import { HEADS, type HeadName, type ModelCard } from "../inference/card.ts";
import type { QuoteParameters } from "./parameters.ts";
import { REASON } from "./quote-batch.ts";

/** Widening and size are rounded to these, so that the noise of 32-bit probabilities moves no quote. */
const WIDEN_GRID_PER_BP = 1_000;
const SIZE_GRID = 10_000;

/**
 * What the prediction does to a quote. The long side is the one that makes us longer the underlying when it is hit: the bid
 * where delta is positive, the ask where it is negative.
 */
export class Adjustment {
  /** Added to the half-spread of each side, in bp of the underlying's price per unit of |delta|. */
  widenLongBp = 0;
  widenShortBp = 0;
  /** Jump of implied volatility priced in, in volatility points; times vega it is added to both half-spreads. */
  volatilityPoints = 0;
  /** Factors on the size of each side, in [0, 1]. */
  sizeLong = 1;
  sizeShort = 1;
  /** {@link REASON} bits. */
  reasons = 0;

  /** The wider of the two sides. */
  get widenBp(): number {
    return Math.max(this.widenLongBp, this.widenShortBp);
  }

  /** The smaller of the two sides. */
  get sizeFactor(): number {
    return Math.min(this.sizeLong, this.sizeShort);
  }

  setNeutral(): void {
    this.set(0, 0, 0, 1, 1, 0);
  }

  copy(from: Adjustment): void {
    this.set(
      from.widenLongBp,
      from.widenShortBp,
      from.volatilityPoints,
      from.sizeLong,
      from.sizeShort,
      from.reasons,
    );
  }

  /** Takes over whatever of another one widens or cuts more, side by side, and its reasons. */
  widen(to: Adjustment): void {
    this.set(
      Math.max(this.widenLongBp, to.widenLongBp),
      Math.max(this.widenShortBp, to.widenShortBp),
      Math.max(this.volatilityPoints, to.volatilityPoints),
      Math.min(this.sizeLong, to.sizeLong),
      Math.min(this.sizeShort, to.sizeShort),
      this.reasons | to.reasons,
    );
  }

  set(
    widenLongBp: number,
    widenShortBp: number,
    volatilityPoints: number,
    sizeLong: number,
    sizeShort: number,
    reasons: number,
  ): void {
    this.widenLongBp = widenLongBp;
    this.widenShortBp = widenShortBp;
    this.volatilityPoints = volatilityPoints;
    this.sizeLong = sizeLong;
    this.sizeShort = sizeShort;
    this.reasons = reasons;
  }
}

/**
 * How excited a probability is: 0 up to the neutral one, then linear to 1 at certainty. Continuous and monotone, so a
 * probability that wobbles moves the quote little.
 */
export function severity(probability: number, neutral: number): number {
  return probability <= neutral ? 0 : Math.min((probability - neutral) / (1 - neutral), 1);
}

/**
 * Turns a model's probabilities into what is added to half-spreads and taken off sizes.
 *
 * Half-spread: E[adverse move] = severity(P(move)) × move, the worst over the heads of that direction, plus the certain
 * spike's move × severity(P(spike)), bounded by `maxWidenBp`. The move is the larger of `adverseMoveBp` and the model's own
 * mean move (its card's `meanMoveBp`), scaled by `horizonMs` / the head's horizon where that is longer, because a slower move
 * leaves time to requote. E[volatility jump] = severity(P(spike)) × `spikeVol`. Size: 1 − `maxSizeCut` × severity(P(withdrawal)).
 * A fall threatens the side that buys the underlying and a withdrawal of bids threatens its exit; the other side gets
 * `safeSideShare` of it.
 *
 * With the default parameters P(down, 50 ms) = 0.70 and P(20 % of the bids withdrawn) = 0.60 give + 15 bp and − 30 % size.
 */
export class QuotePolicy {
  readonly #parameters: QuoteParameters;
  /** Column of each head in the model's output; −1 where the model has no such head. */
  readonly #column = new Int32Array(HEADS.length).fill(-1);
  readonly #moveBp = new Float64Array(HEADS.length);

  /** @param heads the heads of the model's card, in output order; without them all of {@link HEADS}, in that order */
  constructor(parameters: QuoteParameters, heads?: ModelCard["heads"]) {
    this.#parameters = parameters;
    for (const [index, name] of HEADS.entries()) {
      const column = heads === undefined ? index : heads.findIndex((head) => head.name === name);
      const head = heads?.[column];
      const horizonMs = head?.horizonMs ?? DEFAULT_HORIZON_MS[name];
      this.#column[index] = column;
      this.#moveBp[index] =
        Math.max(parameters.adverseMoveBp, head?.meanMoveBp ?? 0) *
        Math.min(1, parameters.horizonMs / horizonMs);
    }
  }

  /**
   * @param out receives the adjustment
   * @param probabilities calibrated probabilities, one per head of the model, from `offset` on; one that is not in [0, 1]
   * (a NaN too) makes the prediction unsound, which is answered like a model that is not trusted
   */
  decide(out: Adjustment, probabilities: ArrayLike<number>, offset: number): void {
    const down50 = this.#probability(probabilities, offset, 0);
    const down100 = this.#probability(probabilities, offset, 1);
    const up50 = this.#probability(probabilities, offset, 2);
    const up100 = this.#probability(probabilities, offset, 3);
    const bidWithdraw = this.#probability(probabilities, offset, 4);
    const askWithdraw = this.#probability(probabilities, offset, 5);
    const spike = this.#probability(probabilities, offset, 6);
    if (Number.isNaN(down50 + down100 + up50 + up100 + bidWithdraw + askWithdraw + spike)) {
      this.defend(out, REASON.inputUnsound);
      return;
    }
    const parameters = this.#parameters;
    const moves = this.#moveBp;
    const neutral = parameters.neutralMove;
    const down = Math.max(severity(down50, neutral) * moves[0], severity(down100, neutral) * moves[1]);
    const up = Math.max(severity(up50, neutral) * moves[2], severity(up100, neutral) * moves[3]);
    const excitement = severity(spike, parameters.neutralVolatility);
    const spikeBp = excitement * parameters.spikeMoveBp;
    const safe = parameters.safeSideShare;
    const cutLong = severity(bidWithdraw, parameters.neutralWithdrawal);
    const cutShort = severity(askWithdraw, parameters.neutralWithdrawal);
    const volatilityPoints = excitement * parameters.spikeVol;

    let reasons = 0;
    if (down > 0 || up > 0) reasons |= REASON.modelMove;
    if (excitement > 0) reasons |= REASON.modelVolatility;
    if (cutLong > 0 || cutShort > 0) reasons |= REASON.modelWithdraw;
    out.set(
      this.#boundedBp(Math.max(down, safe * up) + spikeBp),
      this.#boundedBp(Math.max(up, safe * down) + spikeBp),
      volatilityPoints,
      this.#sizeFactor(Math.max(cutLong, safe * cutShort)),
      this.#sizeFactor(Math.max(cutShort, safe * cutLong)),
      reasons,
    );
  }

  /** The static adjustment while the model cannot be trusted. @param cause {@link REASON} bits that say why */
  defend(out: Adjustment, cause: number): void {
    const parameters = this.#parameters;
    out.set(
      parameters.defensiveWidenBp,
      parameters.defensiveWidenBp,
      parameters.defensiveVol,
      parameters.defensiveSizeFactor,
      parameters.defensiveSizeFactor,
      REASON.defensive | cause,
    );
  }

  /**
   * Adds a share, in (0, 1], of the defensive adjustment to what is called for.
   *
   * @param cause {@link REASON} bits that say why
   */
  distrust(out: Adjustment, share: number, cause: number): void {
    const parameters = this.#parameters;
    const kept = 1 - share * (1 - parameters.defensiveSizeFactor);
    out.set(
      this.#boundedBp(out.widenLongBp + share * parameters.defensiveWidenBp),
      this.#boundedBp(out.widenShortBp + share * parameters.defensiveWidenBp),
      out.volatilityPoints + share * parameters.defensiveVol,
      Math.round(out.sizeLong * kept * SIZE_GRID) / SIZE_GRID,
      Math.round(out.sizeShort * kept * SIZE_GRID) / SIZE_GRID,
      out.reasons | cause,
    );
  }

  /** A head that the model lacks predicts nothing; a value outside [0, 1] is NaN. */
  #probability(probabilities: ArrayLike<number>, offset: number, head: number): number {
    const column = this.#column[head];
    if (column < 0) return 0;
    const value = probabilities[offset + column];
    return value >= 0 && value <= 1 ? value : Number.NaN;
  }

  #boundedBp(bp: number): number {
    return Math.round(Math.min(bp, this.#parameters.maxWidenBp) * WIDEN_GRID_PER_BP) / WIDEN_GRID_PER_BP;
  }

  #sizeFactor(cut: number): number {
    return Math.round((1 - this.#parameters.maxSizeCut * cut) * SIZE_GRID) / SIZE_GRID;
  }
}

const DEFAULT_HORIZON_MS: Readonly<Record<HeadName, number>> = {
  down50: 50,
  down100: 100,
  up50: 50,
  up100: 100,
  bidWithdraw50: 50,
  askWithdraw50: 50,
  volatilitySpike: 100,
};
