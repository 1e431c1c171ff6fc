import { expectation, SHARED_OPTIONS, usageLine } from "./arguments.ts";
import type { Command, OptionSpec } from "./command.ts";

/** The help of one verb, made from its option table. */
export function commandHelp(command: Command): string {
  const parts = [flow(`${command.summary}.`), `Usage: ${usageLine(command)}`];
  if (command.details !== undefined) parts.push(flow(command.details.trim()));
  parts.push(`Options:\n${columns(optionRows(command))}`);
  if (command.environment) {
    parts.push(
      flow(
        "Reads the KEEL_… environment variables; the table of them is in README.md and in `keel doctor --variables`.",
      ),
    );
  }
  return parts.join("\n\n");
}

/** How each option is written and what it is, in words. */
export function optionRows(command: Command): [string, string][] {
  return Object.entries({ ...command.options, ...SHARED_OPTIONS }).map(([name, spec]) => [
    optionHead(name, spec),
    optionText(spec),
  ]);
}

/** The list of verbs. */
export function overview(commands: readonly Command[]): string {
  return [
    flow("keel keeps quotes steady: market data in, a model on every change, FIX quotes out."),
    "Usage: keel VERB [options]",
    `Verbs:\n${columns(commands.map((command) => [command.name, command.summary]))}`,
    flow("`keel VERB --help` tells each verb's options. Configuration is by KEEL_… environment variables."),
  ].join("\n\n");
}

const COLUMNS = 80;
/** A line of a table: a word or two, at least two spaces, text. */
const TABLE_LINE = /^(\S+(?: \S+)* {2,})\S/;

/**
 * Fills each paragraph's lines anew; the lines of a table stay lines, what is too long goes on below its text. A line that is indented
 * continues the one above.
 */
function flow(text: string): string {
  return text.split("\n\n").map(flowParagraph).join("\n\n");
}

function flowParagraph(paragraph: string): string {
  const lines = paragraph.split("\n");
  if (!lines.some((line) => TABLE_LINE.test(line))) return fill("", lines.join(" "));
  const rows: string[] = [];
  for (const line of lines) {
    if (/^\s/.test(line) && rows.length > 0) rows.push(`${rows.pop()} ${line.trim()}`);
    else rows.push(line);
  }
  return rows
    .map((line) => {
      const head = TABLE_LINE.exec(line)?.[1] ?? "";
      return fill(head, line.slice(head.length));
    })
    .join("\n");
}

/** Breaks between words; every line but the first begins below the end of the head. */
function fill(head: string, text: string): string {
  const lines: string[] = [];
  let current = head;
  for (const word of text.split(/\s+/)) {
    if (current.length > head.length && current.length + 1 + word.length > COLUMNS) {
      lines.push(current);
      current = " ".repeat(head.length);
    }
    current += current.length > head.length ? ` ${word}` : word;
  }
  return [...lines, current].join("\n");
}

function optionHead(name: string, spec: OptionSpec): string {
  const short = spec.short === undefined ? "    " : `-${spec.short}, `;
  if (spec.type === "boolean") return `${short}--${name}`;
  const fallback = spec.type === "number" ? "N" : (spec.choices?.join("|") ?? "TEXT");
  return `${short}--${name} ${spec.value ?? fallback}`;
}

function optionText(spec: OptionSpec): string {
  const notes: string[] = [];
  if (spec.type === "number" && (spec.min !== undefined || spec.max !== undefined))
    notes.push(expectation(spec));
  if (spec.type !== "boolean" && spec.required === true) notes.push("required");
  if (spec.type === "string" && spec.multiple === true) notes.push("may repeat");
  if (spec.type !== "boolean" && spec.default !== undefined) notes.push(`default ${spec.default}`);
  return notes.length === 0 ? spec.description : `${spec.description} (${notes.join("; ")})`;
}

function columns(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([head]) => head.length));
  return rows.map(([head, text]) => fill(`  ${head.padEnd(width)}  `, text)).join("\n");
}
