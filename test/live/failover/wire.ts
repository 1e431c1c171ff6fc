/** A FIX message as a process wrote it to its socket. */
export interface SentMessage {
  readonly who: string;
  readonly atMs: number;
  readonly type: string;
  readonly seq: number;
  readonly isRepeat: boolean;
  /** When it was made, by its own word, and when another one took over; ms since the epoch, NaN where that is not told. */
  readonly madeMs: number;
  readonly sinceMs: number;
}

/** Fields' ends are written as bars: none of the fields here holds one. */
const MESSAGE = /8=FIX[^|]*\|(?:[^|]*\|)*?10=\d{3}\|/g;
const QUOTES = new Set(["i", "Z", "D"]);

/** What the processes of a pair sent to whoever takes their quotes. */
export interface PairWire {
  /** What a process sent after another one had taken over from it. */
  readonly late: SentMessage[];
  /** What was sent under a number or an id that another message had. */
  readonly reused: SentMessage[];
  /** When each process last sent quotes, ms of `performance.now()`. */
  readonly lastQuoteMs: ReadonlyMap<string, number>;
  /** When the present leader's first quote left; NaN before. */
  readonly firstQuoteMs: number;
  readonly leader: string;
  readonly messages: number;
  readonly changes: number;
  take(who: string, bytes: Uint8Array, connection: object): void;
  /** A process begins anew. */
  cut(who: string): void;
}

/** What the processes of a pair sent to their counterparty, in the order in which it came off their sockets. */
export class Wire implements PairWire {
  /** Application messages that a process sent after another one had taken over from it. */
  readonly late: SentMessage[] = [];
  /** Numbers that were used by two different messages. */
  readonly reused: SentMessage[] = [];
  /** When each process last sent quotes, ms of `performance.now()`. */
  readonly lastQuoteMs = new Map<string, number>();
  /** When the present session's first quote left; NaN before. */
  firstQuoteMs = Number.NaN;
  leader = "";
  messages = 0;
  changes = 0;
  #highest = 0;
  #takenMs = Number.NaN;
  #retired = new Set<string>();
  readonly #rest = new Map<string, string>();

  take(who: string, bytes: Uint8Array): void {
    const text =
      (this.#rest.get(who) ?? "") + Buffer.from(bytes).toString("latin1").replaceAll("\u0001", "|");
    let end = 0;
    for (const match of text.matchAll(MESSAGE)) {
      end = match.index + match[0].length;
      this.#message(who, match[0]);
    }
    this.#rest.set(who, text.slice(end));
  }

  /** A new connection begins with a message's first byte. */
  cut(who: string): void {
    this.#rest.delete(who);
  }

  #message(who: string, text: string): void {
    const head = text.slice(0, 200);
    const type = /\|35=([^|]+)/.exec(head)?.[1] ?? "";
    const seq = Number(/\|34=(\d+)/.exec(head)?.[1]);
    const isRepeat = head.includes("|43=Y");
    const [, y, mo, d, time] = /\|52=(\d{4})(\d\d)(\d\d)-([\d:.]{8,12})/.exec(head) ?? [];
    const madeMs = Date.parse(`${y}-${mo}-${d}T${time}Z`);
    const sinceMs = this.#takenMs;
    const sent: SentMessage = { who, atMs: performance.now(), type, seq, isRepeat, madeMs, sinceMs };
    this.messages += 1;
    if (type === "A") {
      if (this.leader !== "" && this.leader !== who) this.#retired.add(this.leader);
      this.#retired.delete(who);
      if (this.leader !== who) {
        this.changes += 1;
        this.#takenMs = Date.now();
      }
      this.leader = who;
      this.firstQuoteMs = Number.NaN;
    }
    if (this.#retired.has(who)) this.late.push(sent);
    if (!isRepeat) {
      if (seq <= this.#highest) this.reused.push(sent);
      this.#highest = Math.max(this.#highest, seq);
    }
    if (type === "i" && who === this.leader && Number.isNaN(this.firstQuoteMs)) this.firstQuoteMs = sent.atMs;
    if (QUOTES.has(type)) this.lastQuoteMs.set(who, sent.atMs);
  }
}
