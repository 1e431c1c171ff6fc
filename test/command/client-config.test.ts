import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConfigError, loadConfig } from "../../src/config.ts";

const folder = mkdtempSync(join(tmpdir(), "keel-client-config-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

function problems(env: Record<string, string>): [string, string][] {
  try {
    loadConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map(({ name, expected }) => [name, expected]);
    throw error;
  }
  return [];
}

test("without clients nobody is accepted and no request is answered", () => {
  const { fixAccept, api, rfq } = loadConfig({ KEEL_FIX_ACCEPT: "off", KEEL_API: "" });
  expect([fixAccept, api, rfq]).toEqual([undefined, undefined, null]);
});

test("FIX clients are read with their passwords, which show nowhere", () => {
  const config = loadConfig({
    KEEL_FIX_ACCEPT: "0.0.0.0:9879",
    KEEL_FIX_ACCEPT_CLIENTS: "ACME, BETA",
    KEEL_FIX_ACCEPT_PASSWORDS_FILE: file("passwords", "# clients\nACME a hush-1\nBETA b hush-2\n"),
    KEEL_FIX_ACCEPT_ALLOW: "10.0.0.0/8,::1",
    KEEL_RFQ_LAST_LOOK_MS: "25",
  });
  expect(
    config.fixAccept?.clients.map(({ compId, credentials }) => [compId, credentials?.password.reveal()]),
  ).toEqual([
    ["ACME", "hush-1"],
    ["BETA", "hush-2"],
  ]);
  expect(config.fixAccept?.allowed?.has("10.1.2.3")).toBe(true);
  expect(config.fixAccept?.allowed?.has("11.1.2.3")).toBe(false);
  expect(config.rfq?.lastLookMs).toBe(25);
  expect(JSON.stringify(config)).not.toContain("hush");
});

test("a client without a password among those that have one is an error, and so is half of TLS", () => {
  const accept = { KEEL_FIX_ACCEPT: "127.0.0.1:1", KEEL_FIX_ACCEPT_CLIENTS: "ACME,BETA" };
  const passwords = (text: string) => ({ ...accept, KEEL_FIX_ACCEPT_PASSWORDS_FILE: file("some", text) });
  const name = "KEEL_FIX_ACCEPT_PASSWORDS_FILE";
  expect(problems(passwords("ACME a hush"))).toEqual([[name, "a line for BETA"]]);
  expect(problems(passwords("ACME a hush\nBETA b\n"))).toEqual([
    [name, "COMPID USERNAME PASSWORD in line 2"],
    [name, "a line for BETA"],
  ]);
  expect(problems(passwords("ACME a x\nBETA b y\nEVE c z"))).toEqual([
    [name, "in line 3 a comp id of KEEL_FIX_ACCEPT_CLIENTS, each once"],
  ]);
  expect(problems({ ...accept, KEEL_FIX_ACCEPT_TLS_KEY_FILE: file("key", "k") })).toEqual([
    ["KEEL_FIX_ACCEPT_TLS_CERT_FILE", "a certificate, because KEEL_FIX_ACCEPT_TLS_KEY_FILE is set"],
  ]);
  expect(problems({ KEEL_FIX_ACCEPT: "127.0.0.1:1" })).toEqual([
    ["KEEL_FIX_ACCEPT_CLIENTS", "comp ids, because KEEL_FIX_ACCEPT is set"],
  ]);
  expect(problems({ KEEL_FIX_ACCEPT_CLIENTS: "A,A" })).toEqual([
    ["KEEL_FIX_ACCEPT_CLIENTS", "each identifier once"],
  ]);
  expect(problems({ KEEL_FIX_ACCEPT_ALLOW: "10.0.0.0/99" })[0]?.[1]).toStartWith(
    "IP addresses and CIDR blocks",
  );
});

test("a client's version stands behind its comp id, else it is that of all", () => {
  const config = loadConfig({
    KEEL_FIX_ACCEPT: "127.0.0.1:1",
    KEEL_FIX_ACCEPT_CLIENTS: "ACME,BETA@FIX.4.2,desk@example",
  });
  expect(config.fixAccept?.clients.map(({ compId, version }) => [compId, version])).toEqual([
    ["ACME", "FIX.4.4"],
    ["BETA", "FIX.4.2"],
    ["desk@example", "FIX.4.4"],
  ]);
  expect(problems({ KEEL_FIX_ACCEPT_CLIENTS: "A,A@FIX.4.2" })).toEqual([
    ["KEEL_FIX_ACCEPT_CLIENTS", "each identifier once"],
  ]);
});

test("tokens of the JSON gateway are read, and weak or repeated ones refused without being shown", () => {
  const api = (text: string) => ({ KEEL_API: "127.0.0.1:0", KEEL_API_TOKENS_FILE: file("tokens", text) });
  const config = loadConfig(api("risk read token-0123456789abc\nbook trade token-abcdefghijklm\n"));
  expect(config.api?.clients.map(({ name, role }) => [name, role])).toEqual([
    ["risk", "read"],
    ["book", "trade"],
  ]);
  expect(JSON.stringify(config)).not.toContain("0123456789abc");
  const faults = problems(
    api("risk read short\nbook write token-abcdefghijklm\na/b read token-0123456789abc\n"),
  );
  expect(faults.map(([, expected]) => expected)).toEqual([
    "in line 1 a token of at least 16 characters, each once",
    "NAME read TOKEN or NAME trade TOKEN in line 2",
    "in line 3 a name of letters, digits, '.', '_' and '-', each once",
  ]);
  expect(JSON.stringify(faults)).not.toContain("abcdefghijklm");
  expect(problems({ KEEL_API: "127.0.0.1:0" })).toEqual([
    ["KEEL_API_TOKENS_FILE", "a file of tokens, because KEEL_API is set"],
  ]);
});

test("the JSON gateway's key may come as a systemd credential; half of TLS is an error, and so is what is no origin", () => {
  const certificate = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
  file("api_tls_key", "-----BEGIN PRIVATE KEY-----\nhush\n-----END PRIVATE KEY-----\n");
  file("api_tokens", "risk read token-0123456789abc\n");
  const api = { KEEL_API: "127.0.0.1:0", CREDENTIALS_DIRECTORY: folder };
  const tls = { KEEL_API_TLS_CERT_FILE: file("cert", certificate) };
  const config = loadConfig({
    ...api,
    ...tls,
    KEEL_API_ORIGINS: "https://desk.example, http://localhost:8080",
  });
  expect(config.api?.tls?.key.reveal()).toContain("hush");
  expect(config.api?.origins).toEqual(["https://desk.example", "http://localhost:8080"]);
  expect(JSON.stringify(config)).not.toContain("hush");
  expect(problems({ ...api, KEEL_API_TLS_CLIENT_CA_FILE: file("ca", certificate) })).toEqual([
    ["KEEL_API_TLS_CERT_FILE", "a certificate, because KEEL_API_TLS_CLIENT_CA_FILE is set"],
  ]);
  expect(problems({ KEEL_API_ORIGINS: "https://desk.example/page" })).toEqual([
    ["KEEL_API_ORIGINS", "origins such as https://desk.example:8443"],
  ]);
});
