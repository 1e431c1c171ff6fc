import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign, verify } from "node:crypto";
import { KeelError } from "./errors.ts";

/** What is signed; errors name it. */
export type SignedThing = "journal" | "registry";

/** Signs with an Ed25519 key (RFC 8032). */
export class Signer {
  readonly keyId: string;
  readonly #key: KeyObject;

  /** @param pem private key, PKCS #8 @throws KeelError when it is none */
  constructor(pem: string, what: SignedThing) {
    this.#key = ed25519(() => createPrivateKey(pem), "private", what);
    this.keyId = keyIdOf(createPublicKey(this.#key));
  }

  /** @returns base64 */
  sign(text: string): string {
    return sign(null, Buffer.from(text), this.#key).toString("base64");
  }
}

/** Checks signatures of one key. */
export class SignatureChecker {
  readonly keyId: string;
  readonly #key: KeyObject;

  /** @param pem public key (or the private one, of which the public is taken) @throws KeelError when it is none */
  constructor(pem: string, what: SignedThing) {
    this.#key = ed25519(() => createPublicKey(pem), "public", what);
    this.keyId = keyIdOf(this.#key);
  }

  /** @param signature base64 as {@link Signer} writes it: another spelling of the same bytes is none */
  matches(text: string, signature: string): boolean {
    const bytes = Buffer.from(signature, "base64");
    return bytes.toString("base64") === signature && verify(null, Buffer.from(text), this.#key, bytes);
  }
}

/** Hex, 16 digits of the SHA-256 of the public key (SubjectPublicKeyInfo, DER). */
export function keyIdOf(publicKey: KeyObject): string {
  const der = publicKey.export({ type: "spki", format: "der" });
  return createHash("sha256").update(der).digest("hex").slice(0, 16);
}

function ed25519(make: () => KeyObject, kind: string, what: SignedThing): KeyObject {
  const expected = `an Ed25519 ${kind} key in PEM, as \`openssl genpkey -algorithm ed25519\` makes`;
  let key: KeyObject;
  try {
    key = make();
  } catch {
    throw new KeelError(`${what}-key`, `${what} key: found no key, expected ${expected}`);
  }
  if (key.asymmetricKeyType === "ed25519") return key;
  throw new KeelError(
    `${what}-key`,
    `${what} key: found one of ${key.asymmetricKeyType}, expected ${expected}`,
  );
}
