import type { DeskTap } from "../gateway/tap.ts";
import type { ServiceNotifier } from "../monitor/service-notifier.ts";

const STATUS_US = 2_000_000;
const RETRY_US = 100_000;
/** Signs of life within the time after which the manager takes the process for hung. */
const SIGNS_PER_WATCHDOG = 4;

/**
 * Feeds the service manager's watchdog from the desk's own turn of the event loop, so that a loop that hangs, and nothing but a
 * loop that turns, is known: there is no timer beside it. Tells the state in a sentence, too.
 */
export class ServiceTap implements DeskTap {
  readonly #notifier: ServiceNotifier;
  readonly #status: () => string;
  readonly #aliveEveryUs: number;
  #toldAliveUs = Number.NEGATIVE_INFINITY;
  #toldStatusUs = Number.NEGATIVE_INFINITY;
  #retriedUs = Number.NEGATIVE_INFINITY;
  #told = "";

  /** @param status one sentence for `systemctl status` */
  constructor(notifier: ServiceNotifier, status: () => string) {
    this.#notifier = notifier;
    this.#status = status;
    this.#aliveEveryUs = (notifier.watchdogUs ?? Number.POSITIVE_INFINITY) / SIGNS_PER_WATCHDOG;
  }

  onQuotes(): void {}
  onCancelAll(): void {}

  /** A wall clock that was put back must not keep the watchdog waiting. */
  onTimer(timeUs: number): void {
    if (Math.abs(timeUs - this.#toldAliveUs) >= this.#aliveEveryUs) {
      this.#toldAliveUs = timeUs;
      this.#notifier.alive();
    }
    if (this.#notifier.waiting && Math.abs(timeUs - this.#retriedUs) >= RETRY_US) {
      this.#retriedUs = timeUs;
      this.#notifier.retry();
    }
    if (Math.abs(timeUs - this.#toldStatusUs) < STATUS_US) return;
    this.#toldStatusUs = timeUs;
    const status = this.#status();
    if (status === this.#told) return;
    this.#told = status;
    this.#notifier.status(status);
  }

  close(): void {}
}
