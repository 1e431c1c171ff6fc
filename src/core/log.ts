import { type Clock, systemClock } from "./clock.ts";

export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export const LOG_FORMATS = ["json", "text"] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

/** What goes with a message. Values are written as JSON; an Error by its code and message. */
export type LogFields = Readonly<Record<string, unknown>>;

export interface LoggerOptions {
  readonly format: LogFormat;
  readonly level: LogLevel;
  readonly clock?: Clock;
  /** Takes one whole line without its line feed. Default: stderr. */
  readonly sink?: (line: string) => void;
  /** The same message this often within {@link LoggerOptions.windowMs} is written; what is more is counted. Default 10. */
  readonly burst?: number;
  /** Default 10,000. */
  readonly windowMs?: number;
}

/** Messages whose rate is followed at one time; the oldest is forgotten first. */
const MAX_TRACKED_MESSAGES = 512;
const MAX_VALUE_CHARACTERS = 2_000;
const MAX_LINE_CHARACTERS = 16_000;
const SECRET_FIELD = /pass(word|phrase)?$|secret|token|credential|authorization|api_?key|private_?key/i;
const URL_USER_INFO = /(\b[a-z][a-z0-9+.-]*:\/\/)[^\s/@]+@/gi;

interface Rate {
  windowStartMs: number;
  count: number;
  suppressed: number;
}

/**
 * Writes one line per message to stderr, as JSON (`KEEL_LOG=json`) or readable text (`KEEL_LOG=text`).
 *
 * The message is a constant sentence and what varies goes into fields, because repetition is limited by message: the first
 * `burst` of a window are written, the next one after the window carries `suppressed`, the number that were not. Fields
 * named like secrets and user information in URLs are replaced before anything is written.
 */
export class Logger {
  readonly #options: Required<LoggerOptions>;
  readonly #fields: LogFields;
  readonly #rates: Map<string, Rate>;

  constructor(options: LoggerOptions, fields: LogFields = {}, rates = new Map<string, Rate>()) {
    this.#options = { clock: systemClock, sink: writeToStderr, burst: 10, windowMs: 10_000, ...options };
    this.#fields = fields;
    this.#rates = rates;
  }

  /** A logger whose every message also carries the given fields. Rates are shared with this one. */
  with(fields: LogFields): Logger {
    return new Logger(this.#options, { ...this.#fields, ...fields }, this.#rates);
  }

  debug(message: string, fields?: LogFields): void {
    this.#write("debug", message, fields);
  }

  info(message: string, fields?: LogFields): void {
    this.#write("info", message, fields);
  }

  warn(message: string, fields?: LogFields): void {
    this.#write("warn", message, fields);
  }

  error(message: string, fields?: LogFields): void {
    this.#write("error", message, fields);
  }

  #write(level: LogLevel, message: string, fields: LogFields = {}): void {
    if (LOG_LEVELS.indexOf(level) < LOG_LEVELS.indexOf(this.#options.level)) return;
    const nowMs = this.#options.clock.wallUs() / 1_000;
    const suppressed = this.#admit(`${level} ${message}`, nowMs);
    if (suppressed < 0) return;
    const time = new Date(nowMs).toISOString();
    const all: Record<string, unknown> = { ...this.#fields, ...fields };
    if (suppressed > 0) all.suppressed = suppressed;
    const write = this.#options.format === "json" ? jsonLine : textLine;
    const line = write(time, level, message, all);
    const fits = line.length <= MAX_LINE_CHARACTERS;
    this.#options.sink(fits ? line : write(time, level, message, { omitted: `${line.length} characters` }));
  }

  /** @returns −1 when the message is one too many, else how many were suppressed before it. */
  #admit(key: string, nowMs: number): number {
    const rate = this.#rates.get(key);
    if (rate === undefined) {
      if (this.#rates.size === MAX_TRACKED_MESSAGES) {
        const oldest = this.#rates.keys().next().value;
        if (oldest !== undefined) this.#rates.delete(oldest);
      }
      this.#rates.set(key, { windowStartMs: nowMs, count: 1, suppressed: 0 });
      return 0;
    }
    if (nowMs - rate.windowStartMs >= this.#options.windowMs) {
      const suppressed = rate.suppressed;
      rate.windowStartMs = nowMs;
      rate.count = 1;
      rate.suppressed = 0;
      return suppressed;
    }
    if (rate.count < this.#options.burst) {
      rate.count += 1;
      return 0;
    }
    rate.suppressed += 1;
    return -1;
  }
}

/**
 * The logger for a process environment. Bad values of `KEEL_LOG` and `KEEL_LOG_LEVEL` fall back to `text` and `info` here,
 * so that there is a logger to report them with.
 */
export function loggerFromEnvironment(env: Readonly<Record<string, string | undefined>>): Logger {
  return new Logger({
    format: LOG_FORMATS.find((format) => format === env.KEEL_LOG) ?? "text",
    level: LOG_LEVELS.find((level) => level === env.KEEL_LOG_LEVEL) ?? "info",
  });
}

function writeToStderr(line: string): void {
  process.stderr.write(`${line}\n`);
}

function visible(key: string, value: unknown): unknown {
  if (SECRET_FIELD.test(key)) return "[secret]";
  if (typeof value === "string") {
    const cut = value.length > MAX_VALUE_CHARACTERS ? `${value.slice(0, MAX_VALUE_CHARACTERS)}…` : value;
    return cut.replace(URL_USER_INFO, "$1[secret]@");
  }
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Error) {
    const code = "code" in value && typeof value.code === "string" ? value.code : value.name;
    return { code, message: visible("", value.message) };
  }
  return value;
}

function jsonLine(time: string, level: LogLevel, message: string, fields: LogFields): string {
  return JSON.stringify({ time, level, message: visible("", message), ...fields }, visible);
}

function textLine(time: string, level: LogLevel, message: string, fields: LogFields): string {
  let line = `${time} ${level.padEnd(5)} ${visible("", message)}`;
  for (const [key, value] of Object.entries(fields)) {
    const shown = visible(key, value);
    const plain = typeof shown === "string" && /^[^\s"=]+$/.test(shown);
    line += ` ${key}=${plain ? shown : JSON.stringify(shown, visible)}`;
  }
  return line;
}
