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
