import type { Config } from "../config.ts";
import { EXIT, type ExitCode, KeelError } from "../core/errors.ts";
import type { Logger } from "../core/log.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

interface OptionCommon {
  /** One sentence for `--help`, without a full stop. */
  readonly description: string;
  /** One letter. */
  readonly short?: string;
}

export interface BooleanOption extends OptionCommon {
  readonly type: "boolean";
}

export interface StringOption extends OptionCommon {
  readonly type: "string";
  /** What the value is called in `--help`, e.g. `FILE`. */
  readonly value?: string;
  readonly choices?: readonly string[];
  readonly default?: string;
  /** May be given several times; the value is then an array, empty when it was not given. */
  readonly multiple?: boolean;
  readonly required?: boolean;
}

export interface NumberOption extends OptionCommon {
  readonly type: "number";
  readonly value?: string;
  readonly integer?: boolean;
  readonly min?: number;
  readonly max?: number;
  readonly default?: number;
  readonly required?: boolean;
}

export type OptionSpec = BooleanOption | StringOption | NumberOption;

/** Long option names (without dashes) and what they take. `help` and `json` belong to every verb and are not repeated here. */
export type OptionTable = Readonly<Record<string, OptionSpec>>;

type Present<S, V> = S extends { readonly default: V } | { readonly required: true } ? V : V | undefined;

export type OptionValue<S extends OptionSpec> = S extends BooleanOption
  ? boolean
  : S extends NumberOption
    ? Present<S, number>
    : S extends { readonly multiple: true }
      ? readonly string[]
      : Present<S, string>;

export type OptionValues<O extends OptionTable> = { readonly [K in keyof O]: OptionValue<O[K]> };

/** Where a verb writes what the user asked for. Logs do not go here but to stderr, through the logger. */
export interface Output {
  /** `--json` was given. */
  readonly json: boolean;
  /** Standard output is a terminal of this many columns; 0 when it is none. */
  readonly columns: number;
  /** Its height; 0 when it is none. */
  readonly rows: number;
  /** Writes a line of readable text. */
  line(text?: string): void;
  /** Writes text as it is, without a line feed; for live views. */
  raw(text: string): void;
  /**
   * The verb's result, given once. With `--json` it becomes the last line of standard output, one JSON object; without, it
   * is not shown. NaN and infinities become null.
   */
  result(value: object): void;
}

export interface CommandContext<O extends OptionTable = OptionTable, E extends boolean = boolean> {
  readonly options: OptionValues<O>;
  readonly positionals: readonly string[];
  /** The validated configuration when the command declares `environment: true`. */
  readonly config: E extends true ? Config : undefined;
  readonly env: Environment;
  readonly log: Logger;
  readonly out: Output;
  /** Aborts at the first SIGINT or SIGTERM, which then no longer end the process by themselves; a second one does, at once. */
  readonly shutdown: AbortSignal;
}

/**
 * One verb of the executable. A command's file holds nothing heavy at its top: what it needs beyond types it imports inside
 * `run`, so that `keel --help` stays fast.
 */
export interface Command<O extends OptionTable = OptionTable, E extends boolean = boolean> {
  readonly name: string;
  /** One line for the list of verbs, without a full stop. */
  readonly summary: string;
  /** Arguments as shown after `keel NAME`, e.g. `--capture FILE [options]`. */
  readonly usage: string;
  /** Paragraphs of `--help` below the usage: what the verb does, what its result holds, what its exit codes mean. */
  readonly details?: string;
  readonly options: O;
  /** Names of positional arguments; a trailing `?` makes one optional, a trailing `…` stands for any number of them, none too. */
  readonly positionals?: readonly string[];
  /** Reads the environment as configuration; a bad one ends the process with exit code 2 before `run`. */
  readonly environment: E;
  run(context: CommandContext<O, E>): Promise<ExitCode>;
}

/** Types a command's `run` by its own option table. */
export function defineCommand<const O extends OptionTable, const E extends boolean>(
  command: Command<O, E>,
): Command<O, E> {
  return command;
}

/** The command line does not fit the verb. */
export class UsageError extends KeelError {
  constructor(message: string) {
    super("usage", message, EXIT.badConfiguration);
  }
}
