import type { Output } from "./command.ts";

/** Something that takes text in order, such as `process.stdout`. */
export interface TextSink {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
}

/** Writes lines as they come and keeps the result back until {@link StreamOutput.finish}, so that it is the last line. */
export class StreamOutput implements Output {
  readonly json: boolean;
  readonly #sink: TextSink;
  #result: object | undefined;

  constructor(sink: TextSink, json: boolean) {
    this.#sink = sink;
    this.json = json;
  }

  get columns(): number {
    return this.#sink.isTTY === true ? (this.#sink.columns ?? 80) : 0;
  }

  get rows(): number {
    return this.#sink.isTTY === true ? (this.#sink.rows ?? 24) : 0;
  }

  line(text = ""): void {
    this.#sink.write(`${text}\n`);
  }

  raw(text: string): void {
    this.#sink.write(text);
  }

  result(value: object): void {
    this.#result = value;
  }

  finish(): void {
    if (this.json && this.#result !== undefined) this.#sink.write(`${JSON.stringify(this.#result)}\n`);
  }
}

/** Ends a stream and resolves when all of it has been handed over, however slow its reader is. */
export function endStream(stream: { end(callback: () => void): unknown }): Promise<void> {
  return new Promise((resolve) => {
    stream.end(() => resolve());
  });
}
