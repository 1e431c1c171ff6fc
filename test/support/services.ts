import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import type { CertificateFiles, Certificates } from "./certificate-authority.ts";
import type { PutClock } from "./put-clock.ts";
import { ServerProcess } from "./server-process.ts";

const KAFKA = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "keel-test/kafka-4.1.0");
const START_MS = 90_000;
const INSTALL = "test/support/install-services.sh installs it";

/** Why no Redis can be started here; null when one can. */
export function redisMissing(): string | null {
  return Bun.which("redis-server") === null ? `no redis-server (${INSTALL})` : null;
}

/** Why no Kafka broker can be started here; null when one can. */
export function kafkaMissing(): string | null {
  if (Bun.which("java") === null) return `no Java for a Kafka broker (${INSTALL})`;
  if (!existsSync(KAFKA)) return `no Kafka broker (${INSTALL})`;
  return Bun.which("openssl") === null ? `no openssl for the broker's certificate (${INSTALL})` : null;
}

/** Below the ports that systems give to outgoing connections: between two starts of a server nobody else comes upon one. */
const PORTS = { from: 10_000, to: 30_000 } as const;

/** A port that is free now, and that no outgoing connection is given while its server is away. */
export function freePort(): number {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const port = PORTS.from + Math.floor(Math.random() * (PORTS.to - PORTS.from));
    try {
      Bun.listen({ hostname: "127.0.0.1", port, exclusive: true, socket: { data() {} } }).stop(true);
      return port;
    } catch {
      // Somebody listens there.
    }
  }
  throw new Error(`no free port from ${PORTS.from} to ${PORTS.to}`);
}

async function untilOpen(port: number, child: Bun.Subprocess, log: () => string): Promise<void> {
  const deadline = performance.now() + START_MS;
  while (performance.now() < deadline && child.exitCode === null) {
    try {
      const socket = await Bun.connect({ hostname: "127.0.0.1", port, socket: { data() {} } });
      socket.end();
      return;
    } catch {
      await Bun.sleep(50);
    }
  }
  throw new Error(`no server on port ${port}: ${log().slice(-2_000)}`);
}

/** A self-signed certificate for 127.0.0.1 and its key. */
function certificate(folder: string): { readonly cert: string; readonly key: string } {
  const [cert, key] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"];
  const made = Bun.spawnSync(
    [
      "openssl",
      "req",
      "-x509",
      "-newkey",
      "rsa:2048",
      "-nodes",
      "-days",
      "2",
      ...subject,
      "-keyout",
      key,
      "-out",
      cert,
    ],
    { stderr: "pipe" },
  );
  if (made.exitCode !== 0) throw new Error(made.stderr.toString());
  return { cert, key };
}

/** A Redis server of its own on a free port, that asks for a password. */
export class RedisServer extends ServerProcess {
  readonly port = freePort();
  readonly password = "a redis password";
  readonly #tls: readonly string[];
  readonly #clock: PutClock | null;

  /**
   * @param tls the server's certificate, and the authority that clients' must be by; left out = no TLS
   * @param clock the server's wall clock
   */
  constructor(
    tls?: { readonly server: CertificateFiles; readonly ca: string },
    clock: PutClock | null = null,
  ) {
    super("redis");
    this.#clock = clock;
    this.#tls =
      tls === undefined
        ? ["--port", String(this.port)]
        : [
            ...["--port", "0", "--tls-port", String(this.port), "--tls-auth-clients", "no"],
            ...["--tls-cert-file", tls.server.cert, "--tls-key-file", tls.server.key],
            ...["--tls-ca-cert-file", tls.ca],
          ];
  }

  get url(): string {
    return `${this.#tls.includes("--tls-port") ? "rediss" : "redis"}://127.0.0.1:${this.port}/0`;
  }

  async start(): Promise<void> {
    const config = ["--save", "", "--appendonly", "no", "--dir", this.folder, "--bind", "127.0.0.1"];
    const log = join(this.folder, "log");
    const child = this.spawn(
      ["redis-server", ...this.#tls, "--requirepass", this.password, "--logfile", log, ...config],
      { env: { ...process.env, ...this.#clock?.environment } },
    );
    await untilOpen(this.port, child, () => readFileSync(log, "utf8"));
  }
}

/** An Apache Kafka broker of its own (KRaft, one node): a plain listener, and one with TLS and SCRAM. Its data outlives a restart. */
export class KafkaBroker extends ServerProcess {
  readonly port = freePort();
  readonly securePort = freePort();
  /** Asks for a client's certificate. */
  readonly mutualPort = freePort();
  /** Shows the certificate of another host. */
  readonly elsewherePort = freePort();
  readonly username = "desk";
  readonly password = "a kafka password";
  readonly certFile: string;
  readonly #config: string;

  /** @param certificates for two more listeners: one asks clients for a certificate, one is of another host than it says */
  constructor(certificates: Certificates | null = null) {
    super("kafka");
    const controller = freePort();
    const { cert, key } = certificate(this.folder);
    this.certFile = cert;
    const keystore = join(this.folder, "keystore.pem");
    writeFileSync(keystore, readFileSync(key, "utf8") + readFileSync(cert, "utf8"));
    const more =
      certificates === null
        ? []
        : [`MUTUAL://127.0.0.1:${this.mutualPort}`, `ELSEWHERE://127.0.0.1:${this.elsewherePort}`];
    const [plain, secure] = [`PLAINTEXT://127.0.0.1:${this.port}`, `SECURE://127.0.0.1:${this.securePort}`];
    this.#config = join(this.folder, "server.properties");
    writeFileSync(
      this.#config,
      `process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:${controller}
listeners=${[plain, secure, ...more].join()},CONTROLLER://127.0.0.1:${controller}
advertised.listeners=${[plain, secure, ...more].join()}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SECURE:SASL_SSL,MUTUAL:SSL,ELSEWHERE:SSL
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.secure.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.keystore.type=PEM
ssl.keystore.location=${keystore}
log.dirs=${join(this.folder, "data")}
num.partitions=2
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
${certificates === null ? "" : this.#listeners(certificates)}`,
    );
    const id = Buffer.from("keel test broker").toString("base64url");
    const scram = `SCRAM-SHA-512=[name=${this.username},password=${this.password}]`;
    const format = ["format", "--cluster-id", id, "--config", this.#config, "--add-scram", scram];
    const made = Bun.spawnSync(this.#java("kafka.tools.StorageTool", ...format), { stderr: "pipe" });
    if (made.exitCode !== 0) throw new Error(made.stdout.toString() + made.stderr.toString());
  }

  async start(): Promise<void> {
    const log = join(this.folder, "log");
    const child = this.spawn(this.#java("kafka.Kafka", this.#config), { logFile: log });
    await untilOpen(this.securePort, child, () => readFileSync(log, "utf8"));
  }

  #listeners({ ca, server, elsewhere }: Certificates): string {
    const keystore = (name: string, { cert, key }: CertificateFiles): string => {
      const file = join(this.folder, `${name}.pem`);
      writeFileSync(file, readFileSync(key, "utf8") + readFileSync(cert, "utf8"));
      return `listener.name.${name}.ssl.keystore.type=PEM\nlistener.name.${name}.ssl.keystore.location=${file}\n`;
    };
    return `${keystore("mutual", server)}${keystore("elsewhere", elsewhere)}listener.name.mutual.ssl.client.auth=required
listener.name.mutual.ssl.truststore.type=PEM
listener.name.mutual.ssl.truststore.location=${ca}
`;
  }

  #java(main: string, ...args: string[]): string[] {
    return [
      "java",
      "-Xmx320m",
      "-XX:TieredStopAtLevel=1",
      "-XX:+UseSerialGC",
      "-cp",
      `${KAFKA}/*`,
      main,
      ...args,
    ];
  }
}
