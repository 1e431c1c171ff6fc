/** Models of an underlying that are remembered: quotes may stand while a canary takes turns with a champion. */
const KEPT = 16;

interface InForce {
  readonly model: string;
  /** Quotes with higher ids are this model's. */
  readonly afterQuoteId: number;
}

/** Which model's predictions a quote was made with, by underlying. Bounded: of quotes older than the last changes it is the oldest kept. */
export class ModelsInForce {
  readonly #first: string;
  readonly #models: (InForce[] | undefined)[] = [];

  /** @param first in force everywhere until another one is named */
  constructor(first: string) {
    this.#first = first;
  }

  /** From the next quote on it is another model, or the same one again. @param lastQuoteId the highest id given so far */
  name(underlying: number, model: string, lastQuoteId: number): void {
    if (model === this.of(underlying)) return;
    const models = this.#models[underlying] ?? [{ model: this.#first, afterQuoteId: 0 }];
    this.#models[underlying] = models;
    models.push({ model, afterQuoteId: lastQuoteId });
    if (models.length > KEPT) models.shift();
  }

  /** @param quoteId of a quote that was filled; left out, what is in force now */
  of(underlying: number, quoteId = Number.POSITIVE_INFINITY): string {
    const models = this.#models[underlying];
    const then = models?.findLast(({ afterQuoteId }) => afterQuoteId < quoteId) ?? models?.[0];
    return then?.model ?? this.#first;
  }
}
