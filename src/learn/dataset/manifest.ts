import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { BadInputError } from "../../core/errors.ts";
import { fieldOf, refuseLater } from "../../core/file-version.ts";
import { FINDINGS } from "./validation.ts";

export const DATASET_FORMAT = 1;
export const MANIFEST = "manifest.json";
/** Digits of the digest in a dataset's name. */
const NAME_DIGITS = 16;

const hex = z.string().regex(/^[0-9a-f]{64}$/);
const file = z.strictObject({ name: z.string(), bytes: z.int().nonnegative(), sha256: hex });
const range = z.strictObject({ fromUs: z.number(), toUs: z.number() });
const strictCounts = z.record(z.enum(FINDINGS), z.int());

const validationShape = z.strictObject({
  counts: strictCounts,
  /** The first of each kind. */
  findings: z.array(
    z.strictObject({
      kind: z.enum(FINDINGS),
      timeUs: z.number().nullable(),
      instrument: z.string(),
      detail: z.string(),
    }),
  ),
  equalTimes: z.int(),
  longestGapMs: z.number(),
  baseRates: z.record(z.string(), z.number().nullable()),
  strongest: z.strictObject({ feature: z.string(), head: z.string(), correlation: z.number() }).nullable(),
});

export const partShape = z.strictObject({
  /** Rows of one source: `part-NNNN.parquet`. */
  file,
  kind: z.enum(["capture", "journal"]),
  source: z.string(),
  /** What it was made from. */
  sources: z.array(file),
  rows: z.int(),
  /** Rows that never got labels, and are left out. */
  unlabelled: z.int(),
  fromUs: z.number().nullable(),
  toUs: z.number().nullable(),
  instruments: z.array(z.string()),
  /** Outcomes of a journal's run, by table. */
  outcomes: z.array(z.strictObject({ table: z.string(), file, rows: z.int() })),
  validation: validationShape,
  /** Hashes of times, instruments and features of the rows as they came, unlabelled ones included. */
  hashes: z.array(z.strictObject({ rows: z.int(), timeUs: z.number(), sha256: hex })),
  /** The features were made again without what came after one of the hashes, and were the same. */
  leakChecked: z.boolean(),
});

const manifestShape = z.strictObject({
  format: z.literal(DATASET_FORMAT),
  /** SHA-256 of this manifest without it; the dataset's name is made of it. */
  digest: hex,
  /** SHA-256 of all that decides what the dataset holds: the same key gives the same dataset. */
  key: hex,
  code: z.strictObject({ keel: z.string(), commit: z.string().nullable(), label: z.string() }),
  schemaHash: z.string(),
  features: z.array(z.string()),
  /** What trainers need of the schema. */
  clip: z.array(z.tuple([z.number(), z.number()])),
  mirrorIndex: z.array(z.int()),
  mirrorFactor: z.array(z.number()),
  heads: z.array(z.string()),
  labels: z.record(z.string(), z.number()),
  rows: z.int(),
  fromUs: z.number(),
  toUs: z.number(),
  parts: z.array(partShape),
  splits: z.strictObject({
    horizonUs: z.number(),
    embargoUs: z.number(),
    /** In the order of time, disjoint; a row between two of them belongs to none. */
    ranges: z.array(range.extend({ name: z.string() })),
  }),
  /** How rows were chosen where there were more than were asked for (`thinning.ts`); absent where all are there. */
  thinning: z
    .strictObject({
      rowsSeen: z.int(),
      rowsMax: z.int(),
      pieceUs: z.number().positive(),
      piecesKept: z.int(),
      below: z.number(),
    })
    .optional(),
});

/** One source's rows. */
export type DatasetPart = z.infer<typeof partShape>;

/** What a dataset holds and where it is from. A dataset is a folder `keel-DIGEST` of this file and Parquet files, and never changes. */
export type DatasetManifest = z.infer<typeof manifestShape>;

/** The folder's name: the first digits of the digest. */
export function datasetName(digest: string): string {
  return `keel-${digest.slice(0, NAME_DIGITS)}`;
}

/** SHA-256 of the manifest without its digest, members in the order in which they are written. */
export function manifestDigest(manifest: Omit<DatasetManifest, "digest">): string {
  const { digest: _, ...rest } = manifest as DatasetManifest;
  return sha256(JSON.stringify(rest));
}

export function sha256(text: string): string {
  return new Bun.CryptoHasher("sha256").update(text).digest("hex");
}

/**
 * Reads a dataset's manifest and holds it to its digest; its files are not looked at (see `checkDataset`).
 *
 * @param folder the dataset's own folder
 * @throws BadInputError naming what is wrong
 */
export function readManifest(folder: string): DatasetManifest {
  const path = join(folder, MANIFEST);
  const expected = `the manifest of a dataset of format ${DATASET_FORMAT}`;
  if (!existsSync(path)) throw new BadInputError(path, "no file", expected);
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, "utf8"));
  } catch {
    throw new BadInputError(path, "no JSON", expected);
  }
  refuseLater(path, fieldOf(value, "format"), DATASET_FORMAT);
  const parsed = manifestShape.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new BadInputError(
      path,
      `${issue?.path.join(".") ?? ""}: ${issue?.message ?? "unreadable"}`,
      expected,
    );
  }
  const manifest = parsed.data;
  const digest = manifestDigest(value as DatasetManifest);
  if (digest !== manifest.digest) {
    throw new BadInputError(path, `contents of digest ${digest}`, `${manifest.digest}, which it names`);
  }
  return manifest;
}
