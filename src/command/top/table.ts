import type { Line, Tone } from "./line.ts";

/** Between two columns. */
const GAP = 2;

/** A column of a table; every one of a table has as many texts. */
export interface Column {
  readonly title: string;
  readonly texts: readonly string[];
  /** Numbers stand to the right; names, and whatever comes last and has no set length, to the left. */
  readonly align: "left" | "right";
  /** Where the terminal is too narrow for all, those with the highest rank go first; 0 stays. */
  readonly rank: number;
}

/**
 * A table as wide as its contents, without the columns that `width` has no room for.
 *
 * @param width columns of the terminal; infinity where there is none
 * @param tones of the rows
 */
export function tableLines(columns: readonly Column[], width: number, tones: readonly Tone[]): Line[] {
  const widths = new Map(
    columns.map((column) => [
      column,
      Math.max(column.title.length, ...column.texts.map((one) => one.length)),
    ]),
  );
  const shown = [...columns];
  const needed = (): number => shown.reduce((sum, column) => sum + (widths.get(column) ?? 0) + GAP, -GAP);
  while (needed() > width) {
    const last = shown.reduce((a, b) => (b.rank >= a.rank ? b : a));
    if (last.rank === 0) break;
    shown.splice(shown.indexOf(last), 1);
  }
  const line = (texts: readonly string[]): string =>
    shown
      .map((column, at) => {
        const text = texts[at] ?? "";
        const size = widths.get(column) ?? 0;
        return column.align === "left" ? text.padEnd(size) : text.padStart(size);
      })
      .join(" ".repeat(GAP))
      .trimEnd();
  return [
    { text: line(shown.map(({ title }) => title)), tone: "head" },
    ...tones.map((tone, row) => ({ text: line(shown.map(({ texts }) => texts[row] ?? "")), tone })),
  ];
}
