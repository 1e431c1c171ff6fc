export type Tone = "plain" | "head" | "good" | "warn" | "bad" | "dim";

/** A line of the view; its colour is left to whoever draws it. */
export interface Line {
  readonly text: string;
  readonly tone: Tone;
}

/** What moves a cursor, colours, or turns the direction of writing. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
const UNSAFE = /[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/** The text of a line that may hold what a venue or a counterparty sent: it must not speak to the terminal. */
export function printable(text: string): string {
  return text.replace(UNSAFE, "�");
}

/** A text on as many lines as it needs, broken between words; all but the first are indented. */
export function wrapped(text: string, tone: Tone, width: number, indent = "  "): Line[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    const longer = line === "" ? word : `${line} ${word}`;
    if (longer.length <= width || line.trim() === "") line = longer;
    else {
      lines.push(line);
      line = indent + word;
    }
  }
  return [...lines, line].map((one) => ({ text: one, tone }));
}
