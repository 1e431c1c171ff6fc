import type { TermFence } from "../wire-fence.ts";
import { textOf } from "./json.ts";

/**
 * The term of leadership under which a gateway of a pair writes. The venue knows no fencing tokens, so the token is in the id of
 * every order and quote: none of two leaders' is the same, and what an earlier leader sent and the network kept is known by it.
 */
export class Term {
  /** Least by which the venue's clock is ahead of the monotonic one, µs; NaN before it was asked. */
  venueLessMonotonicUs = Number.NaN;
  readonly #fence: TermFence | null;
  #token = 0;

  /** @param fence null for a process that is alone */
  constructor(fence: TermFence | null) {
    this.#fence = fence;
  }

  /** The token in force when this process began to lead; 0 = it is alone, or has not led yet. */
  get token(): number {
    return this.#token;
  }

  begin(): void {
    this.#token = this.#fence?.token ?? 0;
  }

  /** What changes anything at the venue may leave now. */
  permits(): boolean {
    return this.#fence === null || this.#fence.permits(this.#token);
  }

  /** An id that no other term gives. */
  mark(id: number): string {
    return this.#token === 0 ? String(id) : `${this.#token}-${id}`;
  }

  /** The rest of a label, or a quote's id, is an earlier term's. */
  isStale(text: unknown): boolean {
    if (this.#fence === null) return false;
    const [, token] = /^(\d{1,15})-/.exec(textOf(text)) ?? [];
    return token !== undefined && Number(token) < this.#token;
  }

  /** `valid_until` of an order: the end of the term by the venue's clock, after which it does not begin with it; none for a process that is alone. */
  get limit(): { readonly valid_until?: number } {
    const fence = this.#fence;
    if (fence === null || Number.isNaN(this.venueLessMonotonicUs)) return {};
    return { valid_until: Math.floor((fence.untilNs / 1_000 + this.venueLessMonotonicUs) / 1_000) };
  }
}
