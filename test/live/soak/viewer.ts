import { SECTIONS, type SectionName, type Update } from "../../../src/monitor/dashboard/protocol.ts";

const ROWS = 40;
/** What each page of the dashboard looks at, in turn, as somebody who pages through it does. */
const PAGES: readonly (readonly SectionName[])[] = [
  ["pulse", "overview"],
  ["overview", "pulse", "surface"],
  ["overview", "risk"],
  ["overview", "profit"],
  ["overview", "latency"],
  ["overview", "feeds", "model", "alerts"],
];

/** Looks on over the dashboard's own socket at sixty updates a second, page after page. */
export class Viewer {
  updates = 0;
  bytes = 0;
  /** Sections that have been seen, of all there are. */
  readonly seen = new Set<string>();
  /** Connections that ended before they were told to. */
  lost = 0;
  readonly #socket: WebSocket;
  readonly #timer: ReturnType<typeof setInterval>;
  #page = 0;
  #ended = false;

  private constructor(socket: WebSocket, pageMs: number) {
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#take(String(data));
    socket.onclose = () => {
      if (!this.#ended) this.lost += 1;
    };
    this.#watch();
    this.#timer = setInterval(() => this.#watch(), pageMs);
  }

  /** @param pageMs for how long it stays on each page */
  static async open(base: string, pageMs: number): Promise<Viewer> {
    const socket = new WebSocket(`${base.replace("http", "ws")}/dashboard/live`, {
      headers: { origin: base },
    });
    await new Promise<void>((opened, failed) => {
      socket.onopen = () => opened();
      socket.onerror = () => failed(new Error(`${base} serves no dashboard`));
    });
    return new Viewer(socket, pageMs);
  }

  get unseen(): readonly string[] {
    return SECTIONS.filter((name) => !this.seen.has(name));
  }

  close(): void {
    this.#ended = true;
    clearInterval(this.#timer);
    this.#socket.close();
  }

  #watch(): void {
    const sections = PAGES[this.#page % PAGES.length] ?? [];
    const rows = Array.from({ length: ROWS }, (_, at) => at);
    const detail = this.#page % ROWS;
    this.#page += 1;
    this.#socket.send(JSON.stringify({ rate: 60, sections, rows, detail, underlying: 0, expiryMs: null }));
  }

  #take(text: string): void {
    const update = JSON.parse(text) as Update;
    this.updates += 1;
    this.bytes += text.length;
    for (const name of Object.keys(update.sections ?? {})) this.seen.add(name);
  }
}
