import { afterAll, afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RunningProcess } from "../../src/command/running-process.ts";
import { tlsOptionsOf } from "../../src/config/server-tls.ts";
import { loadConfig } from "../../src/config.ts";
import { EXIT } from "../../src/core/errors.ts";
import { HttpServer } from "../../src/monitor/http.ts";
import { CertificateFolder, whyNoCertificates } from "../support/certificates.ts";
import { quietTarget } from "../support/quiet-target.ts";
import { skipUnless } from "../support/shared-data.ts";

const folder = mkdtempSync(join(tmpdir(), "keel-running-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const servers: HttpServer[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop();
});

function secretFile(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}

let switches = 0;
const target = quietTarget({
  failover: () => ({ role: "leader" }),
  switchLead: async () => {
    switches += 1;
  },
});

describe("an environment in which KEEL_HTTP is not set", () => {
  const env = {
    KEEL_HTTP_TOKEN_FILE: secretFile("act", "a token that lets act"),
    KEEL_HTTP_VIEW_TOKEN_FILE: secretFile("view", "a token that lets look on"),
  };
  const access = { token: "a token that lets act", viewToken: "a token that lets look on" };

  test("gives its tokens all the same, each where it is asked for, over TCP and over a socket in the file system", async () => {
    const unix = join(folder, "http.sock");
    const server = new HttpServer({ hostname: "127.0.0.1", port: 0, ...access }, target);
    servers.push(server, new HttpServer({ hostname: "", port: 0, unix, ...access }, target));
    for (const url of [`http://127.0.0.1:${server.port}`, `unix:${unix}`]) {
      const before = switches;
      const running = new RunningProcess(url, loadConfig(env));
      expect(await running.ask("GET", "/failover", "look")).toEqual({ role: "leader" });
      expect(await running.ask("POST", "/failover/switch", "act")).toEqual({ switched: true });
      expect(switches).toBe(before + 1);
      const { KEEL_HTTP_TOKEN_FILE: _, ...looking } = env;
      const onlooker = new RunningProcess(url, loadConfig(looking));
      await expect(onlooker.ask("POST", "/failover/switch", "act")).rejects.toThrow(
        `${onlooker.name}/failover/switch: 401`,
      );
    }
  });

  test("needs to be told which process", () => {
    const { KEEL_HTTP_TOKEN_FILE: _, ...looking } = env;
    expect(() => new RunningProcess(undefined, loadConfig(looking))).toThrow(
      expect.objectContaining({ exitCode: EXIT.badConfiguration }),
    );
    for (const url of ["ftp://host", "host", ""]) {
      expect(() => new RunningProcess(url, loadConfig(env))).toThrow("is neither a URL nor unix:/path");
    }
  });
});

const skipped = skipUnless(whyNoCertificates === null, whyNoCertificates ?? "");
const certificates = skipped ? null : new CertificateFolder();
afterAll(() => certificates?.remove());

test.skipIf(skipped)(
  "a certificate of the desk's own authority is shown, and trusted of the other side",
  async () => {
    if (certificates === null) return;
    const authority = certificates.make("authority");
    const own = certificates.signed("localhost", authority);
    const env = {
      KEEL_HTTP_TLS_CERT_FILE: own.certPath,
      KEEL_HTTP_TLS_KEY_FILE: own.keyPath,
      KEEL_HTTP_TLS_CLIENT_CA_FILE: authority.certPath,
    };
    const config = loadConfig(env);
    if (config.httpAccess.tls === undefined) throw new Error("TLS is configured");
    const tls = tlsOptionsOf(config.httpAccess.tls);
    const server = new HttpServer({ hostname: "localhost", port: 0, token: null, tls }, target);
    servers.push(server);
    const url = `https://localhost:${server.port}`;
    expect(await new RunningProcess(url, config).ask("GET", "/failover", "look")).toEqual({ role: "leader" });
    const before = switches;
    expect(await new RunningProcess(url, config).ask("POST", "/failover/switch", "act")).toEqual({
      switched: true,
    });
    expect(switches).toBe(before + 1);
    await expect(
      new RunningProcess(url, loadConfig({})).ask("GET", "/failover", "look"),
    ).rejects.toMatchObject({
      exitCode: EXIT.unreachable,
    });
  },
);
