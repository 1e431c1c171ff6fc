import { isObject, type JsonObject, parseJson } from "./decoder.ts";

/** Part of a list that is read in one go: about five hundred orders, a millisecond's work. */
const PART_CHARACTERS = 32_768;

interface Side {
  readonly name: "bids" | "asks";
  /** Of the list's entries, without its brackets. */
  readonly end: number;
  readonly start: number;
  at: number;
}

/**
 * A REST answer with an order book of any size, of the form `{…,"bids":[[…],…],"asks":[[…],…],…}`: what stands beside the lists is there
 * at once, the lists are read part by part. A book by order has megabytes, which JSON.parse would take in one go.
 */
export class OrderList {
  /** What stands beside the lists; null when the answer is no object. */
  readonly rest: JsonObject | null;
  /** An answer of another form, with spaces for example: read in one go. */
  #whole: JsonObject | null = null;
  readonly #body: string;
  readonly #sides: readonly Side[];

  constructor(body: string) {
    this.#body = body;
    const sides = sidesOf(body);
    const rest = restOf(body, sides);
    this.#sides = rest === null ? [] : sides;
    if (rest === null) {
      const whole = parseJson(body);
      this.#whole = isObject(whole) ? whole : null;
    }
    this.rest = rest ?? this.#whole;
  }

  /** The whole of it has been read. */
  get isRead(): boolean {
    return this.#whole === null && this.#sides.every(({ at, end }) => at === end);
  }

  /** The next part, bids first, as an answer with these orders alone; null when it is no JSON. */
  next(): JsonObject | null {
    if (this.#whole !== null) {
      const whole = this.#whole;
      this.#whole = null;
      return whole;
    }
    const side = this.#sides.find(({ at, end }) => at < end);
    if (side === undefined) return { bids: [], asks: [] };
    const { at, end, name } = side;
    const cut = at + PART_CHARACTERS < end ? this.#body.indexOf("],", at + PART_CHARACTERS) : -1;
    const to = cut < 0 || cut >= end ? end : cut + 1;
    const entries = parseJson(`[${this.#body.slice(at, to)}]`);
    side.at = to === end ? end : to + 1;
    return Array.isArray(entries) ? { bids: [], asks: [], [name]: entries } : null;
  }
}

function sidesOf(body: string): Side[] {
  const sides: Side[] = [];
  for (const name of ["bids", "asks"] as const) {
    const key = `"${name}":[`;
    const start = body.indexOf(key) + key.length;
    if (start < key.length) return [];
    const last = body[start] === "]" ? start - 1 : body.indexOf("]]", start);
    if (last < start - 1) return [];
    sides.push({ name, start, end: last + 1, at: start });
  }
  return sides;
}

/** The answer without its lists' entries; null when these are not its only lists of that name. */
function restOf(body: string, sides: readonly Side[]): JsonObject | null {
  if (sides.length === 0) return null;
  let text = "";
  let from = 0;
  for (const { start, end } of sides.toSorted((a, b) => a.start - b.start)) {
    if (start < from) return null;
    text += body.slice(from, start);
    from = end;
  }
  const rest = parseJson(text + body.slice(from));
  if (!isObject(rest)) return null;
  const { bids, asks } = rest;
  const isBare = Array.isArray(bids) && Array.isArray(asks) && bids.length + asks.length === 0;
  return isBare ? rest : null;
}
