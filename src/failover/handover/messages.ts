/**
 * How a running process is replaced by another one on the same host: the new one connects to the socket in the state directory, is given
 * what the running one holds, follows what happens to it, and asks for its place when it could quote. JSON, a line each.
 *
 * @module
 */
import { z } from "zod";
import { savedCounterparty } from "../../rfq/counterparty-store.ts";
import { streamRecord, streamSnapshot } from "../stream.ts";

/** Version of these messages. A process that speaks another one is refused, and says which. */
export const HANDOVER_VERSION = 1;
/** Name of the socket in the state directory. */
export const HANDOVER_SOCKET = "handover.sock";

/** Versions of what a keel writes, by the name of the file or the store. */
const formats = z.record(z.string(), z.int().positive());

/** What each end says of itself. */
export const identity = z.object({
  protocol: z.int(),
  /** The executable's version, `1.2.3`. */
  keel: z.string(),
  pid: z.int().positive(),
  formats,
});
export type Identity = z.infer<typeof identity>;

const numbers = z.strictObject({
  outgoing: z.int().positive(),
  incoming: z.int().positive(),
  startedUs: z.number().nullable(),
});

/** A term of leadership that moves: its fencing token, by whom the lease is held, and the coordination service's own name of it. */
const term = z.strictObject({
  token: z.int().positive(),
  holder: z.string(),
  handle: z.string(),
  numbers: z.strictObject({ outgoing: z.int().positive(), startedUs: z.number().nullable() }),
});
export type MovedTerm = z.infer<typeof term>;

const journalEnd = z.strictObject({
  runId: z.string(),
  /** Hex SHA-256 of the run's last segment. */
  digest: z.string().regex(/^[0-9a-f]{64}$/),
});
export type JournalEnd = z.infer<typeof journalEnd>;

/** What a successor begins with. */
export const estate = z.strictObject({
  state: streamSnapshot,
  counterparties: z.array(savedCounterparty),
  /** The run that is being journalled; null where none is. */
  journalRun: z.string().nullable(),
  /** Where the service manager wants to be told, which a successor that it did not start itself does not know. */
  serviceManager: z.strictObject({ socket: z.string(), watchdogUs: z.number().nullable() }).nullable(),
});
export type Estate = z.infer<typeof estate>;

/** What the running process left when it had closed everything. */
export const released = z.strictObject({
  /** Term of the state directory: each process that takes it has a higher one. */
  token: z.int().nonnegative(),
  state: streamSnapshot,
  counterparties: z.array(savedCounterparty),
  /** The FIX session's next numbers, as its store holds them; null where there is none. */
  session: numbers.nullable(),
  journal: journalEnd.nullable(),
  /** Null where no lease says who leads, or another process leads. */
  lease: term.nullable(),
});
export type Released = z.infer<typeof released>;

export const fromRunning = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("refused"), reason: z.string() }),
  z.strictObject({ type: z.literal("estate"), identity, number: z.int().nonnegative(), estate }),
  z.strictObject({ type: z.literal("record"), number: z.int().positive(), record: streamRecord }),
  /** About every 100 ms: records so far, why it could not quote itself, and how many instruments are live there. */
  z.strictObject({
    type: z.literal("beat"),
    number: z.int().nonnegative(),
    unfit: z.array(z.string()),
    live: z.int().nonnegative(),
  }),
  z.strictObject({ type: z.literal("released"), number: z.int().nonnegative(), released }),
  /** Last: the service manager has been told who its main process is now. */
  z.strictObject({ type: z.literal("succeeded") }),
]);
export type FromRunning = z.infer<typeof fromRunning>;

export const fromSuccessor = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("hello"), identity }),
  /** It has everything up to `number` and could quote: the running one is to let go. */
  z.strictObject({ type: z.literal("ready"), number: z.int().nonnegative() }),
  /** It holds the state directory, under this term. */
  z.strictObject({ type: z.literal("taken"), token: z.int().positive() }),
]);
export type FromSuccessor = z.infer<typeof fromSuccessor>;

/**
 * Why `own` may not take the place of `running`: only the same version or a later one may, because a later one may have written what
 * an earlier one does not understand. Null when it may.
 */
export function refusal(running: Identity, own: Identity): string | null {
  if (running.protocol !== own.protocol) {
    return `handover: the running process speaks version ${running.protocol}, the new one version ${own.protocol}; stop the running one and start the new one`;
  }
  for (const [file, version] of Object.entries(running.formats)) {
    const known = own.formats[file] ?? 0;
    if (known < version) {
      return `${file}: the running keel ${running.keel} writes version ${version}, keel ${own.keel} understands version ${known}: a downgrade is not possible`;
    }
  }
  if (compareVersions(own.keel, running.keel) < 0) {
    return `keel ${own.keel} may not take over from keel ${running.keel}: a downgrade is only possible by stopping the one and starting the other`;
  }
  return null;
}

/** Compares `1.2.3` with `1.10.0-rc.1` and such, by semantic versioning's order; below 0 when the first is older. */
export function compareVersions(one: string, other: string): number {
  const [a, b] = [split(one), split(other)];
  for (let at = 0; at < 3; at += 1) {
    const difference = (a.numbers[at] ?? 0) - (b.numbers[at] ?? 0);
    if (difference !== 0) return difference;
  }
  if (a.pre === b.pre) return 0;
  if (a.pre === "" || b.pre === "") return a.pre === "" ? 1 : -1;
  const [left, right] = [a.pre.split("."), b.pre.split(".")];
  for (let at = 0; at < Math.max(left.length, right.length); at += 1) {
    const difference = comparePart(left[at], right[at]);
    if (difference !== 0) return difference;
  }
  return 0;
}

function split(version: string): { readonly numbers: readonly number[]; readonly pre: string } {
  const [, core = "", pre = ""] = /^v?([0-9.]+)(?:-([0-9A-Za-z.-]+))?/.exec(version) ?? [];
  return { numbers: core.split(".").map(Number), pre };
}

/** Numbers below words, and what is left out below everything. */
function comparePart(one: string | undefined, other: string | undefined): number {
  if (one === undefined || other === undefined) return one === other ? 0 : one === undefined ? -1 : 1;
  const [a, b] = [/^\d+$/.test(one), /^\d+$/.test(other)];
  if (a && b) return Number(one) - Number(other);
  if (a !== b) return a ? -1 : 1;
  return one === other ? 0 : one < other ? -1 : 1;
}
