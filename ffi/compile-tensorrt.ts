/**
 * Compiles the TensorRT shim with the system's C++ compiler against the headers of TensorRT and CUDA, which are not part of keel.
 * Neither library is linked: the shim opens them when an engine is made.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";

const FLAGS = [
  "-std=c++17",
  "-O2",
  "-fPIC",
  "-shared",
  "-fvisibility=hidden",
  "-Wl,-z,relro,-z,now",
  "-Wall",
  "-Wextra",
  "-Wconversion",
];
const SOURCE = "tensorrt_shim.cpp";

export interface TensorRtHeaders {
  /** Folder with `NvInfer.h`. */
  readonly tensorrt: string;
  /** Folder with `cuda.h`. */
  readonly cuda: string;
}

/**
 * Looks for the headers in `TENSORRT_HOME` and `CUDA_HOME`, then where the vendor's packages put them.
 *
 * @throws Error that names what is missing and which variable tells where it is.
 */
export function findHeaders(
  env: Readonly<Record<string, string | undefined>> = process.env,
): TensorRtHeaders {
  const { TENSORRT_HOME, CUDA_HOME } = env;
  const tensorrt = findHeader("NvInfer.h", "TENSORRT_HOME", TENSORRT_HOME, [
    "/usr/include/x86_64-linux-gnu",
    "/usr/include/aarch64-linux-gnu",
    "/usr/include",
    "/usr/local/tensorrt/include",
  ]);
  return {
    tensorrt,
    cuda: findHeader("cuda.h", "CUDA_HOME", CUDA_HOME, ["/usr/local/cuda/include", "/usr/include"]),
  };
}

function findHeader(
  header: string,
  variable: string,
  home: string | undefined,
  usual: readonly string[],
): string {
  const folders = home === undefined || home === "" ? usual : [join(home, "include"), home];
  const found = folders.find((folder) => existsSync(join(folder, header)));
  if (found !== undefined) return found;
  throw new Error(`no ${header} in ${folders.join(", ")}: set ${variable} to where it is installed`);
}

/** Hex digest of everything the shim is made from; names the shim that is kept between runs. */
export async function tensorRtSourceHash({ tensorrt, cuda }: TensorRtHeaders): Promise<string> {
  const hasher = new Bun.CryptoHasher("sha256");
  const names = await Array.fromAsync(new Bun.Glob("*tensorrt*").scan({ cwd: import.meta.dir }));
  const files = names.sort().map((name) => join(import.meta.dir, name));
  for (const path of [...files, join(tensorrt, "NvInferVersion.h"), join(cuda, "cuda.h")]) {
    if (existsSync(path)) hasher.update(await Bun.file(path).bytes());
  }
  return hasher.update(`${process.platform}-${process.arch}`).digest("hex").slice(0, 16);
}

/**
 * The result appears under its name only when it is complete.
 *
 * @throws Error that says what is missing or what the compiler said.
 */
export async function compileTensorRt(
  outPath: string,
  headers: TensorRtHeaders = findHeaders(),
  extraFlags: readonly string[] = [],
): Promise<void> {
  if (process.platform !== "linux") throw new Error(`no TensorRT for ${process.platform}`);
  const compiler = ["c++", "g++", "clang++"].map((name) => Bun.which(name)).find((path) => path !== null);
  if (compiler === undefined) throw new Error("no C++ compiler: install g++ or clang (c++ is not on PATH)");
  await mkdir(dirname(outPath), { recursive: true });
  const folder = await mkdtemp(join(dirname(outPath), ".tensorrt-"));
  try {
    const partial = join(folder, "shim.so");
    const { tensorrt, cuda } = headers;
    const include = ["-isystem", tensorrt, "-isystem", cuda];
    const child = Bun.spawn(
      [compiler, ...FLAGS, ...extraFlags, ...include, join(import.meta.dir, SOURCE), "-ldl", "-o", partial],
      {
        stdout: "ignore",
        stderr: "pipe",
      },
    );
    const [code, said] = await Promise.all([child.exited, child.stderr.text()]);
    if (code !== 0) {
      throw new Error(
        `${compiler} does not compile the shim (TensorRT 10 or 11 and CUDA 12 or newer are needed): ${said.trim().slice(0, 2_000)}`,
      );
    }
    await rename(partial, outPath);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
