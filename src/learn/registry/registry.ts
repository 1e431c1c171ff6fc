/**
 * The models that a desk has, had and may get: versions with their cards, files, lineage and metrics, the stage of each, and names for
 * them. All of it follows from a history of entries, each of which names the digest of the one before and may be signed; who
 * writes the entry with the next number has changed the registry, and whoever comes second looks again. So any number of hosts
 * may write to one registry, and a writer that dies leaves the old state or the new one.
 *
 * @module
 */
import { digestOf, MODEL_BYTES_MAX, parseCard } from "../../inference/model.ts";
import { type ReadEntry, RegistryError, sha256 } from "./entry.ts";
import { type Author, RegistryHistory, type RegistryOptions } from "./history.ts";
import type { Move, Stage } from "./stage.ts";
import type { RegisteredVersion } from "./state.ts";
import type { RegistryStore } from "./store.ts";
import {
  decodeManifest,
  encodeManifest,
  type Lineage,
  type VersionManifest,
  versionName,
} from "./version.ts";
import { layOut } from "./version-folder.ts";

const CARD_BYTES_MAX = 16 * 1024 * 1024;
const LOG_BYTES_MAX = 64 * 1024 * 1024;
const MANIFEST_BYTES_MAX = 1024 * 1024;

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
  readonly #store: RegistryStore;
  readonly #history: RegistryHistory;

  private constructor(options: RegistryOptions, history: RegistryHistory) {
    this.#store = options.store;
    this.#history = history;
  }

  /**
   * Reads a registry; one that nobody wrote to yet is empty.
   *
   * @throws RegistryError when its history cannot be trusted, has a gap, or does not reach what this host has seen of it
   */
  static async open(options: RegistryOptions): Promise<Registry> {
    return new Registry(options, await RegistryHistory.open(options));
  }

  get name(): string {
    return this.#store.name;
  }

  /** Digest of the last entry: it stands for all that is in the registry. Zeros when it is empty. */
  get head(): string {
    return this.#history.head;
  }

  get history(): readonly ReadEntry[] {
    return this.#history.entries;
  }

  get champion(): string | null {
    return this.#history.state.at("champion");
  }

  get canary(): string | null {
    return this.#history.state.at("canary");
  }

  /** In the order in which they came. */
  list(): RegisteredVersion[] {
    return this.#history.state.list();
  }

  stageOf(version: string): Stage | undefined {
    return this.#history.state.stageOf(version);
  }

  /** Takes in what others wrote. @returns how many entries came @throws RegistryError when they cannot be trusted */
  refresh(): Promise<number> {
    return this.#history.refresh();
  }

  /**
   * A version by its name, by the digits of its digest, by an alias, or as `champion`, `canary` and `latest`.
   *
   * @throws RegistryError when there is none
   */
  resolve(reference: string): string {
    return this.#history.state.resolve(reference, this.name);
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
    await this.#history.write(author, () =>
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
    await this.#history.write(author, () => {
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
    await this.#history.write(author, () => {
      const { champion, canary } = this;
      if (canary !== null) {
        version = canary;
        return { kind: "move", moves: [{ version, from: "canary", to: "shadow" }] };
      }
      const before = this.#history.state.championBefore;
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
    await this.#history.write(author, () => ({
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
    const bytes = await this.#store.get(`blobs/${digest}`, bytesMax);
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
    const store = this.#store;
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
}
