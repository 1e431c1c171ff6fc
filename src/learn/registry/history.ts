import type { SignatureChecker, Signer } from "../../core/signature.ts";
import {
  decodeEntry,
  ENTRY_BYTES_MAX,
  type EntryEvent,
  encodeEntry,
  GENESIS,
  type ReadEntry,
  RegistryError,
  sha256,
} from "./entry.ts";
import type { HistoryMemory, SeenEntry } from "./seen-history.ts";
import { RegistryState } from "./state.ts";
import type { RegistryStore } from "./store.ts";

/** More versions than a registry can hold in memory are none of a desk's. */
export const ENTRIES_MAX = 100_000;
/** So many numbers beyond the end of a history are looked at when it is opened: an entry there has lost the ones before it. */
const AHEAD = 4;
/** Times that a change is tried again because somebody else was first. */
const TRIES = 16;

/** Who changes a registry, and why; both are kept for ever. */
export interface Author {
  readonly who: string;
  readonly why: string;
}

export interface RegistryOptions {
  readonly store: RegistryStore;
  /** Signs what is written; null: nothing is signed. */
  readonly signer: Signer | null;
  /** Keys of which one must have signed each entry; null: signatures are not looked at. */
  readonly trusted: readonly SignatureChecker[] | null;
  /** Wall clock, ms since the epoch. */
  readonly nowMs: () => number;
  /** What this host has seen of the history; left out: nothing is remembered. */
  readonly memory?: HistoryMemory;
}

/** The entries of a registry: read to their end, held to each other, and added to by whoever is first. */
export class RegistryHistory {
  readonly state = new RegistryState();
  readonly #options: RegistryOptions;
  readonly #entries: ReadEntry[] = [];

  private constructor(options: RegistryOptions) {
    this.#options = options;
  }

  /** @throws RegistryError when it cannot be trusted, has a gap, or does not reach what this host has seen of it */
  static async open(options: RegistryOptions): Promise<RegistryHistory> {
    const history = new RegistryHistory(options);
    const seen = options.memory?.last() ?? null;
    await history.refresh();
    await history.#endsThere();
    history.#reaches(seen);
    return history;
  }

  get name(): string {
    return this.#options.store.name;
  }

  get head(): string {
    return this.#entries.at(-1)?.sha256 ?? GENESIS;
  }

  get entries(): readonly ReadEntry[] {
    return this.#entries;
  }

  /** Takes in what others wrote. @returns how many entries came @throws RegistryError when they cannot be trusted */
  async refresh(): Promise<number> {
    const { store, trusted } = this.#options;
    for (let came = 0; ; came += 1) {
      const sequence = this.#entries.length + 1;
      if (sequence > ENTRIES_MAX) {
        throw new RegistryError("registry-entry", `${store.name}: found more than ${ENTRIES_MAX} entries`);
      }
      const key = entryKey(sequence);
      const bytes = await store.get(key, ENTRY_BYTES_MAX);
      if (bytes === null) {
        if (came > 0) this.#remember();
        return came;
      }
      const read = decodeEntry(`${store.name}/${key}`, bytes, { sequence, previous: this.head }, trusted);
      const wrong = this.state.refusal(read.entry);
      if (wrong !== null) throw new RegistryError("registry-stage", `${store.name}/${key}: ${wrong}`);
      this.#take(read);
    }
  }

  /** What stands in the store as an entry; null when nothing does. */
  #stored(sequence: number): Promise<Uint8Array<ArrayBuffer> | null> {
    return this.#options.store.get(entryKey(sequence), ENTRY_BYTES_MAX);
  }

  /** A history whose last entry is gone would go on where nobody reads it. @throws RegistryError when it is */
  async #holdsLast(): Promise<void> {
    const last = this.#entries.at(-1);
    if (last === undefined) return;
    const bytes = await this.#stored(last.entry.sequence);
    if (bytes !== null && sha256(bytes) === last.sha256) return;
    throw new RegistryError(
      "registry-chain",
      `${this.name}/${entryKey(last.entry.sequence)}: found ${bytes === null ? "nothing" : "another entry"}, expected the one read before: the store has lost it, or the history was changed`,
    );
  }

  /** Writes an entry. @returns whether it stands there, which is looked up: an answer may be lost, and so may what was answered for */
  async #created(sequence: number, bytes: Uint8Array): Promise<boolean> {
    const { store } = this.#options;
    let failure: unknown = null;
    const taken = await store.create(entryKey(sequence), bytes).catch((error: unknown) => {
      failure = error;
      return false;
    });
    const stored = await this.#stored(sequence).catch((error: unknown) => {
      throw failure ?? error;
    });
    if (stored !== null) return sha256(stored) === sha256(bytes);
    if (failure !== null) throw failure;
    throw new RegistryError(
      "registry-missing",
      `${store.name}/${entryKey(sequence)}: found nothing after the store ${taken ? "took" : "had"} it, expected the entry: it loses what it keeps`,
    );
  }

  #remember(): void {
    const last = this.#entries.at(-1);
    if (last === undefined) return;
    const { memory, nowMs } = this.#options;
    memory?.keep({ sequence: last.entry.sequence, sha256: last.sha256, atMs: nowMs() });
  }

  #take(read: ReadEntry): void {
    this.state.apply(read.entry);
    this.#entries.push(read);
  }

  /** Writes what `decide` says of the newest state; null is nothing. Decides again where somebody else wrote first. */
  async write({ who, why }: Author, decide: () => EntryEvent | null): Promise<void> {
    const { store, signer, nowMs } = this.#options;
    for (let tries = 0; tries < TRIES; tries += 1) {
      await this.refresh();
      await this.#holdsLast();
      const event = decide();
      if (event === null) return;
      const sequence = this.#entries.length + 1;
      const content = { sequence, previous: this.head, timeMs: nowMs(), who, why, event };
      const bytes = encodeEntry(content, signer);
      const place = { sequence, previous: this.head };
      const read = decodeEntry("the new entry", bytes, place, this.#options.trusted);
      const wrong = this.state.refusal(read.entry);
      if (wrong !== null) throw new RegistryError("registry-stage", wrong);
      if (await this.#created(sequence, bytes)) {
        this.#take(read);
        this.#remember();
        return;
      }
    }
    throw new RegistryError(
      "registry-conflict",
      `${store.name}: ${TRIES} times others wrote first; nothing was changed`,
    );
  }
  /** An entry behind the end means that one is lost: a history would go on where it stops to be read. */
  async #endsThere(): Promise<void> {
    const end = this.#entries.length;
    for (let ahead = 2; ahead <= 1 + AHEAD; ahead += 1) {
      if ((await this.#stored(end + ahead)) === null) continue;
      // Others may have written meanwhile.
      await this.refresh();
      if (this.#entries.length > end) return this.#endsThere();
      throw new RegistryError(
        "registry-chain",
        `${this.name}/${entryKey(end + 1)}: found nothing, and an entry at ${end + ahead}: the store has lost it, or the history was changed`,
      );
    }
  }

  #reaches(seen: SeenEntry | null): void {
    if (seen === null) return;
    const { memory } = this.#options;
    const { sequence, sha256: expected, atMs } = seen;
    const found = this.#entries[sequence - 1]?.sha256;
    if (found === expected) return;
    const what =
      found === undefined
        ? `a history of ${this.#entries.length} entries`
        : `entry ${sequence} with SHA-256 ${found.slice(0, 12)}`;
    throw new RegistryError(
      "registry-chain",
      `${this.name}: found ${what}, expected entry ${sequence} with SHA-256 ${expected.slice(0, 12)}, which this host saw on ${new Date(atMs).toISOString()}: the store has lost it, or an earlier state was put in its place. ${memory?.name ?? "memory"} remembers it: to go on from here, remove that file`,
    );
  }
}

/** Entries sort by their number. */
function entryKey(sequence: number): string {
  return `history/${String(sequence).padStart(8, "0")}`;
}
