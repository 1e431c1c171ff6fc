import { leaseName, leaseUrl, peerUrl } from "./failover-types.ts";
import { integerIn, listenAddress, path, secretFile, word } from "./types.ts";
import { variable } from "./variable.ts";

/** What makes a process one of a pair. */
export const FAILOVER_VARIABLES = {
  KEEL_LEASE_URL: variable(
    leaseUrl,
    null,
    "Redis (`redis://…`, `rediss://…`) or etcd (`http://…`, `https://…`) that says who of a pair leads; without it this process is alone and leads",
  ),
  KEEL_LEASE_NAME: variable(leaseName, "keel", "What the pair contends for; the same on both"),
  KEEL_LEASE_HOLDER: variable(
    word("text without spaces"),
    null,
    "What this process is called there; default: host name and process id",
  ),
  KEEL_LEASE_TTL_MS: variable(
    integerIn(300, 60_000),
    "800",
    "How long a lease lasts that is not renewed, the same on both; a dead leader is replaced after it. etcd counts in whole seconds",
    "ms",
  ),
  KEEL_LEASE_USERNAME: variable(word("text without spaces"), null, "Our user name there"),
  KEEL_LEASE_PASSWORD_FILE: variable(secretFile, null, "File with the password"),
  KEEL_LEASE_TLS_CA_FILE: variable(
    path,
    null,
    "Certificates (PEM) that vouch for the service's; default: those that Bun knows",
  ),
  KEEL_PEER: variable(
    peerUrl,
    null,
    "Where the other one of the pair serves what happens to it, e.g. `wss://desk-b.example:9879`; its KEEL_PEER_LISTEN",
  ),
  KEEL_PEER_LISTEN: variable(
    listenAddress,
    "off",
    "Where this one serves it to the other; of TLS unless on this host",
  ),
  KEEL_PEER_TOKEN_FILE: variable(secretFile, null, "File with the token that both show each other"),
  KEEL_PEER_TLS_CERT_FILE: variable(path, null, "Our certificate (PEM) on KEEL_PEER_LISTEN"),
  KEEL_PEER_TLS_KEY_FILE: variable(secretFile, null, "Its private key (PEM)"),
  KEEL_PEER_TLS_CLIENT_CA_FILE: variable(
    path,
    null,
    "Certificates (PEM) that vouch for the other one's; with it, it must present one",
  ),
  KEEL_PEER_TLS_CA_FILE: variable(
    path,
    null,
    "Certificates (PEM) that vouch for the one of KEEL_PEER; default: those that Bun knows",
  ),
  KEEL_FAILOVER_UNFIT_MS: variable(
    integerIn(0, 600_000),
    "3000",
    "A leader that could not quote for so long gives way to a passive one that could; 0 = never",
    "ms",
  ),
} as const;
