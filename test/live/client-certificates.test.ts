import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { FixClients } from "../../src/gateway/rfq/fix-clients.ts";
import { TestFixClient, until } from "../gateway/rfq/fix-client.ts";
import { CertificateFolder, type TestCertificate, whyNoCertificates } from "../support/certificates.ts";
import { Harness } from "./harness.ts";

if (whyNoCertificates !== null) console.log(`skipped: certificates of FIX clients: ${whyNoCertificates}`);

describe.skipIf(whyNoCertificates !== null)("FIX clients of a live desk that asks for certificates", () => {
  const folder = new CertificateFolder();
  let ours: TestCertificate;
  let known: TestCertificate;
  let stranger: TestCertificate;
  let harness: Harness;
  let clients: FixClients;
  let port = 0;

  beforeAll(async () => {
    ours = folder.make("desk", "localhost");
    known = folder.make("known");
    stranger = folder.make("stranger");
    harness = await Harness.start({
      KEEL_FIX_ACCEPT: "127.0.0.1:0",
      KEEL_FIX_ACCEPT_CLIENTS: "ACME,BETA",
      KEEL_FIX_ACCEPT_TLS_CERT_FILE: ours.certPath,
      KEEL_FIX_ACCEPT_TLS_KEY_FILE: ours.keyPath,
      KEEL_FIX_ACCEPT_TLS_CLIENT_CA_FILE: known.certPath,
    });
    const tap = harness.live.taps.find((candidate) => candidate instanceof FixClients);
    if (tap === undefined) throw new Error("no FIX clients are accepted");
    clients = tap;
    port = clients.acceptor.port;
  }, 120_000);

  afterAll(async () => {
    await harness.stop();
    folder.remove();
  });

  const trusting = (own: Partial<TestCertificate> = {}): Bun.TLSOptions => ({
    ca: ours.cert,
    serverName: "localhost",
    ...(own.cert === undefined ? {} : { cert: own.cert, key: own.key }),
  });

  test("one with a certificate that is vouched for logs on, and stays while others are refused", async () => {
    const acme = new TestFixClient({ port, compId: "ACME", tls: trusting(known) });
    await until("the one who is known to be logged on", () => acme.session.established);
    for (const own of [{}, stranger]) {
      const refused = new TestFixClient({ port, compId: "BETA", tls: trusting(own) });
      await until("the connection to be refused", () => refused.loggedOut !== null);
      expect(refused.session.counters.logons).toBe(0);
      await refused.close();
    }
    const plain = new TestFixClient({ port, compId: "BETA" });
    await until("plain TCP to be refused", () => plain.loggedOut !== null);
    await plain.close();
    const beta = clients.describe().find(({ compId }) => compId === "BETA");
    expect(beta?.counters.messagesIn).toBe(0);
    expect([acme.session.established, clients.established]).toEqual([true, 1]);
    await acme.close();
  });

  test("a client that does not trust the desk's certificate sends nothing", async () => {
    const doubting = new TestFixClient({ port, compId: "ACME", tls: { serverName: "localhost", ...known } });
    await until("the connection to be given up", () => doubting.loggedOut !== null);
    expect(doubting.loggedOut).toContain("TLS");
    expect(doubting.session.counters.messagesOut).toBe(0);
    await doubting.close();
  });
});
