import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync } from "node:fs";
import { open, rename } from "node:fs/promises";
import { dirname } from "node:path";
import { z } from "zod";
import { BadInputError } from "../core/errors.ts";
import { fieldOf, refuseLater } from "../core/file-version.ts";
import { writeWhole } from "../core/write-whole.ts";

/** Name of the file in the state directory. */
export const COUNTERPARTY_FILE = "counterparties.json";
export const COUNTERPARTIES_VERSION = 1;
/** Counterparties that are kept; the same as an RFQ desk knows. */
export const COUNTERPARTIES_MAX = 1_024;

const weight = z.number().nonnegative();

/** What a counterparty's tier rests on, as it is kept across runs and told by a journal. */
export const savedCounterparty = z.strictObject({
  name: z.string().min(1).max(128),
  markoutSum: z.number(),
  tradeWeight: weight,
  hitSum: weight,
  quoteWeight: weight,
  requests: weight,
  quotes: weight,
  trades: weight,
  notional: weight,
});
export type SavedCounterparty = z.infer<typeof savedCounterparty>;

const stored = z.strictObject({
  version: z.literal(COUNTERPARTIES_VERSION),
  /** Of the counterparties' JSON. */
  crc32: z.string(),
  counterparties: z.unknown(),
});
const list = z.array(savedCounterparty).max(COUNTERPARTIES_MAX);
const EXPECTED = "counterparties as keel wrote them";

/** Keeps what is known of counterparties in a file across runs. At the edge: the desk never touches it. */
export class CounterpartyStore {
  readonly #path: string;
  #saving: Promise<void> | null = null;

  constructor(path: string) {
    this.#path = path;
  }

  /** A write that is under way. */
  get saving(): Promise<void> | null {
    return this.#saving;
  }

  /** @returns none where there is no file. @throws BadInputError when it is of another version, or damaged */
  load(): SavedCounterparty[] {
    let text: string;
    try {
      text = readFileSync(this.#path, "utf8");
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
      throw new BadInputError(this.#path, String(error), "a readable file");
    }
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      throw new BadInputError(this.#path, "no JSON", EXPECTED);
    }
    refuseLater(this.#path, fieldOf(value, "version"), COUNTERPARTIES_VERSION);
    const { counterparties, crc32 } = this.#read(stored, value);
    const found = checksum(counterparties);
    if (found !== crc32) throw new BadInputError(this.#path, `content of checksum ${found}`, crc32);
    return this.#read(list, counterparties);
  }

  #read<T>(schema: z.ZodType<T>, value: unknown): T {
    const parsed = schema.safeParse(value);
    if (parsed.success) return parsed.data;
    throw new BadInputError(this.#path, z.prettifyError(parsed.error), EXPECTED);
  }

  /** Writes off the loop's thread; the file holds the old content or the new. @throws (as a rejection) Error of the file system */
  save(counterparties: readonly SavedCounterparty[]): Promise<void> {
    this.#saving ??= this.#write(textOf(counterparties)).finally(() => {
      this.#saving = null;
    });
    return this.#saving;
  }

  /** Writes and waits until it is on disk. @throws Error of the file system; the old content is then still in place */
  saveSync(counterparties: readonly SavedCounterparty[]): void {
    mkdirSync(dirname(this.#path), { recursive: true });
    const temporary = `${this.#path}.tmp`;
    const file = openSync(temporary, "w", 0o600);
    try {
      writeWhole(file, textOf(counterparties));
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, this.#path);
  }

  async #write(text: string): Promise<void> {
    mkdirSync(dirname(this.#path), { recursive: true });
    const temporary = `${this.#path}.tmp`;
    const file = await open(temporary, "w", 0o600);
    try {
      await file.writeFile(text);
    } finally {
      await file.close();
    }
    await rename(temporary, this.#path);
  }
}

function textOf(counterparties: readonly SavedCounterparty[]): string {
  const kept = counterparties.slice(-COUNTERPARTIES_MAX);
  return `${JSON.stringify({ version: COUNTERPARTIES_VERSION, crc32: checksum(kept), counterparties: kept })}\n`;
}

function checksum(counterparties: unknown): string {
  return Bun.hash.crc32(JSON.stringify(counterparties)).toString(16).padStart(8, "0");
}
