import { readFileSync } from "node:fs";
import { z } from "zod";
import { fieldOf, LaterVersionError, refuseLater } from "../core/file-version.ts";
import { StateFile } from "../core/state-file.ts";
import { SIDES, type SidesName } from "./target.ts";

/** Name of the file in the state directory. */
export const SIDES_FILE = "sides.json";

export const savedSides = z.record(
  z.string(),
  z.enum(Object.keys(SIDES) as [SidesName, ...SidesName[]]).exclude(["both"]),
);

/** 1 was the sides alone. */
export const SIDES_VERSION = 2;
const stored = z.strictObject({ version: z.literal(SIDES_VERSION), sides: savedSides });

/** Sides by symbol; by the empty one those of every other instrument. What is not in it is quoted as configured. */
export type SavedSides = z.infer<typeof savedSides>;

/**
 * Keeps in a file which sides an operator has said are quoted, so that a restart does not quote again what was taken off. Only
 * what takes something off is kept: that both sides are quoted is for the configuration to say. At the edge: the quoter never
 * touches it.
 */
export class SidesStore {
  readonly #file: StateFile;
  #sides: SavedSides = {};

  constructor(path: string) {
    this.#file = new StateFile(path);
  }

  /**
   * @returns what was told, and why it could not be read. Fails closed: then only what reduces a position is quoted. Only a file
   * that does not exist means that nothing was ever told.
   */
  load(): { readonly sides: SavedSides; readonly unreadable: string | null } {
    let unreadable: string | null = null;
    try {
      this.#sides = readSides(this.#file.path, JSON.parse(readFileSync(this.#file.path, "utf8")));
    } catch (error) {
      const missing = error instanceof Error && "code" in error && error.code === "ENOENT";
      if (error instanceof LaterVersionError) unreadable = error.message;
      else if (!missing) unreadable = `${this.#file.path}: expected {"SYMBOL":"bid"|"ask"|"reducing",…}`;
      this.#sides = missing ? {} : { "": "reducing" };
    }
    return { sides: { ...this.#sides }, unreadable };
  }

  /**
   * Takes over what was told and writes it; see {@link StateFile}.
   *
   * @param symbol empty for every instrument, whatever was told of single ones before
   * @throws Error of the file system when it cannot be written
   */
  tell(symbol: string, sides: SidesName, onUnsynced: (error: unknown) => void): void {
    this.#sides = withSides(this.#sides, symbol, sides);
    this.#file.save(this.#text(), onUnsynced);
  }

  #text(): string {
    return `${JSON.stringify({ version: SIDES_VERSION, sides: this.#sides })}\n`;
  }

  /** What is told now. */
  get sides(): SavedSides {
    return { ...this.#sides };
  }

  /** Takes over what another process was told, which writes it itself. */
  begin(sides: SavedSides): void {
    this.#sides = { ...sides };
  }

  /** Takes over what another process was told. @throws Error of the file system when it cannot be written */
  replace(sides: SavedSides): void {
    this.#sides = { ...sides };
    this.#file.save(this.#text());
  }

  /** Fulfilled when the disk has taken or refused what was told last. */
  get synced(): Promise<void> {
    return this.#file.synced;
  }
}

/** @throws LaterVersionError, or ZodError for what holds no sides */
function readSides(path: string, value: unknown): SavedSides {
  const version = fieldOf(value, "version");
  refuseLater(path, version, SIDES_VERSION);
  return typeof version === "number" ? stored.parse(value).sides : savedSides.parse(value);
}

/** What is told once `sides` is said of a symbol; of the empty one, of every instrument. */
export function withSides(told: SavedSides, symbol: string, sides: SidesName): SavedSides {
  const { [symbol]: _told, ...others } = symbol === "" ? {} : told;
  return sides === "both" ? others : { ...others, [symbol]: sides };
}
