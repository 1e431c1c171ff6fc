import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync } from "node:fs";
import { dirname } from "node:path";
import { z } from "zod";
import { fieldOf, refuseLater } from "../../core/file-version.ts";
import { writeWhole } from "../../core/write-whole.ts";
import { RegistryError } from "./entry.ts";

/** Name of the file in the state directory. */
export const SEEN_FILE = "registries-seen.json";
export const SEEN_VERSION = 1;

const seenEntry = z.strictObject({
  sequence: z.int().positive(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  atMs: z.number(),
});
const seenFile = z.strictObject({
  version: z.literal(SEEN_VERSION),
  /** By registry. */
  registries: z.record(z.string(), seenEntry),
});

/** The last entry of a history that somebody here has read. */
export type SeenEntry = z.infer<typeof seenEntry>;

/** What a host remembers of a registry, so that the next process notices when it goes back. */
export interface HistoryMemory {
  /** For messages: where it is remembered. */
  readonly name: string;
  /** @throws RegistryError when what is remembered cannot be read */
  last(): SeenEntry | null;
  /** Remembers an entry unless a later one is remembered. */
  keep(entry: SeenEntry): void;
}

/**
 * Remembers in a file of this host how far each registry went. A store can lose its newest entries or be put back whole, and nothing in
 * it would tell; a host that has seen them can.
 */
export class SeenHistories {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /** @param registry what it is called by, the same one in every process of the host */
  of(registry: string): HistoryMemory {
    return {
      name: this.#path,
      last: () => this.#read()[registry] ?? null,
      keep: (entry) => {
        const known = this.#read();
        if ((known[registry]?.sequence ?? 0) >= entry.sequence) return;
        const content = { version: SEEN_VERSION, registries: { ...known, [registry]: entry } };
        try {
          this.#write(`${JSON.stringify(content)}\n`);
        } catch {
          // A reader without a right to the folder still reads the registry; what others remember holds it.
        }
      },
    };
  }

  /** Under a name of this process first: several may write. */
  #write(text: string): void {
    mkdirSync(dirname(this.#path), { recursive: true });
    const fresh = `${this.#path}.${process.pid}.new`;
    const file = openSync(fresh, "w", 0o600);
    try {
      writeWhole(file, text);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(fresh, this.#path);
  }

  #read(): Readonly<Record<string, SeenEntry>> {
    const path = this.#path;
    if (!existsSync(path)) return {};
    const expected = "what this host has seen of registries; removed, it is forgotten";
    let value: unknown;
    try {
      value = JSON.parse(readFileSync(path, "utf8"));
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new RegistryError("registry-seen", `${path}: ${why}, expected ${expected}`);
    }
    refuseLater(path, fieldOf(value, "version"), SEEN_VERSION);
    const parsed = seenFile.safeParse(value);
    if (parsed.success) return parsed.data.registries;
    const issue = parsed.error.issues[0];
    throw new RegistryError(
      "registry-seen",
      `${path}: ${issue?.path.join(".") ?? ""}: ${issue?.message ?? "unreadable"}, expected ${expected}`,
    );
  }
}
