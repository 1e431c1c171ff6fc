/** Log-moneyness up to which a surface is made and checked: strikes from 0.082 to 12.2 times the forward. */
export const DOMAIN = 2.5;
/** Between points of a check in the domain. */
export const STEP = 0.02;
/** About its vertex an SVI slice bends on the scale of its width: points at centre + width·sinh(u), u in steps of this. */
export const VERTEX_STEP = 0.1;
/** What a check asks for beyond zero, so that nothing is below zero between its points. */
export const DENSITY_MARGIN = 2e-3;
export const CALENDAR_MARGIN = 3e-6;

/** The u at which the points about a vertex have left the domain, wherever it is. */
export function vertexReach(width: number): number {
  return Math.asinh((2 * DOMAIN) / width);
}
