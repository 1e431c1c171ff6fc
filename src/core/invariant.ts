import { KeelError } from "./errors.ts";

/** A broken invariant: a bug in keel, never a condition that operation brings. */
export class InvariantError extends KeelError {
  constructor(message: string) {
    super("invariant", message);
  }
}

/**
 * States what must be true at this point.
 *
 * @throws InvariantError when `condition` is false; `message` says what was expected.
 */
export function invariant(condition: boolean, message: string): asserts condition {
  if (!condition) throw new InvariantError(message);
}
