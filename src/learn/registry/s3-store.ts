import { S3Client } from "bun";
import { KeelError } from "../../core/errors.ts";
import { invariant } from "../../core/invariant.ts";
import { TooLargeError } from "./folder-store.ts";
import { type RegistryStore, STORE_KEY } from "./store.ts";

/** A request that takes longer has failed. */
const TIMEOUT_MS = 30_000;
/** Validity of a signed request, seconds; clocks may differ by minutes. */
const EXPIRES_SECONDS = 900;

export interface S3StoreOptions {
  readonly bucket: string;
  /** Before every key; may be empty. */
  readonly prefix: string;
  /** Undefined: AWS. */
  readonly endpoint: string | undefined;
  readonly region: string;
  readonly keyId: string;
  readonly secret: string;
}

/**
 * A registry in a bucket of S3 or of a service that speaks its protocol. An object is created by a PUT with `If-None-Match: *`, which
 * S3 and most compatible services answer with 412 where there is one already. A service that does not know the condition would
 * overwrite: {@link S3Store.create} looks whether it is kept before the first object is written.
 */
export class S3Store implements RegistryStore {
  readonly name: string;
  readonly #client: S3Client;
  readonly #prefix: string;
  #keepsCondition = false;

  constructor({ bucket, prefix, endpoint, region, keyId, secret }: S3StoreOptions) {
    this.name = `s3://${bucket}${prefix === "" ? "" : `/${prefix}`}`;
    this.#prefix = prefix === "" ? "" : `${prefix}/`;
    this.#client = new S3Client({
      ...{ bucket, region, accessKeyId: keyId, secretAccessKey: secret },
      ...(endpoint === undefined ? {} : { endpoint }),
    });
  }

  async get(key: string, bytesMax: number): Promise<Uint8Array<ArrayBuffer> | null> {
    invariant(STORE_KEY.test(key), "a key of the registry");
    const response = await this.#request("GET", key);
    if (response.status === 404) return null;
    if (response.status !== 200) throw await this.#refused("GET", key, response);
    const bytes = Number(response.headers.get("content-length") ?? 0);
    if (bytes > bytesMax) {
      await response.body?.cancel();
      throw new TooLargeError(`${this.name}/${key}`, bytes, bytesMax);
    }
    const found = new Uint8Array(await response.arrayBuffer());
    if (found.length > bytesMax) throw new TooLargeError(`${this.name}/${key}`, found.length, bytesMax);
    return found;
  }

  async create(key: string, bytes: Uint8Array): Promise<boolean> {
    invariant(STORE_KEY.test(key), "a key of the registry");
    await this.#checkCondition();
    return this.#put(key, bytes);
  }

  /** @throws KeelError where a service lets the second of two creations of one object overwrite the first */
  async #checkCondition(): Promise<void> {
    if (this.#keepsCondition) return;
    const key = "probes/0";
    const probe = new TextEncoder().encode("keel: objects here are created once\n");
    await this.#put(key, probe);
    if (await this.#put(key, probe)) {
      throw new KeelError(
        "registry-store",
        `${this.name}: found a service that overwrites, expected one that keeps If-None-Match: *`,
      );
    }
    this.#keepsCondition = true;
  }

  async #put(key: string, bytes: Uint8Array): Promise<boolean> {
    const response = await this.#request("PUT", key, bytes);
    if (response.status === 200) return true;
    // 409: somebody else creates it at this moment, and will have.
    if (response.status === 412 || response.status === 409) {
      await response.body?.cancel();
      return false;
    }
    throw await this.#refused("PUT", key, response);
  }

  async #request(method: "GET" | "PUT", key: string, body?: Uint8Array): Promise<Response> {
    const url = this.#client.presign(`${this.#prefix}${key}`, { method, expiresIn: EXPIRES_SECONDS });
    try {
      return await fetch(url, {
        method,
        signal: AbortSignal.timeout(TIMEOUT_MS),
        ...(body === undefined ? {} : { body: Uint8Array.from(body), headers: { "If-None-Match": "*" } }),
      });
    } catch (error) {
      throw new KeelError(
        "registry-store",
        `${this.name}/${key}: ${method}: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }

  async #refused(method: string, key: string, response: Response): Promise<KeelError> {
    const text = (await response.text()).slice(0, 500);
    const code = /<Code>([^<]{1,100})<\/Code>/.exec(text)?.[1] ?? "";
    return new KeelError(
      "registry-store",
      `${this.name}/${key}: ${method}: found status ${response.status} ${code}, expected 200`.trim(),
    );
  }
}
