import { stepToNumber } from "../../core/decimal.ts";
import type { Desk } from "../../desk/desk.ts";
import type { Instrument } from "../../market/instrument.ts";
import { ImpliedVolatility, IV_STATUS, impliedVolatility } from "../../option/implied-volatility.ts";
import { SURFACE_SOURCE_NAMES } from "../../option/surface/slices.ts";
import type { SurfaceSection } from "./protocol.ts";

const implied = new ImpliedVolatility();
/** Options of one expiry that are shown: those nearest to the forward. */
const STRIKES_MAX = 200;

type Point = SurfaceSection["points"][number];

/** The surface of an underlying, and one of its expiries with what the market and we quote on it. */
export function surfaceSection(desk: Desk, underlying: number, expiryMs: number | null): SurfaceSection {
  const { underlyings } = desk.market;
  const names = Array.from({ length: underlyings.size }, (_, at) => underlyings.base(at));
  const surface = underlying < names.length ? (desk.quoter.surfaces?.of(underlying) ?? null) : null;
  const none = { underlyings: names, underlying, ageSeconds: null, expiries: [], expiryMs: null, points: [] };
  if (surface === null) return none;
  const slots = Array.from(
    { length: surface.expiries },
    (_, slot) => [surface.expiryMs(slot), slot] as const,
  );
  slots.sort(([a], [b]) => a - b);
  const expiries = slots.map(([ms, slot]) => {
    const forward = surface.fittedForward(slot);
    return {
      expiryMs: ms,
      source: SURFACE_SOURCE_NAMES[surface.source(slot)] ?? "none",
      atm: rounded(surface.volatility(slot, forward, forward)),
      forward: Number.isFinite(forward) ? Math.round(forward * 100) / 100 : null,
    };
  });
  const shown = expiries.find((expiry) => expiry.expiryMs === expiryMs) ?? expiries[0];
  const slot = slots.find(([ms]) => ms === shown?.expiryMs)?.[1];
  const age = (surface.seenUs - surface.fittedUs) * 1e-6;
  return {
    ...none,
    ageSeconds: surface.version > 0 && Number.isFinite(age) ? Math.round(age * 10) / 10 : null,
    expiries,
    expiryMs: shown?.expiryMs ?? null,
    points: shown === undefined || slot === undefined ? [] : points(desk, underlying, shown.expiryMs, slot),
  };
}

function optionsOf(desk: Desk, underlying: number): Instrument[] {
  const { market } = desk;
  return market.instruments
    .all()
    .filter(({ id, kind }) => kind === "option" && market.underlyingOf(id) === underlying);
}

function points(desk: Desk, underlying: number, expiryMs: number, slot: number): Point[] {
  const surface = desk.quoter.surfaces?.of(underlying) ?? null;
  if (surface === null) return [];
  const forward = surface.fittedForward(slot);
  const years = surface.fittedYears(slot);
  const options = optionsOf(desk, underlying).filter((option) => option.expiryMs === expiryMs);
  const byStrike = new Map<number, Instrument>();
  for (const option of options) {
    // Of a strike the option out of the money is shown: its price is volatility, not intrinsic value.
    const isOutside = option.optionType === (option.strike >= forward ? "call" : "put");
    if (isOutside || !byStrike.has(option.strike)) byStrike.set(option.strike, option);
  }
  const { ticks } = desk.quoter.stability;
  return [...byStrike.values()]
    .sort((a, b) => Math.abs(a.strike - forward) - Math.abs(b.strike - forward))
    .slice(0, STRIKES_MAX)
    .sort((a, b) => a.strike - b.strike)
    .map((option): Point => {
      const { bestBidTicks, bestAskTicks } = desk.market.books[option.id];
      const now = desk.quoter.values.forward[option.id];
      const at = now > 0 ? now : forward;
      const of = (priceTicks: number): number | null => volatility(option, priceTicks, at, years);
      return [
        option.strike,
        rounded(surface.volatility(slot, option.strike, at)),
        ...[of(bestBidTicks), of(bestAskTicks), of(ticks[2 * option.id]), of(ticks[2 * option.id + 1])],
      ];
    });
}

function volatility(option: Instrument, priceTicks: number, forward: number, years: number): number | null {
  if (!(priceTicks > 0)) return null;
  const premium = priceTicks * stepToNumber(option.tick) * (option.inverse ? forward : 1);
  const isCall = option.optionType === "call";
  const status = impliedVolatility(implied, isCall, premium, forward, option.strike, years);
  return status === IV_STATUS.ok ? rounded(implied.volatility) : null;
}

function rounded(volatility: number): number | null {
  return Number.isFinite(volatility) ? Math.round(volatility * 1e5) / 1e5 : null;
}
