import { numberToSteps, parseStep } from "../../core/decimal.ts";
import { type RpcError, rpcError } from "../protocol/json-rpc.ts";
import type { BlockHedge, BlockLeg, BlockRfq } from "./block-rfq.ts";
import { readAmount, type TradedInstrument } from "./orders.ts";
import { type Side, TRADING_ERROR } from "./trading-error.ts";

type Params = Readonly<Record<string, unknown>>;
type Listed = ReadonlyMap<string, TradedInstrument>;

const MAX_LEGS = 20;

/** What a maker offers. */
export interface BlockTerms {
  readonly lots: number;
  /** By leg, in its finest ticks: the coarse grid of the order book does not hold for blocks. */
  readonly ticks: readonly number[];
  readonly allOrNone: boolean;
}

export interface BlockStructure {
  readonly legs: readonly BlockLeg[];
  readonly hedge: BlockHedge | null;
  readonly lots: number;
}

function wrong(param: string, reason: string): RpcError {
  return rpcError(-32_602, "Invalid params", param, reason);
}

function sideOf(direction: unknown): Side | null {
  return direction === "buy" ? 0 : direction === "sell" ? 1 : null;
}

function records(value: unknown): Params[] | null {
  const isRecord = (one: unknown): one is Params => typeof one === "object" && one !== null;
  return Array.isArray(value) && value.length > 0 && value.every(isRecord) ? value : null;
}

/** @returns ticks on the finest grid; NaN where the price is none */
function ticksOf(instrument: TradedInstrument, price: unknown): number {
  const ticks = typeof price === "number" ? numberToSteps(price, parseStep(instrument.tick)) : Number.NaN;
  return ticks >= 1 ? ticks : Number.NaN;
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}

/** What a taker asks for: amounts by leg become one amount and ratios. */
export function readStructure(params: Params, listed: Listed): BlockStructure | RpcError {
  const rows = records(params.legs);
  if (rows === null || rows.length > MAX_LEGS) return wrong("legs", `1 to ${MAX_LEGS} legs`);
  const found: { instrument: TradedInstrument; side: Side; lots: number }[] = [];
  for (const row of rows) {
    const instrument = listed.get(String(row.instrument_name));
    const side = sideOf(row.direction);
    if (instrument === undefined || side === null)
      return wrong("legs", "an instrument that is listed, and a direction");
    const lots = readAmount(instrument, row.amount);
    if (typeof lots !== "number") return lots;
    found.push({ instrument, side, lots });
  }
  const lots = found.reduce((divisor, leg) => gcd(leg.lots, divisor), 0);
  const legs = found.map(({ instrument, side, lots: own }) => ({ instrument, side, ratio: own / lots }));
  const hedge = params.hedge === undefined ? null : readHedge(params.hedge, listed);
  if (hedge !== null && "code" in hedge) return hedge;
  return { legs, hedge, lots };
}

function readHedge(value: unknown, listed: Listed): BlockHedge | RpcError {
  const [row] = records([value]) ?? [{}];
  const instrument = listed.get(String(row.instrument_name));
  const side = sideOf(row.direction);
  if (instrument?.kind !== "future" || side === null) return wrong("hedge", "a future, and a direction");
  const lots = readAmount(instrument, row.amount);
  if (typeof lots !== "number") return lots;
  const ticks = ticksOf(instrument, row.price);
  return Number.isNaN(ticks) ? wrong("hedge", "a price on the grid") : { instrument, side, lots, ticks };
}

/** A maker's terms for a request, whose legs and hedge they must repeat. */
export function readTerms(params: Params, rfq: BlockRfq): BlockTerms | RpcError {
  const [{ instrument: first }] = rfq.legs;
  const lots = readAmount(first, params.amount);
  if (typeof lots !== "number") return lots;
  if (lots > rfq.lots || lots < rfq.minLots) return rpcError(TRADING_ERROR.invalidAmount, "invalid_amount");
  const rows = records(params.legs);
  if (rows === null || rows.length !== rfq.legs.length) return wrong("legs", "the legs of the Block RFQ");
  const ticks: number[] = [];
  for (const [at, { instrument, side, ratio }] of rfq.legs.entries()) {
    const row = rows[at];
    const same =
      row.instrument_name === instrument.symbol &&
      sideOf(row.direction) === side &&
      Number(row.ratio) === ratio;
    if (!same) return wrong("legs", `leg ${at + 1} differs from the Block RFQ's`);
    const price = ticksOf(instrument, row.price);
    if (Number.isNaN(price)) return rpcError(TRADING_ERROR.wrongTick, "price_wrong_tick");
    ticks.push(price);
  }
  if (!sameHedge(params.hedge, rfq.hedge)) return wrong("hedge", "the hedge of the Block RFQ");
  const { execution_instruction: instruction = "any_part_of" } = params;
  if (instruction !== "any_part_of" && instruction !== "all_or_none")
    return wrong("execution_instruction", "any_part_of or all_or_none");
  const allOrNone = instruction === "all_or_none";
  if (allOrNone && lots !== rfq.lots) return wrong("amount", "the whole amount for all_or_none");
  return { lots, ticks, allOrNone };
}

function sameHedge(value: unknown, hedge: BlockHedge | null): boolean {
  if (value === undefined || value === null) return hedge === null;
  const [row] = records([value]) ?? [{}];
  if (hedge === null) return false;
  const { instrument, side, lots, ticks } = hedge;
  return (
    row.instrument_name === instrument.symbol &&
    sideOf(row.direction) === side &&
    readAmount(instrument, row.amount) === lots &&
    ticksOf(instrument, row.price) === ticks
  );
}
