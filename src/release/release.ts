/**
 * Makes a release of the commit that is checked out: `bun run release`.
 *
 * The executable is built from a clean copy at a place that is always the same, with what the lock file names, so that the same
 * commit, Bun and C compiler give the same bytes wherever they are built.
 *
 * @module
 */
import { chmodSync, copyFileSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import packageJson from "../../package.json";
import type { BuildInfo } from "../core/executable.ts";
import { billOfMaterials } from "./sbom.ts";

/** Bun writes the place of the sources into the executable's source map. */
const BUILD_PLACE = "/tmp/keel-release";
/** Where the unit expects the executable. */
const INSTALLED = "/usr/local/bin/keel";
const TARGET = "linux-x64";

const root = join(import.meta.dir, "../..");
const name = `keel-${packageJson.version}-${TARGET}`;
const release = join(root, "dist", "release");

const changed = text("git", "status", "--porcelain").trimEnd();
if (changed !== "") {
  console.error(`a release is made of a commit, and these files differ from it:\n${changed}`);
  process.exit(2);
}
rmSync(BUILD_PLACE, { recursive: true, force: true });
try {
  run(root, "git", "clone", "--quiet", root, BUILD_PLACE);
  run(BUILD_PLACE, process.execPath, "install", "--frozen-lockfile", "--silent");
  run(BUILD_PLACE, process.execPath, "build.ts");
  await collect();
} finally {
  rmSync(BUILD_PLACE, { recursive: true, force: true });
}

/** Puts the executable, its manual page, licences, bill of materials and the digests of all of them into the release's folder. */
async function collect(): Promise<void> {
  rmSync(release, { recursive: true, force: true });
  mkdirSync(release, { recursive: true });
  const executable = join(release, name);
  copyFileSync(join(BUILD_PLACE, "dist/keel"), executable);
  chmodSync(executable, 0o755);
  const { packages, ...info } = (await Bun.file(join(BUILD_PLACE, "dist/build.json")).json()) as BuildInfo & {
    readonly packages: Parameters<typeof billOfMaterials>[0]["packages"];
  };
  const sha256 = await digest(executable);
  await Bun.write(join(release, `${name}.cdx.json`), await billOfMaterials({ ...info, packages, sha256 }));
  await Bun.write(join(release, "keel.1"), text(executable, "print", "man"));
  await Bun.write(join(release, "THIRD-PARTY-LICENSES.txt"), text(executable, "licenses"));
  await Bun.write(join(release, "keel.service"), text(executable, "print", "unit", "--binary", INSTALLED));
  const files = [...new Bun.Glob("*").scanSync(release)].sort();
  const digests = await Promise.all(
    files.map(async (file) => `${await digest(join(release, file))}  ${file}\n`),
  );
  await Bun.write(join(release, "SHA256SUMS"), digests.join(""));
  for (const line of digests) process.stdout.write(line);
  console.log(`dist/release: ${name} of ${info.commit ?? "an unknown commit"}`);
}

async function digest(path: string): Promise<string> {
  const hasher = new Bun.CryptoHasher("sha256");
  for await (const chunk of Bun.file(path).stream()) hasher.update(chunk);
  return hasher.digest("hex");
}

function run(cwd: string, ...command: string[]): void {
  const { exitCode } = Bun.spawnSync(command, { cwd, stdout: "inherit", stderr: "inherit" });
  if (exitCode === 0) return;
  console.error(`${command.join(" ")} ended with exit code ${exitCode}`);
  process.exit(1);
}

function text(...command: string[]): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync(command, { cwd: root, env: { PATH: process.env.PATH } });
  if (exitCode === 0) return stdout.toString();
  console.error(`${command.join(" ")} ended with exit code ${exitCode}: ${stderr}`);
  process.exit(1);
}
