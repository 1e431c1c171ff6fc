import { afterBatch } from "../../core/after-batch.ts";

/** The part of a Bun socket that writing needs. */
export interface WritableSocket {
  /** @returns bytes the socket took; fewer than offered, or −1 when it is closed, means wait for drain. */
  write(data: Uint8Array, byteOffset: number, byteLength: number): number;
}

/** Gathered bytes after which the socket is offered them without waiting for the batch's end. */
const GATHERED_BYTES_MAX = 16 * 1_024;

/** Calls back once the event loop has delivered everything that was readable together. */
export type AfterBatch = (flush: () => void) => void;

/**
 * Bytes on their way to a socket, in order. What is written in one batch of the event loop is gathered and leaves as one write
 * when the batch is over, a few microseconds later: a write is a system call and may have to wake the peer, tens of microseconds
 * that would hold up every other frame of the batch. {@link flush} sends at once. What the socket does not take waits in the
 * same buffer, whose size is fixed.
 */
export class SocketWriter {
  readonly #waiting: Uint8Array;
  readonly #afterBatch: AfterBatch;
  #from = 0;
  #to = 0;
  #socket: WritableSocket | null = null;
  /** Something was written in this batch; {@link #endBatch} is due. */
  #gathering = false;
  /** The socket has refused bytes and was not asked again since. */
  #blocked = false;

  constructor(capacityBytes: number, toBatchEnd: AfterBatch = afterBatch) {
    this.#waiting = new Uint8Array(capacityBytes);
    this.#afterBatch = toBatchEnd;
  }

  attach(socket: WritableSocket | null): void {
    this.#socket = socket;
    this.#from = 0;
    this.#to = 0;
    this.#blocked = false;
  }

  /** Bytes that the socket has refused so far; what is only being gathered is not counted. */
  get pendingBytes(): number {
    return this.#blocked ? this.#to - this.#from : 0;
  }

  /** @returns false when the waiting bytes outgrow the buffer: nothing of this call is then sent, and the connection must be closed. */
  write(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.#socket === null) return true;
    if (!this.#gathering) {
      this.#gathering = true;
      this.#afterBatch(this.#endBatch);
    }
    const left = end - start;
    if (this.#to + left > this.#waiting.length) {
      this.#waiting.copyWithin(0, this.#from, this.#to);
      this.#to -= this.#from;
      this.#from = 0;
    }
    if (this.#to + left > this.#waiting.length) return false;
    this.#waiting.set(bytes.subarray(start, end), this.#to);
    this.#to += left;
    if (!this.#blocked && this.#to - this.#from >= GATHERED_BYTES_MAX) this.flush();
    return true;
  }

  /** Offers what waits to the socket. @returns true when nothing waits any more. */
  flush(): boolean {
    const socket = this.#socket;
    if (socket !== null && this.#from < this.#to) {
      const taken = socket.write(this.#waiting, this.#from, this.#to - this.#from);
      if (taken > 0) this.#from += taken;
      this.#blocked = this.#from < this.#to;
    }
    if (this.#from === this.#to) {
      this.#from = 0;
      this.#to = 0;
      return true;
    }
    return false;
  }

  readonly #endBatch = (): void => {
    this.#gathering = false;
    if (!this.#blocked) this.flush();
  };
}
