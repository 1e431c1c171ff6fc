import { httpAddress, integerIn, path, secretFile, webUrl } from "./types.ts";
import { variable } from "./variable.ts";

/** The HTTP server, and where alerts go. */
export const HTTP_VARIABLES = {
  KEEL_HTTP: variable(
    httpAddress,
    "off",
    "Where the dashboard, `/metrics`, `/healthz`, `/readyz` and the kill switch are served",
  ),
  KEEL_HTTP_TOKEN_FILE: variable(
    secretFile,
    null,
    "File with the bearer token that every HTTP POST then needs, and every action from the dashboard",
  ),
  KEEL_HTTP_VIEW_TOKEN_FILE: variable(
    secretFile,
    null,
    "File with a token that lets look on and nothing else; with it nothing but `/healthz` and `/readyz` is shown without a token",
  ),
  KEEL_HTTP_TLS_CERT_FILE: variable(path, null, "Our certificate (PEM) for HTTP; without it plain TCP"),
  KEEL_HTTP_TLS_KEY_FILE: variable(secretFile, null, "Its private key (PEM)"),
  KEEL_HTTP_TLS_CLIENT_CA_FILE: variable(
    path,
    null,
    "Certificates (PEM) that vouch for HTTP clients; with it every client must present one, and may look on",
  ),
  KEEL_ALERT_URL: variable(
    webUrl,
    null,
    "Where alerts are posted: a receiver of Alertmanager's webhook, or an Alertmanager (`…/api/v2/alerts`); without it they go to the log and to `/alerts`",
  ),
  KEEL_ALERT_TOKEN_FILE: variable(secretFile, null, "File with the bearer token that the receiver needs"),
  KEEL_ALERT_REPEAT_SECONDS: variable(
    integerIn(1, 86_400),
    "60",
    "How often an alert that still fires is told again",
    "s",
  ),
} as const;
