/**
 * The models that a desk has, had and may get: versions with their cards, files, lineage and metrics, the stage of each, and names for
 * them. All of it follows from a history of entries, each of which names the digest of the one before and may be signed; who
 * writes the entry with the next number has changed the registry, and whoever comes second looks again. So any number of hosts
 * may write to one registry, and a writer that dies leaves the old state or the new one.
 *
 * @module
 */
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
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
import { illegal, type Move, type Stage } from "./stage.ts";
import type { RegistryStore } from "./store.ts";
import {
  decodeManifest,
  encodeManifest,
  type Lineage,
  type VersionManifest,
  versionName,
} from "./version.ts";

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

/** A version as it stands. */
export interface RegisteredVersion {
  readonly version: string;
  readonly manifestSha256: string;
  readonly stage: Stage;
  readonly addedMs: number;
  readonly stageSinceMs: number;
  readonly aliases: readonly string[];
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

interface Standing {
  readonly manifestSha256: string;
  stage: Stage;
  readonly addedMs: number;
  stageSinceMs: number;
}

export class Registry {
  readonly #options: RegistryOptions;
  readonly #entries: ReadEntry[] = [];
  readonly #versions = new Map<string, Standing>();
  readonly #aliases = new Map<string, string>();
  /** Who was champion, oldest first; the last one is it now, if its stage says so. */
  readonly #champions: string[] = [];

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
    return this.#at("champion");
  }

  get canary(): string | null {
    return this.#at("canary");
  }

  /** In the order in which they came. */
  list(): RegisteredVersion[] {
    return [...this.#versions].map(([version, standing]) => ({
      version,
      ...standing,
      aliases: [...this.#aliases].flatMap(([alias, to]) => (to === version ? [alias] : [])),
    }));
  }

  stageOf(version: string): Stage | undefined {
    return this.#versions.get(version)?.stage;
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
      const wrong = this.#apply(read, false);
      if (wrong !== null) throw new RegistryError("registry-stage", `${store.name}/${key}: ${wrong}`);
    }
  }

  /**
   * A version by its name, by the digits of its digest, by an alias, or as `champion`, `canary` and `latest`.
   *
   * @throws RegistryError when there is none
   */
  resolve(reference: string): string {
    const named =
      reference === "champion"
        ? this.champion
        : reference === "canary"
          ? this.canary
          : reference === "latest"
            ? ([...this.#versions.keys()].at(-1) ?? null)
            : (this.#aliases.get(reference) ?? null);
    if (named !== null) return named;
    if (this.#versions.has(reference)) return reference;
    const matches = /^[0-9a-f]{4,12}$/.test(reference)
      ? [...this.#versions.keys()].filter((version) => version.split("@")[1]?.startsWith(reference))
      : [];
    if (matches.length === 1) return matches[0];
    const found = matches.length === 0 ? "no such version" : `${matches.length} versions`;
    throw new RegistryError(
      "registry-missing",
      `${this.name}: found ${found} for ${JSON.stringify(reference)}, expected NAME@DIGEST, digits of a digest, champion, canary, latest or an alias`,
    );
  }

  /**
   * Adds a model as a candidate. The same model with the same lineage is the same version and is not added again.
   *
   * @throws ModelRefusedError when the card is none or is of another model
   */
  async add(model: NewVersion, author: Author): Promise<RegisteredVersion> {
    const { store } = this.#options;
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
      await store.create(`blobs/${sha256(blob)}`, blob);
    }
    await this.#write(author, () =>
      this.#versions.has(version) ? null : { kind: "add", version, manifestSha256 },
    );
    return this.#get(version);
  }

  /** What a version is. @throws RegistryError when its manifest is not the one that was added */
  async manifest(reference: string): Promise<VersionManifest> {
    const version = this.resolve(reference);
    const { manifestSha256 } = this.#get(version);
    const bytes = await this.#blob(version, "manifest", manifestSha256, MANIFEST_BYTES_MAX);
    return decodeManifest(version, bytes);
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
    const path = join(folder, version);
    if ((await holds(path, "card.json", card)) && (await holds(path, "model.onnx", onnx))) return path;
    const fresh = join(folder, `.new-${version}-${process.pid}-${performance.now()}`);
    await mkdir(fresh, { recursive: true });
    await writeFile(join(fresh, "card.json"), card);
    await writeFile(join(fresh, "model.onnx"), onnx);
    await rm(path, { recursive: true, force: true });
    await rename(fresh, path).catch(async (error: unknown) => {
      // Another process has laid out the same files meanwhile.
      await rm(fresh, { recursive: true, force: true });
      if (!(await Bun.file(join(path, "model.onnx")).exists())) throw error;
    });
    return path;
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
      const before = this.#champions.findLast((each) => each !== champion);
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
    await this.#write(author, () => ({
      kind: "alias",
      alias,
      version: reference === null ? null : this.resolve(reference),
    }));
  }

  /** Reads everything there is of every version. @returns what is wrong, by version; empty when nothing is */
  async verify(): Promise<{ readonly version: string; readonly problem: string }[]> {
    const problems: { version: string; problem: string }[] = [];
    for (const version of this.#versions.keys()) {
      try {
        await this.read(version);
        await this.trainingLog(version);
      } catch (error) {
        problems.push({ version, problem: error instanceof Error ? error.message : String(error) });
      }
    }
    return problems;
  }

  #at(stage: Stage): string | null {
    for (const [version, standing] of this.#versions) if (standing.stage === stage) return version;
    return null;
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

  /** Writes what `decide` says of the newest state; null is nothing. Decides again where somebody else wrote first. */
  async #write({ who, why }: Author, decide: () => EntryEvent | null): Promise<void> {
    const { store, signer, nowMs } = this.#options;
    for (let tries = 0; tries < TRIES; tries += 1) {
      await this.refresh();
      const event = decide();
      if (event === null) return;
      const sequence = this.#entries.length + 1;
      const content = { sequence, previous: this.head, timeMs: nowMs(), who, why, event };
      const bytes = encodeEntry(content, signer);
      const place = { sequence, previous: this.head };
      const read = decodeEntry("the new entry", bytes, place, this.#options.trusted);
      const wrong = this.#apply(read, true);
      if (wrong !== null) throw new RegistryError("registry-stage", wrong);
      if (await store.create(entryKey(sequence), bytes)) {
        this.#apply(read, false);
        return;
      }
    }
    throw new RegistryError(
      "registry-conflict",
      `${store.name}: ${TRIES} times others wrote first; nothing was changed`,
    );
  }

  /** @param only looks whether the entry is allowed, and changes nothing @returns what is wrong with it; null when nothing is */
  #apply(read: ReadEntry, only: boolean): string | null {
    const { event, timeMs } = read.entry;
    if (event.kind === "add") {
      if (this.#versions.has(event.version)) return `${event.version} is in the registry already`;
      if (only) return null;
      const { version, manifestSha256 } = event;
      this.#versions.set(version, {
        manifestSha256,
        stage: "candidate",
        addedMs: timeMs,
        stageSinceMs: timeMs,
      });
    } else if (event.kind === "alias") {
      const { alias, version } = event;
      if (alias === "champion" || alias === "canary" || alias === "latest") return `${alias} is no free name`;
      if (version !== null && !this.#versions.has(version)) return `${version} is not in the registry`;
      if (only) return null;
      if (version === null) this.#aliases.delete(alias);
      else this.#aliases.set(alias, version);
    } else {
      const { champion, canary } = this;
      const wrong = illegal(
        event.moves,
        (version) => this.stageOf(version),
        (version) => this.#champions.includes(version),
        { champion, canary },
      );
      if (wrong !== null) return wrong;
      if (only) return null;
      for (const { version, to } of event.moves) {
        const standing = this.#versions.get(version);
        if (standing === undefined) continue;
        standing.stage = to;
        standing.stageSinceMs = timeMs;
        if (to === "champion") this.#champions.push(version);
      }
    }
    this.#entries.push(read);
    return null;
  }
}

async function holds(folder: string, name: string, bytes: Uint8Array): Promise<boolean> {
  const file = Bun.file(join(folder, name));
  return (await file.exists()) && file.size === bytes.length && sha256(await file.bytes()) === sha256(bytes);
}

/** Entries sort by their number. */
function entryKey(sequence: number): string {
  return `history/${String(sequence).padStart(8, "0")}`;
}
