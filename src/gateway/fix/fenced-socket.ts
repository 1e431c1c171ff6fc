import type { WireFence } from "../wire-fence.ts";
import type { WritableSocket } from "./socket-writer.ts";

/**
 * A socket that takes bytes only in the term of leadership in which it was connected. The first write after that reports once and
 * nothing leaves any more, whatever is called: a process that was stopped and wakes after its term finds the way shut before its
 * first message.
 */
export class FencedSocket implements WritableSocket {
  readonly #socket: WritableSocket;
  readonly #fence: WireFence;
  readonly #token: number;
  readonly #onRefused: () => void;
  #refused = false;

  constructor(socket: WritableSocket, fence: WireFence, onRefused: () => void) {
    this.#socket = socket;
    this.#fence = fence;
    this.#token = fence.token;
    this.#onRefused = onRefused;
  }

  write(data: Uint8Array, byteOffset: number, byteLength: number): number {
    if (!this.#refused && this.#fence.permits(this.#token)) {
      return this.#socket.write(data, byteOffset, byteLength);
    }
    if (!this.#refused) {
      this.#refused = true;
      this.#onRefused();
    }
    return -1;
  }
}
