import type { TermFence } from "../wire-fence.ts";
import { textOf } from "./json.ts";

/**
 * The term of leadership under which a gateway of a pair writes. The venue knows no fencing tokens, so the token is in the id of
 * every order and quote, beside when this process began: none of two leaders' is the same, nor of two processes that lead under one
 * token in turn, and what an earlier one sent and the network kept is known by it. A process without a lease has the token 0: one that
 * takes its place counts from 1 again, too.
 */
export class Term {
  /** Least by which the venue's clock is ahead of the monotonic one, µs; NaN before it was asked. */
  venueLessMonotonicUs = Number.NaN;
  readonly #fence: TermFence | null;
  readonly #run: string;
  #token = 0;
  #prefix = "";

  /**
   * @param fence null for a process that is alone
   * @param startUs when this process began, epoch µs
   */
  constructor(fence: TermFence | null, startUs: number) {
    this.#fence = fence;
    this.#run = Math.floor(startUs).toString(36);
    this.begin();
  }

  begin(): void {
    this.#token = this.#fence?.token ?? 0;
    this.#prefix = `${this.#token}-${this.#run}-`;
  }

  /** Begins every id. */
  get prefix(): string {
    return this.#prefix;
  }

  /** What changes anything at the venue may leave now. */
  permits(): boolean {
    return this.#fence === null || this.#fence.permits(this.#token);
  }

  /** An id that no other term gives. */
  mark(id: number): string {
    return `${this.#prefix}${id}`;
  }

  /** The rest of a label, or a quote's id, is an earlier term's. */
  isStale(text: unknown): boolean {
    if (this.#fence === null) return false;
    const [, token, run] = /^(\d{1,15})-([0-9a-z]{1,12})-/.exec(textOf(text)) ?? [];
    if (token === undefined) return false;
    return Number(token) < this.#token || (Number(token) === this.#token && run !== this.#run);
  }

  /** `valid_until` of an order: the end of the term by the venue's clock, after which it does not begin with it; none for a process that is alone. */
  get limit(): { readonly valid_until?: number } {
    const fence = this.#fence;
    if (fence === null || Number.isNaN(this.venueLessMonotonicUs)) return {};
    return { valid_until: Math.floor((fence.untilNs / 1_000 + this.venueLessMonotonicUs) / 1_000) };
  }
}
