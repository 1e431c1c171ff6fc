import { type DecimalStep, numberToSteps, stepsToDecimal, stepToNumber } from "../core/decimal.ts";
import { type Instrument, type InstrumentTable, VENUES } from "../market/instrument.ts";
import type { ClientSide, DecimalText, RequestedLeg, RfqRefusal, StatedLeg } from "./message.ts";

/** A leg found in the instruments. Signs are those of buying the structure. */
export interface StructureMember {
  readonly instrument: Instrument;
  /** Units of the leg for one unit of the structure. */
  readonly ratio: number;
  /** Lots of the leg for the quantity asked for, signed. */
  readonly lots: number;
  /** Traded at a price of its own beside the structure's: a leg in the underlying of a structure of options. */
  readonly tied: boolean;
}

/** One or several legs of one underlying with one price. */
export interface Structure {
  readonly members: readonly StructureMember[];
  /** Those that the price is made of. */
  readonly priced: readonly StructureMember[];
  readonly tied: StructureMember | null;
  readonly underlying: number;
  /** Grid of the structure's price: the finest of its legs'. */
  readonly grid: DecimalStep;
  /** Prices are whole multiples of so many steps of the grid: only those can be made up of prices of the legs. */
  readonly multiple: number;
  readonly quantity: DecimalText;
  readonly units: number;
  /** Largest number of equal parts that the quantity falls into. */
  readonly parts: number;
}

export interface Refused {
  readonly refused: RfqRefusal;
  readonly text: string;
}

/** What a structure is resolved against. */
export interface StructureBounds {
  readonly maxLegs: number;
  readonly maxRatio: number;
}

const DECIMAL = /^\d{1,12}(?:\.\d{1,10})?$/;
const SIGNED = /^(-?)(\d{1,12}(?:\.\d{1,10})?)$/;
/** Largest number of lots of a leg: within it sizes and their products stay exact. */
const LOTS_MAX = 1e9;

const refuse = (refused: RfqRefusal, text: string): Refused => ({ refused, text });

/** @returns NaN when the text is no plain positive decimal of bounded length. */
export function positiveDecimal(text: string): number {
  const value = DECIMAL.test(text) ? Number(text) : Number.NaN;
  return value > 0 ? value : Number.NaN;
}

/** A price in whole steps, negative ones included; NaN when it is none or off the grid. */
export function priceSteps(text: string, grid: DecimalStep): number {
  const match = SIGNED.exec(text);
  if (match === null) return Number.NaN;
  const steps = numberToSteps(Number(match[2]), grid);
  return match[1] === "-" ? 0 - steps : steps;
}

/** The instrument that a name means, or why it means none. */
export function findInstrument(
  instruments: InstrumentTable,
  symbol: string,
  venue: string | null,
): Instrument | Refused {
  let found: Instrument | undefined;
  for (const known of VENUES) {
    if (venue !== null && venue !== known) continue;
    const candidate = instruments.find(known, symbol);
    if (candidate === undefined) continue;
    if (found !== undefined)
      return refuse("unknown-symbol", `${symbol} is listed at several venues: name one`);
    found = candidate;
  }
  const where = venue === null ? "" : ` at ${venue}`;
  return found ?? refuse("unknown-symbol", `${symbol}${where} is not known here`);
}

/**
 * Finds a request's legs and checks that they make one structure: one venue, one underlying, one price unit. Where there are
 * options the price is theirs, and one leg in the underlying may be tied to them.
 */
export function resolveStructure(
  legs: readonly RequestedLeg[],
  quantity: DecimalText,
  instruments: InstrumentTable,
  underlyingOf: (instrument: number) => number,
  bounds: StructureBounds,
): Structure | Refused {
  if (legs.length === 0) return refuse("unknown-symbol", "no instrument is named");
  if (legs.length > bounds.maxLegs) return refuse("exceeds-limit", `at most ${bounds.maxLegs} legs`);
  const units = positiveDecimal(quantity);
  if (Number.isNaN(units)) return refuse("other", `quantity ${shown(quantity)} is no positive decimal`);
  const found: Instrument[] = [];
  for (const { symbol, venue } of legs) {
    const instrument = findInstrument(instruments, symbol, venue);
    if ("refused" in instrument) return instrument;
    if (instrument.kind === "spot") return refuse("unknown-symbol", `${symbol} is a spot instrument`);
    if (found.includes(instrument)) return refuse("other", `${symbol} is named twice`);
    found.push(instrument);
  }
  const options = found.some(({ kind }) => kind === "option");
  const members: StructureMember[] = [];
  for (const [index, leg] of legs.entries()) {
    const member = resolveLeg(leg, found[index], units, options, bounds.maxRatio);
    if ("refused" in member) return member;
    members.push(member);
  }
  return assemble(members, quantity, units, underlyingOf);
}

function resolveLeg(
  { symbol, side, ratio }: RequestedLeg,
  instrument: Instrument,
  units: number,
  options: boolean,
  maxRatio: number,
): StructureMember | Refused {
  const tied = options && instrument.kind !== "option";
  const size = positiveDecimal(ratio);
  if (Number.isNaN(size)) return refuse("other", `${symbol}: ratio ${shown(ratio)} is no positive decimal`);
  if (!tied && !(Number.isSafeInteger(size) && size <= maxRatio)) {
    return refuse("other", `${symbol}: ratio ${ratio} is no whole number up to ${maxRatio}`);
  }
  const lots = numberToSteps(units * size, instrument.lot);
  const least = Math.max(instrument.minSizeLots, 1);
  if (Number.isNaN(lots)) {
    const lot = stepsToDecimal(1, instrument.lot);
    return refuse("other", `${symbol}: size ${units * size} is no multiple of ${lot}`);
  }
  if (lots < least) {
    return refuse("other", `${symbol}: size below the least, ${stepsToDecimal(least, instrument.lot)}`);
  }
  if (lots > LOTS_MAX) return refuse("exceeds-limit", `${symbol}: size ${units * size}`);
  const sign = side === "buy" ? 1 : -1;
  return { instrument, ratio: sign * size, lots: sign * lots, tied };
}

function assemble(
  members: readonly StructureMember[],
  quantity: DecimalText,
  units: number,
  underlyingOf: (instrument: number) => number,
): Structure | Refused {
  const priced = members.filter(({ tied }) => !tied);
  const ties = members.filter(({ tied }) => tied);
  const [first] = priced;
  const underlying = underlyingOf(first.instrument.id);
  if (underlying < 0) return refuse("unknown-symbol", `${first.instrument.base} is not quoted here`);
  if (ties.length > 1) return refuse("other", "at most one leg in the underlying beside options");
  for (const { instrument } of members) {
    if (instrument.venue !== first.instrument.venue || underlyingOf(instrument.id) !== underlying)
      return refuse("other", "the legs are not of one venue and one underlying");
  }
  const { inverse, contractSize, lot, quote, settle } = first.instrument;
  for (const { instrument } of priced) {
    const same =
      instrument.inverse === inverse &&
      instrument.contractSize === contractSize &&
      instrument.quote === quote &&
      instrument.settle === settle &&
      instrument.lot.mantissa === lot.mantissa &&
      instrument.lot.scale === lot.scale;
    if (!same)
      return refuse("other", `${instrument.symbol} is priced or sized in another unit than the first leg`);
  }
  const grid = priced.reduce(
    (finest, { instrument: { tick } }) => (stepToNumber(tick) < stepToNumber(finest) ? tick : finest),
    first.instrument.tick,
  );
  let multiple = 0;
  for (const { instrument, ratio } of priced) {
    const ticks = numberToSteps(stepToNumber(instrument.tick), grid);
    if (Number.isNaN(ticks))
      return refuse("other", `${instrument.symbol}: its tick does not fit the other legs'`);
    multiple = gcd(multiple, Math.abs(ratio) * ticks);
  }
  const parts = members.reduce((divisor, { lots }) => gcd(divisor, Math.abs(lots)), 0);
  return { members, priced, tied: ties[0] ?? null, underlying, grid, multiple, quantity, units, parts };
}

/** A price in steps of the structure's grid, as text; null where there is none (NaN). */
export function priceText({ grid }: Structure, steps: number): string | null {
  return Number.isNaN(steps) ? null : stepsToDecimal(steps, grid);
}

/** The legs as an answer states them. @param tiedSteps price of the tied leg in its ticks; NaN where there is none */
export function statedLegs({ members }: Structure, tiedSteps: number): StatedLeg[] {
  return members.map(({ instrument, ratio, tied }) => ({
    symbol: instrument.symbol,
    venue: instrument.venue,
    side: sideOf(ratio),
    ratio: String(Math.abs(ratio)),
    tiedPrice: tied ? stepsToDecimal(tiedSteps, instrument.tick) : null,
  }));
}

export function sideOf(sign: number): ClientSide {
  return sign > 0 ? "buy" : "sell";
}

function gcd(a: number, b: number): number {
  let x = a;
  let y = b;
  while (y !== 0) [x, y] = [y, x % y];
  return x;
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 40));
}
