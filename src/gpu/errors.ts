import { DeviceUnavailableError, KeelError } from "../core/errors.ts";

/** Which check of the device failed: WebGPU's kinds of error scopes. */
export type GpuErrorKind = "validation" | "out-of-memory" | "internal";

/** The device refused what it was asked for: a shader, a pipeline, a buffer. */
export class GpuError extends KeelError {
  readonly kind: GpuErrorKind;

  /** @param what the operation in the words of whoever asked for it, e.g. `pipeline features/sweep` */
  constructor(kind: GpuErrorKind, what: string, cause: string) {
    super(`gpu-${kind}`, `${what}: ${kind} error of the device: ${cause}`);
    this.kind = kind;
  }
}

/** The device is gone, by a driver's reset or fault or because it was closed; what it held is lost. */
export class GpuLostError extends KeelError {
  /** In the driver's words. */
  readonly reason: string;

  constructor(reason: string) {
    super("gpu-lost", `GPU device lost: ${reason}`);
    this.reason = reason;
  }
}

/** What was asked for is more than the adapter allows. */
export class GpuLimitError extends DeviceUnavailableError {
  constructor(what: string, wanted: number, limit: string, allowed: number) {
    super("webgpu", `${what} needs ${wanted}, the adapter's ${limit} is ${allowed}`);
  }
}
