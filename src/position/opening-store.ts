import { readFileSync } from "node:fs";
import { z } from "zod";
import { BadInputError } from "../core/errors.ts";
import { fieldOf, refuseLater } from "../core/file-version.ts";
import { StateFile } from "../core/state-file.ts";

/** Name of the file in the state directory. */
export const OPENING_FILE = "opening-positions.json";
export const OPENING_VERSION = 1;

const takenOpening = z.strictObject({
  /** Of the positions as they were given. */
  digest: z.string(),
  /** When they were first taken over. */
  timeUs: z.number(),
  /** Those that the books hold since, as `venue:symbol`; the others wait for a feed that describes their instrument. */
  taken: z.array(z.string()),
});
const stored = takenOpening.extend({ version: z.literal(OPENING_VERSION) });

/** Which opening positions have been taken over. */
export type TakenOpening = z.infer<typeof takenOpening>;

/** Keeps in a file which opening positions the books hold already, so that a restart does not put back what was traded since. */
export class OpeningStore {
  readonly #file: StateFile;

  constructor(path: string) {
    this.#file = new StateFile(path);
  }

  /**
   * Fails closed: only a file that does not exist means that none were taken over.
   *
   * @throws BadInputError when it cannot be read: whether the positions are in the books is not known
   */
  load(): TakenOpening | null {
    const { path } = this.#file;
    let value: unknown;
    try {
      value = JSON.parse(readFileSync(path, "utf8"));
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
      throw unreadable(path, error instanceof Error ? error.message : String(error));
    }
    refuseLater(path, fieldOf(value, "version"), OPENING_VERSION);
    const parsed = stored.safeParse(value);
    if (!parsed.success) throw unreadable(path, parsed.error.issues[0]?.message ?? "something else");
    const { version: _version, ...taken } = parsed.data;
    return taken;
  }

  /** Writes it; see {@link StateFile}. @throws Error of the file system when it cannot be written */
  save(taken: TakenOpening, onUnsynced: (error: unknown) => void): void {
    this.#file.save(`${JSON.stringify({ version: OPENING_VERSION, ...taken })}\n`, onUnsynced);
  }

  /** Fulfilled when the disk has taken or refused what was saved last. */
  get synced(): Promise<void> {
    return this.#file.synced;
  }
}

function unreadable(path: string, found: string): BadInputError {
  return new BadInputError(
    path,
    found,
    "which opening positions were taken over, as keel wrote it; remove it to have those of KEEL_POSITIONS_FILE taken over again, or start without that variable",
  );
}
