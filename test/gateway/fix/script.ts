/** One step of an acceptance script (QuickFIX `.def` format). */
export type Step =
  | { kind: "connect" | "disconnect" | "expect-disconnect"; connection: number; line: number }
  | { kind: "send" | "expect"; connection: number; line: number; message: string };

/** Reads a `.def` file: `I` = send, `E` = expect, `iCONNECT`, `iDISCONNECT`, `eDISCONNECT`, each with an optional `N,`. */
export function parseScript(text: string): Step[] {
  const steps: Step[] = [];
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = index + 1;
    const match = /^([iIeE])(?:(\d+),)?(.*)$/.exec(raw);
    if (raw.startsWith("#") || raw.trim() === "") continue;
    if (match === null) throw new Error(`line ${line}: not a step: ${raw}`);
    const connection = Number(match[2] ?? "1");
    const rest = match[3];
    if (rest === "CONNECT") steps.push({ kind: "connect", connection, line });
    else if (rest === "DISCONNECT") {
      steps.push({ kind: match[1] === "i" ? "disconnect" : "expect-disconnect", connection, line });
    } else steps.push({ kind: match[1] === "I" ? "send" : "expect", connection, line, message: rest });
  }
  return steps;
}

/** UTCTimestamp to the second. */
export function timestamp(timeUs: number): string {
  const iso = new Date(timeUs / 1_000).toISOString();
  return `${iso.slice(0, 10).replaceAll("-", "")}-${iso.slice(11, 19)}`;
}

/** Fills in `<TIME>`, `<TIME±n>` and, where they are left out, BodyLength and CheckSum. */
export function completeMessage(template: string, timeUs: number): string {
  const message = template.replace(/<TIME([+-]\d+)?>/g, (_all, offset?: string) =>
    timestamp(timeUs + Number(offset ?? "0") * 1e6),
  );
  return seal(message);
}

/** Adds BodyLength after BeginString and CheckSum at the end, unless the message has them. `\x01` separates fields. */
export function seal(message: string): string {
  let text = message;
  const headEnd = text.indexOf("\x01") + 1;
  const trailer = text.lastIndexOf("\x0110=") + 1;
  if (text.startsWith("8=") && !text.includes("\x019=")) {
    const body = text.slice(headEnd);
    const length = (trailer > 0 ? trailer : text.length) - headEnd;
    text = `${text.slice(0, headEnd)}9=${length}\x01${body}`;
  }
  return trailer > 0 ? text : `${text}10=${checkSum(text)}\x01`;
}

/** Length of the first whole message in the text, 0 when there is none yet. */
export function wholeMessageLength(text: string): number {
  const trailer = text.indexOf("\x0110=");
  return trailer < 0 ? 0 : text.indexOf("\x01", trailer + 1) + 1;
}

export function checkSum(text: string): string {
  let sum = 0;
  for (let i = 0; i < text.length; i += 1) sum += text.charCodeAt(i);
  return String(sum % 256).padStart(3, "0");
}

/** A message with fields separated by `|`. */
export function fix(body: string, begin = "FIX.4.4"): string {
  return seal(`8=${begin}\x01${body.replaceAll("|", "\x01")}${body.endsWith("|") ? "" : "\x01"}`);
}

const VOLATILE = new Set(["10", "52", "60", "122"]);

/** Compares a received message with a script's line: every field in order, times by their length only. */
export function difference(received: string, expected: string): string | null {
  const actual = received.split("\x01").slice(0, -1);
  const wanted = expected.split("\x01").filter((field) => field !== "");
  const checked = (fields: string[]): string[] =>
    fields.filter(
      (field) => !field.startsWith("10=") && (expected.includes("\x019=") || !field.startsWith("9=")),
    );
  const left = checked(actual);
  const right = checked(wanted);
  const shape = (field: string): string => {
    const [tag] = field.split("=");
    return VOLATILE.has(tag) ? `${tag}=*` : field;
  };
  const same = left.length === right.length && left.every((field, i) => shape(field) === shape(right[i]));
  return same ? null : `received ${left.join("|")}\nexpected ${right.join("|")}`;
}
