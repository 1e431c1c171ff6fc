/** Path of the TensorRT shim inside the executable; null when running from source, or when it was built without one. */
export const TENSORRT_SHIM: string | null = null;
