/** How far a model version has come. */
export const STAGES = ["candidate", "shadow", "canary", "champion", "retired"] as const;
export type Stage = (typeof STAGES)[number];

/**
 * Where a version may go from each stage. A canary that is rolled back returns to the shadow; a retired version begins again as a
 * candidate. A champion goes only when another one comes: both are moved by one entry of the history, see {@link illegal}.
 */
const NEXT: Readonly<Record<Stage, readonly Stage[]>> = {
  candidate: ["shadow", "retired"],
  shadow: ["canary", "retired"],
  canary: ["champion", "shadow", "retired"],
  champion: [],
  retired: ["candidate"],
};

/** One version's way from a stage to another. */
export interface Move {
  readonly version: string;
  readonly from: Stage;
  readonly to: Stage;
}

/**
 * Whether moves that happen as one are allowed, given where every version stands and who was champion before.
 *
 * - A single move follows the table of stages; into `champion` only where there is none.
 * - A registry without a champion may make any version one that is not retired: somebody has to be the first.
 * - A champion is replaced by two moves: it retires, and a canary, or a champion of before that is called back, takes its place.
 * - There is at most one champion and one canary.
 *
 * @returns null when they are, else what is wrong in words
 */
export function illegal(
  moves: readonly Move[],
  stageOf: (version: string) => Stage | undefined,
  wasChampion: (version: string) => boolean,
  standing: { readonly champion: string | null; readonly canary: string | null },
): string | null {
  for (const { version, from, to } of moves) {
    const stage = stageOf(version);
    if (stage === undefined) return `${version} is not in the registry`;
    if (stage !== from) return `${version} is ${stage}, not ${from}`;
    if (from === to) return `${version} is ${to} already`;
  }
  if (moves.length === 2) {
    const [out, into] = moves;
    const replaces =
      out.from === "champion" &&
      out.to === "retired" &&
      into.to === "champion" &&
      out.version !== into.version;
    if (!replaces) return "two moves at once only where a champion is replaced";
    if (into.from === "canary" || (into.from === "retired" && wasChampion(into.version))) return null;
    return `${into.version} is ${into.from}: only a canary, or a retired champion, takes a champion's place`;
  }
  if (moves.length !== 1)
    return `${moves.length} moves at once, expected one, or two where a champion is replaced`;
  const [{ version, from, to }] = moves;
  if (to === "champion") {
    if (standing.champion !== null)
      return `${standing.champion} is champion and has to retire in the same step`;
    return from === "retired" ? `${version} is retired and has to begin as a candidate` : null;
  }
  if (!NEXT[from].includes(to)) {
    const allowed = NEXT[from].length === 0 ? "nowhere by itself" : `to ${NEXT[from].join(" or ")}`;
    return `${version} is ${from} and may go ${allowed}, not to ${to}`;
  }
  if (to === "canary" && standing.canary !== null) return `${standing.canary} is canary already`;
  return null;
}
