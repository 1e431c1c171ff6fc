import { EventBatch } from "../../market/event-batch.ts";
import { MAX_OLD_IN_A_ROW } from "../supervised-feed.ts";
import type { SequenceRule } from "./venue.ts";

/** What a depth event is to the book. */
export const DIFF = { next: 0, old: 1, gap: 2 } as const;
export type DiffVerdict = (typeof DIFF)[keyof typeof DIFF];

/** What a snapshot is to the buffered events. */
export const MATCH = { joins: 0, waits: 1, stale: 2 } as const;
export type MatchVerdict = (typeof MATCH)[keyof typeof MATCH];

/** What became of joining. */
export const JOINED = { done: 0, gap: 1, full: 2 } as const;
export type JoinOutcome = (typeof JOINED)[keyof typeof JOINED];

/** Over ten seconds of a busy symbol's depth events. */
const MAX_EVENTS = 512;
const MAX_LEVELS = 32_768;

/**
 * Joins one symbol's depth events to a snapshot and checks their sequence afterwards. Until it is live it keeps the events in
 * a bounded buffer; a buffer that is full is emptied, so that the next snapshot is found stale and asked for again.
 */
export class DepthJoin {
  live = false;
  readonly #rule: SequenceRule;
  readonly #buffer = new EventBatch(MAX_EVENTS, MAX_LEVELS);
  /** Last update id that the book holds. */
  #book = Number.NaN;
  #oldInARow = 0;

  constructor(rule: SequenceRule) {
    this.#rule = rule;
  }

  get buffered(): number {
    return this.#buffer.count;
  }

  get bookSequence(): number {
    return this.#book;
  }

  /** Forgets the book and the buffer. */
  restart(): void {
    this.live = false;
    this.#book = Number.NaN;
    this.#oldInARow = 0;
    this.#buffer.clear();
  }

  /** Judges an event of a live book; the book moves on when it is the next one. */
  judge(batch: EventBatch, row: number): DiffVerdict {
    const u = batch.lastSequence[row];
    if (this.#rule.follows(batch.firstSequence[row], u, batch.previousSequence[row], this.#book)) {
      this.#book = u;
      this.#oldInARow = 0;
      return DIFF.next;
    }
    this.#oldInARow += 1;
    return u <= this.#book && this.#oldInARow <= MAX_OLD_IN_A_ROW ? DIFF.old : DIFF.gap;
  }

  /** Buffers an event. @returns false when the buffer was full and had to be emptied for it. */
  keep(batch: EventBatch, row: number): boolean {
    if (this.#buffer.append(batch, row)) return true;
    this.#buffer.clear();
    this.#buffer.append(batch, row);
    return false;
  }

  /** Compares a snapshot that stands at `book` with the buffered events. */
  match(book: number): MatchVerdict {
    const first = this.#firstNew(book);
    if (first === this.#buffer.count) return MATCH.waits;
    return this.#joins(first, book) ? MATCH.joins : MATCH.stale;
  }

  /**
   * Appends the buffered events that come after a snapshot at `book`, and goes live. On `gap` and `full` nothing is live, the
   * caller takes back what was appended; after a gap the buffer starts with the event that was out of step.
   */
  join(book: number, out: EventBatch): JoinOutcome {
    const buffer = this.#buffer;
    let at = book;
    const first = this.#firstNew(book);
    for (let row = first; row < buffer.count; row += 1) {
      const u = buffer.lastSequence[row];
      const U = buffer.firstSequence[row];
      const pu = buffer.previousSequence[row];
      const fits = row === first ? this.#rule.joins(U, u, pu, at) : this.#rule.follows(U, u, pu, at);
      if (!fits) {
        if (u <= at) continue;
        this.#dropBefore(row);
        return JOINED.gap;
      }
      if (!out.append(buffer, row)) return JOINED.full;
      at = u;
    }
    this.#buffer.clear();
    this.#book = at;
    this.live = true;
    return JOINED.done;
  }

  #firstNew(book: number): number {
    let row = 0;
    while (row < this.#buffer.count && this.#rule.isOld(this.#buffer.lastSequence[row], book)) row += 1;
    return row;
  }

  #joins(row: number, book: number): boolean {
    const buffer = this.#buffer;
    return this.#rule.joins(
      buffer.firstSequence[row],
      buffer.lastSequence[row],
      buffer.previousSequence[row],
      book,
    );
  }

  #dropBefore(row: number): void {
    const rest = new EventBatch(this.#buffer.count - row, MAX_LEVELS);
    for (let i = row; i < this.#buffer.count; i += 1) rest.append(this.#buffer, i);
    this.#buffer.clear();
    for (let i = 0; i < rest.count; i += 1) this.#buffer.append(rest, i);
  }
}
