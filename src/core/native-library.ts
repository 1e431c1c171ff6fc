/** Path of the native library inside the executable; null when running from source, or when it was built without one. */
export const NATIVE_LIBRARY: string | null = null;
