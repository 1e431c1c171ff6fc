import type {
  Detail,
  DirectoryEntry,
  Hello,
  SectionName,
  Sections,
  Update,
  Viewer,
  Watch,
} from "../protocol.ts";
import { COLUMNS, type ColumnName, WATCHED_ROWS_MAX } from "../protocol.ts";

export interface Instrument {
  readonly id: number;
  readonly venue: string;
  readonly symbol: string;
  readonly kind: string;
  readonly base: string;
  readonly expiryMs: number | null;
  readonly strike: number | null;
  readonly tick: number;
  readonly lot: number;
  readonly quoted: boolean;
}

const RETRY_MS = [250, 500, 1_000, 2_000, 5_000] as const;
const UNAUTHORISED = 4_001;

/** What the server has told, and what it is told to tell. Connects again by itself. */
export class Live {
  hello: Hello | null = null;
  viewer: Viewer | null = null;
  readonly instruments: Instrument[] = [];
  readonly rows = new Map<number, (number | null)[]>();
  sections: Partial<Sections> = {};
  detail: Detail | null = null;
  us = 0;
  connected = false;
  messages = 0;
  #watch: Watch = { rate: 10, sections: [], rows: [], detail: null, underlying: 0, expiryMs: null };
  #sentWatch = "";
  #socket: WebSocket | null = null;
  #tries = 0;
  readonly #onUpdate: () => void;
  readonly #onEnd: () => void;

  /** @param onEnd the session has ended: there is nothing to connect with any more */
  constructor(onUpdate: () => void, onEnd: () => void) {
    this.#onUpdate = onUpdate;
    this.#onEnd = onEnd;
    this.#connect();
  }

  get rate(): number {
    return this.#watch.rate;
  }

  /** Says what is looked at from now on; what is left out stays as it is. */
  watch(change: Partial<Watch>): void {
    const rows = (change.rows ?? this.#watch.rows).slice(0, WATCHED_ROWS_MAX);
    if (change.detail !== undefined && change.detail !== this.#watch.detail) this.detail = null;
    this.#watch = { ...this.#watch, ...change, rows };
    this.#send();
  }

  section<S extends SectionName>(name: S): Sections[S] | undefined {
    return this.sections[name];
  }

  value(id: number, column: ColumnName): number | null {
    return this.rows.get(id)?.[COLUMNS.indexOf(column)] ?? null;
  }

  #connect(): void {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}/dashboard/live`);
    this.#socket = socket;
    socket.onopen = () => {
      this.connected = true;
      this.#tries = 0;
      this.#sentWatch = "";
      this.instruments.length = 0;
      this.rows.clear();
      this.sections = {};
      this.detail = null;
      this.#send();
      this.#onUpdate();
    };
    socket.onmessage = ({ data }) => this.#take(JSON.parse(String(data)));
    socket.onclose = ({ code }) => {
      this.connected = false;
      this.#onUpdate();
      if (code === UNAUTHORISED) {
        this.#onEnd();
        return;
      }
      void this.#again();
    };
  }

  /** Asks first whether the session still holds: a refused handshake does not tell why it was. */
  async #again(): Promise<void> {
    const waitMs = RETRY_MS[Math.min(this.#tries, RETRY_MS.length - 1)] ?? 5_000;
    this.#tries += 1;
    await new Promise((resolve) => setTimeout(resolve, waitMs));
    const session = await fetch("/dashboard/session")
      .then((answer) => answer.json())
      .catch(() => null);
    if (session !== null && session.viewer === null) this.#onEnd();
    else this.#connect();
  }

  #send(): void {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    const text = JSON.stringify(this.#watch);
    if (text === this.#sentWatch) return;
    this.#sentWatch = text;
    this.#socket.send(text);
  }

  #take(update: Update): void {
    this.us = update.us;
    this.messages += 1;
    if (update.hello !== undefined) this.hello = update.hello;
    if (update.viewer !== undefined) this.viewer = update.viewer;
    for (const entry of update.directory ?? []) this.instruments[entry[0]] = instrumentOf(entry);
    for (const [id, mask, ...values] of update.rows ?? []) this.#takeRow(id ?? -1, mask ?? 0, values);
    if (update.sections !== undefined) this.sections = { ...this.sections, ...update.sections };
    if (update.detail !== undefined) this.detail = update.detail;
    this.#onUpdate();
  }

  #takeRow(id: number, mask: number, values: readonly (number | null)[]): void {
    const row = this.rows.get(id) ?? new Array<number | null>(COLUMNS.length).fill(null);
    let next = 0;
    for (let column = 0; column < COLUMNS.length; column += 1) {
      if ((mask & (1 << column)) === 0) continue;
      row[column] = values[next] ?? null;
      next += 1;
    }
    this.rows.set(id, row);
  }
}

function instrumentOf(entry: DirectoryEntry): Instrument {
  const [id, venue, symbol, kind, base, expiryMs, strike, tick, lot, quoted] = entry;
  return { id, venue, symbol, kind, base, expiryMs, strike, tick, lot, quoted: quoted === 1 };
}
