/**
 * Compiles the native library from the C sources beside this file with the system's compiler. Used by `build.ts`, which
 * embeds the result, and by `src/core/native.ts` when keel runs from source.
 *
 * @module
 */
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";

const FLAGS = [
  "-std=gnu11",
  "-O3",
  "-fPIC",
  "-fvisibility=hidden",
  "-fno-math-errno",
  "-fno-trapping-math",
  "-fno-strict-aliasing",
  "-Wall",
  "-Wextra",
];
const AVX2 = ["-mavx2", "-mfma"];
const AVX512 = [
  ...["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma"],
  "-mprefer-vector-width=512",
];

interface Unit {
  readonly source: string;
  readonly object: string;
  readonly flags: readonly string[];
}

const plain = (source: string): Unit => ({ source, object: `${source}.o`, flags: [] });
const stepRows = (isa: string, flags: readonly string[]): Unit => ({
  source: "step_rows.c",
  object: `step_rows_${isa}.o`,
  flags: [`-DKEEL_ISA=${isa}`, ...flags],
});

/** Decoders give the same bits as JavaScript does: a product and a sum stay two roundings. */
const decoder = (venue: string, isa: string, flags: readonly string[]): Unit => ({
  source: `decode_${venue}.c`,
  object: `decode_${venue}_${isa}.o`,
  flags: [`-DKEEL_ISA=${isa}`, "-ffp-contract=off", ...flags],
});
const decoders = (isa: string, flags: readonly string[]): Unit[] =>
  ["binance", "deribit", "bybit", "okx", "kraken", "coinbase", "bitstamp"].map((venue) =>
    decoder(venue, isa, flags),
  );

function decodeUnits(arch: string): Unit[] {
  const units = [plain("host.c"), plain("decode.c"), ...decoders("portable", [])];
  return arch === "x64" ? [...units, ...decoders("avx2", AVX2)] : units;
}

/** Features too give JavaScript's bits. Vectors of 512 bits took as long: a row is one long chain of operations. */
const featureRow = (isa: string, flags: readonly string[]): Unit => ({
  source: "feature_row.c",
  object: `feature_row_${isa}.o`,
  flags: [`-DKEEL_ISA=${isa}`, "-ffp-contract=off", ...flags],
});

function featureUnits(arch: string): Unit[] {
  const units = [plain("book.c"), plain("feature.c"), featureRow("portable", [])];
  return arch === "x64" ? [...units, featureRow("avx2", AVX2)] : units;
}

function stepUnits(arch: string): Unit[] {
  const units = [plain("step.c"), stepRows("portable", [])];
  if (arch !== "x64") return units;
  return [
    ...units,
    stepRows("avx2", AVX2),
    stepRows("avxvnni", [...AVX2, "-mavxvnni"]),
    stepRows("avx512", AVX512),
    stepRows("avx512vnni", [...AVX512, "-mavx512vnni"]),
  ];
}

const impliedVolatilityRows = (isa: string, flags: readonly string[]): Unit => ({
  source: "implied_volatility_rows.c",
  object: `implied_volatility_rows_${isa}.o`,
  flags: [`-DKEEL_ISA=${isa}`, "-ffp-contract=off", ...flags],
});

function impliedVolatilityUnits(arch: string): Unit[] {
  const units = [plain("implied_volatility.c"), impliedVolatilityRows("portable", [])];
  if (arch !== "x64") return units;
  return [...units, impliedVolatilityRows("avx2", AVX2), impliedVolatilityRows("avx512", AVX512)];
}

/** What is compiled for this architecture; sources with kernels once for each instruction set. */
export function nativeUnits(arch: string = process.arch): readonly Unit[] {
  return [...decodeUnits(arch), ...featureUnits(arch), ...stepUnits(arch), ...impliedVolatilityUnits(arch)];
}

/** Hex digest of everything the library is made from; names the library that is kept between runs. */
export async function nativeSourceHash(): Promise<string> {
  const hasher = new Bun.CryptoHasher("sha256");
  const names = await Array.fromAsync(new Bun.Glob("*.{c,h,ts}").scan({ cwd: import.meta.dir }));
  for (const name of names.sort()) {
    hasher.update(`${name}\0`);
    hasher.update(await Bun.file(join(import.meta.dir, name)).bytes());
  }
  return hasher.update(`${process.platform}-${process.arch}`).digest("hex").slice(0, 16);
}

/** Path of the C compiler that would be used, or null. */
export function findCompiler(): string | null {
  for (const name of ["cc", "gcc", "clang"]) {
    const path = Bun.which(name);
    if (path !== null) return path;
  }
  return null;
}

/**
 * Compiles and links the library. The result appears under its name only when it is complete, so that several processes may
 * do this at once.
 *
 * @throws Error that says what is missing or what the compiler said.
 */
export async function compileNative(outPath: string): Promise<{ path: string; compiler: string }> {
  const link = ["-shared", "-Wl,-z,relro,-z,now"];
  return compileAndLink(outPath, nativeUnits(), [], link);
}

/** What each program that runs under sanitizers is linked with. */
const SANITIZED_UNITS = {
  "sanitize_main.c": nativeUnits,
  "sanitize_features.c": (arch: string) => [plain("host.c"), ...featureUnits(arch)],
  "fuzz_decode.c": decodeUnits,
} as const;

/**
 * Compiles the library together with the source of a program as one that checks every access and every undefined
 * operation. @throws Error as {@link compileNative}, also where the compiler has no sanitizers.
 */
export async function compileSanitized(
  outPath: string,
  main: keyof typeof SANITIZED_UNITS,
): Promise<{ path: string; compiler: string }> {
  const units = SANITIZED_UNITS[main](process.arch);
  const flags = [
    "-O1",
    "-g",
    "-Werror",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
    "-fno-omit-frame-pointer",
  ];
  return compileAndLink(outPath, [...units, plain(main)], flags, flags);
}

async function compileAndLink(
  outPath: string,
  units: readonly Unit[],
  extraFlags: readonly string[],
  linkFlags: readonly string[],
): Promise<{ path: string; compiler: string }> {
  if (process.platform !== "linux") throw new Error(`no native library for ${process.platform}`);
  const compiler = findCompiler();
  if (compiler === null) throw new Error("no C compiler: install gcc or clang (cc is not on PATH)");
  await mkdir(dirname(outPath), { recursive: true });
  const folder = await mkdtemp(join(dirname(outPath), ".native-"));
  try {
    const compile = ({ source, object, flags }: Unit): Promise<void> => {
      const place = ["-c", join(import.meta.dir, source), "-o", join(folder, object)];
      return run(compiler, [...FLAGS, ...flags, ...extraFlags, ...place]);
    };
    await Promise.all(units.map(compile));
    const linked = join(folder, "linked");
    const objects = units.map(({ object }) => join(folder, object));
    await run(compiler, [...linkFlags, ...objects, "-lm", "-o", linked]);
    await rename(linked, outPath);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return { path: outPath, compiler };
}

async function run(compiler: string, args: readonly string[]): Promise<void> {
  const child = Bun.spawn([compiler, ...args], { stdout: "ignore", stderr: "pipe" });
  const [code, said] = await Promise.all([child.exited, new Response(child.stderr).text()]);
  if (code !== 0) {
    throw new Error(
      `${compiler} failed (it must be gcc 11, clang 12 or newer): ${said.trim().slice(0, 2_000)}`,
    );
  }
}
