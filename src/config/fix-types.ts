import { BadInputError } from "../core/errors.ts";
import { FULL_VALIDATION, type Validation } from "../gateway/fix/dictionary/dictionary.ts";
import { parseSchedule, type ScheduleRule } from "../gateway/fix/schedule.ts";
import { Misfit, type ValueType, valueType } from "./types.ts";

/** `always`, or a schedule as {@link parseSchedule} reads it. */
export const fixSchedule: ValueType<ScheduleRule | null> = valueType(
  "always | HH:MM-HH:MM … | day HH:MM-day HH:MM …",
  "",
  (text) => {
    if (text === "always") return null;
    try {
      return parseSchedule(text);
    } catch (error) {
      return new Misfit(error instanceof BadInputError ? error.expected : undefined);
    }
  },
);

const CHECKS = {
  required: "required",
  values: "values",
  unknown: "unknown",
  "user-defined": "userDefined",
  groups: "groups",
  order: "order",
} as const satisfies Record<string, keyof Validation>;

/** `off`, `all`, or the checks that are on. */
export const fixValidation: ValueType<Validation | null> = valueType("off | all | check,…", "", (text) => {
  if (text === "off") return null;
  if (text === "all") return FULL_VALIDATION;
  const validation: Record<keyof Validation, boolean> = {
    required: false,
    values: false,
    unknown: false,
    userDefined: false,
    groups: false,
    order: false,
  };
  for (const name of text.split(",").map((part) => part.trim())) {
    if (!Object.hasOwn(CHECKS, name))
      return new Misfit(`off, all, or some of ${Object.keys(CHECKS).join(", ")}`);
    validation[CHECKS[name as keyof typeof CHECKS]] = true;
  }
  return validation;
});
