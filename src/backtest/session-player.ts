import type { CaptureEntry } from "../feed/capture.ts";
import type { Player, RecordingSink } from "./recording.ts";

interface Request {
  readonly feed: number;
  readonly request: number;
  readonly path: string;
}

/**
 * Plays a recorded session as it was: connections when they were made, frames as they came, and to each request the answer that
 * was recorded to the same path, at its time or, where that has passed, at once.
 */
export class SessionPlayer implements Player<CaptureEntry> {
  #sink: RecordingSink | null = null;
  #timeUs: number;
  /** The feed waits for its connection; −1 = none does. */
  #connecting = -1;
  #feed = 0;
  #open = false;
  readonly #waiting: Request[] = [];
  /** Answers that nobody had asked for yet, the latest to each address. */
  readonly #answers = new Map<string, CaptureEntry>();
  readonly #due: (() => void)[] = [];

  constructor(firstUs: number) {
    this.#timeUs = firstUs;
  }

  connect(feed: number): void {
    this.#feed = feed;
    if (this.#open) this.#due.push(() => this.#sink?.onOpen(feed, this.#timeUs));
    else this.#connecting = feed;
  }

  send(): void {}

  disconnect(): void {}

  request(feed: number, request: number, path: string): void {
    for (const [url, entry] of this.#answers) {
      if (!url.endsWith(path)) continue;
      this.#answers.delete(url);
      this.#answer({ feed, request, path }, entry);
      return;
    }
    this.#waiting.push({ feed, request, path });
  }

  async begin(sink: RecordingSink): Promise<void> {
    this.#sink = sink;
    this.#settle();
  }

  take(entry: CaptureEntry): null {
    this.#timeUs = Math.max(this.#timeUs, entry.timeUs);
    const sink = this.#sink;
    switch (entry.kind) {
      case "connect":
        this.#open = true;
        if (this.#connecting >= 0) sink?.onOpen(this.#connecting, this.#timeUs);
        this.#connecting = -1;
        break;
      case "disconnect": {
        this.#open = false;
        const [code = "1006", ...reason] = entry.text.split(" ");
        sink?.onClose(this.#feed, Number(code), reason.join(" "), this.#timeUs);
        break;
      }
      case "frame":
        if (this.#connecting < 0) sink?.onFrame(this.#feed, entry.text, this.#timeUs);
        break;
      case "http": {
        const at = this.#waiting.findIndex(({ path }) => entry.url.endsWith(path));
        if (at < 0) this.#answers.set(entry.url, entry);
        else for (const asked of this.#waiting.splice(at, 1)) this.#answer(asked, entry);
        break;
      }
      default:
        break;
    }
    this.#settle();
    return null;
  }

  async finish(): Promise<void> {}

  #answer({ feed, request }: Request, { status, text }: CaptureEntry): void {
    this.#due.push(() => this.#sink?.onResponse(feed, request, status, text, Number.NaN, this.#timeUs));
  }

  #settle(): void {
    for (let call = this.#due.shift(); call !== undefined; call = this.#due.shift()) call();
  }
}
