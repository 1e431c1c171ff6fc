import { ServerProcess } from "./server-process.ts";
import { freePort } from "./services.ts";

/** Why no etcd can be started here; null when one can. */
export function etcdMissing(): string | null {
  return Bun.which("etcd") === null ? "no etcd (test/support/install-services.sh installs it)" : null;
}

/** An etcd of its own on a free port: a cluster of one. Its data outlives a restart. */
export class EtcdServer extends ServerProcess {
  readonly port = freePort();
  readonly #peerPort = freePort();

  constructor() {
    super("etcd");
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async start(): Promise<void> {
    const peer = `http://127.0.0.1:${this.#peerPort}`;
    const clients = ["--listen-client-urls", this.url, "--advertise-client-urls", this.url];
    const peers = ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer];
    const cluster = ["--initial-cluster", `default=${peer}`, "--data-dir", this.folder];
    this.spawn(["etcd", ...clients, ...peers, ...cluster]);
    for (let attempt = 0; attempt < 900; attempt += 1) {
      const health = await fetch(`${this.url}/health`).then(
        (answer) => answer.text(),
        () => "",
      );
      if (health.includes("true")) return;
      await Bun.sleep(50);
    }
    throw new Error("etcd does not start");
  }
}
