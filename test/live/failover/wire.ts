import { PairWire, type SentMessage } from "./pair-wire.ts";

/** Fields' ends are written as bars: none of the fields here holds one. */
const MESSAGE = /8=FIX[^|]*\|(?:[^|]*\|)*?10=\d{3}\|/g;
/** Cancellations and orders, which are none of the first quotes of a leader but quoting nevertheless. */
const QUOTES = new Set(["Z", "D"]);

/** What a pair sent to its counterparty by FIX. */
export class Wire extends PairWire {
  #highest = 0;
  #takenMs = Number.NaN;
  readonly #rest = new Map<string, string>();

  override take(who: string, bytes: Uint8Array): void {
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
  override cut(who: string): void {
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
    if (type === "A" && this.leads(who)) this.#takenMs = Date.now();
    if (this.hasRetired(who)) this.late.push(sent);
    if (!isRepeat) {
      if (seq <= this.#highest) this.reused.push(sent);
      this.#highest = Math.max(this.#highest, seq);
    }
    if (type === "i") this.quoted(sent);
    else if (QUOTES.has(type)) this.lastQuoteMs.set(who, sent.atMs);
  }
}
