import { integerIn, oneOf, path, secretFile, webUrl, word } from "./types.ts";
import { variable } from "./variable.ts";

/** Challengers that may run beside the champion. */
const CHALLENGERS_MAX = 4;

/** Who moves models from stage to stage. */
const PROMOTE_MODES = ["manual", "auto"] as const;
export type PromoteMode = (typeof PROMOTE_MODES)[number];

/** Where models come from and how they are changed. */
export const REGISTRY_VARIABLES = {
  KEEL_REGISTRY: variable(
    path,
    null,
    "Registry of models: a folder, which may be on shared storage, or `s3://BUCKET/PREFIX`. See docs/registry.md",
  ),
  KEEL_REGISTRY_KEY_FILE: variable(
    secretFile,
    null,
    "Ed25519 private key (PEM) that signs changes of the registry; without it they are not signed",
  ),
  KEEL_REGISTRY_TRUST_FILE: variable(
    path,
    null,
    "Ed25519 public keys (PEM) of which one must have signed each change; default: that of `KEEL_REGISTRY_KEY_FILE`",
  ),
  KEEL_REGISTRY_S3_ENDPOINT: variable(
    webUrl,
    null,
    "S3-compatible service of the registry; default: that of AWS",
  ),
  KEEL_REGISTRY_S3_REGION: variable(word("a region"), "us-east-1", "Region of the registry's bucket"),
  KEEL_REGISTRY_S3_KEY: variable(
    word("an access key's id"),
    null,
    "Access key's id for the registry's bucket",
  ),
  KEEL_REGISTRY_S3_SECRET_FILE: variable(secretFile, null, "Secret access key for the registry's bucket"),
  KEEL_CHALLENGERS: variable(
    integerIn(0, CHALLENGERS_MAX),
    "0",
    "Models of the registry that run beside the champion at a time; needs `KEEL_MODEL=registry:champion`. See docs/registry.md",
  ),
  KEEL_PROMOTE: variable(
    oneOf(...PROMOTE_MODES),
    "manual",
    "Who promotes and rolls back models: a person, or the desk by the policy of `KEEL_CHALLENGE_…`",
  ),
} as const;
