import type { DeskTap } from "../gateway/tap.ts";

/** Several who follow a desk as one. */
export class JoinedTaps implements DeskTap {
  readonly #all: readonly DeskTap[];

  constructor(all: readonly DeskTap[]) {
    this.#all = all;
  }

  onPrediction(...shown: Parameters<DeskTap["onPrediction"]>): void {
    for (const one of this.#all) one.onPrediction(...shown);
  }

  onQuotes(...shown: Parameters<DeskTap["onQuotes"]>): void {
    for (const one of this.#all) one.onQuotes(...shown);
  }

  onEvents(...shown: Parameters<NonNullable<DeskTap["onEvents"]>>): void {
    for (const one of this.#all) one.onEvents?.(...shown);
  }

  onFeatures(...shown: Parameters<NonNullable<DeskTap["onFeatures"]>>): void {
    for (const one of this.#all) one.onFeatures?.(...shown);
  }

  onModel(...shown: Parameters<NonNullable<DeskTap["onModel"]>>): void {
    for (const one of this.#all) one.onModel?.(...shown);
  }

  onCancelAll(timeUs: number): void {
    for (const one of this.#all) one.onCancelAll(timeUs);
  }

  onTimer(timeUs: number): void {
    for (const one of this.#all) one.onTimer(timeUs);
  }

  close(): void {
    for (const one of this.#all) one.close();
  }
}
