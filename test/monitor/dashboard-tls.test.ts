import { afterAll, expect, test } from "bun:test";
import { RunningProcess } from "../../src/command/running-process.ts";
import { look } from "../../src/command/top/running.ts";
import { tlsOptionsOf } from "../../src/config/server-tls.ts";
import { loadConfig } from "../../src/config.ts";
import { HttpServer } from "../../src/monitor/http.ts";
import { DeskBed } from "../desk/desk-bed.ts";
import { ScriptedEngine } from "../desk/scripted-engine.ts";
import { CertificateFolder, whyNoCertificates } from "../support/certificates.ts";
import { quietTarget } from "../support/quiet-target.ts";
import { skipUnless } from "../support/shared-data.ts";
import { dashboardOf } from "./dashboard-source.ts";

const skipped = skipUnless(whyNoCertificates === null, whyNoCertificates ?? "");
const folder = skipped ? null : new CertificateFolder();
afterAll(() => folder?.remove());

const bed = new DeskBed(new ScriptedEngine());
bed.run(1_000);
const dashboard = dashboardOf(bed, 1);

test.skipIf(skipped)(
  "over TLS a certificate lets look on, and nobody without one gets an answer",
  async () => {
    if (folder === null) return;
    const own = folder.make("localhost");
    const config = loadConfig({
      KEEL_HTTP: "localhost:0",
      KEEL_HTTP_TLS_CERT_FILE: own.certPath,
      KEEL_HTTP_TLS_KEY_FILE: own.keyPath,
      KEEL_HTTP_TLS_CLIENT_CA_FILE: own.certPath,
    });
    if (config.http?.tls === undefined) throw new Error("TLS is configured");
    const tls = tlsOptionsOf(config.http.tls);
    const server = new HttpServer(
      { hostname: "localhost", port: 0, token: "operator-token", tls },
      quietTarget({ dashboard }),
    );
    try {
      const base = `https://localhost:${server.port}`;
      const trusted = { ca: own.cert, cert: own.cert, key: own.key };
      const session = await fetch(`${base}/dashboard/session`, { tls: trusted });
      expect(await session.json()).toMatchObject({ viewer: { by: "certificate", unlockedMs: 0 } });
      const snapshot = await look(new RunningProcess(base, config), ["overview"], 1);
      expect(snapshot.sections.overview?.state).toBe("active");
      const unlocked = await fetch(`${base}/dashboard/unlock`, {
        method: "POST",
        headers: { origin: base },
        body: JSON.stringify({ token: "operator-token" }),
        tls: trusted,
      });
      expect(unlocked.headers.get("set-cookie")).toMatch(/^__Host-keel-\d+=.*; Secure$/);
      const stranger = await fetch(`${base}/dashboard/session`, { tls: { ca: own.cert } }).then(
        ({ status }) => status,
        () => "refused",
      );
      expect(stranger).toBe("refused");
    } finally {
      await server.stop();
    }
  },
);
