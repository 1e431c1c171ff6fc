/**
 * Where a registry's objects lie. Objects are never changed: a key is created once, whole, or not at all, and of several who create
 * the same key at once exactly one succeeds. Nothing else is asked of a store, so a folder on shared storage and an
 * S3-compatible service do equally.
 */
export interface RegistryStore {
  /** For messages: the folder, or `s3://bucket/prefix`. */
  readonly name: string;
  /** @returns null where there is none @throws KeelError when the store cannot be reached or the object is too large */
  get(key: string, bytesMax: number): Promise<Uint8Array<ArrayBuffer> | null>;
  /** @returns false when the key is there already; it stays as it is @throws KeelError when the store cannot be written */
  create(key: string, bytes: Uint8Array): Promise<boolean>;
}

/** A key's parts: nothing in them can leave the store. */
export const STORE_KEY = /^[a-z]+\/[0-9a-f]{1,64}$/;
