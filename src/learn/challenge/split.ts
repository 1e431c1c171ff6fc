/** 2³². */
const WORDS = 4_294_967_296;

export interface CanarySplit {
  readonly seed: number;
  /** Of underlyings, or of slices of time. */
  readonly share: number;
  /** 0: underlyings are drawn. */
  readonly sliceMs: number;
}

/**
 * The underlyings for which a canary is in force: drawn once by their names, or all of them in slices of time that are drawn.
 * The same seed, version, names and time give the same ones on every host.
 *
 * Of underlyings, the nearest whole number to the share is taken, at least one, and never all: something must be left to
 * compare with. Where there is only one, nothing is drawn by underlying.
 *
 * @param bases names of the underlyings by their number
 * @returns numbers of underlyings
 */
export function canaryUnderlyings(
  version: string,
  bases: readonly string[],
  timeMs: number,
  { seed, share, sliceMs }: CanarySplit,
): number[] {
  const draw = (text: string): number => Bun.hash.xxHash32(`${version} ${text}`, seed >>> 0) / WORDS;
  if (share <= 0) return [];
  if (sliceMs > 0) {
    const inForce = draw(String(Math.floor(timeMs / sliceMs))) < share;
    return inForce ? bases.map((_, underlying) => underlying) : [];
  }
  const count = Math.min(Math.max(1, Math.round(share * bases.length)), bases.length - 1);
  return bases
    .map((base, underlying) => ({ underlying, drawn: draw(base) }))
    .sort((a, b) => a.drawn - b.drawn)
    .slice(0, Math.max(0, count))
    .map(({ underlying }) => underlying)
    .sort((a, b) => a - b);
}
