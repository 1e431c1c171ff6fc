import type { Logger } from "../core/log.ts";

/** What tells of its last problem in words; empty while there is none. */
export interface Troubled {
  readonly problem: string;
}

/** Logs what feeds say went wrong, once for each new thing. */
export class ProblemLog {
  readonly #feeds: readonly Troubled[];
  readonly #log: Logger;
  readonly #told: string[];

  constructor(feeds: readonly Troubled[], log: Logger) {
    this.#feeds = feeds;
    this.#log = log;
    this.#told = feeds.map(() => "");
  }

  /** What the feed says now has been logged in other words. */
  told(feed: number): void {
    this.#told[feed] = this.#feeds[feed]?.problem ?? "";
  }

  /** Called often: costs a comparison a feed when nothing is new. */
  tell(): void {
    for (let feed = 0; feed < this.#told.length; feed += 1) {
      const { problem } = this.#feeds[feed];
      if (problem === this.#told[feed]) continue;
      this.#told[feed] = problem;
      if (problem !== "") this.#log.warn("feed trouble", { problem });
    }
  }
}
