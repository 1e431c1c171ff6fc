import { EXIT, KeelError } from "./errors.ts";
import { SpinningLoop } from "./spinning-loop.ts";
import { allowCpus, allowedCpus, setRealTime, threadIds } from "./threads.ts";

/** Where the event loop's thread runs, how urgent it is (null leaves either to the host), and whether it sleeps. */
export interface LoopPlacement {
  /** Number of the processor that the loop has to itself. */
  readonly cpu: number | null;
  /** Real-time priority, 1 to 99. */
  readonly priority: number | null;
  /** It never sleeps; see {@link SpinningLoop}. */
  readonly spin: boolean;
}

/** Threads that came since are kept off the loop's processor this often. */
const SWEEP_MS = 5_000;

/**
 * Gives the event loop its processor and keeps every other thread of the process (journal, collector, compiler, pools) off it.
 * New threads inherit the loop's place, so those are moved again and again.
 */
export class PlacedLoop {
  readonly #placed = new Set<number>();
  readonly #allowed: readonly number[];
  readonly #others: readonly number[];
  readonly #spinning: SpinningLoop | null;
  readonly #interval: ReturnType<typeof setInterval> | undefined;

  /** @throws KeelError saying what the host lacks: what was asked for is had, or the process does not start */
  constructor({ cpu, priority, spin }: LoopPlacement) {
    const allowed = allowedCpus(process.pid);
    this.#allowed = allowed;
    this.#others = allowed.filter((other) => other !== cpu);
    if (cpu !== null) {
      if (!allowed.includes(cpu)) {
        throw new KeelError(
          "placement",
          `KEEL_LOOP_CPU: found ${cpu}, expected one of the processors that keel may use: ${allowed.join(", ")}`,
          EXIT.badConfiguration,
        );
      }
      if (this.#others.length === 0) {
        throw new KeelError(
          "placement",
          `KEEL_LOOP_CPU: processor ${cpu} is the only one that keel may use, expected another for its other threads`,
          EXIT.badConfiguration,
        );
      }
      this.#keepOff();
      if (!allowCpus(process.pid, [cpu])) {
        throw new KeelError("placement", `KEEL_LOOP_CPU: the host does not let keel choose processor ${cpu}`);
      }
      this.#interval = setInterval(() => this.#keepOff(), SWEEP_MS);
      this.#interval.unref();
    }
    if (priority !== null && !setRealTime(process.pid, priority)) {
      throw new KeelError(
        "placement",
        `KEEL_LOOP_PRIORITY: the host does not give priority ${priority}, expected CAP_SYS_NICE or, in the unit, LimitRTPRIO=${priority}`,
      );
    }
    try {
      this.#spinning = spin ? new SpinningLoop() : null;
    } catch (error) {
      this.#giveBack();
      throw error;
    }
  }

  /** The loop sleeps again, and all threads may run wherever the loop could. A priority stays. */
  stop(): void {
    this.#spinning?.stop();
    this.#giveBack();
  }

  #giveBack(): void {
    if (this.#interval === undefined) return;
    clearInterval(this.#interval);
    for (const id of threadIds()) allowCpus(id, this.#allowed);
  }

  /** A thread that has ended meanwhile is none to move. */
  #keepOff(): void {
    const present = threadIds();
    for (const id of present) {
      if (id === process.pid || this.#placed.has(id)) continue;
      allowCpus(id, this.#others);
      this.#placed.add(id);
    }
    for (const id of this.#placed) if (!present.includes(id)) this.#placed.delete(id);
  }
}
