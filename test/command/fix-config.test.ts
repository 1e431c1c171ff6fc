import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConfigError, loadConfig } from "../../src/config.ts";
import { FULL_VALIDATION } from "../../src/gateway/fix/dictionary/dictionary.ts";
import { sessionOf } from "../../src/live/counterparty-session.ts";

const HOST = { KEEL_FIX_HOST: "fix.example" };

function problems(env: Record<string, string>): string[] {
  try {
    loadConfig({ ...HOST, ...env });
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ name, expected }) => `${name}: ${expected}`);
  }
}

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "keel-fix-config-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe("the FIX counterparty's configuration", () => {
  test("becomes the session that it describes", () => {
    const { fix } = loadConfig({
      ...HOST,
      KEEL_FIX_VERSION: "FIX.4.2",
      KEEL_FIX_SCHEDULE: "08:00-17:00 mon-fri Europe/London",
      KEEL_FIX_VALIDATION: "required, groups",
      KEEL_FIX_MAX_MESSAGE_KB: "8",
      KEEL_FIX_MESSAGE_LOG_DIR: folder,
      KEEL_STATE_DIR: folder,
    });
    if (fix === undefined) throw new Error("a counterparty is configured");
    const session = sessionOf(fix);
    expect([session.version, session.maxMessageBytes, session.tls]).toEqual(["4.2", 8_192, false]);
    expect(session.dictionary?.validation).toEqual({
      ...{ required: true, values: false, unknown: false, userDefined: false, groups: true, order: false },
    });
    const open = (iso: string) => session.schedule?.isOpen(Date.parse(iso) * 1_000);
    expect([open("2026-01-05T09:00:00Z"), open("2026-01-05T18:00:00Z")]).toEqual([true, false]);
    session.messageLog?.close();
    expect(readFileSync(join(folder, "FIX.4.2-KEEL-COUNTERPARTY", "messages.log"), "utf8")).toBe("");
  });

  test("is always open, without validation, and on plain TCP unless it says otherwise", () => {
    const { fix } = loadConfig(HOST);
    expect([fix?.schedule, fix?.validation, fix?.tls, fix?.messageLogDir]).toEqual([
      null,
      null,
      undefined,
      undefined,
    ]);
    expect(loadConfig({ ...HOST, KEEL_FIX_VALIDATION: "all" }).fix?.validation).toEqual(FULL_VALIDATION);
  });

  test("verifies the counterparty's certificate by the host's name and shows ours", () => {
    const ca = join(folder, "ca.pem");
    const key = join(folder, "key.pem");
    writeFileSync(ca, "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n");
    writeFileSync(key, "-----BEGIN PRIVATE KEY-----\nline\nline\n-----END PRIVATE KEY-----\n");
    const { fix } = loadConfig({
      ...HOST,
      KEEL_FIX_TLS: "on",
      KEEL_FIX_TLS_CA_FILE: ca,
      KEEL_FIX_TLS_CERT_FILE: ca,
      KEEL_FIX_TLS_KEY_FILE: key,
    });
    if (fix === undefined) throw new Error("a counterparty is configured");
    expect(JSON.stringify(fix)).not.toContain("PRIVATE KEY");
    const { tls } = sessionOf(fix);
    expect(tls).toMatchObject({ serverName: "fix.example", ca: readFileSync(ca, "utf8") });
    expect(tls).not.toHaveProperty("rejectUnauthorized");
  });

  test.each([
    [{ KEEL_FIX_VERSION: "FIX.4.3" }, "KEEL_FIX_VERSION: one of FIX.4.2, FIX.4.4"],
    [
      { KEEL_FIX_VERSION: "FIX.4.2", KEEL_FIX_NEXT_EXPECTED: "on" },
      "KEEL_FIX_NEXT_EXPECTED: off: FIX.4.2 has no NextExpectedMsgSeqNum",
    ],
    [{ KEEL_FIX_VALIDATION: "some" }, "KEEL_FIX_VALIDATION: off, all, or some of required"],
    [{ KEEL_FIX_SCHEDULE: "08:00-17:00 mon-fri Mars/Base" }, "KEEL_FIX_SCHEDULE: an IANA time zone"],
    [{ KEEL_FIX_SCHEDULE: "working hours" }, 'KEEL_FIX_SCHEDULE: "HH:MM-HH:MM'],
    [{ KEEL_FIX_TLS_CA_FILE: "/nowhere" }, "KEEL_FIX_TLS: on, because KEEL_FIX_TLS_CA_FILE is set"],
    [
      { KEEL_FIX_TLS: "on", KEEL_FIX_TLS_CA_FILE: "/nowhere" },
      "KEEL_FIX_TLS_CA_FILE: a readable file of certificates",
    ],
  ])("refuses %j", (env, wanted) => {
    expect(problems(env as Record<string, string>)[0]).toStartWith(wanted);
  });
});
