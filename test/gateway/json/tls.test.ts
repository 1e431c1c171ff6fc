import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { CertificateFolder, type TestCertificate, whyNoCertificates } from "../../support/certificates.ts";
import { until } from "../rfq/fix-client.ts";
import { GatewayBed, READ } from "./gateway-bed.ts";

if (whyNoCertificates !== null) console.log(`skipped: the JSON gateway over TLS: ${whyNoCertificates}`);

describe.skipIf(whyNoCertificates !== null)("the JSON gateway over TLS", () => {
  let folder: CertificateFolder;
  let ours: TestCertificate;
  let known: TestCertificate;
  let stranger: TestCertificate;
  let bed: GatewayBed;

  beforeAll(() => {
    folder = new CertificateFolder();
    ours = folder.make("gateway", "localhost");
    known = folder.make("known");
    stranger = folder.make("stranger");
  });
  afterEach(() => bed.close());
  afterAll(() => folder.remove());

  const listen = (more: Bun.TLSOptions = {}): GatewayBed =>
    new GatewayBed({ host: "localhost", tls: { cert: ours.cert, key: ours.key, ...more } });

  test("serves who trusts its certificate; who does not sends no token", async () => {
    bed = listen();
    const client = await bed.connect(READ, true, { tls: { ca: ours.cert } });
    expect(await client.next("welcome")).toMatchObject({ client: "risk" });
    const doubting = await bed.connect(READ, true, { tls: {} });
    await until("the connection to be given up", () => doubting.closed !== null);
    expect([doubting.opened, bed.gateway.connections]).toEqual([false, 1]);
  });

  test("serves nobody who speaks without TLS", async () => {
    bed = listen();
    const socket = connect(bed.gateway.port, "localhost");
    let closed = false;
    let answer = "";
    socket.on("data", (chunk) => {
      answer += chunk.toString("latin1");
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      closed = true;
    });
    socket.write("GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\r\n");
    await until("the connection to be closed", () => closed);
    expect(answer).not.toContain("HTTP/1.1");
  });

  test("with certificates of clients serves only those that present one which is vouched for", async () => {
    bed = listen({ ca: known.cert, requestCert: true, rejectUnauthorized: true });
    const trust = { ca: ours.cert };
    const client = await bed.connect(READ, true, { tls: { ...trust, cert: known.cert, key: known.key } });
    expect(await client.next("welcome")).toMatchObject({ client: "risk" });
    for (const tls of [trust, { ...trust, cert: stranger.cert, key: stranger.key }]) {
      const refused = await bed.connect(READ, true, { tls });
      await until("the connection to be refused", () => refused.closed !== null);
      expect(refused.messages).toEqual([]);
    }
    expect(bed.gateway.connections).toBe(1);
    client.send({ op: "ping", id: "still-there" });
    expect(await client.next("ok")).toMatchObject({ id: "still-there" });
  });
});
