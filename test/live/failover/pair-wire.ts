/** A message as a process wrote it to its socket. */
export interface SentMessage {
  readonly who: string;
  readonly atMs: number;
  readonly type: string;
  /** Of a FIX message; 0 and false elsewhere. */
  readonly seq: number;
  readonly isRepeat: boolean;
  /** When it was made, by its own word, and when another one took over; ms since the epoch, NaN where that is not told. */
  readonly madeMs: number;
  readonly sinceMs: number;
}

/** What the processes of a pair sent to whoever takes their quotes, in the order in which it came off their sockets. */
export abstract class PairWire {
  /** What a process sent after another one had taken over from it. */
  readonly late: SentMessage[] = [];
  /** What was sent under a number or an id that another message had. */
  readonly reused: SentMessage[] = [];
  /** When each process last sent quotes, ms of `performance.now()`. */
  readonly lastQuoteMs = new Map<string, number>();
  /** When the present leader's first quote left; NaN before. */
  firstQuoteMs = Number.NaN;
  leader = "";
  messages = 0;
  changes = 0;
  readonly #retired = new Set<string>();

  /** @param connection on which it was sent */
  abstract take(who: string, bytes: Uint8Array, connection: object): void;

  /** A process begins anew. */
  cut(_who: string): void {}

  /** A process says that it leads. @returns whether it did not before */
  protected leads(who: string): boolean {
    const isAnother = this.leader !== who;
    if (isAnother && this.leader !== "") this.#retired.add(this.leader);
    this.#retired.delete(who);
    if (isAnother) this.changes += 1;
    this.leader = who;
    this.firstQuoteMs = Number.NaN;
    return isAnother;
  }

  /** Another process has taken over from this one. */
  protected hasRetired(who: string): boolean {
    return this.#retired.has(who);
  }

  protected quoted({ who, atMs }: SentMessage): void {
    if (who === this.leader && Number.isNaN(this.firstQuoteMs)) this.firstQuoteMs = atMs;
    this.lastQuoteMs.set(who, atMs);
  }
}
