import { z } from "zod";
import { nearest } from "../core/nearest.ts";
import { SIGNALS } from "../feature/schema.ts";
import { VENUES, type VenueName } from "../market/instrument.ts";

/** How the text of a variable is read. `label` says what is expected, in the README's table and in errors. */
export interface ValueType<T> {
  readonly label: string;
  readonly schema: z.ZodType<T, string>;
}

/** What a reader answers when the text does not fit; `expected` overrides the type's label. */
class Misfit {
  readonly expected: string | undefined;

  constructor(expected?: string) {
    this.expected = expected;
  }
}

/** @param article goes before the label in errors */
function valueType<T>(label: string, article: string, read: (text: string) => T | Misfit): ValueType<T> {
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

/** Printable text without spaces, as FIX identifiers and host names are. */
export function word(label: string): ValueType<string> {
  return valueType(label, "a", (text) => (/^[\x21-\x7e]{1,255}$/.test(text) ? text : new Misfit()));
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
export const listenAddress: ValueType<HostPort | null> = valueType("host:port | off", "", (text) => {
  if (text === "off") return null;
  const match = /^(?:\[([0-9a-f:.]+)\]|([^\s:/[\]]+)):(\d{1,5})$/i.exec(text);
  const port = Number(match?.[3]);
  const host = match?.[1] ?? match?.[2];
  return host !== undefined && port <= 65_535 ? { host, port } : new Misfit("host:port or off");
});

/** The two bases of one endpoint, without a trailing slash. */
export interface EndpointUrl {
  /** `ws://…` or `wss://…` */
  readonly ws: string;
  /** `http://…` or `https://…` */
  readonly http: string;
}

/** One URL of scheme ws, wss, http or https gives both bases, encrypted or not as it is. */
export const endpointUrl: ValueType<EndpointUrl> = valueType("ws, wss, http or https URL", "a", (text) => {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^(wss?|https?):$/.test(url.protocol) || url.hostname === "") return new Misfit();
  if (url.username !== "" || url.password !== "") return new Misfit("a URL without user name and password");
  if (url.search !== "" || url.hash !== "") return new Misfit("a URL without query and fragment");
  const secure = url.protocol === "wss:" || url.protocol === "https:";
  const rest = `://${url.host}${url.pathname.replace(/\/+$/, "")}`;
  return { ws: (secure ? "wss" : "ws") + rest, http: (secure ? "https" : "http") + rest };
});

/** What is subscribed at one venue. */
export interface FeedSelection {
  readonly venue: VenueName;
  /** As written after the venue: `BTCUSDT`, `BTC-PERPETUAL`, `options:BTC`. */
  readonly subscriptions: readonly string[];
}

const MAX_SUBSCRIPTIONS = 256;

/** `venue:subscription,…`; subscriptions of one venue share one connection. */
export const feedList: ValueType<readonly FeedSelection[]> = valueType("venue:subscription,…", "", (text) => {
  const byVenue = new Map<VenueName, string[]>();
  const entries = text.split(",").map((entry) => entry.trim());
  if (entries.length > MAX_SUBSCRIPTIONS) return new Misfit(`at most ${MAX_SUBSCRIPTIONS} subscriptions`);
  for (const entry of entries) {
    const colon = entry.indexOf(":");
    const name = colon < 0 ? entry : entry.slice(0, colon);
    const venue = VENUES.find((known) => known === name);
    if (venue === undefined) {
      const near = nearest(name, VENUES);
      const hint = near === undefined ? "" : `, did you mean ${near}?`;
      return new Misfit(
        `venue:subscription with venue one of ${VENUES.join(", ")}; ${JSON.stringify(name)} is none${hint}`,
      );
    }
    const subscription = colon < 0 ? "" : entry.slice(colon + 1);
    if (!/^[\x21-\x2b\x2d-\x7e]+$/.test(subscription)) {
      return new Misfit(
        `a subscription after ${venue}, e.g. ${exampleSubscription(venue)}; ${JSON.stringify(entry)} has none`,
      );
    }
    const list = byVenue.get(venue) ?? [];
    if (list.includes(subscription)) return new Misfit(`each subscription once; ${entry} is there twice`);
    list.push(subscription);
    byVenue.set(venue, list);
  }
  return [...byVenue].map(([venue, subscriptions]) => ({ venue, subscriptions }));
});

function exampleSubscription(venue: VenueName): string {
  return venue === "deribit" ? "deribit:BTC-PERPETUAL" : `${venue}:BTCUSDT`;
}

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
