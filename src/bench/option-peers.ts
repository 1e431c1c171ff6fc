import { black76, type OptionValue } from "../option/black76.ts";
import { type Chain, FORWARD } from "./option-chain.ts";

const BISECTIONS = 60;

/** What a first version does: sixty halvings of [0, 5], each with one valuation. */
export function bisect(
  call: boolean,
  premium: number,
  strike: number,
  years: number,
  value: OptionValue,
): number {
  let low = 0;
  let high = 5;
  for (let i = 0; i < BISECTIONS; i += 1) {
    const middle = 0.5 * (low + high);
    black76(value, call, FORWARD, strike, years, middle);
    if (value.price < premium) low = middle;
    else high = middle;
  }
  return 0.5 * (low + high);
}

/** Packages that do the same for the options of a chain, by number; null where one is not installed. */
export interface Peers {
  readonly impliedVolatility: ((premium: number, at: number) => number) | null;
  readonly greeks: ((at: number) => number) | null;
}

interface IvModule {
  getImpliedVolatility(
    premium: number,
    s: number,
    k: number,
    t: number,
    r: number,
    callPut: string,
    estimate?: number,
  ): number;
}

type Greek = (s: number, k: number, t: number, v: number, r: number, callPut: string) => number;

interface GreeksModule {
  readonly getDelta: Greek;
  readonly getGamma: Greek;
  readonly getVega: Greek;
  readonly getTheta: Greek;
  readonly getRho: Greek;
}

async function load<Module>(name: string, notes: string[]): Promise<Module | null> {
  try {
    // The name is no literal, so that the bundler does not put the package into the executable.
    const module = (await import(name)) as { readonly default?: Module } & Module;
    return module.default ?? module;
  } catch {
    notes.push(`${name} is not installed: no ratio against it`);
    return null;
  }
}

export async function peersFor(chain: Chain, notes: string[]): Promise<Peers> {
  const iv = await load<IvModule>("implied-volatility", notes);
  const greeks = await load<GreeksModule>("greeks", notes);
  const side = (at: number): string => (chain.types[at] === 1 ? "call" : "put");
  return {
    impliedVolatility:
      iv === null
        ? null
        : (premium, at) =>
            iv.getImpliedVolatility(premium, FORWARD, chain.strikes[at], chain.years[at], 0, side(at)),
    greeks:
      greeks === null
        ? null
        : (at) => {
            const { strikes, years, volatilities } = chain;
            let sum = 0;
            for (const greek of [
              greeks.getDelta,
              greeks.getGamma,
              greeks.getVega,
              greeks.getTheta,
              greeks.getRho,
            ]) {
              sum += greek(FORWARD, strikes[at], years[at], volatilities[at], 0, side(at));
            }
            return sum;
          },
  };
}
