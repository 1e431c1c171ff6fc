import type { ConfigProblem } from "../config.ts";
import type { ChallengePolicy } from "../learn/challenge/policy.ts";
import { REGISTRY_PREFIX, type RegistrySettings } from "../learn/registry/open.ts";
import type { PromoteMode } from "./registry-variables.ts";
import { readSecret } from "./secrets.ts";
import type { NamedValues } from "./variables.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** Models that run beside the champion. */
export interface ChallengeSettings {
  /** How many at a time. */
  readonly models: number;
  readonly promote: PromoteMode;
  readonly policy: ChallengePolicy;
}

/** The part of the configuration about the registry. Faults are added to `problems`. */
export function readRegistry(
  env: Environment,
  values: NamedValues,
  policy: ChallengePolicy,
  problems: ConfigProblem[],
): { readonly registry: RegistrySettings | undefined; readonly challenge: ChallengeSettings | null } {
  const key = readSecret(env, "KEEL_REGISTRY_KEY_FILE", problems, { lines: true });
  const secret = readSecret(env, "KEEL_REGISTRY_S3_SECRET_FILE", problems);
  const { KEEL_REGISTRY: address, KEEL_MODEL: model, KEEL_CHALLENGERS: models } = values;
  if (address === undefined && model?.startsWith(REGISTRY_PREFIX) === true) {
    problems.push({
      name: "KEEL_REGISTRY",
      found: null,
      expected: `a folder or s3://BUCKET/PREFIX, because KEEL_MODEL is ${model}`,
    });
  }
  if (models > 0) {
    const because = `because KEEL_CHALLENGERS is ${models}`;
    if (model !== `${REGISTRY_PREFIX}champion`) {
      problems.push({
        name: "KEEL_MODEL",
        found: model ?? null,
        expected: `${REGISTRY_PREFIX}champion, ${because}`,
      });
    }
    if (values.KEEL_DEVICE !== "cpu" && values.KEEL_DEVICE !== "auto") {
      const expected = `cpu or auto, ${because}: other engines answer later, and their model cannot be changed between two events`;
      problems.push({ name: "KEEL_DEVICE", found: values.KEEL_DEVICE, expected });
    }
    if (values.KEEL_RECALIBRATE !== "off") {
      const expected = `off, ${because}: what is tested must be the model itself`;
      problems.push({ name: "KEEL_RECALIBRATE", found: values.KEEL_RECALIBRATE, expected });
    }
  }
  return {
    registry:
      address === undefined
        ? undefined
        : {
            address,
            key,
            trustFile: values.KEEL_REGISTRY_TRUST_FILE,
            s3: {
              endpoint: values.KEEL_REGISTRY_S3_ENDPOINT,
              region: values.KEEL_REGISTRY_S3_REGION,
              keyId: values.KEEL_REGISTRY_S3_KEY,
              secret,
            },
          },
    challenge: models === 0 ? null : { models, promote: values.KEEL_PROMOTE, policy },
  };
}
