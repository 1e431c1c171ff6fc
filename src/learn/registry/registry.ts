/**
 * The models that a desk has, had and may get: versions with their cards, files, lineage and metrics, the stage of each, and names for
 * them. All of it follows from a history of entries, each of which names the digest of the one before and may be signed; who
 * writes the entry with the next number has changed the registry, and whoever comes second looks again. So any number of hosts
 * may write to one registry, and a writer that dies leaves the old state or the new one.
 *
 * @module
 */
import type { SignatureChecker, Signer } from "../../core/signature.ts";
import { digestOf, MODEL_BYTES_MAX, parseCard } from "../../inference/model.ts";
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
import type { Move, Stage } from "./stage.ts";
import { type RegisteredVersion, RegistryState } from "./state.ts";
import type { RegistryStore } from "./store.ts";
import {
  decodeManifest,
  encodeManifest,
  type Lineage,
  type VersionManifest,
  versionName,
} from "./version.ts";
import { layOut } from "./version-folder.ts";

/** More versions than a registry can hold in memory are none of a desk's. */
export const ENTRIES_MAX = 100_000;
const CARD_BYTES_MAX = 16 * 1024 * 1024;
const LOG_BYTES_MAX = 64 * 1024 * 1024;
const MANIFEST_BYTES_MAX = 1024 * 1024;
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
}

/** A model to be added. */
export interface NewVersion {
  /** `card.json` and `model.onnx` as they are. */
  readonly card: Uint8Array;
  readonly onnx: Uint8Array<ArrayBuffer>;
  readonly trainingLog?: Uint8Array;
  readonly lineage: Omit<Lineage, "trainingLog">;
  readonly metrics?: Readonly<Record<string, number>>;
}

/** A version's files, held to the digests that its signed entry stands for. */
export interface ReadVersion {
  readonly version: string;
  readonly manifest: VersionManifest;
  readonly card: Uint8Array<ArrayBuffer>;
  readonly onnx: Uint8Array<ArrayBuffer>;
}

export class Registry {
  readonly #options: RegistryOptions;
  readonly #entries: ReadEntry[] = [];
  readonly #state = new RegistryState();

  private constructor(options: RegistryOptions) {
    this.#options = options;
  }

  /** Reads a registry; one that nobody wrote to yet is empty. @throws RegistryError when its history cannot be trusted */
  static async open(options: RegistryOptions): Promise<Registry> {
    const registry = new Registry(options);
    await registry.refresh();
    return registry;
  }

  get name(): string {
    return this.#options.store.name;
  }

  /** Digest of the last entry: it stands for all that is in the registry. Zeros when it is empty. */
  get head(): string {
    return this.#entries.at(-1)?.sha256 ?? GENESIS;
  }

  get history(): readonly ReadEntry[] {
    return this.#entries;
  }

  get champion(): string | null {
    return this.#state.at("champion");
  }

  get canary(): string | null {
    return this.#state.at("canary");
  }

  /** In the order in which they came. */
  list(): RegisteredVersion[] {
    return this.#state.list();
  }

  stageOf(version: string): Stage | undefined {
    return this.#state.stageOf(version);
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
      if (bytes === null) return came;
      const read = decodeEntry(`${store.name}/${key}`, bytes, { sequence, previous: this.head }, trusted);
      const wrong = this.#state.refusal(read.entry);
      if (wrong !== null) throw new RegistryError("registry-stage", `${store.name}/${key}: ${wrong}`);
      this.#take(read);
    }
  }

  /**
   * A version by its name, by the digits of its digest, by an alias, or as `champion`, `canary` and `latest`.
   *
   * @throws RegistryError when there is none
   */
  resolve(reference: string): string {
    return this.#state.resolve(reference, this.name);
  }

  /**
   * Adds a model as a candidate. The same model with the same lineage is the same version and is not added again.
   *
   * @throws ModelRefusedError when the card is none or is of another model
   */
  async add(model: NewVersion, author: Author): Promise<RegisteredVersion> {
    const card = parseCard("model", new TextDecoder().decode(model.card));
    const onnxSha256 = digestOf(model.onnx);
    if (onnxSha256 !== card.onnxSha256) {
      throw new RegistryError(
        "registry-digest",
        `model ${card.name}: found model.onnx with SHA-256 ${onnxSha256}, expected ${card.onnxSha256} (its card)`,
      );
    }
    const log = model.trainingLog;
    const bytes = encodeManifest({
      format: 1,
      name: card.name,
      cardVersion: card.version,
      schemaHash: card.schemaHash,
      heads: card.heads.map(({ name }) => name),
      cardSha256: sha256(model.card),
      onnxSha256,
      onnxBytes: model.onnx.length,
      lineage: { ...model.lineage, trainingLog: log === undefined ? null : sha256(log) },
      metrics: { ...(model.metrics ?? {}) },
    });
    const manifestSha256 = sha256(bytes);
    decodeManifest(`model ${card.name}`, bytes);
    const version = versionName(card.name, manifestSha256);
    for (const blob of [model.card, model.onnx, ...(log === undefined ? [] : [log]), bytes]) {
      await this.#keep(blob);
    }
    await this.#write(author, () =>
      this.stageOf(version) !== undefined ? null : { kind: "add", version, manifestSha256 },
    );
    return this.#get(version);
  }

  /** What a version is. @throws RegistryError when its manifest is not the one that was added */
  async manifest(reference: string): Promise<VersionManifest> {
    const version = this.resolve(reference);
    const { manifestSha256 } = this.#get(version);
    const bytes = await this.#blob(version, "manifest", manifestSha256, MANIFEST_BYTES_MAX);
    const manifest = decodeManifest(version, bytes);
    if (versionName(manifest.name, manifestSha256) === version) return manifest;
    throw new RegistryError(
      "registry-digest",
      `${this.name}: ${version}: found the manifest of ${versionName(manifest.name, manifestSha256)}`,
    );
  }

  /** A version's files. @throws RegistryError when one is missing or is not the one that was added */
  async read(reference: string): Promise<ReadVersion> {
    const version = this.resolve(reference);
    const manifest = await this.manifest(version);
    const card = await this.#blob(version, "card.json", manifest.cardSha256, CARD_BYTES_MAX);
    const onnx = await this.#blob(version, "model.onnx", manifest.onnxSha256, MODEL_BYTES_MAX);
    if (parseCard(manifest.name, new TextDecoder().decode(card)).onnxSha256 !== manifest.onnxSha256) {
      throw new RegistryError("registry-digest", `${version}: its card is of another model.onnx`);
    }
    return { version, manifest, card, onnx };
  }

  /** The log of a version's training; null where none was kept. */
  async trainingLog(reference: string): Promise<Uint8Array<ArrayBuffer> | null> {
    const version = this.resolve(reference);
    const { lineage } = await this.manifest(version);
    return lineage.trainingLog === null
      ? null
      : this.#blob(version, "training log", lineage.trainingLog, LOG_BYTES_MAX);
  }

  /**
   * Lays a version's files out as a folder that models are loaded from, `FOLDER/NAME@DIGEST`, whole or not at all.
   *
   * @returns that folder
   */
  async materialise(reference: string, folder: string): Promise<string> {
    const { version, card, onnx } = await this.read(reference);
    return layOut(folder, version, { "card.json": card, "model.onnx": onnx });
  }

  /**
   * Moves a version to a stage. The champion that a canary replaces retires in the same step.
   *
   * @throws RegistryError when the move is not allowed; nothing was changed then
   */
  async setStage(reference: string, to: Stage, author: Author): Promise<RegisteredVersion> {
    let version = "";
    await this.#write(author, () => {
      version = this.resolve(reference);
      const from = this.#get(version).stage;
      const { champion } = this;
      const replaced = to === "champion" && champion !== null && champion !== version;
      const out: Move[] = replaced ? [{ version: champion, from: "champion", to: "retired" }] : [];
      return { kind: "move", moves: [...out, { version, from, to }] };
    });
    return this.#get(version);
  }

  /** One stage onward: candidate → shadow → canary → champion. */
  promote(reference: string, author: Author): Promise<RegisteredVersion> {
    const stage = this.#get(this.resolve(reference)).stage;
    const next = ({ candidate: "shadow", shadow: "canary", canary: "champion" } as const)[
      stage as "candidate"
    ];
    if (next === undefined) {
      throw new RegistryError("registry-stage", `${reference}: ${stage} has no stage to be promoted to`);
    }
    return this.setStage(reference, next, author);
  }

  /**
   * Back one step: a canary returns to the shadow; without one, the champion retires and the one before it takes its place.
   *
   * @returns the version that is champion after it, or the canary that went back
   */
  async rollback(author: Author): Promise<RegisteredVersion> {
    let version = "";
    await this.#write(author, () => {
      const { champion, canary } = this;
      if (canary !== null) {
        version = canary;
        return { kind: "move", moves: [{ version, from: "canary", to: "shadow" }] };
      }
      const before = this.#state.championBefore;
      if (champion === null || before === undefined) {
        throw new RegistryError("registry-stage", `${this.name}: there is nothing to roll back to`);
      }
      version = before;
      const from = this.#get(before).stage;
      const out: Move = { version: champion, from: "champion", to: "retired" };
      return { kind: "move", moves: [out, { version: before, from, to: "champion" }] };
    });
    return this.#get(version);
  }

  /** Names a version, or with null takes the name away. */
  async setAlias(alias: string, reference: string | null, author: Author): Promise<void> {
    if (reference !== null && /^[0-9a-f]{4,12}$/.test(alias)) {
      throw new RegistryError("registry-entry", `${alias}: found digits of a digest, expected a name`);
    }
    await this.#write(author, () => ({
      kind: "alias",
      alias,
      version: reference === null ? null : this.resolve(reference),
    }));
  }

  /** Reads everything there is of every version. @returns what is wrong, by version; empty when nothing is */
  async verify(): Promise<{ readonly version: string; readonly problem: string }[]> {
    const problems: { version: string; problem: string }[] = [];
    for (const { version } of this.list()) {
      try {
        await this.read(version);
        await this.trainingLog(version);
      } catch (error) {
        problems.push({ version, problem: error instanceof Error ? error.message : String(error) });
      }
    }
    return problems;
  }

  #get(version: string): RegisteredVersion {
    const found = this.list().find((each) => each.version === version);
    if (found !== undefined) return found;
    throw new RegistryError("registry-missing", `${this.name}: ${version} is not in the registry`);
  }

  async #blob(
    version: string,
    what: string,
    digest: string,
    bytesMax: number,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = await this.#options.store.get(`blobs/${digest}`, bytesMax);
    const where = `${this.name}: ${version}: ${what}`;
    if (bytes === null) {
      throw new RegistryError("registry-missing", `${where}: found nothing, expected SHA-256 ${digest}`);
    }
    const found = sha256(bytes);
    if (found === digest) return bytes;
    throw new RegistryError("registry-digest", `${where}: found SHA-256 ${found}, expected ${digest}`);
  }

  /** Keeps an object under its digest. What lies there already must be the same: nobody could read the version otherwise. */
  async #keep(bytes: Uint8Array): Promise<void> {
    const { store } = this.#options;
    const digest = sha256(bytes);
    await store.create(`blobs/${digest}`, bytes);
    const kept = await store.get(`blobs/${digest}`, bytes.length);
    const found = kept === null ? "nothing" : `SHA-256 ${sha256(kept)}`;
    if (found === `SHA-256 ${digest}`) return;
    throw new RegistryError(
      "registry-digest",
      `${store.name}/blobs/${digest}: found ${found} there after it was written, expected SHA-256 ${digest}`,
    );
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

  #take(read: ReadEntry): void {
    this.#state.apply(read.entry);
    this.#entries.push(read);
  }

  /** Writes what `decide` says of the newest state; null is nothing. Decides again where somebody else wrote first. */
  async #write({ who, why }: Author, decide: () => EntryEvent | null): Promise<void> {
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
      const wrong = this.#state.refusal(read.entry);
      if (wrong !== null) throw new RegistryError("registry-stage", wrong);
      if (await this.#created(sequence, bytes)) {
        this.#take(read);
        return;
      }
    }
    throw new RegistryError(
      "registry-conflict",
      `${store.name}: ${TRIES} times others wrote first; nothing was changed`,
    );
  }
}

/** Entries sort by their number. */
function entryKey(sequence: number): string {
  return `history/${String(sequence).padStart(8, "0")}`;
}
