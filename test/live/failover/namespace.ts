/** Networks that are drilled in are of 10.213.0.0/16; each process takes one that is free. */
const SUBNET = "10.213";
/** An address of the wire that nobody has. */
const NOWHERE = "02:00:00:00:00:99";

/**
 * A network of its own for one process, joined to the host by one wire that can be unplugged: packets then vanish, and no end is told. Linux, as
 * root, with `ip`.
 */
export class Namespace {
  /** The host's address on the wire. */
  readonly host: string;
  /** The process's address. */
  readonly inside: string;
  readonly #name: string;
  readonly #wire: string;
  readonly #inner: string;
  readonly #onExit = (): void => this.remove();
  #removed = false;

  /** @throws Error where the host has none */
  constructor() {
    const number = freeNetwork();
    this.host = `${SUBNET}.${number}.1`;
    this.inside = `${SUBNET}.${number}.2`;
    this.#name = `keel-drill-${number}`;
    this.#wire = `keeldrill${number}`;
    this.#inner = `${this.#wire}i`;
    ip(`netns add ${this.#name}`);
    process.once("exit", this.#onExit);
    ip(`link add ${this.#wire} type veth peer name ${this.#inner}`);
    ip(`link set ${this.#inner} netns ${this.#name}`);
    ip(`addr add ${this.host}/24 dev ${this.#wire}`);
    ip(`link set ${this.#wire} up`);
    for (const command of [
      `addr add ${this.inside}/24 dev ${this.#inner}`,
      `link set ${this.#inner} up`,
      "link set lo up",
    ])
      ip(`-n ${this.#name} ${command}`);
  }

  /** Why this host has none; null where it has. */
  static missing(): string | null {
    if (process.platform !== "linux" || process.getuid?.() !== 0)
      return "a network for each process wants Linux and root";
    if (Bun.which("ip") === null) return "a network for each process wants `ip` (iproute2)";
    try {
      new Namespace().remove();
      return null;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  /** A command that runs inside. */
  command(command: readonly string[]): string[] {
    return ["ip", "netns", "exec", this.#name, ...command];
  }

  /** Nothing gets through in either direction. */
  unplug(): void {
    ip(`link set ${this.#wire} down`);
  }

  /** What the process sends vanishes; what is sent to it arrives. */
  mute(): void {
    ip(`-n ${this.#name} neigh replace ${this.host} lladdr ${NOWHERE} nud permanent dev ${this.#inner}`);
  }

  /** What is sent to the process vanishes; what it sends arrives. */
  deafen(): void {
    ip(`neigh replace ${this.inside} lladdr ${NOWHERE} nud permanent dev ${this.#wire}`);
  }

  /** Everything gets through again. */
  plug(): void {
    ip(`link set ${this.#wire} up`);
    ip(`-n ${this.#name} neigh flush dev ${this.#inner} nud permanent`);
    ip(`neigh flush dev ${this.#wire} nud permanent`);
  }

  remove(): void {
    if (this.#removed) return;
    this.#removed = true;
    process.off("exit", this.#onExit);
    Bun.spawnSync(["ip", "link", "del", this.#wire]);
    Bun.spawnSync(["ip", "netns", "del", this.#name]);
  }
}

/** The first network from a place of this process's own on that nobody has. */
function freeNetwork(): number {
  const taken = ip("-o -4 addr show");
  for (let attempt = 0; attempt < 254; attempt += 1) {
    const number = ((process.pid + attempt) % 254) + 1;
    if (!taken.includes(` ${SUBNET}.${number}.`)) return number;
  }
  throw new Error(`no network of ${SUBNET}.0.0/16 is free`);
}

function ip(args: string): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync(["ip", ...args.split(" ")]);
  if (exitCode !== 0) throw new Error(`ip ${args}: ${stderr.toString().trim()}`);
  return stdout.toString();
}
