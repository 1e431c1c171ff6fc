import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { secretFile } from "../../src/config/types.ts";
import { VARIABLES } from "../../src/config/variables.ts";
import { type Config, loadConfig } from "../../src/config.ts";
import { Secret } from "../../src/core/secret.ts";

const folder = mkdtempSync(join(tmpdir(), "keel-credentials-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const NAMES = Object.entries(VARIABLES)
  .filter(([, { type }]) => type === secretFile)
  .map(([name]) => name);
/** Secrets of several clients have a form of their own. */
const FORMS: Readonly<Record<string, (mark: string) => string>> = {
  KEEL_FIX_ACCEPT_PASSWORDS_FILE: (mark) => `ACME acme ${mark}\n`,
  KEEL_API_TOKENS_FILE: (mark) => `risk read ${mark}\n`,
};

const markOf = (name: string): string => `hush-${name.toLowerCase()}`;

/** systemd's folder, as `LoadCredential=` fills it. */
function credentials(): string {
  const directory = join(folder, "credentials");
  mkdirSync(directory);
  for (const name of NAMES) {
    const id = name.slice("KEEL_".length, -"_FILE".length).toLowerCase();
    const text = FORMS[name]?.(markOf(name)) ?? markOf(name);
    writeFileSync(join(directory, id), text, { mode: 0o400 });
  }
  return directory;
}

function* secretsIn(value: unknown): Generator<string> {
  if (value instanceof Secret) yield value.reveal();
  else if (typeof value === "object" && value !== null) {
    for (const part of Object.values(value)) yield* secretsIn(part);
  }
}

test("every secret may be a systemd credential, and none shows in the configuration", () => {
  const cert = join(folder, "cert.pem");
  writeFileSync(cert, "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n");
  const common = {
    CREDENTIALS_DIRECTORY: credentials(),
    ...{ KEEL_HTTP: "127.0.0.1:0", KEEL_API: "127.0.0.1:0", KEEL_API_TLS_CERT_FILE: cert },
    ...{ KEEL_FIX_ACCEPT: "127.0.0.1:0", KEEL_FIX_ACCEPT_CLIENTS: "ACME" },
    ...{ KEEL_FIX_ACCEPT_TLS_CERT_FILE: cert, KEEL_COINBASE_KEY: "k", KEEL_REDIS_URL: "redis://127.0.0.1" },
    ...{ KEEL_KAFKA_BROKERS: "127.0.0.1:9092", KEEL_KAFKA_TLS: "on", KEEL_KAFKA_TLS_CERT_FILE: cert },
    KEEL_ALERT_URL: "http://127.0.0.1:9/",
    ...{ KEEL_KAFKA_SASL_USERNAME: "keel", KEEL_JOURNAL_DIR: join(folder, "journal") },
    ...{ KEEL_HTTP_TLS_CERT_FILE: cert, KEEL_REGISTRY: "s3://models/keel", KEEL_REGISTRY_S3_KEY: "id" },
  };
  const pair = {
    ...{ KEEL_LEASE_URL: "redis://127.0.0.1", KEEL_PEER: "wss://localhost:9879" },
    ...{ KEEL_PEER_LISTEN: "127.0.0.1:9878", KEEL_PEER_TLS_CERT_FILE: cert },
  };
  const fix = { KEEL_FIX_HOST: "localhost", KEEL_FIX_TLS: "on", KEEL_FIX_TLS_CERT_FILE: cert };
  const deribit = { KEEL_GATEWAY: "deribit", KEEL_DERIBIT_CLIENT_ID: "id" };
  const configs: Config[] = [
    loadConfig({ ...common, ...fix, ...pair }),
    loadConfig({ ...common, ...deribit }),
  ];
  const found = new Set(configs.flatMap((config) => [...secretsIn(config)]));
  expect([...found].sort()).toEqual(NAMES.map(markOf).sort());
  expect(JSON.stringify(configs)).not.toContain("hush");
  expect(Bun.inspect(configs, { depth: 10 })).not.toContain("hush");
});
