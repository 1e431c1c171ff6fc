import { UnixDatagramSender } from "../core/unix-datagram.ts";

/** How systemd wants to be told of this process: `NOTIFY_SOCKET` and `WATCHDOG_USEC`, sd_notify(3), sd_watchdog_enabled(3). */
export interface ServiceManager {
  readonly socket: string;
  /** Time without a sign of life after which the manager takes the process for hung; null when it does not watch it. */
  readonly watchdogUs: number | null;
}

/** Tells the service manager of the state of this process. What it has no room for is counted, never waited for. */
export class ServiceNotifier {
  readonly watchdogUs: number | null;
  readonly manager: ServiceManager;
  /** Notifications that the manager did not take. */
  lost = 0;
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
    this.#tell("WATCHDOG=1");
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
    if (!this.#sender.send(state)) this.lost += 1;
  }
}

/** A line feed would begin the next assignment. */
function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, " ");
}
