import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TLSOptions } from "bun";
import { systemClock } from "../../../src/core/clock.ts";
import { FixAcceptor } from "../../../src/gateway/fix/acceptor.ts";
import { FixQuoteGateway } from "../../../src/gateway/fix/quote-gateway.ts";
import { SESSION_DEFAULTS } from "../../../src/gateway/fix/session-options.ts";
import { MemoryStore } from "../../../src/gateway/fix/store.ts";
import { instrumentTable } from "./instruments.ts";

const openssl = Bun.which("openssl");
if (openssl === null) console.log("skipped: FIX over TLS, no openssl to make a certificate with");

const IGNORE = {
  onLogon: () => {},
  onLogout: () => {},
  onMessage: () => true,
  onReject: () => {},
  onResend: () => {},
};

describe.skipIf(openssl === null)("FIX over TLS", () => {
  const folder = mkdtempSync(join(tmpdir(), "keel-tls-"));
  let cert = "";
  let port = 0;
  let acceptor: FixAcceptor | null = null;

  beforeAll(() => {
    const made = Bun.spawnSync([
      ...["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
      ...["-keyout", join(folder, "key.pem"), "-out", join(folder, "cert.pem"), "-days", "2"],
      ...["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
    ]);
    expect(made.exitCode).toBe(0);
    cert = readFileSync(join(folder, "cert.pem"), "utf8");
    const tls = { cert, key: readFileSync(join(folder, "key.pem"), "utf8") };
    acceptor = new FixAcceptor({ host: "localhost", port: 0, clock: systemClock, tls });
    acceptor.add(
      { ...SESSION_DEFAULTS, role: "acceptor", version: "4.4", senderCompId: "PEER", targetCompId: "KEEL" },
      new MemoryStore(),
      IGNORE,
    );
    port = acceptor.start();
  });

  afterAll(() => {
    acceptor?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  async function connect(tls: boolean | TLSOptions): Promise<string> {
    const { promise, resolve } = Promise.withResolvers<string>();
    const gateway = new FixQuoteGateway({
      host: "localhost",
      port,
      version: "4.4",
      senderCompId: "KEEL",
      targetCompId: "PEER",
      heartbeatSeconds: 30,
      resetOnLogon: true,
      storeDir: null,
      instruments: instrumentTable(),
      seed: 1,
      clock: systemClock,
      tls,
      onProblem: resolve,
    });
    gateway.start({
      onSessionUp: () => resolve("up"),
      onSessionDown: () => {},
      onQuoteAck: () => {},
      onExecution: () => {},
    });
    const outcome = await promise;
    await gateway.stop(500);
    return outcome;
  }

  test("logs on to a peer whose certificate is trusted", async () => {
    expect(await connect({ ca: cert })).toBe("up");
  });

  test("sends nothing to a peer whose certificate is not", async () => {
    const before = acceptor?.bytesReceived;
    expect(await connect(true)).toContain("TLS: self signed certificate");
    expect(acceptor?.bytesReceived).toBe(before);
  });
});
