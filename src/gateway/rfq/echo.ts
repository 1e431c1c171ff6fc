import type { InstrumentName, Side } from "../fix/application/instrument-fields.ts";

/** What a client named in a message, which answers must name again. */
export interface Named {
  readonly name: InstrumentName;
  readonly side: Side | null;
}

const KEPT = 4_096;

/** What each of a client's requests, quotes and orders was about, by id; the oldest is forgotten first. */
export class Echo {
  readonly #named = new Map<string, Named>();

  set(kind: "request" | "quote" | "order", id: string, named: Named): void {
    const key = `${kind} ${id}`;
    this.#named.delete(key);
    if (this.#named.size === KEPT) {
      for (const oldest of this.#named.keys()) {
        this.#named.delete(oldest);
        break;
      }
    }
    this.#named.set(key, named);
  }

  get(kind: "request" | "quote" | "order", id: string): Named {
    return this.#named.get(`${kind} ${id}`) ?? NAMELESS;
  }
}

/** What has no name of its own (FIX 4.4, volume 7, multileg products). */
const NAMELESS: Named = { name: { symbol: "[N/A]", exchange: undefined }, side: null };
