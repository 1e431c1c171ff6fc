import { BadInputError } from "../core/errors.ts";
import { invariant } from "../core/invariant.ts";
import { type QuoteBatch, type ReasonName, reasonNames } from "../quote/quote-batch.ts";
import type { ReportedQuote } from "../quote/quote-report.ts";
import { namedTerms, TERMS, type TermName } from "../quote/term.ts";

const HEADER_BYTES = 16;
/** Without the terms. */
const PLAIN_ROW_BYTES = 64;
/** Forms of a decision: its rows end with their level and terms, or, in older journals, before them. */
const FORM = { plain: 0, terms: 1 } as const;
const TERMS_AT = PLAIN_ROW_BYTES + 8;
const ROW_BYTES = TERMS_AT + padded(TERMS);

/** One quote as it stands in a journal, for people. */
export interface DecidedQuote extends ReportedQuote {
  readonly instrument: number;
  readonly reasons: readonly ReasonName[];
}

/** The quotes of one turn and the prediction they were based on. */
export interface Decision {
  /** Dense number of the underlying; −1 when the quotes of several were pulled together. */
  readonly underlying: number;
  /** As the policy saw them; empty when no model was in force. */
  readonly probabilities: readonly number[];
  readonly quotes: readonly DecidedQuote[];
}

/**
 * Writes the quotes of a turn in the journal's binary form: little-endian `underlying i32, heads u32, rows u32, form u32`,
 * the probabilities as f32, padding to 8 bytes, then a fixed-size row a quote, which ends with `level u32, 0 u32` and the terms as
 * f32. Bit-exact, so that replay can compare bytes.
 */
export class DecisionEncoder {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  constructor(quoteCapacity: number, headCapacity: number) {
    this.#bytes = new Uint8Array(HEADER_BYTES + padded(headCapacity) + quoteCapacity * ROW_BYTES);
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** @returns a view of the encoder's own buffer, valid until the next call. */
  encode(
    batch: QuoteBatch,
    underlying: number,
    probabilities: Float32Array,
    offset: number,
    heads: number,
  ): Uint8Array {
    const view = this.#view;
    const length = HEADER_BYTES + padded(heads) + batch.count * ROW_BYTES;
    invariant(
      length <= this.#bytes.length,
      `a decision of ${batch.count} quotes and ${heads} heads does not fit`,
    );
    view.setInt32(0, underlying, true);
    view.setUint32(4, heads, true);
    view.setUint32(8, batch.count, true);
    view.setUint32(12, FORM.terms, true);
    for (let head = 0; head < heads; head += 1) {
      view.setFloat32(HEADER_BYTES + head * 4, probabilities[offset + head], true);
    }
    if (heads % 2 === 1) view.setUint32(HEADER_BYTES + heads * 4, 0, true);
    let at = HEADER_BYTES + padded(heads);
    for (let row = 0; row < batch.count; row += 1) {
      view.setInt32(at, batch.instrument[row], true);
      view.setInt32(at + 4, batch.reasons[row], true);
      view.setFloat64(at + 8, batch.quoteId[row], true);
      view.setInt32(at + 16, batch.bidTicks[row], true);
      view.setInt32(at + 20, batch.askTicks[row], true);
      view.setFloat64(at + 24, batch.bidLots[row], true);
      view.setFloat64(at + 32, batch.askLots[row], true);
      view.setFloat64(at + 40, batch.fair[row], true);
      view.setFloat64(at + 48, batch.widenBp[row], true);
      view.setFloat64(at + 56, batch.sizeFactor[row], true);
      view.setUint32(at + PLAIN_ROW_BYTES, batch.level[row], true);
      view.setUint32(at + PLAIN_ROW_BYTES + 4, 0, true);
      for (let term = 0; term < TERMS; term += 1) {
        view.setFloat32(at + TERMS_AT + term * 4, batch.terms[row * TERMS + term], true);
      }
      at += ROW_BYTES;
    }
    return this.#bytes.subarray(0, length);
  }
}

/** Reads a decision back. @throws BadInputError when the payload's length does not fit its counts. */
export function decodeDecision(payload: Uint8Array): Decision {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  if (payload.byteLength < HEADER_BYTES) {
    throw new BadInputError("decision record", `${payload.byteLength} bytes`, `at least ${HEADER_BYTES}`);
  }
  const heads = view.getUint32(4, true);
  const rows = view.getUint32(8, true);
  const form = view.getUint32(12, true);
  if (form !== FORM.plain && form !== FORM.terms) {
    throw new BadInputError("decision record", `form ${form}`, "form 0 or 1");
  }
  const rowBytes = form === FORM.terms ? ROW_BYTES : PLAIN_ROW_BYTES;
  const expected = HEADER_BYTES + padded(heads) + rows * rowBytes;
  if (payload.byteLength !== expected) {
    throw new BadInputError(
      "decision record",
      `${payload.byteLength} bytes`,
      `${expected} for ${rows} quotes`,
    );
  }
  const probabilities: number[] = [];
  for (let head = 0; head < heads; head += 1)
    probabilities.push(view.getFloat32(HEADER_BYTES + head * 4, true));
  const quotes: DecidedQuote[] = [];
  for (let row = 0; row < rows; row += 1) {
    const at = HEADER_BYTES + padded(heads) + row * rowBytes;
    quotes.push({
      instrument: view.getInt32(at, true),
      level: form === FORM.terms ? view.getUint32(at + PLAIN_ROW_BYTES, true) : 0,
      reasons: reasonNames(view.getInt32(at + 4, true)),
      quoteId: view.getFloat64(at + 8, true),
      bidTicks: view.getInt32(at + 16, true),
      askTicks: view.getInt32(at + 20, true),
      bidLots: view.getFloat64(at + 24, true),
      askLots: view.getFloat64(at + 32, true),
      fair: view.getFloat64(at + 40, true),
      widenBp: view.getFloat64(at + 48, true),
      sizeFactor: view.getFloat64(at + 56, true),
      terms: form === FORM.terms ? readTerms(view, at + TERMS_AT) : null,
    });
  }
  return { underlying: view.getInt32(0, true), probabilities, quotes };
}

function readTerms(view: DataView, at: number): Record<TermName, number> {
  const terms = new Float32Array(TERMS);
  for (let term = 0; term < TERMS; term += 1) terms[term] = view.getFloat32(at + term * 4, true);
  return namedTerms(terms, 0);
}

/** Bytes of so many f32, filled up to a multiple of 8. */
function padded(floats: number): number {
  return Math.ceil(floats / 2) * 8;
}
