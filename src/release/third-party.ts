/** Licences of everything in the executable that others wrote; null when running from source. Set by `build.ts`. */
export const THIRD_PARTY: string | null = null;
