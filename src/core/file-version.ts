import { BadInputError } from "./errors.ts";

/** A file that a later keel wrote: read as one of an earlier form, what is new in it would be lost. */
export class LaterVersionError extends BadInputError {
  constructor(where: string, found: number, known: number) {
    super(where, `version ${found}`, `version ${known} or an earlier one: a later keel wrote it`);
  }
}

/**
 * @param found as it stands in the file; what is no number is left to whoever reads the rest
 * @throws LaterVersionError when it is above `known`
 */
export function refuseLater(where: string, found: unknown, known: number): void {
  if (typeof found === "number" && found > known) throw new LaterVersionError(where, found, known);
}

/** A field of what was read from JSON; undefined where that is no object or has none of the name. */
export function fieldOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null
    ? Object.entries(value).find(([key]) => key === name)?.[1]
    : undefined;
}
