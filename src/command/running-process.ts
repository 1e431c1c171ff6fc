import { rootCertificates } from "node:tls";
import type { Config } from "../config.ts";
import { EXIT, KeelError } from "../core/errors.ts";

const TIMEOUT_MS = 5_000;
/** Of what a process answers to a request that it refuses, so much is shown. */
const REFUSAL_CHARACTERS = 300;

/** What a request wants to do there, by which the token is chosen that goes with it. */
export type Right = "look" | "act";

/**
 * A running keel, asked over its HTTP side: over TCP or over a socket in the file system (`unix:/path`), with the tokens and the
 * certificate that `KEEL_HTTP_…` of this environment gives, whether or not `KEEL_HTTP` itself is set here.
 */
export class RunningProcess {
  readonly #base: string;
  readonly #unix: string | undefined;
  readonly #config: Pick<Config, "http" | "httpAccess">;

  /**
   * @param url as `--url` gives it; left out: what `KEEL_HTTP` says
   * @throws KeelError when there is neither, or it is no URL
   */
  constructor(url: string | undefined, config: Pick<Config, "http" | "httpAccess">) {
    const given = url ?? addressOf(config);
    if (given === null) {
      throw new KeelError("bad-url", "--url is needed where KEEL_HTTP is not set", EXIT.badConfiguration);
    }
    this.#unix = given.startsWith("unix:") ? given.slice("unix:".length) : undefined;
    this.#base = this.#unix === undefined ? given : "http://localhost";
    this.#config = config;
    if (URL.canParse(this.#base) && /^https?:$/.test(new URL(this.#base).protocol)) return;
    const why = `--url: ${JSON.stringify(given)} is neither a URL nor unix:/path`;
    throw new KeelError("bad-url", why, EXIT.badConfiguration);
  }

  /** How it is named in messages. */
  get name(): string {
    return this.#unix === undefined ? new URL(this.#base).origin : `unix:${this.#unix}`;
  }

  /**
   * @param path with its query, under the URL
   * @returns what the JSON of its answer says
   * @throws KeelError when nobody answers in time, it refuses, or the answer is no JSON
   */
  async ask(method: "GET" | "POST", path: string, right: Right): Promise<unknown> {
    const { token: acting, viewToken } = this.#config.httpAccess;
    const token = right === "look" ? (viewToken ?? acting) : acting;
    const response = await fetch(new URL(path, this.#base), {
      method,
      headers: token === undefined ? {} : { authorization: `Bearer ${token.reveal()}` },
      signal: AbortSignal.timeout(TIMEOUT_MS),
      ...(this.#unix === undefined ? {} : { unix: this.#unix }),
      ...this.#tls(),
    }).catch((error: unknown) => {
      throw new KeelError("unreachable", `${this.name}: no answer${whyNot(error)}`, EXIT.unreachable);
    });
    if (!response.ok) {
      const text = (await response.text()).trim().slice(0, REFUSAL_CHARACTERS);
      throw new KeelError("refused", `${this.name}${path}: ${response.status} ${text}`);
    }
    return response.json().catch(() => {
      throw new KeelError("not-keel", `${this.name}${path}: the answer is not that of keel`);
    });
  }

  /** Ours is shown, and trusted beside whom everybody trusts and who vouches for clients: that is who signs for both ends of a desk. */
  #tls(): BunFetchRequestInit {
    const { tls } = this.#config.httpAccess;
    if (tls === undefined) return {};
    const { cert, key, clientCa } = tls;
    const ca = [...rootCertificates, cert, ...(clientCa === undefined ? [] : [clientCa])];
    return { tls: { ca, cert, key: key.reveal() } };
  }
}

function whyNot(error: unknown): string {
  if (!(error instanceof Error)) return "";
  if (error.name === "TimeoutError") return ` within ${TIMEOUT_MS / 1_000} s`;
  return "code" in error ? ` (${error.code})` : `: ${error.message}`;
}

function addressOf({ http }: Pick<Config, "http">): string | null {
  if (http === undefined) return null;
  if (http.unix !== undefined) return `unix:${http.unix}`;
  const host = /^(0\.0\.0\.0|::)$/.test(http.hostname) ? "localhost" : http.hostname;
  return `${http.tls === undefined ? "http" : "https"}://${host.includes(":") ? `[${host}]` : host}:${http.port}`;
}
