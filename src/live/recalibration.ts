import type { Desk } from "../desk/desk.ts";
import type { DeskTap } from "../gateway/tap.ts";
import type { StepEngine } from "../inference/engine.ts";
import { Recalibrator, type RecalibratorOptions } from "../learn/recalibration.ts";
import { SIDE } from "../market/event-batch.ts";

/** Levels that the withdrawal labels look at. */
const DEPTH_LEVELS = 10;

/** Shows a recalibrator the desk's predictions and the books that they were made from. */
export class RecalibrationTap implements DeskTap {
  readonly #desk: Desk;
  readonly #recalibrator: Recalibrator;
  readonly #prices = new Int32Array(DEPTH_LEVELS);
  readonly #sizes = new Float64Array(DEPTH_LEVELS);

  constructor(desk: Desk, recalibrator: Recalibrator) {
    this.#desk = desk;
    this.#recalibrator = recalibrator;
  }

  onPrediction(
    underlying: number,
    probabilities: Float32Array,
    offset: number,
    _heads: number,
    status: number,
    timeUs: number,
  ): void {
    const { books, underlyings } = this.#desk.market;
    const book = books[underlyings.reference[underlying]];
    if (status !== 0 || book === undefined) {
      this.#recalibrator.interrupt(underlying);
      return;
    }
    const midTicks = (book.bestBidTicks + book.bestAskTicks) / 2;
    const bidDepth = this.#depth(book, SIDE.bid);
    const askDepth = this.#depth(book, SIDE.ask);
    this.#recalibrator.observe(underlying, timeUs, probabilities, offset, midTicks, bidDepth, askDepth);
  }

  onTimer(timeUs: number): void {
    this.#recalibrator.onTimer(timeUs);
  }

  onQuotes(): void {}
  onCancelAll(): void {}
  close(): void {}

  #depth(book: Desk["market"]["books"][number], side: number): number {
    const levels = book.top(side, DEPTH_LEVELS, this.#prices, this.#sizes);
    let depth = 0;
    for (let level = 0; level < levels; level += 1) depth += this.#sizes[level];
    return depth;
  }
}

/** Those who follow what comes of predictions; none where the engine's calibration cannot be changed. */
export function recalibrationTaps(
  desk: Desk,
  { calibration, card, slotCount }: StepEngine,
  onChange: RecalibratorOptions["onChange"],
): DeskTap[] {
  if (calibration === undefined) return [];
  const heads = card.heads.map(({ name }) => name);
  return [new RecalibrationTap(desk, new Recalibrator({ heads, slotCount, calibration, onChange }))];
}
