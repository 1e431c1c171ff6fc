import { existsSync, readFileSync, realpathSync } from "node:fs";
import { join, resolve } from "node:path";
import { KeelError } from "../../core/errors.ts";
import type { Secret } from "../../core/secret.ts";
import { SignatureChecker, Signer } from "../../core/signature.ts";
import { FolderStore } from "./folder-store.ts";
import { Registry } from "./registry.ts";
import { S3Store } from "./s3-store.ts";
import { SEEN_FILE, SeenHistories } from "./seen-history.ts";
import type { RegistryStore } from "./store.ts";

/** Where a registry is and by which keys. */
export interface RegistrySettings {
  /** A folder, or `s3://BUCKET/PREFIX`. */
  readonly address: string;
  /** PEM of the Ed25519 private key that signs; undefined: nothing is signed. */
  readonly key: Secret | undefined;
  /** File with PEM public keys; undefined: that of {@link key}, and where there is none signatures are not looked at. */
  readonly trustFile: string | undefined;
  readonly s3: {
    readonly endpoint: string | undefined;
    readonly region: string;
    readonly keyId: string | undefined;
    readonly secret: Secret | undefined;
  };
}

/** What a model is called by that comes from the registry: `registry:champion`. */
export const REGISTRY_PREFIX = "registry:";

/**
 * @param stateDir where this host remembers how far the registry's history went
 * @throws KeelError naming what is wrong with the keys, the store or the history
 */
export function openRegistry(
  settings: RegistrySettings,
  nowMs: () => number,
  stateDir: string,
): Promise<Registry> {
  const pem = settings.key?.reveal();
  return Registry.open({
    store: storeOf(settings),
    memory: new SeenHistories(join(stateDir, SEEN_FILE)).of(identityOf(settings)),
    signer: pem === undefined ? null : new Signer(pem, "registry"),
    trusted: trusted(settings.trustFile, pem),
    nowMs,
  });
}

/** The same for every way to a folder. */
function identityOf({ address, s3: { endpoint } }: RegistrySettings): string {
  if (address.startsWith("s3://")) return `${endpoint ?? ""} ${address}`.trim();
  return existsSync(address) ? realpathSync(address) : resolve(address);
}

function storeOf({ address, s3 }: RegistrySettings): RegistryStore {
  const match = /^s3:\/\/([^/]+)\/?(.*?)\/?$/.exec(address);
  if (match === null) return new FolderStore(address);
  const { keyId, secret } = s3;
  if (keyId === undefined || secret === undefined) {
    throw new KeelError(
      "registry-store",
      `${address}: found no access key, expected KEEL_REGISTRY_S3_KEY and KEEL_REGISTRY_S3_SECRET_FILE`,
    );
  }
  const [, bucket = "", prefix = ""] = match;
  return new S3Store({
    bucket,
    prefix,
    endpoint: s3.endpoint,
    region: s3.region,
    keyId,
    secret: secret.reveal(),
  });
}

function trusted(file: string | undefined, key: string | undefined): SignatureChecker[] | null {
  if (file === undefined) return key === undefined ? null : [new SignatureChecker(key, "registry")];
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new KeelError("registry-key", `${file}: ${error instanceof Error ? error.message : String(error)}`);
  }
  const keys = text.match(/-----BEGIN PUBLIC KEY-----[^-]+-----END PUBLIC KEY-----/g) ?? [];
  if (keys.length === 0) {
    throw new KeelError("registry-key", `${file}: found no public key, expected one or more in PEM`);
  }
  return keys.map((pem) => new SignatureChecker(pem, "registry"));
}
