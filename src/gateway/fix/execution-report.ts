import { type DecimalStep, stepToNumber } from "../../core/decimal.ts";
import type { Instrument, InstrumentTable, VenueName } from "../../market/instrument.ts";
import type { FixMessage } from "./message.ts";
import { TAG } from "./tags.ts";

const BUY = 0x31;
const SELL = 0x32;
const NEW_TRANSACTION = 0x30;
/** ExecType: trade (4.4), partial fill and fill (4.2). */
const TRADE_TYPES = [0x46, 0x31, 0x32];

/** A fill of one of our quotes. */
export interface Fill {
  readonly executionId: string;
  /** TradeDate (75), else the day of TransactTime (60): an ExecID is unique within a day only. Empty when neither is given. */
  readonly tradeDate: string;
  readonly instrument: number;
  /** 0 = our bid was hit: we bought. */
  readonly side: number;
  readonly priceTicks: number;
  readonly sizeLots: number;
  /** Price or size was off the instrument's grid and has been rounded to it. */
  readonly rounded: boolean;
}

/**
 * Reads an ExecutionReport (35=8).
 *
 * @returns the fill; null when the report is none (an order's state, a correction); a text saying what is wrong with it.
 */
export function readFill(message: FixMessage, instruments: InstrumentTable): Fill | null | string {
  const transaction = message.char(TAG.execTransType);
  if (transaction >= 0 && transaction !== NEW_TRANSACTION) return null;
  if (!TRADE_TYPES.includes(message.char(TAG.execType))) return null;
  const executionId = message.text(TAG.execId);
  if (executionId === undefined || executionId === "") return "execution without ExecID (17)";
  const where = `execution ${executionId}`;
  const symbol = message.text(TAG.symbol);
  if (symbol === undefined) return `${where}: no Symbol (55)`;
  const instrument = findInstrument(instruments, message.text(TAG.securityExchange), symbol);
  if (instrument === undefined) return `${where}: unknown Symbol (55) ${symbol}`;
  const side = message.char(TAG.side);
  if (side !== BUY && side !== SELL) return `${where}: Side (54) is neither 1 nor 2`;
  const price = readSteps(message, TAG.lastPx, instrument.tick);
  const size = readSteps(message, TAG.lastQty, instrument.lot);
  if (price === null) return `${where}: LastPx (31) is missing or no price`;
  if (size === null || size.steps === 0) return `${where}: LastQty (32) is missing or no quantity`;
  return {
    executionId,
    tradeDate: message.text(TAG.tradeDate) ?? message.text(TAG.transactTime)?.slice(0, 8) ?? "",
    instrument: instrument.id,
    side: side === BUY ? 0 : 1,
    priceTicks: price.steps,
    sizeLots: size.steps,
    rounded: price.rounded || size.rounded,
  };
}

function findInstrument(
  instruments: InstrumentTable,
  venue: string | undefined,
  symbol: string,
): Instrument | undefined {
  if (venue !== undefined) return instruments.find(venue as VenueName, symbol);
  const named = instruments.all().filter((instrument) => instrument.symbol === symbol);
  return named.length === 1 ? named[0] : undefined;
}

function readSteps(
  message: FixMessage,
  tag: number,
  step: DecimalStep,
): { steps: number; rounded: boolean } | null {
  const index = message.indexOf(tag);
  if (index < 0) return null;
  const exact = message.steps(index, step);
  if (!Number.isNaN(exact)) return { steps: exact, rounded: false };
  const text = message.textAt(index);
  if (!/^\d+(\.\d*)?$|^\.\d+$/.test(text)) return null;
  const steps = Math.round(Number(text) / stepToNumber(step));
  return Number.isSafeInteger(steps) ? { steps, rounded: true } : null;
}
