/** The page's script and styles inside an executable, put here by `build.ts`; null when keel runs from source. */
export const PAGE_BUNDLE: { readonly script: string; readonly styles: string } | null = null;
