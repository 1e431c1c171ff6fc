import type { BinanceVenue } from "./venue.ts";

/** How often symbols that the venue did not list are asked for again. */
const RELIST_US = 60_000_000;
/** Asks for all symbols where the venue cannot be asked for one. */
const ALL = [""] as const;

/** A feed's symbols until the venue has described them: what to ask exchangeInfo for, and when. */
export class SymbolListing {
  readonly #infoIsWhole: boolean;
  #undescribed: string[] = [];
  /** Symbols that the venue did not list when it was asked. */
  #unlisted: string[] = [];
  #relistUs = Number.POSITIVE_INFINITY;
  #dueUs = 0;

  constructor({ infoIsWhole }: BinanceVenue) {
    this.#infoIsWhole = infoIsWhole;
  }

  start(symbols: readonly string[]): void {
    this.#undescribed = [...symbols];
  }

  /** Some symbol is neither described nor refused. */
  get isWaiting(): boolean {
    return this.#undescribed.length > 0;
  }

  /** The symbols that exchangeInfo may be asked for now, an empty one for all of them at once. */
  toAskFor(timeUs: number): readonly string[] {
    if (timeUs >= this.#relistUs) this.#relist();
    if (!this.isWaiting || timeUs < this.#dueUs) return [];
    return this.#infoIsWhole ? ALL : this.#undescribed;
  }

  /** The symbols that an answer of exchangeInfo must describe; `asked` is what it was asked for. */
  describedBy(asked: string): readonly string[] {
    return this.#infoIsWhole ? [...this.#undescribed] : [asked];
  }

  /** Nothing is asked for before. */
  waitUntil(timeUs: number): void {
    this.#dueUs = timeUs;
  }

  found(symbol: string): void {
    this.#undescribed = this.#undescribed.filter((other) => other !== symbol);
  }

  /** The venue does not list the symbol, or not in a form that can be read: it is asked for again some time later. */
  refused(symbol: string, timeUs: number): void {
    this.found(symbol);
    this.#unlisted.push(symbol);
    this.#relistUs = timeUs + RELIST_US;
  }

  #relist(): void {
    this.#relistUs = Number.POSITIVE_INFINITY;
    this.#undescribed.push(...this.#unlisted);
    this.#unlisted = [];
  }
}
