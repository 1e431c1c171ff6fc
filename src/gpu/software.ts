import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { brotliDecompressSync } from "node:zlib";
import { BUILD } from "../core/executable.ts";
import type { GpuSelection } from "./adapter.ts";
import { NO_LOADER, whyNoVulkan } from "./dawn.ts";

/** The name that selects a software adapter. */
export const SOFTWARE = "software";

const NO_SOFTWARE_DRIVER =
  "no software driver: set KEEL_VULKAN_DIR to a folder with SwiftShader and a Vulkan loader, put one beside the executable, or install a browser that carries it (docs/gpu.md)";

const ICD_FILE = "vk_swiftshader_icd.json";
const ARCHIVE = "bin/swiftshader.tar.br";

/** Where Chromium and Chrome, which carry SwiftShader with a loader of its own, are installed. */
const BROWSER_FOLDERS = [
  "/opt/google/chrome",
  "/opt/microsoft/msedge",
  "/usr/lib/chromium",
  "/usr/lib64/chromium-browser",
  "/usr/lib/chromium-browser",
  "/snap/chromium/current/usr/lib/chromium-browser",
] as const;

/**
 * The folder whose Vulkan driver is used: the one named, or for `software` SwiftShader from wherever a user without rights can
 * have it: beside the executable, in the development dependency that carries it, or in an installed browser. Null: the host's
 * own drivers.
 */
export async function driverFolder({ adapter, vulkanDir }: GpuSelection): Promise<string | null> {
  if (vulkanDir !== null) return vulkanDir;
  if (adapter?.toLowerCase() !== SOFTWARE) return null;
  if (process.platform !== "linux" || process.arch !== "x64") return null;
  const beside = besideExecutable();
  if (beside !== null) return beside;
  const unpacked = BUILD === undefined ? await fromDependency(resolve(import.meta.dir, "../..")) : null;
  return unpacked ?? BROWSER_FOLDERS.find(holdsDriver) ?? null;
}

/** Why there can be no adapter for this selection, found out without loading Dawn or any driver; null when there may be one. */
export async function whyNoDriver(selection: GpuSelection): Promise<string | null> {
  const missing = whyNoVulkan(await driverFolder(selection));
  const software = selection.adapter?.toLowerCase() === SOFTWARE && selection.vulkanDir === null;
  return missing === NO_LOADER && software ? NO_SOFTWARE_DRIVER : missing;
}

const holdsDriver = (folder: string): boolean => existsSync(join(folder, ICD_FILE));

function besideExecutable(): string | null {
  if (BUILD === undefined) return null;
  const folder = dirname(process.execPath);
  const found = readdirSync(folder)
    .filter((name) => name.startsWith("swiftshader"))
    .map((name) => join(folder, name))
    .find(holdsDriver);
  return found ?? null;
}

/** SwiftShader's driver and loader from the package's archive, unpacked once for all runs. */
async function fromDependency(root: string): Promise<string | null> {
  const packageFolder = join(root, "node_modules/@sparticuz/chromium");
  if (!existsSync(join(packageFolder, ARCHIVE))) return null;
  const { version } = await Bun.file(join(packageFolder, "package.json")).json();
  const folder = join(root, "dist", `swiftshader-${version}`);
  if (existsSync(folder)) return folder;
  mkdirSync(dirname(folder), { recursive: true });
  const partial = mkdtempSync(join(dirname(folder), ".swiftshader-"));
  const archive = await Bun.file(join(packageFolder, ARCHIVE)).bytes();
  await new Bun.Archive(brotliDecompressSync(archive)).extract(partial);
  try {
    renameSync(partial, folder);
  } catch (error) {
    rmSync(partial, { recursive: true, force: true });
    if (!existsSync(folder)) throw error;
  }
  return folder;
}
