import { Rng } from "../core/rng.ts";
import { Backoff } from "../feed/supervisor.ts";

const RESTART = { baseMs: 250, capMs: 30_000 } as const;
/** A thread that has lived this long starts the next back-off from the base again. */
const SETTLED_MS = 60_000;
const BEAT_MS = 200;
const LOOK_MS = 1_000;
/**
 * Looks in a row that found no new beat: the thread hangs. Looks are counted, not time, so that a host that slept is no hang. Long, because a
 * busy host may keep a thread of low priority waiting; what is read late is stale by its age well before.
 */
const HANG_LOOKS = 30;
/** The same before its first beat: it has to be loaded. */
const LOAD_LOOKS = 90;

/** Why a thread was given up. */
export const THREAD_LOSSES = ["crash", "hang"] as const;
export type ThreadLoss = (typeof THREAD_LOSSES)[number];

export interface KeptThreadOptions<Reply> {
  /** Of the worker's entry point. */
  readonly url: string;
  /** The first message to a thread. It is to give the memory to {@link keepBeat}. */
  readonly begin: (beat: SharedArrayBuffer) => object;
  readonly onReply: (reply: Reply) => void;
  /** The thread is gone, with all that it had; another one follows after a back-off of 0.25 to 30 s. */
  readonly onLost: (problem: string) => void;
  /** Between two looks at the thread's beat. */
  readonly lookMs?: number;
}

/**
 * A thread off the line that is begun anew, for ever, when it ends by itself or its event loop stands still. It does not keep the process
 * alive.
 *
 * Its replies are told one a turn of the event loop. The runtime delivers messages of another thread for as long as there are any: of a thread
 * that replies as fast as they are taken, neither a timer nor a socket would get its turn.
 */
export class KeptThread<Reply> {
  /** Threads given up, by cause. */
  readonly losses: Record<ThreadLoss, number> = { crash: 0, hang: 0 };
  /** What became of the thread, until another one has turned; null while one is there. */
  failure: string | null = null;
  readonly #options: KeptThreadOptions<Reply>;
  readonly #backoff = new Backoff(new Rng(process.pid), RESTART);
  readonly #look: ReturnType<typeof setInterval>;
  #worker: Worker | null = null;
  /** Delivered and not told yet. */
  readonly #replies: Reply[] = [];
  /** A reply has been told in this turn. */
  #hasTold = false;
  #due: ReturnType<typeof setTimeout> | undefined;
  #beats: Int32Array = new Int32Array(1);
  #lastBeat = 0;
  #looks = 0;
  #startMs = 0;

  constructor(options: KeptThreadOptions<Reply>) {
    this.#options = options;
    this.#begin();
    this.#look = setInterval(() => this.#onLook(), options.lookMs ?? LOOK_MS);
    this.#look.unref();
  }

  /** Whether there is a thread, perhaps one that is still loading. */
  get running(): boolean {
    return this.#worker !== null;
  }

  /** To the thread that is there. @param keepsProcess the process is not to end before the thread does */
  post(message: object, keepsProcess = false): void {
    if (keepsProcess) this.#worker?.ref();
    this.#worker?.postMessage(message);
  }

  /** Ends the thread where it stands; none follows, and nothing is called back. */
  close(): void {
    clearInterval(this.#look);
    clearTimeout(this.#due);
    const worker = this.#worker;
    this.#worker = null;
    this.#replies.length = 0;
    worker?.terminate();
  }

  #begin(): void {
    const memory = new SharedArrayBuffer(4);
    const worker = new Worker(this.#options.url);
    this.#worker = worker;
    this.#beats = new Int32Array(memory);
    this.#lastBeat = 0;
    this.#looks = 0;
    this.#startMs = performance.now();
    worker.onmessage = ({ data }: MessageEvent<Reply>) => {
      if (this.#worker !== worker) return;
      this.#replies.push(data);
      if (!this.#hasTold) this.#tell();
    };
    worker.onerror = (event) => {
      event.preventDefault();
      if (this.#worker === worker) this.#lose("crash", `its thread ended: ${inOneLine(event.message)}`);
    };
    worker.addEventListener("close", () => {
      if (this.#worker === worker) this.#lose("crash", "its thread ended");
    });
    worker.postMessage(this.#options.begin(memory));
    worker.unref();
  }

  readonly #tell = (): void => {
    const reply = this.#replies.shift();
    this.#hasTold = reply !== undefined;
    if (reply === undefined) return;
    setImmediate(this.#tell);
    this.#options.onReply(reply);
  };

  #onLook(): void {
    if (this.#worker === null) return;
    const beat = Atomics.load(this.#beats, 0);
    if (beat !== this.#lastBeat) {
      this.#lastBeat = beat;
      this.#looks = 0;
      this.failure = null;
      return;
    }
    this.#looks += 1;
    if (this.#looks >= (beat === 0 ? LOAD_LOOKS : HANG_LOOKS)) this.#lose("hang", "its thread stood still");
  }

  #lose(loss: ThreadLoss, problem: string): void {
    const worker = this.#worker;
    this.#worker = null;
    this.#replies.length = 0;
    worker?.terminate();
    this.losses[loss] += 1;
    this.failure = problem;
    if (performance.now() - this.#startMs >= SETTLED_MS) this.#backoff.reset();
    this.#due = setTimeout(() => this.#begin(), this.#backoff.nextUs() / 1_000);
    this.#due.unref();
    this.#options.onLost(problem);
  }
}

/** For the thread: shows that its event loop turns. */
export function keepBeat(memory: SharedArrayBuffer): void {
  const beats = new Int32Array(memory);
  Atomics.add(beats, 0, 1);
  setInterval(() => Atomics.add(beats, 0, 1), BEAT_MS);
}

/** Bun's message of an error on another thread shows the source around it; the line that names it says enough. */
function inOneLine(message: string): string {
  const lines = message.split("\n").filter((line) => line.trim() !== "");
  return (lines.find((line) => /^\w*error: /i.test(line)) ?? lines[0] ?? "by an error").trim();
}
