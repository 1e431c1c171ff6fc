import { integerIn, numberIn, oneOf, path, secretFile } from "./types.ts";
import { variable } from "./variable.ts";

/** What is kept of what happens: the journal, and what came of predictions. */
export const JOURNAL_VARIABLES = {
  KEEL_JOURNAL_DIR: variable(path, null, "Folder of the journal; without it nothing is journalled"),
  KEEL_OUTCOMES_DIR: variable(
    path,
    null,
    "Folder for what came of predictions, quotes and fills; without it nothing is followed. See docs/learning.md",
  ),
  KEEL_OUTCOMES_PART_MB: variable(
    integerIn(1, 4_096),
    "64",
    "Size at which the next file of outcomes begins",
    "MiB",
  ),
  KEEL_OUTCOMES_MAX_MB: variable(
    integerIn(2, 1_048_576),
    "4096",
    "Size of all files of outcomes in the folder; the oldest go",
    "MiB",
  ),
  KEEL_JOURNAL_SEGMENT_MB: variable(
    integerIn(1, 4_096),
    "256",
    "Size at which the journal starts a new file",
    "MiB",
  ),
  KEEL_JOURNAL_KEY_FILE: variable(
    secretFile,
    null,
    "Ed25519 private key (PEM) that signs the journal's checkpoints; without it they are not signed",
  ),
  KEEL_JOURNAL_LOST: variable(
    oneOf("quote", "reduce"),
    "quote",
    "What the desk does when records are lost: quote on, or only what reduces a position until `POST /reset`, which is refused once the journal can write no more",
  ),
  KEEL_JOURNAL_CHECKPOINT_MS: variable(
    integerIn(100, 3_600_000),
    "5000",
    "How often the journal swears to what it wrote",
    "ms",
  ),
  KEEL_JOURNAL_MAX_GB: variable(
    numberIn({ min: 0.01, max: 1_000_000 }),
    null,
    "Size of the journal's folder; beyond it the oldest files go, and the chain says so",
    "GiB",
  ),
  KEEL_JOURNAL_MAX_DAYS: variable(
    numberIn({ min: 0.01, max: 36_500 }),
    null,
    "Age at which the journal's files go",
    "days",
  ),
} as const;
