import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Logger } from "../core/log.ts";
import { StateFile } from "../core/state-file.ts";

const TOKEN_FILE = "lease-token.json";

/** Keeps the highest fencing token that this host knows of, beside the state of the desk. */
export class TokenFile {
  readonly #file: StateFile;
  readonly #log: Logger;

  constructor(stateDir: string, log: Logger) {
    this.#file = new StateFile(join(stateDir, TOKEN_FILE));
    this.#log = log;
  }

  /** @returns 0 where there is none; what cannot be read counts as none, for the service knows the token, too */
  read(): number {
    try {
      const { token } = JSON.parse(readFileSync(this.#file.path, "utf8")) as { readonly token?: unknown };
      return typeof token === "number" && Number.isSafeInteger(token) && token > 0 ? token : 0;
    } catch {
      return 0;
    }
  }

  write(token: number): void {
    try {
      this.#file.save(`${JSON.stringify({ token })}\n`, (error) => this.#told(error));
    } catch (error) {
      this.#told(error);
    }
  }

  #told(error: unknown): void {
    this.#log.error("the lease's token cannot be written", { error });
  }
}
