import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Secret } from "../../src/core/secret.ts";
import { EtcdLease } from "../../src/failover/etcd-lease.ts";
import { RedisLease } from "../../src/failover/redis-lease.ts";
import { StreamClient, type StreamClientOptions } from "../../src/failover/stream-client.ts";
import { StreamServer } from "../../src/failover/stream-server.ts";
import {
  type CertificateFiles,
  type Certificates,
  makeCertificates,
} from "../support/certificate-authority.ts";
import { freePort, RedisServer, redisMissing } from "../support/services.ts";
import { EMPTY_SNAPSHOT } from "./empty-snapshot.ts";

const missing = Bun.which("openssl") === null ? "no openssl" : null;
if (missing !== null) console.log(`skipped: ${missing}`);
const TOKEN = new Secret("a token of the pair's own");
const folder = mkdtempSync(join(tmpdir(), "keel-pair-tls-"));
let certificates: Certificates;
const open: { stop(): unknown }[] = [];

beforeAll(() => {
  if (missing === null) certificates = makeCertificates(folder);
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(async () => {
  for (const one of open.splice(0)) await one.stop();
});

const pem = (path: string): string => readFileSync(path, "utf8");

function serve(files: CertificateFiles, clientCa?: string): number {
  const asked =
    clientCa === undefined ? {} : { ca: pem(clientCa), requestCert: true, rejectUnauthorized: true };
  const server = new StreamServer({
    ...{ host: "127.0.0.1", port: 0, token: TOKEN, run: "run", leading: () => true },
    tls: { cert: pem(files.cert), key: pem(files.key), ...asked },
    snapshot: () => EMPTY_SNAPSHOT,
    ...{ outgoing: () => 1, onProblem: () => {} },
  });
  open.push(server);
  return server.port;
}

/** What becomes of following: `followed`, or the problem. */
async function follow(port: number, options: Partial<StreamClientOptions>): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const client = new StreamClient({
    ...{ url: `wss://127.0.0.1:${port}`, token: TOKEN, ca: undefined, holder: "b" },
    monotonicNs: () => Bun.nanoseconds(),
    onSnapshot: () => resolve("followed"),
    ...{ onRecord: () => {}, onLost: () => {}, onProblem: resolve },
    ...options,
  });
  open.push({ stop: () => client.leave() });
  client.follow();
  return promise;
}

const shown = ({ cert, key }: CertificateFiles) => ({ cert: pem(cert), key: new Secret(pem(key)) });

test.skipIf(missing !== null)(
  "the leader is followed over TLS only where its certificate is vouched for",
  async () => {
    const port = serve(certificates.server);
    expect(await follow(port, { ca: pem(certificates.ca) })).toBe("followed");
    expect(await follow(port, {})).toContain(`wss://127.0.0.1:${port}`);
    const elsewhere = serve(certificates.elsewhere);
    expect(await follow(elsewhere, { ca: pem(certificates.ca) })).toContain("connection closed");
  },
);

test.skipIf(missing !== null)(
  "where both must show a certificate, a follower does, and one of strangers is turned away",
  async () => {
    const port = serve(certificates.server, certificates.ca);
    const ca = pem(certificates.ca);
    expect(await follow(port, { ca, certificate: shown(certificates.client) })).toBe("followed");
    expect(await follow(port, { ca })).toContain("connection closed");
    expect(await follow(port, { ca, certificate: shown(certificates.stranger) })).toContain(
      "connection closed",
    );
  },
);

const request = {
  ...{ holder: "one", ttlMs: 2_000, tokenFloor: 0, block: 100 },
  numbers: { outgoing: 1, startedUs: null },
};

test.skipIf(missing !== null || redisMissing() !== null)(
  "a lease in Redis over TLS is had only where the server's certificate is vouched for",
  async () => {
    const redis = new RedisServer({ server: certificates.server, ca: certificates.ca });
    await redis.start();
    open.push({
      stop: async () => {
        await redis.stop();
        redis.remove();
      },
    });
    const lease = (ca: string | undefined): RedisLease =>
      new RedisLease({
        ...{ url: redis.url, username: undefined, password: new Secret(redis.password), name: "tls" },
        ...{ ca, timeoutMs: 5_000 },
      });
    const good = lease(pem(certificates.ca));
    let granted = await good.acquire(request);
    for (let attempt = 0; !granted.granted && attempt < 200; attempt += 1) {
      await Bun.sleep(20);
      granted = await good.acquire(request);
    }
    expect(granted.granted).toBe(true);
    const bad = lease(undefined);
    expect(await bad.acquire(request).catch(() => "refused")).toBe("refused");
    good.close();
    bad.close();
  },
  120_000,
);

const noEtcd = Bun.which("etcd") === null ? "no etcd (test/support/install-services.sh installs it)" : null;
if (noEtcd !== null) console.log(`skipped: ${noEtcd}`);

test.skipIf(missing !== null || noEtcd !== null)(
  "a lease in etcd over TLS is had only where the server's certificate is vouched for",
  async () => {
    const url = `https://127.0.0.1:${freePort()}`;
    const peerUrl = `http://127.0.0.1:${freePort()}`;
    const { cert, key } = certificates.server;
    const child = Bun.spawn(
      [
        ...["etcd", "--listen-client-urls", url, "--advertise-client-urls", url],
        ...["--cert-file", cert, "--key-file", key, "--data-dir", join(folder, "etcd")],
        ...["--listen-peer-urls", peerUrl, "--initial-advertise-peer-urls", peerUrl],
        ...["--initial-cluster", `default=${peerUrl}`],
      ],
      { stdout: "ignore", stderr: "ignore" },
    );
    open.push({
      stop: async () => {
        child.kill("SIGKILL");
        await child.exited;
      },
    });
    const lease = (ca: string | undefined): EtcdLease =>
      new EtcdLease({
        ...{ url, username: undefined, password: undefined, name: "tls", ca, timeoutMs: 5_000 },
      });
    const good = lease(pem(certificates.ca));
    let answer: unknown = null;
    for (let attempt = 0; answer === null && attempt < 400; attempt += 1) {
      answer = await good.acquire(request).catch(() => null);
      if (answer === null) await Bun.sleep(50);
    }
    expect(answer).toMatchObject({ granted: true });
    expect(
      await lease(undefined)
        .acquire(request)
        .catch(() => "refused"),
    ).toBe("refused");
  },
  120_000,
);
