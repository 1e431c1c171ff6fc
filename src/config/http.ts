import type { ConfigProblem } from "../config.ts";
import type { Secret } from "../core/secret.ts";
import { readSecret } from "./secrets.ts";
import { readServerTls, type ServerTls } from "./server-tls.ts";
import type { NamedValues } from "./variables.ts";

/** `KEEL_HTTP_…`: what a process asks of those who come, and what a verb shows to a process that runs. */
export interface HttpAccess extends HttpTokens {
  readonly tls: ServerTls | undefined;
}

interface HttpTokens {
  readonly token: Secret | undefined;
  readonly viewToken: Secret | undefined;
}

/** `KEEL_HTTP…` */
export interface HttpConfig extends HttpAccess {
  readonly hostname: string;
  readonly port: number;
  /** A socket in the file system in place of host and port. */
  readonly unix?: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Faults are added to `problems`. */
export function readHttpTokens(env: Environment, problems: ConfigProblem[]): HttpTokens {
  return {
    token: readSecret(env, "KEEL_HTTP_TOKEN_FILE", problems),
    viewToken: readSecret(env, "KEEL_HTTP_VIEW_TOKEN_FILE", problems),
  };
}

/** Where HTTP is served, if it is, and the means of access, which hold whether or not this process serves anything. Faults are added to `problems`. */
export function readHttp(
  env: Environment,
  values: NamedValues,
  tokens: HttpTokens,
  problems: ConfigProblem[],
): { readonly http: HttpConfig | undefined; readonly httpAccess: HttpAccess } {
  const httpAccess: HttpAccess = { ...tokens, tls: readServerTls(env, values, "KEEL_HTTP", problems) };
  const at = values.KEEL_HTTP;
  if (at === null) return { http: undefined, httpAccess };
  const place =
    "unix" in at ? { hostname: "", port: 0, unix: at.unix } : { hostname: at.host, port: at.port };
  return { http: { ...place, ...httpAccess }, httpAccess };
}
