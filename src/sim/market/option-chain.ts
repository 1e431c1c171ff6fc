import { SIM } from "./instruments.ts";

/** One option of the simulated chain. */
export interface SimOption {
  /** Dense number in the simulated market. */
  readonly instrument: number;
  /** As Deribit spells it: `BTC-27DEC24-60000-C`. */
  readonly symbol: string;
  readonly expiryMs: number;
  readonly strike: number;
  readonly call: boolean;
  /** Number of its expiry, nearest first. */
  readonly expiry: number;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const STRIKES_PER_EXPIRY = 19;
/** Distance between strikes as a share of the price, by expiry: daily, weekly, monthly, quarterly. */
const STRIKE_SHARES = [0.008, 0.016, 0.03, 0.08];
const NICE_STEPS = [1, 2, 2.5, 5, 10];
const MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];

/**
 * The chain listed at a given time around a given price: four expiries at 08:00 UTC (the next day, a Friday, the last Friday of a
 * month and of a quarter), so many strikes each, a call and a put at each strike. More strikes lie nearer to each other.
 */
export function listChain(startMs: number, price: number, strikes = STRIKES_PER_EXPIRY): SimOption[] {
  const chain: SimOption[] = [];
  for (const [expiry, expiryMs] of expiries(startMs).entries()) {
    const step = niceStep((price * (STRIKE_SHARES[expiry] ?? 0.1) * STRIKES_PER_EXPIRY) / strikes);
    const centre = Math.round(price / step) * step;
    for (let i = 0; i < strikes; i += 1) {
      const strike = centre + (i - (strikes >> 1)) * step;
      if (strike <= 0) continue;
      for (const call of [true, false]) {
        const symbol = `BTC-${expiryText(expiryMs)}-${strike}-${call ? "C" : "P"}`;
        chain.push({ instrument: SIM.firstOption + chain.length, symbol, expiryMs, strike, call, expiry });
      }
    }
  }
  return chain;
}

/** `27DEC24`; days below ten have one digit. */
export function expiryText(expiryMs: number): string {
  const date = new Date(expiryMs);
  return `${date.getUTCDate()}${MONTHS[date.getUTCMonth()]}${String(date.getUTCFullYear()).slice(2)}`;
}

function expiries(startMs: number): number[] {
  const daily = Math.ceil((startMs + 12 * HOUR_MS - 8 * HOUR_MS) / DAY_MS) * DAY_MS + 8 * HOUR_MS;
  const weekly = fridayFrom(daily + 2 * DAY_MS);
  let monthly = weekly + 7 * DAY_MS;
  while (!lastFridayOfMonth(monthly)) monthly += 7 * DAY_MS;
  let quarterly = monthly + 28 * DAY_MS;
  while (!lastFridayOfMonth(quarterly) || new Date(quarterly).getUTCMonth() % 3 !== 2)
    quarterly += 7 * DAY_MS;
  return [daily, weekly, monthly, quarterly];
}

function fridayFrom(timeMs: number): number {
  const day = new Date(timeMs).getUTCDay();
  return timeMs + ((5 - day + 7) % 7) * DAY_MS;
}

function lastFridayOfMonth(fridayMs: number): boolean {
  return new Date(fridayMs).getUTCMonth() !== new Date(fridayMs + 7 * DAY_MS).getUTCMonth();
}

/** The least of 1, 2, 2.5, 5 × 10ⁿ that is not below nine tenths of the wish, so strikes are round numbers. */
function niceStep(wish: number): number {
  const decade = 10 ** Math.floor(Math.log10(wish));
  for (const nice of NICE_STEPS) if (nice * decade >= 0.9 * wish) return Math.max(1, nice * decade);
  return 10 * decade;
}
