import { readFileSync } from "node:fs";
import { z } from "zod";
import { nearest } from "../core/nearest.ts";
import { VENUES } from "../market/instrument.ts";
import { RISK_LIMITS, type RiskLimits } from "../risk/limits.ts";
import type { VenuePosition } from "../risk/reconciliation.ts";
import type { NamedValues } from "./variables.ts";

/** Something wrong with a file that a variable names. */
export interface FileProblem {
  readonly name: string;
  readonly found: string | null;
  readonly expected: string;
}

const limit = (description: (typeof RISK_LIMITS)[number]): z.ZodType<number> => {
  const range = `a number of ${description.unit} from ${description.minimum} to ${description.maximum}`;
  const kind = description.integer ? z.int(range) : z.number(range);
  return kind.min(description.minimum, range).max(description.maximum, range);
};

const limitsForm = z.strictObject(
  Object.fromEntries(RISK_LIMITS.map((description) => [description.key, limit(description).optional()])),
);

const positionsForm = z.array(
  z.strictObject({
    venue: z.enum(VENUES),
    symbol: z.string().min(1),
    size: z.string().regex(/^-?\d+(\.\d+)?$/, "a plain decimal"),
    averagePrice: z.number().positive().nullable().default(null),
  }),
);

/**
 * Reads risk limits from a JSON file: `{"maxLoss": 250000, …}`. What it does not name keeps the environment's value.
 *
 * @param problems receives everything that is wrong with it
 */
export function readRiskFile(path: string, environment: RiskLimits, problems: FileProblem[]): RiskLimits {
  const read = readJson("KEEL_RISK_FILE", path, limitsForm, problems);
  return read === null ? environment : { ...environment, ...(read as Partial<RiskLimits>) };
}

/**
 * Reads opening positions from a JSON file: `[{"venue", "symbol", "size", "averagePrice"}, …]`. Refused where somebody else says what
 * is held, because what the file says would be quoted on until that one is asked.
 */
export function readPositionsFile(
  path: string,
  values: Pick<NamedValues, "KEEL_GATEWAY" | "KEEL_LEASE_URL">,
  problems: FileProblem[],
): readonly VenuePosition[] {
  const refuse = (expected: string): void => {
    problems.push({ name: "KEEL_POSITIONS_FILE", found: path, expected });
  };
  if (values.KEEL_GATEWAY === "deribit") {
    refuse(
      "nothing, because KEEL_GATEWAY is deribit: the venue is asked what it holds, and KEEL_POSITION_MISMATCH says what is done where the books differ",
    );
  }
  if (values.KEEL_LEASE_URL !== undefined) {
    refuse(
      "nothing, because KEEL_LEASE_URL is set: the positions of a pair are its leader's; run the one that is to lead with the file alone once, without KEEL_LEASE_URL",
    );
  }
  return readJson("KEEL_POSITIONS_FILE", path, positionsForm, problems) ?? [];
}

function readJson<T>(name: string, path: string, form: z.ZodType<T>, problems: FileProblem[]): T | null {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    const found = `${path}: ${error instanceof Error ? error.message : String(error)}`;
    problems.push({ name, found, expected: "a readable JSON file" });
    return null;
  }
  const parsed = form.safeParse(value);
  if (parsed.success) return parsed.data;
  for (const issue of parsed.error.issues) {
    const at = issue.path.join(".");
    if (issue.code === "unrecognized_keys") {
      for (const key of issue.keys)
        problems.push({ name, found: `${path}: ${at}${key}`, expected: knownName(form, key) });
      continue;
    }
    const here = at === "" ? "" : `: ${at} = ${shown(valueAt(value, issue.path))}`;
    problems.push({ name, found: `${path}${here}`, expected: issue.message });
  }
  return null;
}

function knownName(form: unknown, key: string): string {
  if (form !== limitsForm) return "no such name";
  const near = nearest(
    key,
    RISK_LIMITS.map((limit) => limit.key),
  );
  return near === undefined ? "the name of a limit" : `the name of a limit, perhaps ${near}`;
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let at: unknown = value;
  for (const key of path) at = typeof at === "object" && at !== null ? Reflect.get(at, key) : undefined;
  return at;
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
