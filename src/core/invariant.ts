import { KeelError } from "./errors.ts";

/** A broken invariant: a bug in keel, never a condition that operation brings. */
export class InvariantError extends KeelError {
  constructor(message: string) {
    super("invariant", message);
  }
}

/**
 * States what must be true at this point. The message is made whether it is or not: where every event or order comes by, one with
 * numbers in it costs more than the work around it, so write `if (…) throw new InvariantError(…)` there.
 *
 * @throws InvariantError when `condition` is false; `message` says what was expected.
 */
export function invariant(condition: boolean, message: string): asserts condition {
  if (!condition) throw new InvariantError(message);
}
