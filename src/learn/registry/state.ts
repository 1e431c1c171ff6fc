import { type Entry, RegistryError } from "./entry.ts";
import { illegal, type Stage } from "./stage.ts";
import { isNameOf } from "./version.ts";

/** A version as it stands. */
export interface RegisteredVersion {
  readonly version: string;
  readonly manifestSha256: string;
  readonly stage: Stage;
  readonly addedMs: number;
  readonly stageSinceMs: number;
  readonly aliases: readonly string[];
}

interface Standing {
  readonly manifestSha256: string;
  stage: Stage;
  readonly addedMs: number;
  stageSinceMs: number;
}

/** What a history of entries comes to: versions and their stages, names for them, and who was champion. */
export class RegistryState {
  readonly #versions = new Map<string, Standing>();
  readonly #aliases = new Map<string, string>();
  readonly #everChampion = new Set<string>();
  /**
   * Who was champion before whom, the one of now last. One that is called back takes those after it away: they were taken out of force,
   * and the next step back must not lead to them.
   */
  readonly #champions: string[] = [];

  /** The one version at a stage that only one can be at; null while none is. */
  at(stage: "champion" | "canary"): string | null {
    for (const [version, standing] of this.#versions) if (standing.stage === stage) return version;
    return null;
  }

  stageOf(version: string): Stage | undefined {
    return this.#versions.get(version)?.stage;
  }

  /** Whose place the champion of now took; undefined when it was the first. */
  get championBefore(): string | undefined {
    return this.#champions.at(-2);
  }

  /** In the order in which they came. */
  list(): RegisteredVersion[] {
    return [...this.#versions].map(([version, standing]) => ({
      version,
      ...standing,
      aliases: [...this.#aliases].flatMap(([alias, to]) => (to === version ? [alias] : [])),
    }));
  }

  /**
   * A version by its name, by the digits of its digest, by an alias, or as `champion`, `canary` and `latest`.
   *
   * @param where what the error names
   * @throws RegistryError when there is none
   */
  resolve(reference: string, where: string): string {
    const named =
      reference === "champion"
        ? this.at("champion")
        : reference === "canary"
          ? this.at("canary")
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
      `${where}: found ${found} for ${JSON.stringify(reference)}, expected NAME@DIGEST, digits of a digest, champion, canary, latest or an alias`,
    );
  }

  /** Why an entry is not allowed now, in words; null when it is. */
  refusal({ event }: Entry): string | null {
    if (event.kind === "add") {
      const { version, manifestSha256 } = event;
      if (this.#versions.has(version)) return `${version} is in the registry already`;
      return isNameOf(version, manifestSha256)
        ? null
        : `${version} is not the name of the manifest ${manifestSha256.slice(0, 12)}`;
    }
    if (event.kind === "alias") {
      const { alias, version } = event;
      if (alias === "champion" || alias === "canary" || alias === "latest") return `${alias} is no free name`;
      return version === null || this.#versions.has(version) ? null : `${version} is not in the registry`;
    }
    return illegal(
      event.moves,
      (version) => this.stageOf(version),
      (version) => this.#everChampion.has(version),
      { champion: this.at("champion"), canary: this.at("canary") },
    );
  }

  /** Takes in an entry that is allowed. */
  apply({ event, timeMs }: Entry): void {
    if (event.kind === "add") {
      const { version, manifestSha256 } = event;
      this.#versions.set(version, {
        manifestSha256,
        stage: "candidate",
        addedMs: timeMs,
        stageSinceMs: timeMs,
      });
      return;
    }
    if (event.kind === "alias") {
      if (event.version === null) this.#aliases.delete(event.alias);
      else this.#aliases.set(event.alias, event.version);
      return;
    }
    for (const { version, from, to } of event.moves) {
      const standing = this.#versions.get(version);
      if (standing === undefined) continue;
      standing.stage = to;
      standing.stageSinceMs = timeMs;
      if (to !== "champion") continue;
      this.#everChampion.add(version);
      const at = from === "retired" ? this.#champions.lastIndexOf(version) : -1;
      if (at >= 0) this.#champions.length = at;
      this.#champions.push(version);
    }
  }
}
