import { expectation, SHARED_OPTIONS, usageLine } from "./arguments.ts";
import type { Command, OptionSpec } from "./command.ts";

/** The help of one verb, made from its option table. */
export function commandHelp(command: Command): string {
  const parts = [`${command.summary}.`, `Usage: ${usageLine(command)}`];
  if (command.details !== undefined) parts.push(wrapLongLines(command.details.trim()));
  const rows = Object.entries({ ...command.options, ...SHARED_OPTIONS }).map(
    ([name, spec]): [string, string] => [optionHead(name, spec), optionText(spec)],
  );
  parts.push(`Options:\n${columns(rows)}`);
  if (command.environment) {
    parts.push(
      "Reads the KEEL_… environment variables; the table of them is in README.md and in `keel doctor --variables`.",
    );
  }
  return parts.join("\n\n");
}

/** The list of verbs. */
export function overview(commands: readonly Command[]): string {
  return [
    "keel keeps quotes steady: market data in, a model on every change, FIX quotes out.",
    "Usage: keel VERB [options]",
    `Verbs:\n${columns(commands.map((command) => [command.name, command.summary]))}`,
    "`keel VERB --help` tells each verb's options. Configuration is by KEEL_… environment variables.",
  ].join("\n\n");
}

const COLUMNS = 100;

/** Breaks lines that are too long between words; those that fit stay as they were written. */
function wrapLongLines(text: string): string {
  return text.split("\n").map(wrapLine).join("\n");
}

function wrapLine(line: string): string {
  if (line.length <= COLUMNS) return line;
  const lines: string[] = [];
  let current = "";
  for (const word of line.split(" ")) {
    if (current !== "" && current.length + 1 + word.length > COLUMNS) {
      lines.push(current);
      current = word;
    } else {
      current = current === "" ? word : `${current} ${word}`;
    }
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
  return rows.map(([head, text]) => `  ${head.padEnd(width)}  ${text}`).join("\n");
}
