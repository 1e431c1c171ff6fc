import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Logger } from "../core/log.ts";

const TOKEN_FILE = "lease-token.json";

/** Keeps the highest fencing token that this host knows of, beside the state of the desk. */
export class TokenFile {
  readonly #path: string;
  readonly #log: Logger;

  constructor(stateDir: string, log: Logger) {
    this.#path = join(stateDir, TOKEN_FILE);
    this.#log = log;
  }

  /** @returns 0 where there is none; what cannot be read counts as none, for the service knows the token, too */
  read(): number {
    try {
      const { token } = JSON.parse(readFileSync(this.#path, "utf8")) as { readonly token?: unknown };
      return typeof token === "number" && Number.isSafeInteger(token) && token > 0 ? token : 0;
    } catch {
      return 0;
    }
  }

  write(token: number): void {
    try {
      writeFileSync(`${this.#path}.new`, `${JSON.stringify({ token })}\n`, { mode: 0o600 });
      renameSync(`${this.#path}.new`, this.#path);
    } catch (error) {
      this.#log.error("the lease's token cannot be written", { error });
    }
  }
}
