import type { EventBatch } from "../../market/event-batch.ts";
import type { Instrument } from "../../market/instrument.ts";
import type { FrameOutcome } from "../feed.ts";
import { TickerValues } from "../ticker-values.ts";
import type { BinanceDecoder } from "./decoder.ts";
import type { BinanceVenue } from "./venue.ts";

/** All marks and every index are asked for once in this time. */
const ROUND_US = 3_000_000;
/** After a failure nothing is asked for so long. */
const PAUSE_US = 5_000_000;

/** A REST request for marks of all options, or for the index of one underlying. */
export type OptionMarksSubject =
  | { readonly purpose: "optionMarks" }
  | { readonly purpose: "index"; readonly underlying: string };

/** Marks, volatilities, Greeks and indices of the options exchange, which come by REST, put together into tickers. */
export class OptionMarks {
  readonly #paths: NonNullable<BinanceVenue["optionMarks"]>;
  readonly #tickers: TickerValues;
  #dueUs = 0;
  #next = 0;

  /** @param capacity that of the instrument table. */
  constructor(paths: NonNullable<BinanceVenue["optionMarks"]>, capacity: number) {
    this.#paths = paths;
    this.#tickers = new TickerValues(capacity);
  }

  isDue(timeUs: number): boolean {
    return timeUs >= this.#dueUs;
  }

  /** The next question: the marks, then the index of each underlying in turn. */
  ask(
    carried: readonly Instrument[],
    timeUs: number,
  ): { readonly path: string; readonly subject: OptionMarksSubject } {
    const underlyings = [...new Set(carried.map(underlyingOf))];
    const underlying = underlyings[this.#next - 1];
    this.#dueUs = timeUs + ROUND_US / (underlyings.length + 1);
    this.#next = (this.#next + 1) % (underlyings.length + 1);
    if (underlying === undefined) return { path: this.#paths.path, subject: { purpose: "optionMarks" } };
    return { path: this.#paths.indexPath(underlying), subject: { purpose: "index", underlying } };
  }

  failed(timeUs: number): void {
    this.#dueUs = Math.max(this.#dueUs, timeUs + PAUSE_US);
  }

  /** Appends the tickers that an answer gives. */
  answer(
    subject: OptionMarksSubject,
    body: string,
    decoder: BinanceDecoder,
    carried: readonly Instrument[],
    out: EventBatch,
  ): FrameOutcome {
    const row = out.count;
    const outcome =
      subject.purpose === "optionMarks"
        ? decoder.decodeOptionMarks(body, out)
        : decoder.decodeIndex(
            body,
            carried.filter((instrument) => underlyingOf(instrument) === subject.underlying),
            out,
          );
    for (let at = row; at < out.count; at += 1) this.#tickers.complete(out, at);
    return outcome;
  }

  clear(): void {
    this.#tickers.clear();
  }
}

/** `BTCUSDT` of an option on it. */
function underlyingOf({ base, quote }: Instrument): string {
  return base + quote;
}
