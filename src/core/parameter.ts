/**
 * One tunable number: what it means, its unit, its default and the range it must lie in. Lists of these are the single source
 * of the configuration schema and of the reference table.
 */
export interface ParameterDescription<Key extends string = string> {
  /** Name of the field in the parameters object. */
  readonly key: Key;
  /** Name of the environment variable. */
  readonly variable: `KEEL_${string}`;
  /** What the value is counted in, e.g. `bp`, `ms`, `1` for a bare number. */
  readonly unit: string;
  readonly default: number;
  /** Inclusive bounds. */
  readonly minimum: number;
  readonly maximum: number;
  readonly integer: boolean;
  readonly description: string;
}

/** A parameter as a line of a table: the end of its variable's name, then as in {@link ParameterDescription}. */
export type ParameterRow = readonly [
  suffix: string,
  unit: string,
  value: number,
  minimum: number,
  maximum: number,
  description: string,
];

/** The list of a table's parameters, with environment variables `KEEL_<prefix>_<suffix>`. */
export function describeParameters<Key extends string>(
  prefix: string,
  rows: Readonly<Record<Key, ParameterRow>>,
  integers: readonly NoInfer<Key>[] = [],
): readonly ParameterDescription<Key>[] {
  return (Object.keys(rows) as Key[]).map((key) => {
    const [suffix, unit, value, minimum, maximum, description] = rows[key];
    return {
      key,
      variable: `KEEL_${prefix}_${suffix}`,
      unit,
      default: value,
      minimum,
      maximum,
      integer: integers.includes(key),
      description,
    };
  });
}

/** The defaults of a list of parameters as an object keyed like the parameters. */
export function parameterDefaults<Key extends string>(
  list: readonly ParameterDescription<Key>[],
): Record<Key, number> {
  return Object.fromEntries(list.map((parameter) => [parameter.key, parameter.default])) as Record<
    Key,
    number
  >;
}

/**
 * Checks a parameters object against its list.
 *
 * @returns one message for every value that is not a number within its bounds; empty when all are good.
 */
export function parameterViolations<Key extends string>(
  list: readonly ParameterDescription<Key>[],
  values: Readonly<Record<Key, number>>,
): string[] {
  const violations: string[] = [];
  for (const parameter of list) {
    const value = values[parameter.key];
    const integer = !parameter.integer || Number.isInteger(value);
    if (value >= parameter.minimum && value <= parameter.maximum && integer) continue;
    violations.push(
      `${parameter.variable}: found ${value}, expected ${parameter.integer ? "a whole number" : "a number"} of ` +
        `${parameter.unit} from ${parameter.minimum} to ${parameter.maximum}`,
    );
  }
  return violations;
}
