import type { OutcomeRows, OutcomeTable } from "../outcomes/table.ts";
import type { DatasetRow, RowSink, RowSource } from "./row.ts";

/**
 * A source of which rows, and outcomes, from a time on count. It is played from its beginning all the same: books and features need what
 * came before.
 */
export function rowsSince(source: RowSource, sinceUs: number): RowSource {
  return {
    ...source,
    get damage() {
      return source.damage ?? [];
    },
    sinceUs,
    play: (sink, untilUs) => source.play(new Since(sink, sinceUs), untilUs),
  };
}

class Since implements RowSink {
  readonly #sink: RowSink;
  readonly #sinceUs: number;
  readonly outcome?: NonNullable<RowSink["outcome"]>;

  constructor(sink: RowSink, sinceUs: number) {
    this.#sink = sink;
    this.#sinceUs = sinceUs;
    if (sink.outcome !== undefined) {
      this.outcome = <T extends OutcomeTable>(table: T, row: OutcomeRows[T]): void => {
        if (row.time_us >= sinceUs) sink.outcome?.(table, row);
      };
    }
  }

  row(row: DatasetRow): void {
    if (row.timeUs >= this.#sinceUs) this.#sink.row(row);
  }

  broken(instrument: string): void {
    this.#sink.broken(instrument);
  }
}
