import { generateKeyPairSync } from "node:crypto";
import { SignatureChecker } from "../../src/core/signature.ts";

/** A key that a journal is signed with, and what checks it. */
export interface SigningKeys {
  /** The private key, PEM. */
  readonly signingKey: string;
  /** PEM. */
  readonly publicKey: string;
  readonly checker: SignatureChecker;
}

/** New keys for journals. */
export function signingKeys(): SigningKeys {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519", {
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
    publicKeyEncoding: { type: "spki", format: "pem" },
  });
  return { signingKey: privateKey, publicKey, checker: new SignatureChecker(publicKey, "journal") };
}
