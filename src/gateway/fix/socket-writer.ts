/** The part of a Bun socket that writing needs. */
export interface WritableSocket {
  /** @returns bytes the socket took; fewer than offered, or −1 when it is closed, means wait for drain. */
  write(data: Uint8Array, byteOffset: number, byteLength: number): number;
}

/** Bytes on their way to a socket. What the socket does not take at once waits in a buffer of fixed size. */
export class SocketWriter {
  readonly #pending: Uint8Array;
  #from = 0;
  #to = 0;
  #socket: WritableSocket | null = null;

  constructor(capacityBytes: number) {
    this.#pending = new Uint8Array(capacityBytes);
  }

  attach(socket: WritableSocket | null): void {
    this.#socket = socket;
    this.#from = 0;
    this.#to = 0;
  }

  get pendingBytes(): number {
    return this.#to - this.#from;
  }

  /** @returns false when the waiting bytes outgrow the buffer: nothing of this call is then sent, and the connection must be closed. */
  write(bytes: Uint8Array, start: number, end: number): boolean {
    const socket = this.#socket;
    if (socket === null) return true;
    let at = start;
    if (this.#from === this.#to) {
      const taken = socket.write(bytes, start, end - start);
      if (taken > 0) at += taken;
      if (at === end) return true;
    }
    const left = end - at;
    if (this.#to + left > this.#pending.length) {
      this.#pending.copyWithin(0, this.#from, this.#to);
      this.#to -= this.#from;
      this.#from = 0;
    }
    if (this.#to + left > this.#pending.length) return false;
    this.#pending.set(bytes.subarray(at, end), this.#to);
    this.#to += left;
    return true;
  }

  /** Offers what waits to the socket. @returns true when nothing waits any more. */
  flush(): boolean {
    const socket = this.#socket;
    if (socket !== null && this.#from < this.#to) {
      const taken = socket.write(this.#pending, this.#from, this.#to - this.#from);
      if (taken > 0) this.#from += taken;
    }
    if (this.#from === this.#to) {
      this.#from = 0;
      this.#to = 0;
      return true;
    }
    return false;
  }
}
