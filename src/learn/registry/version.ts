import { z } from "zod";
import { BadInputError } from "../../core/errors.ts";
import { fieldOf, refuseLater } from "../../core/file-version.ts";

const VERSION_FORMAT = 1;
/** Digits of a manifest's digest in a version's name. */
const NAME_DIGITS = 12;

export const VERSION_NAME = /^[0-9A-Za-z_.-]{1,64}@[0-9a-f]{12}$/;

const hex = z.string().regex(/^[0-9a-f]{64}$/);

const manifest = z.strictObject({
  format: z.literal(VERSION_FORMAT),
  /** From the card, as its version. */
  name: z.string().regex(/^[0-9A-Za-z_.-]{1,64}$/),
  cardVersion: z.string(),
  schemaHash: z.string(),
  heads: z.array(z.string()),
  /** SHA-256 of the files as they are kept. */
  cardSha256: hex,
  onnxSha256: hex,
  onnxBytes: z.int().positive(),
  lineage: z.strictObject({
    /** Version that this one was made from or is meant to replace; null for a first one. */
    parent: z.string().regex(VERSION_NAME).nullable(),
    /** Digest of the dataset it was trained on (see `DatasetManifest`); null where that is not known. */
    dataset: hex.nullable(),
    /** SHA-256 of the log of its training, which the registry keeps; null where there is none. */
    trainingLog: hex.nullable(),
    code: z.strictObject({ keel: z.string(), commit: z.string().nullable() }),
  }),
  /** What it scored before it came, by name, such as `test/auc/down50`. */
  metrics: z.record(z.string(), z.number()),
});

/** What a version is: immutable, and named by its digest. */
export type VersionManifest = z.infer<typeof manifest>;
export type Lineage = VersionManifest["lineage"];

/** A version's name, `NAME@DIGEST`: the card's name and the first digits of the manifest's SHA-256. */
export function versionName(name: string, manifestSha256: string): string {
  return `${name}@${manifestSha256.slice(0, NAME_DIGITS)}`;
}

/** Whether a version's name holds the digits of its manifest's digest. */
export function isNameOf(version: string, manifestSha256: string): boolean {
  return version.split("@")[1] === manifestSha256.slice(0, NAME_DIGITS);
}

/** The manifest as it is kept, of which its digest is. */
export function encodeManifest(value: VersionManifest): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`);
}

/** @throws BadInputError naming the field that is wrong */
export function decodeManifest(where: string, bytes: Uint8Array): VersionManifest {
  const expected = `the manifest of a model version, format ${VERSION_FORMAT}`;
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    throw new BadInputError(where, "no JSON", expected);
  }
  refuseLater(where, fieldOf(value, "format"), VERSION_FORMAT);
  const parsed = manifest.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new BadInputError(
    where,
    `${issue?.path.join(".") ?? ""}: ${issue?.message ?? "unreadable"}`,
    expected,
  );
}
