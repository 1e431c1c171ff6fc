import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { BadInputError } from "../../core/errors.ts";
import { refuseLater } from "../../core/file-version.ts";
import type { SessionIdentity } from "./builder.ts";
import { LOCK_NAME, LOG_NAME } from "./file-store.ts";
import { sessionOfFolder } from "./session-folder.ts";
import type { StoredMessage } from "./store.ts";
import { lockHolder } from "./store-lock.ts";
import { STORE_RECORD, STORE_VERSION, scanLog } from "./store-log.ts";

/** A session's store as it stands on disk. */
export interface StoreInspection {
  /** Name of the session's folder. */
  readonly session: string;
  readonly identity: SessionIdentity;
  readonly folder: string;
  /** NaN, like the other one, when nothing in the log is valid. */
  readonly nextOutgoing: number;
  /** False when the last process has not closed the store: the number is then the end of what it had reserved. */
  readonly outgoingExact: boolean;
  readonly nextIncoming: number;
  /** When both sequences last began at 1, in µs; NaN = not known. */
  readonly startedUs: number;
  /** Kept messages, by ascending number. */
  readonly messages: readonly StoredMessage[];
  readonly fileBytes: number;
  readonly changedMs: number;
  /** Damage, in bytes. */
  readonly skippedBytes: number;
  /** The process that has the store open; null = none. */
  readonly heldBy: number | null;
}

/** Names of the session folders in a store directory, sorted; none when it does not exist. */
export function listSessions(storeDir: string): string[] {
  try {
    return readdirSync(storeDir)
      .filter((name) => sessionOfFolder(name) !== undefined)
      .sort();
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    throw error;
  }
}

/** Reads a session's store without opening it, so that a running process is not disturbed. @throws BadInputError when it has none. */
export function inspectStore(storeDir: string, session: string): StoreInspection {
  const identity = sessionOfFolder(session);
  const folder = join(storeDir, session);
  const path = join(folder, LOG_NAME);
  const file = identity === undefined ? undefined : statSync(path, { throwIfNoEntry: false });
  if (identity === undefined || file === undefined) {
    const known = listSessions(storeDir).join(", ");
    throw new BadInputError(
      storeDir,
      JSON.stringify(session),
      known === "" ? "a session" : `one of ${known}`,
    );
  }
  const messages = new Map<number, StoredMessage>();
  let nextOutgoing = 1;
  let nextIncoming = 1;
  let outgoingExact = false;
  let startedUs = Number.NaN;
  const scan = scanLog(readFileSync(path), (kind, payload, view) => {
    const value = view.getFloat64(0, true);
    if (kind === STORE_RECORD.version) refuseLater(path, value, STORE_VERSION);
    else if (kind === STORE_RECORD.incoming) nextIncoming = value;
    else if (kind === STORE_RECORD.started) startedUs = value;
    else if (kind === STORE_RECORD.message) {
      const sendingTimeUs = view.getFloat64(8, true);
      messages.set(value, { seq: value, sendingTimeUs, bytes: payload.slice(16) });
      if (value >= nextOutgoing) nextOutgoing = value + 1;
    } else {
      nextOutgoing = value;
      outgoingExact = kind === STORE_RECORD.outgoingExact;
    }
  });
  if (scan.records === 0) {
    nextOutgoing = Number.NaN;
    nextIncoming = Number.NaN;
  }
  return {
    ...{ session, identity, folder, nextOutgoing, outgoingExact, nextIncoming, startedUs },
    messages: [...messages.values()].sort((a, b) => a.seq - b.seq),
    fileBytes: file.size,
    changedMs: file.mtimeMs,
    skippedBytes: scan.skippedBytes,
    heldBy: lockHolder(join(folder, LOCK_NAME)),
  };
}
