import { UsageError } from "../command.ts";

/** A time as given: a date (UTC), ISO 8601, or µs since the epoch. @returns µs. @throws UsageError when it is none */
export function timeOf(option: string, text: string): number {
  if (/^\d{15,17}$/.test(text)) return Number(text);
  const isDate = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d))?$/.test(text);
  const timeMs = isDate ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(timeMs)) {
    throw new UsageError(
      `${option}: found ${JSON.stringify(text)}, expected 2026-11-22, 2026-11-22T12:00:00Z or µs since the epoch`,
    );
  }
  return timeMs * 1_000;
}
