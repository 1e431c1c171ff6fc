import { z } from "zod";
import { BadInputError } from "../core/errors.ts";
import { SIGNALS } from "../feature/schema.ts";
import { parseFeedList, type VenueSubscriptions } from "../feed/registry.ts";
import type { HedgeInstrument } from "../hedge/parameters.ts";
import { VENUES } from "../market/instrument.ts";

/** How the text of a variable is read. `label` says what is expected, in the README's table and in errors. */
export interface ValueType<T> {
  readonly label: string;
  readonly schema: z.ZodType<T, string>;
}

/** What a reader answers when the text does not fit; `expected` overrides the type's label. */
export class Misfit {
  readonly expected: string | undefined;

  constructor(expected?: string) {
    this.expected = expected;
  }
}

/** @param article goes before the label in errors */
export function valueType<T>(
  label: string,
  article: string,
  read: (text: string) => T | Misfit,
): ValueType<T> {
  const schema = z.string().transform((text, context): T => {
    const value = read(text);
    if (!(value instanceof Misfit)) return value;
    context.addIssue({ code: "custom", message: value.expected ?? `${article} ${label}`.trim() });
    return z.NEVER;
  });
  return { label, schema };
}

export interface NumberRange {
  readonly min: number;
  readonly max: number;
  readonly integer?: boolean;
}

export function numberIn(range: NumberRange): ValueType<number> {
  const kind = range.integer === true ? "whole number" : "number";
  return valueType(`${kind} from ${range.min} to ${range.max}`, "a", (text) => {
    const value = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : Number.NaN;
    if (!(value >= range.min && value <= range.max)) return new Misfit();
    return range.integer === true && !Number.isSafeInteger(value) ? new Misfit() : value;
  });
}

export function integerIn(min: number, max: number): ValueType<number> {
  return numberIn({ min, max, integer: true });
}

export function oneOf<const T extends string>(...choices: readonly T[]): ValueType<T> {
  return valueType(
    choices.join(" | "),
    "",
    (text) => choices.find((choice) => choice === text) ?? new Misfit(`one of ${choices.join(", ")}`),
  );
}

/** `on` or `off`. */
export const flag: ValueType<boolean> = valueType("on | off", "", (text) => {
  if (text === "on") return true;
  return text === "off" ? false : new Misfit("on or off");
});

/** An `http` or `https` URL, without credentials in it. */
export const webUrl: ValueType<string> = valueType("URL", "a", (text) => {
  const url = URL.canParse(text) ? new URL(text) : null;
  const fits = url !== null && /^https?:$/.test(url.protocol) && url.username === "" && url.password === "";
  return fits ? url.href : new Misfit("an http:// or https:// URL without user name and password");
});

/** Printable text without spaces, as FIX identifiers and host names are. */
export function word(label: string): ValueType<string> {
  return valueType(label, "a", (text) => (/^[\x21-\x7e]{1,255}$/.test(text) ? text : new Misfit()));
}

/** Printable text, with spaces within it, as device names are. */
export function phrase(label: string): ValueType<string> {
  return valueType(label, "", (text) =>
    /^[\x21-\x7e]([\x20-\x7e]{0,253}[\x21-\x7e])?$/.test(text) ? text : new Misfit(),
  );
}

/** A name as `shm_open` takes it, without the slash. */
export const sharedMemoryName: ValueType<string> = valueType("name", "a", (text) =>
  /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(text)
    ? text
    : new Misfit("a name of letters, digits, dots, dashes and underscores"),
);

export function powerOfTwo(min: number, max: number): ValueType<number> {
  return valueType(`power of two from ${min} to ${max}`, "a", (text) => {
    const value = Number(text);
    return /^\d+$/.test(text) && value >= min && value <= max && (value & (value - 1)) === 0
      ? value
      : new Misfit();
  });
}

export const path: ValueType<string> = valueType("path", "a", (text) =>
  text.includes("\0") ? new Misfit() : text,
);

/** A path to a file with a secret; the secret itself is never given in the environment. */
export const secretFile: ValueType<string> = valueType("path of a file", "the", (text) =>
  text.includes("\0") ? new Misfit() : text,
);

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** `host:port`, `[v6]:port`, or `off`. */
export const listenAddress: ValueType<HostPort | null> = valueType("host:port | off", "", readListen);

function readListen(text: string): HostPort | null | Misfit {
  if (text === "off") return null;
  const match = /^(?:\[([0-9a-f:.]+)\]|([^\s:/[\]]+)):(\d{1,5})$/i.exec(text);
  const port = Number(match?.[3]);
  const host = match?.[1] ?? match?.[2];
  return host !== undefined && port <= 65_535 ? { host, port } : new Misfit("host:port or off");
}

/** Where HTTP is served: a host and port, or a socket in the file system. */
export type HttpAddress = HostPort | { readonly unix: string };

/** `host:port`, `[v6]:port`, `unix:/path`, or `off`. */
export const httpAddress: ValueType<HttpAddress | null> = valueType(
  "host:port | unix:/path | off",
  "",
  (text) => {
    // A socket's path has 107 bytes at most (unix(7)).
    const [, path] = /^unix:(\/[\x21-\x7e]{1,106})$/.exec(text) ?? [];
    if (path !== undefined) return { unix: path };
    const address = readListen(text);
    return address instanceof Misfit ? new Misfit("host:port, unix:/path or off") : address;
  },
);

/** One URL of scheme ws, wss, http or https, without anything secret in it. */
export const endpointUrl: ValueType<string> = valueType("ws, wss, http or https URL", "a", (text) => {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^(wss?|https?):$/.test(url.protocol) || url.hostname === "") return new Misfit();
  if (url.username !== "" || url.password !== "") return new Misfit("a URL without user name and password");
  if (url.search !== "" || url.hash !== "") return new Misfit("a URL without query and fragment");
  return text;
});

/** `venue:subscription,…`; subscriptions of one venue share one connection. */
export const feedList: ValueType<readonly VenueSubscriptions[]> = valueType(
  "venue:subscription,…",
  "",
  (text) => {
    try {
      return parseFeedList(text);
    } catch (error) {
      if (!(error instanceof BadInputError)) return new Misfit();
      const { found, expected } = error;
      return new Misfit(found === JSON.stringify(text) ? expected : `${expected}, in place of ${found}`);
    }
  },
);

/** `venue:symbol,…` of perpetuals and futures. */
export const hedgeList: ValueType<readonly HedgeInstrument[]> = valueType("venue:symbol,…", "", (text) => {
  const instruments: HedgeInstrument[] = [];
  for (const part of text.split(",")) {
    const [, venue = "", symbol = ""] = /^([a-z-]+):([\x21-\x7e]{1,64})$/.exec(part.trim()) ?? [];
    if (!VENUES.some((name) => name === venue)) {
      return new Misfit("venue:symbol,… with venues from the table of feeds, e.g. deribit:BTC-PERPETUAL");
    }
    instruments.push({ venue, symbol });
  }
  return instruments;
});

/** Names of external signals, at most as many as there are features for them; a signal's number is its place in the list. */
export const signalList: ValueType<readonly string[]> = valueType("name,…", "", (text) => {
  const names = text.split(",").map((name) => name.trim());
  if (names.length > SIGNALS.length) return new Misfit(`at most ${SIGNALS.length} signals`);
  if (names.some((name) => !/^[a-zA-Z0-9][\w.-]{0,63}$/.test(name))) {
    return new Misfit("names of letters, digits, dots, dashes and underscores, separated by commas");
  }
  if (new Set(names).size !== names.length) return new Misfit("each name once");
  return names;
});
