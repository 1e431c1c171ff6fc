/**
 * Which of more rows than may be held are kept: whole pieces of the time, spread evenly, so that within a piece every step of the model
 * follows the one before. Piece k, counted since the epoch, is kept where the fractional part of k·√2 is below a bound: such multiples
 * fill every stretch of time alike (three-gap theorem). The golden ratio's would, too, but 144 tens of minutes a day is a Fibonacci
 * number: they would take the same times of every day. The bound is the largest with which no more rows are kept than may be.
 *
 * @module
 */
import { invariant } from "../../core/invariant.ts";
import type { DatasetRow, RowSink } from "./row.ts";

/** Lengths of pieces, the longest first; the next is taken where too few of them would be kept. Each is a multiple of the last. */
const PIECES_US = [600e6, 60e6, 10e6] as const;
const FINEST_US = PIECES_US[2];
const PIECES_MIN = 12;

/** How rows were chosen among more. */
export interface Thinning {
  /** Rows that there were, those without labels included. */
  readonly rowsSeen: number;
  readonly rowsMax: number;
  readonly pieceUs: number;
  readonly piecesKept: number;
  /** Pieces whose number's key is below it are kept. */
  readonly below: number;
}

/** Counts rows by time; memory is that of one number for ten seconds. */
export class PieceCounts implements RowSink {
  readonly #rows = new Map<number, number>();
  total = 0;

  row({ timeUs }: Pick<DatasetRow, "timeUs">): void {
    this.add(Math.floor(timeUs / FINEST_US), 1);
  }

  broken(): void {}

  add(piece: number, rows: number): void {
    this.#rows.set(piece, (this.#rows.get(piece) ?? 0) + rows);
    this.total += rows;
  }

  entries(): readonly (readonly [piece: number, rows: number])[] {
    return [...this.#rows];
  }

  /** Of the counted rows at most so many; null when there are no more. */
  thinning(rowsMax: number): Thinning | null {
    if (this.total <= rowsMax) return null;
    for (const pieceUs of PIECES_US) {
      const { kept, piecesKept, below } = this.#keep(pieceUs, rowsMax);
      const isEnough = piecesKept >= PIECES_MIN && 2 * kept >= rowsMax;
      if (isEnough || pieceUs === FINEST_US) {
        return { rowsSeen: this.total, rowsMax, pieceUs, piecesKept, below };
      }
    }
    invariant(false, "the last length is taken as it is");
  }

  #keep(pieceUs: number, rowsMax: number) {
    const rows = new Map<number, number>();
    for (const [at, count] of this.#rows) {
      const piece = Math.floor((at * FINEST_US) / pieceUs);
      rows.set(piece, (rows.get(piece) ?? 0) + count);
    }
    const ascending = [...rows]
      .map(([piece, count]) => ({ key: keyOf(piece), count }))
      .sort((a, b) => a.key - b.key);
    let [kept, piecesKept] = [0, 0];
    for (const { key, count } of ascending) {
      if (kept + count > rowsMax) return { kept, piecesKept, below: key };
      kept += count;
      piecesKept += 1;
    }
    invariant(false, "there are more rows than may be kept");
  }
}

/** Whether rows of this time are kept. */
export function isKept({ pieceUs, below }: Pick<Thinning, "pieceUs" | "below">, timeUs: number): boolean {
  return keyOf(Math.floor(timeUs / pieceUs)) < below;
}

/** Something between the two times was left out. */
export function isApart({ pieceUs }: Pick<Thinning, "pieceUs">, beforeUs: number, timeUs: number): boolean {
  return Math.floor(timeUs / pieceUs) - Math.floor(beforeUs / pieceUs) > 1;
}

/** For people. */
export function thinningLine({ rowsSeen, rowsMax, pieceUs, piecesKept }: Thinning): string {
  const pieces = `${piecesKept} pieces of ${pieceUs / 1e6} s`;
  return `thinned: at most ${rowsMax} of ${rowsSeen} rows, ${pieces} spread evenly over the time`;
}

function keyOf(piece: number): number {
  const turns = piece * Math.SQRT2;
  return turns - Math.floor(turns);
}
