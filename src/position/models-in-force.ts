/** Models of an underlying that are remembered: quotes may stand while a canary takes turns with a champion. */
const KEPT = 16;
/** Answers to requests whose time is remembered. */
const ANSWERS = 4_096;

interface InForce {
  readonly model: string;
  /** Quotes with higher ids are this model's. */
  readonly afterQuoteId: number;
  /** Number of the change that put it in force. */
  readonly change: number;
}

/** Which model's predictions a quote was made with, by underlying. Bounded: of quotes older than the last changes it is the oldest kept. */
export class ModelsInForce {
  readonly #first: string;
  readonly #models: (InForce[] | undefined)[] = [];
  /** By the answer's id: the last change before it was given. */
  readonly #answers = new Map<string, number>();
  #changes = 0;

  /** @param first in force everywhere until another one is named */
  constructor(first: string) {
    this.#first = first;
  }

  /** From the next quote on it is another model, or the same one again. @param lastQuoteId the highest id given so far */
  name(underlying: number, model: string, lastQuoteId: number): void {
    if (model === this.of(underlying)) return;
    const models = this.#models[underlying] ?? [{ model: this.#first, afterQuoteId: 0, change: 0 }];
    this.#models[underlying] = models;
    this.#changes += 1;
    models.push({ model, afterQuoteId: lastQuoteId, change: this.#changes });
    if (models.length > KEPT) models.shift();
  }

  /** A request was answered. */
  answered(rfqQuoteId: string): void {
    this.#answers.set(rfqQuoteId, this.#changes);
    if (this.#answers.size <= ANSWERS) return;
    for (const oldest of this.#answers.keys()) {
      this.#answers.delete(oldest);
      return;
    }
  }

  /** As {@link of}, of an answer to a request that was taken. */
  ofAnswer(underlying: number, rfqQuoteId: string): string {
    const last = this.#answers.get(rfqQuoteId) ?? Number.POSITIVE_INFINITY;
    const models = this.#models[underlying];
    return (models?.findLast(({ change }) => change <= last) ?? models?.[0])?.model ?? this.#first;
  }

  /** @param quoteId of a quote that was filled; left out, what is in force now */
  of(underlying: number, quoteId = Number.POSITIVE_INFINITY): string {
    const models = this.#models[underlying];
    const then = models?.findLast(({ afterQuoteId }) => afterQuoteId < quoteId) ?? models?.[0];
    return then?.model ?? this.#first;
  }
}
