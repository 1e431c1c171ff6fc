import { readFileSync } from "node:fs";
import { sharedPath } from "../support/shared-data.ts";

export const RATIONAL_VECTORS = "vectors/lets-be-rational.json.gz";

/** One case of the reference implementation of "Let's Be Rational". */
export interface RationalCase {
  readonly call: boolean;
  readonly forward: number;
  readonly strike: number;
  readonly years: number;
  readonly volatility: number;
  /** The reference's premium, and the volatility it finds for that. */
  readonly premium: number;
  readonly implied: number;
  /** Another case beside it, normalised: ln(F/K), σ√T, and the call over √(FK). */
  readonly x: number;
  readonly s: number;
  readonly normalisedCall: number;
}

interface RawInput {
  readonly q: number;
  readonly F: number;
  readonly K: number;
  readonly T: number;
  readonly sigma: number;
  readonly x: number;
  readonly s: number;
}

export function rationalCases(): RationalCase[] {
  const text = new TextDecoder().decode(Bun.gunzipSync(readFileSync(sharedPath(RATIONAL_VECTORS))));
  const { input, output } = JSON.parse(text) as {
    input: RawInput[];
    output: Record<string, number>[];
  };
  return input.map((raw, at) => ({
    call: raw.q > 0,
    forward: raw.F,
    strike: raw.K,
    years: raw.T,
    volatility: raw.sigma,
    premium: output[at].black,
    implied: output[at].implied_volatility_from_a_transformed_rational_guess,
    x: raw.x,
    s: raw.s,
    normalisedCall: output[at].normalised_black_call,
  }));
}
