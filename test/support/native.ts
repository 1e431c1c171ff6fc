import { loadNative } from "../../src/core/native.ts";

/** True, with the reason printed, where there is no native library: what it is for cannot be tried. */
export async function skipUnlessNative(what: string): Promise<boolean> {
  const { missing } = await loadNative();
  if (missing !== null) console.warn(`skipped: ${what}: ${missing}`);
  return missing !== null;
}
