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

  /**
   * The rest of a label, or a quote's id, is another term's. Within its term no other process may write, so that whatever does not
   * carry this term's token and run is one's whose term is over, even where the lease's service has lost count and its token is higher.
   */
  isStale(text: unknown): boolean {
    if (this.#fence === null) return false;
    const given = textOf(text);
    return /^\d{1,15}-[0-9a-z]{1,12}-/.test(given) && !given.startsWith(this.#prefix);
  }

  /** `valid_until` of an order: the end of the term by the venue's clock, after which it does not begin with it; none for a process that is alone. */
  get limit(): { readonly valid_until?: number } {
    const fence = this.#fence;
    if (fence === null || Number.isNaN(this.venueLessMonotonicUs)) return {};
    return { valid_until: Math.floor((fence.untilNs / 1_000 + this.venueLessMonotonicUs) / 1_000) };
  }
}
