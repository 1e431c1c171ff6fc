import type { OptionTable } from "../command.ts";

/** Options that say which rows of captures and journals are taken. */
export const SELECTION_OPTIONS = {
  run: { type: "string", value: "ID", description: "Run of a journal; the latest when left out" },
  since: {
    type: "string",
    value: "TIME",
    description: "Rows from then on: a date, ISO 8601, or µs since the epoch",
  },
  "max-age": {
    type: "number",
    value: "DAYS",
    min: 0,
    max: 36_500,
    description: "Rows of the last DAYS days and of today (UTC)",
  },
} as const satisfies OptionTable;
