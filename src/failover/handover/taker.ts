import { z } from "zod";
import { KeelError } from "../../core/errors.ts";
import { readMessage, type StreamRecord } from "../stream.ts";
import { type Channel, openChannel } from "./channel.ts";
import {
  type Estate,
  type FromRunning,
  type FromSuccessor,
  fromRunning,
  type Identity,
  identity,
  type Released,
  refusal,
} from "./messages.ts";

/** A running process says something every 100 ms. */
const SILENT_MS = 5_000;
/** Closing everything in order takes no longer. */
const RELEASE_MS = 30_000;
const SUCCEEDED_MS = 5_000;
/** Of the running process's live instruments; some are listed, end or are unsound at any time. */
const LIVE_SHARE = 0.98;

/** Of what a process says, whatever its version: why it refuses, and what it is. */
const anyRefusal = z.object({ type: z.literal("refused"), reason: z.string() });
const anyEstate = z.object({ type: z.literal("estate"), identity });

/** The running process has ended before it had let go; what it left is what any process leaves that ends so. */
export class RunningEndedError extends KeelError {
  constructor(when: string) {
    super("handover-ended", `the running process ended ${when}`);
  }
}

/** The new process's end of a handover. */
export class HandoverTaker {
  readonly running: Identity;
  readonly estate: Estate;
  /** What happens to the running process, in order; what came before it was set is kept. */
  #onRecord: ((record: StreamRecord) => void) | null = null;
  #early: StreamRecord[] = [];
  readonly #channel: Channel;
  #number: number;
  #heardMs = performance.now();
  /** The running process's own; null until it has said so. */
  #fitness: { readonly unfit: readonly string[]; readonly live: number } | null = null;
  #released: Released | null = null;
  #succeeded = false;
  #ended: string | null = null;

  /**
   * Connects to the process that runs with this state directory.
   *
   * @returns null when none does
   * @throws KeelError `handover-refused` with the reason for which this process may not take over
   */
  static async connect(path: string, own: Identity): Promise<HandoverTaker | null> {
    const channel = await openChannel(path);
    if (channel === null) return null;
    const { promise, resolve, reject } = Promise.withResolvers<HandoverTaker>();
    channel.onMessage = (text) => {
      const message = readMessage(fromRunning, text);
      if (message?.type === "estate") {
        const reason = refusal(message.identity, own);
        if (reason === null) resolve(new HandoverTaker(channel, message));
        else reject(new KeelError("handover-refused", reason));
      } else if (message === null || message.type === "refused") reject(refused(text, own));
    };
    channel.onClosed = () => reject(new RunningEndedError("before it had answered"));
    const timer = setTimeout(
      () => reject(new KeelError("handover-silent", `the running process does not answer on ${path}`)),
      SILENT_MS,
    );
    channel.send({ type: "hello", identity: own } satisfies FromSuccessor);
    try {
      return await promise;
    } catch (error) {
      channel.close();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  private constructor(channel: Channel, told: Extract<FromRunning, { type: "estate" }>) {
    this.#channel = channel;
    this.running = told.identity;
    this.estate = told.estate;
    this.#number = told.number;
    channel.onMessage = (text) => this.#onMessage(text);
    channel.onClosed = (problem) => {
      this.#ended ??= problem === "" ? "closed" : problem;
    };
  }

  follow(onRecord: (record: StreamRecord) => void): void {
    this.#onRecord = onRecord;
    const early = this.#early;
    this.#early = [];
    for (const record of early) onRecord(record);
  }

  /**
   * What this process lacks in comparison with the running one: reasons that the running one does not have, too, and instruments.
   *
   * @param live instruments that are live here
   */
  lacking(unfit: readonly string[], live: number): string[] {
    const theirs = this.#fitness;
    if (theirs === null) return ["the running process has not said yet whether it could quote"];
    const reasons = unfit.filter((reason) => !theirs.unfit.includes(reason));
    if (live < theirs.live * LIVE_SHARE) reasons.push(`${live} of ${theirs.live} instruments are live`);
    return reasons;
  }

  /** @throws RunningEndedError, KeelError when the running process is silent */
  check(): void {
    if (this.#ended !== null) throw new RunningEndedError("before it handed over");
    if (performance.now() - this.#heardMs > SILENT_MS) {
      throw new KeelError("handover-silent", "the running process is silent: it is stopped or hangs");
    }
  }

  /**
   * Asks for the running process's place. From here on it stops.
   *
   * @throws RunningEndedError when it ended without having closed everything; KeelError when it takes too long
   */
  async take(): Promise<Released> {
    this.#send({ type: "ready", number: this.#number });
    const untilMs = performance.now() + RELEASE_MS;
    while (this.#released === null) {
      if (this.#ended !== null) throw new RunningEndedError("while it handed over");
      if (performance.now() > untilMs) {
        throw new KeelError("handover-silent", "the running process does not let go");
      }
      // A record may have come between: then what was said does not count, and is said again.
      this.#send({ type: "ready", number: this.#number });
      await Bun.sleep(2);
    }
    return this.#released;
  }

  /** This process holds the state directory. Waits until the running one has told the service manager, and does not insist on it. */
  async taken(token: number): Promise<void> {
    this.#send({ type: "taken", token });
    const untilMs = performance.now() + SUCCEEDED_MS;
    while (!this.#succeeded && this.#ended === null && performance.now() < untilMs) await Bun.sleep(2);
    this.#channel.close();
  }

  close(): void {
    this.#channel.close();
  }

  #onMessage(text: string): void {
    this.#heardMs = performance.now();
    const message = readMessage(fromRunning, text);
    switch (message?.type) {
      case "record":
        if (message.number !== this.#number + 1) {
          this.#fail(`record ${message.number} after ${this.#number}`);
          return;
        }
        this.#number = message.number;
        if (this.#onRecord === null) this.#early.push(message.record);
        else this.#onRecord(message.record);
        break;
      case "beat":
        this.#fitness = message;
        break;
      case "released":
        if (message.number !== this.#number) this.#fail(`released at ${message.number}, had ${this.#number}`);
        else this.#released = message.released;
        break;
      case "refused":
        this.#fail(message.reason);
        break;
      case "succeeded":
        this.#succeeded = true;
        break;
      default:
        this.#fail(message === undefined ? "a message that is none" : "a message out of turn");
    }
  }

  #fail(why: string): void {
    this.#ended ??= why;
    this.#channel.close();
  }

  #send(message: FromSuccessor): void {
    this.#channel.send(message);
  }
}

/** A later keel may answer in a form that is not known here; what it refuses, and what it is, can be read all the same. */
function refused(text: string, own: Identity): KeelError {
  const said = readMessage(anyRefusal, text);
  if (said !== null) return new KeelError("handover-refused", said.reason);
  const told = readMessage(anyEstate, text);
  const reason = told === null ? null : refusal(told.identity, own);
  return new KeelError(
    "handover-refused",
    reason ?? "the running process answers what this keel does not know",
  );
}
