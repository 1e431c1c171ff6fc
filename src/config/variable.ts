import type { ValueType } from "./types.ts";

/** One environment variable. */
export interface Variable<T = unknown> {
  readonly type: ValueType<T>;
  /** As it would be written in the environment; null when the variable has no default. */
  readonly default: string | null;
  readonly unit?: string;
  readonly description: string;
}

export function variable<T, const D extends string | null>(
  type: ValueType<T>,
  defaultText: D,
  description: string,
  unit?: string,
): Variable<T> & { readonly default: D } {
  return { type, default: defaultText, description, ...(unit === undefined ? {} : { unit }) };
}
