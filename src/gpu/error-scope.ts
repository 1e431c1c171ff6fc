import { GpuError, type GpuErrorKind } from "./errors.ts";

/** What the parts of this room need of the device. */
export interface GpuDeviceView {
  readonly device: GPUDevice;
  readonly limits: GPUSupportedLimits;
}

/** Innermost last: they are popped in reverse. */
const SCOPES: readonly GpuErrorKind[] = ["internal", "out-of-memory", "validation"];

/**
 * Runs `work` within all of WebGPU's error scopes. Nothing is awaited before `work` returns, so scopes of other callers do not
 * interleave.
 *
 * @throws GpuError naming `what`, when the device refuses it.
 */
export async function scoped<T>(device: GPUDevice, what: string, work: () => T): Promise<T> {
  for (const scope of SCOPES) device.pushErrorScope(scope);
  let result: T;
  const verdicts: Promise<GPUError | null>[] = [];
  try {
    result = work();
  } finally {
    for (let at = SCOPES.length - 1; at >= 0; at -= 1) verdicts.push(device.popErrorScope());
  }
  const found = await Promise.all(verdicts);
  for (const [index, error] of found.entries()) {
    if (error !== null) throw new GpuError(SCOPES[SCOPES.length - 1 - index], what, error.message);
  }
  return result;
}
