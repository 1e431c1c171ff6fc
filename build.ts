/**
 * Builds `dist/keel`: one file with Bun, Dawn, ONNX Runtime's WebAssembly, the native libraries, the shaders and the built-in
 * models. Run it as `bun run build`.
 *
 * @module
 */
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join, relative } from "node:path";
import type { BuildConfig, BunPlugin } from "bun";
import { compileNative } from "./ffi/compile.ts";
import { compileTensorRt } from "./ffi/compile-tensorrt.ts";
import packageJson from "./package.json";
import type { BuildInfo, EmbeddedFile } from "./src/core/executable.ts";
import { licenseText } from "./src/release/licenses.ts";
import { bundledPackages } from "./src/release/packages.ts";

const root = import.meta.dir;
const dist = join(root, "dist");
const outfile = join(dist, "keel");
/** What the build makes on its way; removed at its end. */
const scratch = join(dist, ".build");

if (Bun.version !== packageJson.engines.bun) {
  console.error(`bun ${Bun.version} runs this build, but keel is pinned to bun ${packageJson.engines.bun}`);
  process.exit(2);
}
rmSync(scratch, { recursive: true, force: true });
mkdirSync(scratch, { recursive: true });
const native = await buildLibrary("libkeel.so", "the native library", compileNative);
const tensorrt = await buildLibrary("libkeel_tensorrt.so", "the TensorRT shim", compileTensorRt);
const common = {
  entrypoints: [join(root, "src/main.ts"), ...(await workers())],
  root: join(root, "src"),
  target: "bun",
  minify: { whitespace: true, syntax: true },
  plugins: [
    embeddedLibrary("src/core/native-library", "NATIVE_LIBRARY", native.path),
    embeddedLibrary("src/inference/tensorrt-shim", "TENSORRT_SHIM", tensorrt.path),
    bundledWasm(),
  ],
} as const satisfies BuildConfig;

const started = performance.now();
const page = await dashboardPage();
const inputs = [...(await bundleInputs()), ...page.inputs];
const packages = bundledPackages(root, inputs);
const info: BuildInfo = {
  version: packageJson.version,
  ...commit(),
  bun: Bun.version,
  embedded: await embeddedFiles(inputs),
  nativeMissing: native.missing,
  tensorrtMissing: tensorrt.missing,
};
const partial = join(scratch, "keel");
const result = await Bun.build({
  ...common,
  plugins: [...common.plugins, thirdPartyLicenses(), embeddedPage()],
  sourcemap: "inline",
  define: { KEEL_BUILD: JSON.stringify(info) },
  compile: { outfile: partial, autoloadBunfig: false, autoloadDotenv: false },
  throw: false,
});
if (!result.success) {
  for (const log of result.logs) console.error(String(log));
  process.exit(1);
}
renameSync(partial, outfile);
await Bun.write(join(dist, "build.json"), JSON.stringify({ ...info, packages }));
rmSync(scratch, { recursive: true, force: true });
report();

/** Compiles a library, or says why there will be none. */
async function buildLibrary(
  file: string,
  what: string,
  compile: (path: string) => Promise<unknown>,
): Promise<{ path: string | null; missing: string | null }> {
  const path = join(scratch, file);
  try {
    await compile(path);
    return { path, missing: null };
  } catch (error) {
    const missing = error instanceof Error ? error.message : String(error);
    console.warn(`building without ${what}: ${missing}`);
    return { path: null, missing };
  }
}

/** Puts a library into the module that tells where it is. */
function embeddedLibrary(module: string, constant: string, path: string | null): BunPlugin {
  return {
    name: module,
    setup(build) {
      build.onLoad({ filter: new RegExp(`/${module}\\.ts$`) }, () => ({
        loader: "ts",
        contents:
          path === null
            ? `export const ${constant} = null;`
            : `import path from ${JSON.stringify(path)} with { type: "file" };\nexport const ${constant} = path;`,
      }));
    },
  };
}

/** The Kafka client's WebAssembly as text of a module: the package's main entry reads it from a path that an executable has not. */
function bundledWasm(): BunPlugin {
  return {
    name: "bundled-wasm",
    setup(build) {
      build.onResolve({ filter: /^@platformatic\/wasm-utils$/ }, ({ importer }) => ({
        path: Bun.resolveSync("@platformatic/wasm-utils/bundled", importer),
      }));
    },
  };
}

async function workers(): Promise<string[]> {
  const found = await Array.fromAsync(new Bun.Glob("src/**/worker.ts").scan({ cwd: root }));
  return found.sort().map((path) => join(root, path));
}

/** Bundles once without compiling, to learn which files the bundle reads. */
async function bundleInputs(): Promise<string[]> {
  const outdir = join(scratch, "bundle");
  const bundle = await Bun.build({ ...common, outdir, metafile: true, throw: false });
  if (bundle.success && bundle.metafile !== undefined) return Object.keys(bundle.metafile.inputs);
  for (const log of bundle.logs) console.error(String(log));
  process.exit(1);
}

/** Those that are not the text of the program itself. */
async function embeddedFiles(all: readonly string[]): Promise<EmbeddedFile[]> {
  const files: EmbeddedFile[] = [];
  for (const input of all) {
    if (/\.(ts|js|mjs|cjs|css)$/.test(input) || input.endsWith("package.json")) continue;
    const path = join(process.cwd(), input);
    if (!existsSync(path)) continue;
    const bytes = await Bun.file(path).bytes();
    files.push({
      name: relative(path.startsWith(scratch) ? scratch : root, path).replace(/^node_modules\//, ""),
      bytes: bytes.length,
      sha256: new Bun.CryptoHasher("sha256").update(bytes).digest("hex"),
    });
  }
  return files.sort((a, b) => b.bytes - a.bytes);
}

/** The dashboard's script and styles for a browser, and which files they were made of. */
async function dashboardPage(): Promise<{ script: string; styles: string; inputs: string[] }> {
  const folder = join(root, "src/monitor/dashboard/page");
  const bundle = await Bun.build({
    entrypoints: [join(folder, "main.ts"), join(folder, "styles.css")],
    target: "browser",
    minify: true,
    metafile: true,
    throw: false,
  });
  for (const log of bundle.logs) console.error(String(log));
  const script = await bundle.outputs.find(({ path }) => path.endsWith(".js"))?.text();
  const styles = await bundle.outputs.find(({ path }) => path.endsWith(".css"))?.text();
  if (script === undefined || styles === undefined) process.exit(1);
  return { script, styles, inputs: Object.keys(bundle.metafile?.inputs ?? {}) };
}

/** Puts the page into the module that holds it. */
function embeddedPage(): BunPlugin {
  const { script, styles } = page;
  return {
    name: "dashboard-page",
    setup(build) {
      build.onLoad({ filter: /\/src\/monitor\/dashboard\/page-bundle\.ts$/ }, () => ({
        loader: "ts",
        contents: `export const PAGE_BUNDLE = ${JSON.stringify({ script, styles })};`,
      }));
    },
  };
}

/** What `keel licenses` shows. */
function thirdPartyLicenses(): BunPlugin {
  const text = licenseText(packages, Bun.version);
  return {
    name: "third-party-licenses",
    setup(build) {
      build.onLoad({ filter: /\/src\/release\/third-party\.ts$/ }, () => ({
        loader: "ts",
        contents: `export const THIRD_PARTY = ${JSON.stringify(text)};`,
      }));
    },
  };
}

/** The commit that is built, from git; nulls outside a checkout. */
function commit(): { commit: string | null; date: string | null } {
  const git = (...args: string[]): string | null => {
    const { exitCode, stdout } = Bun.spawnSync(["git", ...args], { cwd: root, stderr: "ignore" });
    return exitCode === 0 ? stdout.toString().trim() : null;
  };
  try {
    const hash = git("rev-parse", "HEAD");
    const changed = git("status", "--porcelain", "--untracked-files=no") !== "";
    return {
      commit: hash === null ? null : hash + (changed ? "+" : ""),
      date: git("log", "-1", "--format=%cI"),
    };
  } catch {
    return { commit: null, date: null };
  }
}

function report(): void {
  const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
  for (const { name, bytes } of info.embedded) console.log(`  ${megabytes(bytes).padStart(9)}  ${name}`);
  const seconds = ((performance.now() - started) / 1_000).toFixed(1);
  console.log(`dist/keel: ${megabytes(Bun.file(outfile).size)} in ${seconds} s`);
}
