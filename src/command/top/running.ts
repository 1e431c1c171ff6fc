import { z } from "zod";
import type { HttpConfig } from "../../config.ts";
import { EXIT, KeelError } from "../../core/errors.ts";
import type { DirectoryEntry, RowChange, SectionName, Sections } from "../../monitor/dashboard/protocol.ts";

const TIMEOUT_MS = 5_000;

/** What a running process tells of itself, as `GET /dashboard/view` gives it. */
export interface Snapshot {
  /** Time there, µs since the epoch. */
  readonly us: number;
  readonly hello: { readonly name: string; readonly version: string; readonly heads: readonly string[] };
  /** Instruments of {@link rows}, in the same order. */
  readonly directory: readonly DirectoryEntry[];
  readonly rows: readonly RowChange[];
  readonly sections: Partial<Sections>;
}

const answer = z.looseObject({
  us: z.number().min(0).max(8.64e18),
  hello: z.looseObject({ name: z.string(), version: z.string(), heads: z.array(z.string()) }),
  directory: z.array(z.array(z.unknown())),
  rows: z.array(z.array(z.number().nullable())),
  sections: z.record(z.string(), z.unknown()),
});

/** Asks a process over TCP or over a socket in the file system (`unix:/path`), with the token that this environment has for it. */
export class RunningProcess {
  readonly #base: string;
  readonly #unix: string | undefined;
  readonly #http: HttpConfig | undefined;

  /** @param url left out: what `KEEL_HTTP` says. @throws KeelError when there is neither, or it is no URL */
  constructor(url: string | undefined, http: HttpConfig | undefined) {
    const given = url ?? addressOf(http);
    if (given === null) {
      const why = "top: --url is needed where KEEL_HTTP is not set";
      throw new KeelError("bad-url", why, EXIT.badConfiguration);
    }
    this.#unix = given.startsWith("unix:") ? given.slice("unix:".length) : undefined;
    this.#base = this.#unix === undefined ? given : "http://localhost";
    this.#http = http;
    if (URL.canParse(this.#base) && /^https?:$/.test(new URL(this.#base).protocol)) return;
    const why = `--url: ${JSON.stringify(given)} is neither a URL nor unix:/path`;
    throw new KeelError("bad-url", why, EXIT.badConfiguration);
  }

  /** @throws KeelError when it does not answer, refuses, or is no keel */
  async look(sections: readonly SectionName[], rows: number): Promise<Snapshot> {
    const url = new URL(`/dashboard/view?sections=${sections.join()}&rows=${rows}`, this.#base);
    const where = this.#unix === undefined ? url.origin : `unix:${this.#unix}`;
    const token = this.#http?.viewToken ?? this.#http?.token;
    const tls = this.#http?.tls;
    const response = await fetch(url, {
      headers: token === undefined ? {} : { authorization: `Bearer ${token.reveal()}` },
      signal: AbortSignal.timeout(TIMEOUT_MS),
      ...(this.#unix === undefined ? {} : { unix: this.#unix }),
      ...(tls === undefined ? {} : { tls: { ca: tls.cert, cert: tls.cert, key: tls.key.reveal() } }),
    }).catch((error: unknown) => {
      throw new KeelError("unreachable", `${where}: no answer${whyNot(error)}`, EXIT.unreachable);
    });
    if (!response.ok) {
      const text = (await response.text()).trim().slice(0, 200);
      throw new KeelError("refused", `${where}: ${response.status} ${text}`);
    }
    const found = answer.safeParse(await response.json().catch(() => null));
    if (!found.success) throw new KeelError("not-keel", `${where}: the answer is not that of keel`);
    return found.data as unknown as Snapshot;
  }
}

function whyNot(error: unknown): string {
  if (!(error instanceof Error)) return "";
  if (error.name === "TimeoutError") return ` within ${TIMEOUT_MS / 1_000} s`;
  return "code" in error ? ` (${error.code})` : `: ${error.message}`;
}

function addressOf(http: HttpConfig | undefined): string | null {
  if (http === undefined) return null;
  if (http.unix !== undefined) return `unix:${http.unix}`;
  const host = /^(0\.0\.0\.0|::)$/.test(http.hostname) ? "localhost" : http.hostname;
  return `${http.tls === undefined ? "http" : "https"}://${host.includes(":") ? `[${host}]` : host}:${http.port}`;
}
