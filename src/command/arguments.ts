import { type ParseArgsOptionsConfig, parseArgs } from "node:util";
import { nearest } from "../core/nearest.ts";
import {
  type Command,
  type NumberOption,
  type OptionSpec,
  type OptionTable,
  type StringOption,
  UsageError,
} from "./command.ts";

/** Options that every verb has. */
export const SHARED_OPTIONS = {
  help: { type: "boolean", short: "h", description: "Show this help" },
  json: { type: "boolean", description: "End with the result as one JSON object on the last line of stdout" },
} as const satisfies OptionTable;

type Value = string | number | boolean | readonly string[] | undefined;

export interface ParsedArguments {
  readonly help: boolean;
  readonly json: boolean;
  readonly options: Readonly<Record<string, Value>>;
  readonly positionals: readonly string[];
}

/**
 * Reads a verb's arguments by its option table.
 *
 * @throws UsageError that names the argument and what was expected. With `--help` nothing but the options' names is checked.
 */
export function parseArguments(command: Command, args: readonly string[]): ParsedArguments {
  const table: OptionTable = { ...command.options, ...SHARED_OPTIONS };
  const options: ParseArgsOptionsConfig = {};
  for (const [name, spec] of Object.entries(table)) {
    options[name] = {
      type: spec.type === "boolean" ? "boolean" : "string",
      multiple: spec.type === "string" && spec.multiple === true,
      ...(spec.short === undefined ? {} : { short: spec.short }),
    };
  }
  const { values, positionals, tokens } = parseArgs({
    args: joinNegativeNumbers(table, args),
    options,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  for (const token of tokens) {
    if (token.kind !== "option") continue;
    const spec = table[token.name];
    if (spec === undefined) throw unknownOption(command, token.rawName, Object.keys(table));
    if (spec.type === "boolean" && token.value !== undefined) {
      throw new UsageError(`--${token.name} takes no value, found ${JSON.stringify(token.value)}`);
    }
    if (spec.type !== "boolean" && token.value === undefined) {
      throw new UsageError(`--${token.name} needs a value: ${expectation(spec)}`);
    }
  }
  const help = values.help === true;
  const json = values.json === true;
  if (help) return { help, json, options: {}, positionals };
  const checked: Record<string, Value> = {};
  for (const [name, spec] of Object.entries(command.options)) {
    checked[name] = checkOption(name, spec, values[name]);
  }
  checkPositionals(command, positionals);
  return { help, json, options: checked, positionals };
}

/** `--offset -5` would read as two options; an option that takes a number takes it. */
function joinNegativeNumbers(table: OptionTable, args: readonly string[]): string[] {
  const joined: string[] = [];
  for (let i = 0; i < args.length; i += 1) {
    const argument = args[i];
    const next = args[i + 1];
    if (
      argument.startsWith("--") &&
      table[argument.slice(2)]?.type === "number" &&
      /^-[\d.]/.test(next ?? "")
    ) {
      joined.push(`${argument}=${next}`);
      i += 1;
    } else {
      joined.push(argument);
    }
  }
  return joined;
}

function unknownOption(command: Command, rawName: string, known: readonly string[]): UsageError {
  const near = nearest(rawName.replace(/^-+/, ""), known);
  const hint = near === undefined ? "" : `, did you mean --${near}?`;
  return new UsageError(
    `${rawName} is not an option of keel ${command.name}${hint} (keel ${command.name} --help lists them)`,
  );
}

/** What an option takes, in words. */
export function expectation(spec: StringOption | NumberOption): string {
  if (spec.type === "string") {
    return spec.choices === undefined ? (spec.value ?? "text") : `one of ${spec.choices.join(", ")}`;
  }
  const kind = spec.integer === true ? "a whole number" : "a number";
  if (spec.min !== undefined && spec.max !== undefined) return `${kind} from ${spec.min} to ${spec.max}`;
  if (spec.min !== undefined) return `${kind} of at least ${spec.min}`;
  if (spec.max !== undefined) return `${kind} of at most ${spec.max}`;
  return kind;
}

function checkOption(name: string, spec: OptionSpec, given: unknown): Value {
  if (spec.type === "boolean") return given === true;
  if (given === undefined) {
    if (spec.required === true) throw new UsageError(`--${name} ${expectation(spec)} is required`);
    return spec.type === "string" && spec.multiple === true ? [] : spec.default;
  }
  if (spec.type === "number") return checkNumber(name, spec, String(given));
  const texts = Array.isArray(given) ? given.map(String) : [String(given)];
  for (const text of texts) {
    if (spec.choices !== undefined && !spec.choices.includes(text)) {
      throw new UsageError(`--${name}: found ${JSON.stringify(text)}, expected ${expectation(spec)}`);
    }
  }
  return spec.multiple === true ? texts : texts[texts.length - 1];
}

function checkNumber(name: string, spec: NumberOption, text: string): number {
  const value = text.trim() === "" ? Number.NaN : Number(text);
  const fits =
    Number.isFinite(value) &&
    (spec.integer !== true || Number.isSafeInteger(value)) &&
    value >= (spec.min ?? Number.NEGATIVE_INFINITY) &&
    value <= (spec.max ?? Number.POSITIVE_INFINITY);
  if (!fits) throw new UsageError(`--${name}: found ${JSON.stringify(text)}, expected ${expectation(spec)}`);
  return value;
}

function checkPositionals(command: Command, given: readonly string[]): void {
  const names = command.positionals ?? [];
  const required = names.filter((name) => !/[?…]$/.test(name)).length;
  const repeats = names.at(-1)?.endsWith("…") === true;
  if (given.length < required) {
    throw new UsageError(`${names[given.length]} is missing (usage: ${usageLine(command)})`);
  }
  if (given.length > names.length && !repeats) {
    throw new UsageError(
      `${JSON.stringify(given[names.length])} is one argument too many (usage: ${usageLine(command)})`,
    );
  }
}

export function usageLine(command: Command): string {
  return `keel ${command.name} ${command.usage}`.trimEnd();
}
