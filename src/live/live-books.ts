import type { Logger } from "../core/log.ts";
import type { Book } from "../position/book.ts";
import type { BookStore } from "../position/book-store.ts";
import type { StateWrites } from "./state-writes.ts";

/** Beside every change, the books are written as a whole this often. */
const SAVE_US = 5_000_000;
const WHAT = "the books";

/** Writes the books as they change: each change when its turn is over and the quotes that answer it have left. */
export class LiveBooks {
  readonly #book: Book;
  readonly #store: BookStore;
  readonly #log: Logger;
  readonly #writes: StateWrites;
  #savedUs = 0;
  #appending = false;

  constructor(book: Book, store: BookStore, log: Logger, writes: StateWrites) {
    this.#writes = writes;
    this.#book = book;
    this.#store = store;
    this.#log = log;
    book.onChange = () => {
      if (this.#appending) return;
      this.#appending = true;
      queueMicrotask(() => this.#append());
    };
  }

  onTimer(timeUs: number): void {
    if (timeUs - this.#savedUs < SAVE_US) return;
    this.#savedUs = timeUs;
    if (this.#book.revision === 0 || this.#store.saving !== null) return;
    this.#try(() => {
      this.#store.save(this.#book.snapshot()).then(
        () => {
          if (!this.#store.behind) this.#writes.written(WHAT);
        },
        (error: unknown) => this.#failed(error),
      );
    });
  }

  /** Writes what has changed; for a process that is going down. */
  flush(): void {
    if (this.#appending) this.#append();
  }

  /** Writes the whole books and waits until they are on disk. */
  async stop(): Promise<void> {
    await this.#store.saving?.catch(() => {});
    this.flush();
    this.#book.onChange = null;
    if (this.#book.revision > 0) this.#try(() => this.#store.saveSync(this.#book.snapshot()));
    this.#store.close();
  }

  #append(): void {
    this.#appending = false;
    this.#try(() => this.#store.append(this.#book.changes()));
  }

  #try(write: () => void): void {
    try {
      write();
    } catch (error) {
      this.#failed(error);
    }
  }

  #failed(error: unknown): void {
    this.#writes.failed(WHAT);
    this.#log.error(`${WHAT} cannot be written`, { error });
  }
}
