import type { SessionNumbers } from "../gateway.ts";
import type { FileStore } from "./file-store.ts";
import type { SessionStore, StoredMessage } from "./store.ts";

/** What the passive one of a pair has to be told of the session, in order. */
export type SessionWord =
  /** An execution has been acted on; `key` is what it is known by. */
  | { readonly said: "execution"; readonly key: string }
  /** The counterparty's messages below `next` have been acted on. */
  | { readonly said: "incoming"; readonly next: number }
  /** Both sequences began at 1. */
  | { readonly said: "reset"; readonly timeUs: number };

export type SessionFollower = (word: SessionWord) => void;

/**
 * The store of a session that two processes have in turn. What the leader has had of the counterparty is told to the passive one,
 * behind the fills in it: so the passive one's incoming number never runs ahead of its books, and what it has missed is resent to
 * it. Outgoing numbers are not told one by one; they are reserved with the lease, and told as a number that the leader stays below.
 */
export class FollowedStore implements SessionStore {
  readonly #store: FileStore;
  readonly #follower: SessionFollower;
  #told: number;

  constructor(store: FileStore, follower: SessionFollower) {
    this.#store = store;
    this.#follower = follower;
    this.#told = store.nextIncoming;
  }

  get nextOutgoing(): number {
    return this.#store.nextOutgoing;
  }

  get nextIncoming(): number {
    return this.#store.nextIncoming;
  }

  get behind(): boolean {
    return this.#store.behind;
  }

  get startedUs(): number {
    return this.#store.startedUs;
  }

  claimOutgoing(): number {
    return this.#store.claimOutgoing();
  }

  setNextIncoming(next: number): void {
    this.#store.setNextIncoming(next);
  }

  keep(seq: number, sendingTimeUs: number, bytes: Uint8Array, start: number, end: number): void {
    this.#store.keep(seq, sendingTimeUs, bytes, start, end);
  }

  find(seq: number): StoredMessage | undefined {
    return this.#store.find(seq);
  }

  nextKept(from: number, to: number): number {
    return this.#store.nextKept(from, to);
  }

  reset(timeUs: number): void {
    this.#store.reset(timeUs);
    this.#told = 1;
    this.#follower({ said: "reset", timeUs });
  }

  flush(): void {
    const { nextIncoming } = this.#store;
    if (nextIncoming !== this.#told) {
      this.#told = nextIncoming;
      this.#follower({ said: "incoming", next: nextIncoming });
    }
    this.#store.flush();
  }

  close(): void {
    this.#store.close();
  }

  // What comes from the leader, while this process does not lead.

  followIncoming(next: number): void {
    this.#store.setNextIncoming(next);
    this.#told = next;
    this.#store.flush();
  }

  /** Numbers below `next` may be the leader's. */
  followOutgoing(next: number): void {
    this.#store.advanceOutgoing(next);
  }

  /** Outgoing numbers go on where they are: a gap is filled, a number used twice is not mended. */
  followReset(timeUs: number): void {
    const { nextOutgoing, startedUs } = this.#store;
    if (startedUs === timeUs) return;
    this.#store.reset(timeUs);
    this.#store.setNextOutgoing(nextOutgoing);
    this.#told = 1;
  }

  /**
   * Goes on behind every number that a leader before can have used. Where the sequences have begun at 1 since this store was told
   * of them, what the counterparty has sent since is asked for again from its first message.
   */
  takeOver(before: SessionNumbers | null): void {
    if (before === null) return;
    const { startedUs, nextOutgoing } = this.#store;
    if (before.startedUs !== null && !(startedUs >= before.startedUs)) this.followReset(before.startedUs);
    this.#store.setNextOutgoing(Math.max(nextOutgoing, before.outgoing));
  }
}
