import { z } from "zod";
import { KeelError } from "../../core/errors.ts";
import { fieldOf } from "../../core/file-version.ts";
import type { SignatureChecker, Signer } from "../../core/signature.ts";
import { STAGES } from "./stage.ts";
import { VERSION_NAME } from "./version.ts";

export const ENTRY_BYTES_MAX = 64 * 1024;
export const ENTRY_FORMAT = 1;
export const GENESIS = "0".repeat(64);
const ALIAS_NAME = /^[a-z][0-9a-z-]{0,31}$/;

const version = z.string().regex(VERSION_NAME);
const hex = z.string().regex(/^[0-9a-f]{64}$/);

const event = z.discriminatedUnion("kind", [
  /** A version is there from now on, as a candidate. */
  z.strictObject({ kind: z.literal("add"), version, manifestSha256: hex }),
  z.strictObject({
    kind: z.literal("move"),
    moves: z
      .array(z.strictObject({ version, from: z.enum(STAGES), to: z.enum(STAGES) }))
      .min(1)
      .max(2),
  }),
  /** A name for a version; null takes the name away. */
  z.strictObject({
    kind: z.literal("alias"),
    alias: z.string().regex(ALIAS_NAME),
    version: version.nullable(),
  }),
]);

const body = z.strictObject({
  format: z.literal(ENTRY_FORMAT),
  /** From 1, without gaps. */
  sequence: z.int().positive(),
  /** SHA-256 of the entry before, as it is kept; zeros before the first. */
  previous: hex,
  /** Wall clock of who wrote it, ms since the epoch. */
  timeMs: z.number(),
  who: z.string().min(1).max(200),
  why: z.string().max(2_000),
  event,
  /** Which key signed, see `keyIdOf`; null where none did. */
  key: z.string().nullable(),
});

/** One thing that happened to a registry. */
export type Entry = z.infer<typeof body>;
export type EntryEvent = Entry["event"];

/** An entry, and the digest that the next one names. */
export interface ReadEntry {
  readonly entry: Entry;
  readonly sha256: string;
}

/** A registry that cannot be trusted, or an act that it does not allow. `code` names the reason. */
export class RegistryError extends KeelError {
  constructor(
    code:
      | "registry-entry"
      | "registry-chain"
      | "registry-signature"
      | "registry-digest"
      | "registry-missing"
      | "registry-stage"
      | "registry-conflict"
      | "registry-seen",
    message: string,
  ) {
    super(code, message);
  }
}

export const sha256 = (bytes: Uint8Array): string =>
  new Bun.CryptoHasher("sha256").update(bytes).digest("hex");

/** An entry as it is kept: a line of JSON, a line feed, and its Ed25519 signature in base64, empty where no key signs. */
export function encodeEntry(
  content: Omit<Entry, "format" | "key">,
  signer: Signer | null,
): Uint8Array<ArrayBuffer> {
  const text = JSON.stringify({ format: ENTRY_FORMAT, ...content, key: signer?.keyId ?? null });
  return new TextEncoder().encode(`${text}\n${signer?.sign(statement(text)) ?? ""}`);
}

/**
 * Reads the entry that stands at `sequence`, behind the one with the digest `previous`.
 *
 * @param trusted keys of which one must have signed; null: signatures are not looked at
 * @throws RegistryError naming what is wrong with it
 */
export function decodeEntry(
  where: string,
  bytes: Uint8Array,
  place: { readonly sequence: number; readonly previous: string },
  trusted: readonly SignatureChecker[] | null,
): ReadEntry {
  const [text = "", signature = "", ...more] = textOf(bytes).split("\n");
  const entry = more.length > 0 ? null : parse(text);
  if (entry === null || typeof entry === "string") {
    throw new RegistryError(
      "registry-entry",
      `${where}: found ${entry ?? "more than two lines"}, expected an entry of a registry's history`,
    );
  }
  if (entry.sequence !== place.sequence || entry.previous !== place.previous) {
    throw new RegistryError(
      "registry-chain",
      `${where}: found entry ${entry.sequence} after ${entry.previous.slice(0, 12)}, expected ${place.sequence} after ${place.previous.slice(0, 12)}: the history was changed`,
    );
  }
  if (trusted !== null) checkSignature(where, entry, text, signature, trusted);
  return { entry, sha256: sha256(bytes) };
}

/** Bytes that are not the one form of their text are none: a signature is of the text. */
function textOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return "";
  }
}

function checkSignature(
  where: string,
  { key }: Entry,
  text: string,
  signature: string,
  trusted: readonly SignatureChecker[],
): void {
  const expected = `the signature of ${trusted.map(({ keyId }) => keyId).join(" or ")}`;
  const checker = trusted.find(({ keyId }) => keyId === key);
  if (checker?.matches(statement(text), signature) === true) return;
  const found =
    key === null ? "no signature" : checker === undefined ? `one of key ${key}` : "one that does not match";
  throw new RegistryError("registry-signature", `${where}: found ${found}, expected ${expected}`);
}

/** An entry must not pass for anything else that the same key signs. */
function statement(text: string): string {
  return `keel model registry\n${text}`;
}

function parse(text: string): Entry | string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return "no JSON";
  }
  const format = fieldOf(value, "format");
  if (typeof format === "number" && format > ENTRY_FORMAT)
    return `format ${format}, and this keel understands format ${ENTRY_FORMAT}: a later keel wrote it`;
  const parsed = body.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  return `${issue?.path.join(".") ?? ""}: ${issue?.message ?? "unreadable"}`;
}
