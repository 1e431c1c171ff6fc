import { createHash, timingSafeEqual } from "node:crypto";

/** Who a token stands for. */
export interface ApiIdentity {
  readonly name: string;
  readonly role: "read" | "trade";
}

export interface ApiClient extends ApiIdentity {
  readonly token: string;
}

/** Who may use the gateway. Tokens are kept as digests alone. */
export class ApiClients {
  readonly #known: readonly { readonly digest: Buffer; readonly identity: ApiIdentity }[];

  constructor(clients: readonly ApiClient[]) {
    this.#known = clients.map(({ token, name, role }) => ({
      digest: digestOf(token),
      identity: { name, role },
    }));
  }

  /** Every token is compared, in constant time. @returns null for a token of nobody */
  identify(token: string): ApiIdentity | null {
    const digest = digestOf(token);
    let found: ApiIdentity | null = null;
    for (const known of this.#known) if (timingSafeEqual(known.digest, digest)) found = known.identity;
    return found;
  }
}

function digestOf(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}
