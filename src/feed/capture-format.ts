import { BadInputError } from "../core/errors.ts";

/**
 * What a line of a capture tells.
 *
 * - `frame` a text frame received from the venue, `sent` one sent to it;
 * - `snapshot` a bare REST depth answer inside a Binance capture;
 * - `connect` / `disconnect` of a WebSocket (`url`; for disconnect `text` is `code reason`);
 * - `http` the answer to an HTTP GET of `url`, with its `status`;
 * - `lost` the recorder could not keep up, or what stood here was damaged: `text` is the number of entries left out, `?` when nobody
 *   knows it.
 */
export type CaptureKind = "frame" | "snapshot" | "connect" | "disconnect" | "sent" | "http" | "lost";

export interface CaptureEntry {
  readonly kind: CaptureKind;
  /** Local receive clock, µs since the epoch. */
  readonly timeUs: number;
  /** Raw text exactly as on the wire; empty for `connect`. */
  readonly text: string;
  /** Address of `connect`, `sent` (session files only) and `http`; empty otherwise. */
  readonly url: string;
  /** Number of the connection within the capture, from 0. */
  readonly connection: number;
  /** HTTP status; 200 where the format does not keep it, 0 for entries that are no HTTP answer. */
  readonly status: number;
}

/**
 * Text layouts that are read:
 *
 * - `binance`: `local_ns {json}` (hftbacktest's collector);
 * - `session`: `url <-> epoch`, `url <- epoch: text`, `url -> epoch: body`, `epoch: text` (cryptofeed's recorder);
 * - `keel`: keel's own, see {@link formatKeelLine}.
 */
export type CaptureFormat = "binance" | "session" | "keel";

const KEEL_HEADER = "#keel-capture ";
const KEEL_CAPTURE_VERSION = 1;

/** One parser per file: it remembers which connection is open. Returns null for lines that carry nothing. */
export interface LineParser {
  readonly format: CaptureFormat;
  /** What the recorder said of the capture in its first line; null where the layout has no such line. */
  readonly about: Readonly<Record<string, unknown>> | null;
  /** @throws BadInputError naming `where` when the line is not of the format. */
  parse(line: string, where: string): CaptureEntry | null;
}

const KEEL_LINE = /^\d+(?:\.\d+)? [-+<>?!]j? \d+ /;
const NS_LINE = /^\d{16,19} [{[]/;
const SESSION_LINE = /^(?:configuration: |(?:wss?|https?):\/\/\S+ (?:<->|<-|->) |\d{9,11}(?:\.\d+)?: )/;

/**
 * Chooses the parser by the first line of a file.
 *
 * @param isHeadless the file may have lost its beginning: a line of keel's layout will do for its header
 * @throws BadInputError when it is none of the known layouts.
 */
export function parserFor(firstLine: string, where: string, isHeadless = false): LineParser {
  if (firstLine.startsWith(KEEL_HEADER)) return new KeelParser();
  if (isHeadless && KEEL_LINE.test(firstLine)) return new KeelParser();
  if (NS_LINE.test(firstLine)) return new BinanceParser();
  if (SESSION_LINE.test(firstLine)) return new SessionParser();
  throw new BadInputError(
    where,
    quote(firstLine),
    "a capture: 'local_ns {json}', 'url <-> epoch' or '#keel-capture 1 …'",
  );
}

class BinanceParser implements LineParser {
  readonly format = "binance";
  readonly about = null;

  parse(line: string, where: string): CaptureEntry {
    const space = line.indexOf(" ");
    const timeUs = space >= 16 && space <= 19 ? digitsToUs(line, space) : Number.NaN;
    if (Number.isNaN(timeUs) || line.length === space + 1) {
      throw new BadInputError(where, quote(line), "'local_ns {json}'");
    }
    const text = line.slice(space + 1);
    const kind = text.startsWith('{"lastUpdateId"') ? "snapshot" : "frame";
    return { kind, timeUs, text, url: "", connection: 0, status: 0 };
  }
}

class SessionParser implements LineParser {
  readonly format = "session";
  readonly about = null;
  #connection = -1;

  parse(line: string, where: string): CaptureEntry | null {
    if (line.startsWith("configuration: ")) return null;
    const first = line.charCodeAt(0);
    if (first >= 48 && first <= 57) {
      const colon = line.indexOf(": ");
      const timeUs = colon > 0 ? epochToUs(line.slice(0, colon)) : Number.NaN;
      if (Number.isNaN(timeUs)) throw new BadInputError(where, quote(line), "'epoch: text'");
      return this.#entry("frame", timeUs, line.slice(colon + 2), "", 0);
    }
    const match = /^((?:wss?|https?):\/\/\S+) (<->|<-|->) (\d+(?:\.\d+)?)(: )?/.exec(line);
    const url = match?.[1];
    const arrow = match?.[2];
    if (match === null || url === undefined) {
      throw new BadInputError(
        where,
        quote(line),
        "'url <-> epoch', 'url <- epoch: text' or 'url -> epoch: body'",
      );
    }
    const timeUs = epochToUs(match[3] ?? "");
    const text = line.slice(match[0].length);
    if (arrow === "<->") {
      this.#connection += 1;
      return this.#entry("connect", timeUs, "", url, 0);
    }
    return arrow === "<-"
      ? this.#entry("sent", timeUs, text, url, 0)
      : this.#entry("http", timeUs, text, url, 200);
  }

  #entry(kind: CaptureKind, timeUs: number, text: string, url: string, status: number): CaptureEntry {
    return { kind, timeUs, text, url, connection: Math.max(this.#connection, 0), status };
  }
}

/** Stands for the address of an HTTP answer that another recorder did not note: a bare snapshot. */
const NO_URL = "-";

const MARK_KIND: Readonly<Record<string, CaptureKind>> = {
  "+": "connect",
  "-": "disconnect",
  "<": "frame",
  ">": "sent",
  "?": "http",
  "!": "lost",
};
const KIND_MARK: Readonly<Record<Exclude<CaptureKind, "snapshot">, string>> = {
  connect: "+",
  disconnect: "-",
  frame: "<",
  sent: ">",
  http: "?",
  lost: "!",
};

class KeelParser implements LineParser {
  readonly format = "keel";
  about: Readonly<Record<string, unknown>> | null = null;

  parse(line: string, where: string): CaptureEntry | null {
    if (line.startsWith(KEEL_HEADER)) {
      const version = Number.parseInt(line.slice(KEEL_HEADER.length), 10);
      if (version !== KEEL_CAPTURE_VERSION) {
        throw new BadInputError(where, `capture version ${version}`, `version ${KEEL_CAPTURE_VERSION}`);
      }
      this.about ??= readAbout(line);
      return null;
    }
    const match = /^(\d+(?:\.\d+)?) ([-+<>?!])(j?) (\d+) /.exec(line);
    const kind = MARK_KIND[match?.[2] ?? ""];
    if (match === null || kind === undefined) {
      throw new BadInputError(where, quote(line), "'timeUs mark connection text' with a mark of + - < > ? !");
    }
    const timeUs = Number(match[1]);
    const connection = Number(match[4]);
    const rest =
      match[3] === "j" ? readLiteral(line.slice(match[0].length), where) : line.slice(match[0].length);
    if (kind === "connect") return { kind, timeUs, text: "", url: rest, connection, status: 0 };
    if (kind !== "http") return { kind, timeUs, text: rest, url: "", connection, status: 0 };
    const answer = /^(\d{1,3}) (\S+) /.exec(rest);
    if (answer === null) throw new BadInputError(where, quote(line), "'… ? connection status url body'");
    const url = answer[2] ?? "";
    const body = rest.slice(answer[0].length);
    if (url === NO_URL) return { kind: "snapshot", timeUs, text: body, url: "", connection, status: 0 };
    return {
      kind,
      timeUs,
      text: body,
      url,
      connection,
      status: Number(answer[1]),
    };
  }
}

/**
 * One line of keel's own capture layout, newline included:
 * `timeUs mark connection text`, mark `+` connect (text = url), `-` disconnect, `<` received, `>` sent,
 * `?` HTTP answer (text = `status url body`, url `-` for a bare snapshot), `!` entries lost. A `j` after the mark says that the text is a JSON string
 * literal, which is used only where the raw text holds a line break. The time is the shortest decimal that names the double.
 */
export function formatKeelLine(entry: CaptureEntry): string {
  const kind = entry.kind === "snapshot" ? "http" : entry.kind;
  let text = entry.text;
  if (kind === "connect") text = entry.url;
  if (kind === "http")
    text = `${entry.kind === "snapshot" ? 200 : entry.status} ${entry.url || NO_URL} ${text}`;
  const escaped = /[\r\n]/.test(text);
  const mark = KIND_MARK[kind];
  return `${entry.timeUs} ${mark}${escaped ? "j" : ""} ${entry.connection} ${escaped ? JSON.stringify(text) : text}\n`;
}

/** First line of a keel capture; `about` says what was recorded. */
export function formatKeelHeader(about: Readonly<Record<string, unknown>>): string {
  return `${KEEL_HEADER}${KEEL_CAPTURE_VERSION} ${JSON.stringify(about)}\n`;
}

/** Integer nanoseconds of `line[0..end)` as µs, exact to the double's own resolution; NaN when it is not all digits. */
function digitsToUs(line: string, end: number): number {
  let us = 0;
  let fraction = 0;
  for (let i = 0; i < end; i += 1) {
    const digit = line.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return Number.NaN;
    if (i < end - 3) us = us * 10 + digit;
    else fraction = fraction * 10 + digit;
  }
  return us + fraction / 1_000;
}

/** Decimal seconds to µs without losing digits to a binary fraction of a second. */
function epochToUs(text: string): number {
  const match = /^(\d+)(?:\.(\d+))?$/.exec(text);
  if (match === null) return Number.NaN;
  return Number(match[1]) * 1_000_000 + Number(`0.${match[2] ?? "0"}`) * 1_000_000;
}

function readAbout(header: string): Readonly<Record<string, unknown>> | null {
  try {
    const about: unknown = JSON.parse(header.slice(header.indexOf("{")));
    return typeof about === "object" && about !== null ? { ...about } : null;
  } catch {
    return null;
  }
}

function readLiteral(literal: string, where: string): string {
  try {
    const text: unknown = JSON.parse(literal);
    if (typeof text === "string") return text;
  } catch {
    // Falls through to the error that names the place.
  }
  throw new BadInputError(where, quote(literal), "a JSON string literal");
}

function quote(line: string): string {
  return JSON.stringify(line.length > 80 ? `${line.slice(0, 80)}…` : line);
}
