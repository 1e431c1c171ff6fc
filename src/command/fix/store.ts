import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { BadInputError } from "../../core/errors.ts";
import { SOH } from "../../gateway/fix/ascii.ts";
import { FileStore } from "../../gateway/fix/file-store.ts";
import { inspectStore, listSessions } from "../../gateway/fix/inspect.ts";
import { FixMessage } from "../../gateway/fix/message.ts";
import { FixParser, PARSE } from "../../gateway/fix/parser.ts";
import { type ReadableMessage, readable } from "../../gateway/fix/readable.ts";
import { BEGIN_STRING } from "../../gateway/fix/tags.ts";
import { UsageError } from "../command.ts";

/** A session as `keel fix show` tells it from its store. */
export interface DescribedSession {
  readonly session: string;
  readonly version: string;
  readonly senderCompId: string;
  readonly targetCompId: string;
  /** Null, like the other one, when nothing in the log is valid. */
  readonly nextOutgoing: number | null;
  readonly outgoingExact: boolean;
  readonly nextIncoming: number | null;
  /** ISO time; null = not known. */
  readonly started: string | null;
  readonly changed: string;
  readonly keptMessages: number;
  readonly fileBytes: number;
  readonly skippedBytes: number;
  /** Process that has the store open. */
  readonly heldBy: number | null;
}

export interface ReplayedMessage extends ReadableMessage {
  readonly direction: "in" | "out";
}

export interface SeqRange {
  readonly from: number;
  readonly to: number;
}

const MAX_MESSAGE_BYTES = 1 << 20;
const BAR = 124;

export function defaultStoreDir(stateDir: string): string {
  return join(stateDir, "fix");
}

export function list(storeDir: string): DescribedSession[] {
  return listSessions(storeDir).map((session) => describe(storeDir, session));
}

/** The session meant. @throws UsageError when none is named and there is not exactly one. */
export function pick(storeDir: string, named: string | undefined): string {
  if (named !== undefined) return named;
  const sessions = listSessions(storeDir);
  if (sessions.length === 1 && sessions[0] !== undefined) return sessions[0];
  throw sessions.length === 0
    ? new BadInputError(storeDir, "no session", "a store that keel has written")
    : new UsageError(`fix: SESSION is missing, one of ${sessions.join(", ")}`);
}

export function describe(storeDir: string, session: string): DescribedSession {
  const found = inspectStore(storeDir, session);
  const { version, senderCompId, targetCompId } = found.identity;
  return {
    session,
    version: BEGIN_STRING[version],
    senderCompId,
    targetCompId,
    nextOutgoing: Number.isNaN(found.nextOutgoing) ? null : found.nextOutgoing,
    outgoingExact: found.outgoingExact,
    nextIncoming: Number.isNaN(found.nextIncoming) ? null : found.nextIncoming,
    started: Number.isNaN(found.startedUs) ? null : new Date(found.startedUs / 1_000).toISOString(),
    changed: new Date(found.changedMs).toISOString(),
    keptMessages: found.messages.length,
    fileBytes: found.fileBytes,
    skippedBytes: found.skippedBytes,
    heldBy: found.heldBy,
  };
}

export function keptMessages(storeDir: string, session: string, { from, to }: SeqRange): ReplayedMessage[] {
  const parse = parserOf();
  const messages: ReplayedMessage[] = [];
  for (const { seq, bytes } of inspectStore(storeDir, session).messages) {
    const message = seq < from || seq > to ? null : parse(bytes);
    if (message !== null) messages.push({ direction: "out", ...message });
  }
  return messages;
}

/** What the message log has of a session, oldest first. Masked fields leave a message without a right length; it is read all the same. */
export function loggedMessages(
  logDir: string,
  session: string,
  { from, to }: SeqRange,
  direction: "in" | "out" | "both" | string,
): ReplayedMessage[] {
  const folder = join(logDir, session);
  const files: string[] = [];
  for (let number = 1; existsSync(join(folder, `messages.${number}.log`)); number += 1) {
    files.unshift(join(folder, `messages.${number}.log`));
  }
  const current = join(folder, "messages.log");
  if (!existsSync(current))
    throw new BadInputError(logDir, JSON.stringify(session), "the message log of that session");
  const parse = parserOf();
  const messages: ReplayedMessage[] = [];
  for (const file of [...files, current]) {
    for (const line of readFileSync(file, "latin1").split("\n")) {
      const match = /^\S+ (in|out) +(8=FIX\.\S.*)$/.exec(line);
      if (match === null || (direction !== "both" && match[1] !== direction)) continue;
      const message = parse(sealed(match[2]));
      if (message === null || message.seq < from || message.seq > to) continue;
      messages.push({ direction: match[1] === "in" ? "in" : "out", ...message });
    }
  }
  return messages;
}

/** A logged line as a valid message again: separators, and length and checksum of what it holds now. */
function sealed(line: string): Uint8Array {
  const fields = Uint8Array.from(Buffer.from(line, "latin1"), (byte) => (byte === BAR ? SOH : byte));
  const text = Buffer.from(fields).toString("latin1");
  const bodyAt = text.indexOf("\u0001", text.indexOf("\u00019=") + 1) + 1;
  const body = text.slice(bodyAt, text.lastIndexOf("\u000110=") + 1);
  const head = `${text.slice(0, text.indexOf("\u0001") + 1)}9=${body.length}\u0001${body}`;
  let sum = 0;
  for (let i = 0; i < head.length; i += 1) sum += head.charCodeAt(i);
  return Uint8Array.from(Buffer.from(`${head}10=${String(sum & 255).padStart(3, "0")}\u0001`, "latin1"));
}

function parserOf(): (bytes: Uint8Array) => ReadableMessage | null {
  const parser = new FixParser(MAX_MESSAGE_BYTES);
  const message = new FixMessage(8_192);
  return (bytes) =>
    parser.parse(bytes, 0, bytes.length, message) === PARSE.complete ? readable(message) : null;
}

/** @throws UsageError when our number would be one that may have been used and it is not forced; KeelError while a process runs the session. */
export function setNumbers(
  storeDir: string,
  session: string,
  numbers: { readonly out: number | undefined; readonly in: number | undefined; readonly force: boolean },
): void {
  inspectStore(storeDir, session);
  const store = new FileStore(join(storeDir, session));
  try {
    if (numbers.out !== undefined && numbers.out < store.nextOutgoing && !numbers.force) {
      throw new UsageError(
        `fix set: numbers below ${store.nextOutgoing} may have been used; --force sets ${numbers.out} all the same`,
      );
    }
    if (numbers.in !== undefined) store.setNextIncoming(numbers.in);
    if (numbers.out !== undefined) store.setNextOutgoing(numbers.out);
  } finally {
    store.close();
  }
}

/** @throws KeelError while a process runs the session. */
export function resetStore(storeDir: string, session: string, timeUs: number): void {
  inspectStore(storeDir, session);
  const store = new FileStore(join(storeDir, session));
  store.reset(timeUs);
  store.close();
}
