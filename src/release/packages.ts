import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { invariant } from "../core/invariant.ts";

/** A package of the registry that is inside the executable. */
export interface BundledPackage {
  readonly name: string;
  readonly version: string;
  /** SPDX expression, as the package states it; null when it states none. */
  readonly license: string | null;
  readonly homepage: string | null;
  /** Hex, of the archive that the lock file names; null where it names none. */
  readonly sha512: string | null;
  /** Its licence, notice and copyright files. */
  readonly texts: readonly { readonly file: string; readonly text: string }[];
}

const LEGAL_FILE = /^(licen[cs]e|notice|copying|copyright|third-?party)/i;

/**
 * The packages that files of a bundle come from, by name.
 *
 * @param root the repository
 * @param inputs paths of the bundle's inputs, relative to any folder
 */
export function bundledPackages(root: string, inputs: readonly string[]): BundledPackage[] {
  const folders = new Set<string>();
  for (const input of inputs) {
    const folder = /^(?:.*\/)?(node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1];
    if (folder !== undefined) folders.add(folder);
  }
  const integrity = lockedDigests(root);
  return [...folders].sort().map((folder) => readPackage(join(root, folder), integrity));
}

function readPackage(folder: string, integrity: ReadonlyMap<string, string>): BundledPackage {
  const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const { name, version, license, homepage, repository } = manifest;
  invariant(typeof name === "string" && typeof version === "string", `${folder} states its name and version`);
  const source = typeof repository === "string" ? repository : repository?.url;
  const texts = readdirSync(folder)
    .filter((file) => LEGAL_FILE.test(file))
    .sort()
    .map((file) => ({ file, text: readFileSync(join(folder, file), "utf8") }));
  return {
    name,
    version,
    license: typeof license === "string" ? license : null,
    homepage: homepage ?? (typeof source === "string" ? source.replace(/^git\+|\.git$/g, "") : null),
    sha512: integrity.get(`${name}@${version}`) ?? null,
    texts,
  };
}

/** `name@version` → SHA-512 of the archive, from bun.lock. */
function lockedDigests(root: string): Map<string, string> {
  const path = join(root, "bun.lock");
  const digests = new Map<string, string>();
  if (!existsSync(path)) return digests;
  const lock = Bun.JSONC.parse(readFileSync(path, "utf8")) as { packages: Record<string, unknown[]> };
  for (const [id, ...details] of Object.values(lock.packages)) {
    const digest = details.find((detail) => typeof detail === "string" && detail.startsWith("sha512-"));
    if (typeof id !== "string" || typeof digest !== "string") continue;
    digests.set(id, Buffer.from(digest.slice("sha512-".length), "base64").toString("hex"));
  }
  return digests;
}
