import { UnixDatagramSender } from "../core/unix-datagram.ts";

/** How systemd wants to be told of this process: `NOTIFY_SOCKET` and `WATCHDOG_USEC`, sd_notify(3), sd_watchdog_enabled(3). */
export interface ServiceManager {
  readonly socket: string;
  /** Time without a sign of life after which the manager takes the process for hung; null when it does not watch it. */
  readonly watchdogUs: number | null;
}

/** Of what the manager has no room for, so much is kept. */
const WAITING_MAX = 8;
const RETRY_MS = 5;

/**
 * Tells the service manager of the state of this process. A socket takes about ten messages that are not read yet: what it has no room
 * for is counted and told later, in its order, except for signs of life. Nothing waits for it.
 */
export class ServiceNotifier {
  readonly watchdogUs: number | null;
  readonly manager: ServiceManager;
  /** Notifications that the manager did not take at once. */
  lost = 0;
  readonly #waiting: string[] = [];
  readonly #sender: UnixDatagramSender;

  /** @throws Error when the socket's name is no name of a socket */
  constructor(manager: ServiceManager) {
    const { socket, watchdogUs } = manager;
    this.manager = manager;
    this.watchdogUs = watchdogUs;
    this.#sender = new UnixDatagramSender(socket);
  }

  ready(status: string): void {
    this.#tell(`READY=1\nSTATUS=${oneLine(status)}`);
  }

  status(text: string): void {
    this.#tell(`STATUS=${oneLine(text)}`);
  }

  /** The event loop has turned. */
  alive(): void {
    if (!this.#sender.send("WATCHDOG=1")) this.lost += 1;
  }

  /** Whether there is something that the manager had no room for. */
  get waiting(): boolean {
    return this.#waiting.length > 0;
  }

  /** Tells again what the manager had no room for. */
  retry(): void {
    while (this.#waiting.length > 0 && this.#sender.send(this.#waiting[0])) this.#waiting.shift();
  }

  /** Tells it again until the manager has it, for a process that is about to end. */
  async told(withinMs: number): Promise<void> {
    for (let ms = 0; this.waiting && ms < withinMs; ms += RETRY_MS) {
      await Bun.sleep(RETRY_MS);
      this.retry();
    }
  }

  /** @param monotonicUs CLOCK_MONOTONIC, by which the manager knows this reload from an earlier one */
  reloading(monotonicUs: number): void {
    this.#tell(`RELOADING=1\nMONOTONIC_USEC=${Math.floor(monotonicUs)}`);
  }

  stopping(status: string): void {
    this.#tell(`STOPPING=1\nSTATUS=${oneLine(status)}`);
  }

  /** Another process is the service's main one from now on; sd_notify(3), `MAINPID`. */
  mainProcess(pid: number): void {
    this.#tell(`MAINPID=${pid}`);
  }

  close(): void {
    this.#sender.close();
  }

  #tell(state: string): void {
    this.retry();
    if (!this.waiting && this.#sender.send(state)) return;
    this.lost += 1;
    // Of sentences alone the last one counts.
    const isSentence = (text = ""): boolean => text.startsWith("STATUS=");
    if (isSentence(state) && isSentence(this.#waiting.at(-1))) this.#waiting.pop();
    this.#waiting.push(state);
    if (this.#waiting.length > WAITING_MAX) this.#waiting.shift();
  }
}

/** A line feed would begin the next assignment. */
function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, " ");
}
