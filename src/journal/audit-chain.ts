import type { AuditProblem } from "./audit.ts";
import type { JournalPlace } from "./reader.ts";
import type { RetiredLine } from "./retention.ts";

/** What a run follows where nothing lies before it. */
export const NOTHING = "0".repeat(64);
/** Shorter than this, nobody asks why nothing swears to the newest records. */
const UNSWORN_US_LEAST = 60e6;
/** Of the longest stretch between two good checkpoints: so much may lie behind the last one. */
const UNSWORN_STRETCHES = 3;

/** Records that lie together. */
export interface Stretch {
  readonly from: JournalPlace;
  readonly records: number;
  readonly fromUs: number;
  readonly toUs: number;
}

/** A run as a link of the folder's chain. */
export interface RunLink {
  readonly runId: string;
  readonly file: string;
  /** Null in journals from before runs were linked, and where a crash left no header. */
  readonly previous: string | null;
  /** Digest of the run's last segment as it is. */
  readonly last: string;
  readonly firstSegment: number;
  /** Where what could be read of the run ends. */
  readonly end: JournalPlace;
  /** A good checkpoint swears to the run's beginning, and so to everything that it follows. */
  readonly anchored: boolean;
  /** What lies behind the run's last good checkpoint. */
  readonly unsworn: Stretch | null;
  /** The longest time between two good checkpoints, µs. */
  readonly betweenUsMax: number;
}

/** Every run begins where another one, or what was retired, ended. */
export function linkProblems(
  links: readonly RunLink[],
  retired: readonly RetiredLine[],
): readonly AuditProblem[] {
  const problems: AuditProblem[] = [];
  const gone = new Set(retired.map(({ entry }) => entry.digest));
  const ends = new Set(links.map(({ last }) => last));
  const begins = links.filter(({ previous }) => previous === NOTHING);
  const beginning = begins.length > 1 ? links[0] : begins[0];
  const oldest = retired[0]?.entry;
  for (const link of links) {
    const { runId, file, previous, firstSegment } = link;
    if (previous === null) continue;
    const follows = gone.has(previous) || (firstSegment === 1 && ends.has(previous));
    // The chain's first file may be there and be written down, as while retention removes it, or a crash kept it from that.
    const isFirst = oldest === undefined || (oldest.runId === runId && oldest.segment === 1);
    if (follows || (link === beginning && firstSegment === 1 && isFirst)) continue;
    problems.push({ runId, ...headerOf(file), what: missingBefore(link), cutOff: false });
  }
  const newest = chainEnd(links);
  for (const link of openEnds(links)) {
    const { runId, file, last } = link;
    if (link === newest || gone.has(last)) continue;
    const what =
      "no later run follows this one: it was put in or changed, or the run after it was taken away";
    problems.push({ runId, ...headerOf(file), what, cutOff: false });
  }
  return problems;
}

/**
 * The run that no other one follows: the newest, whose name is the last but where the clock was put back between two runs of a keel from
 * before names followed the folder's. Where several are followed by none, the last of all.
 */
export function chainEnd(links: readonly RunLink[]): RunLink | undefined {
  const open = openEnds(links);
  return open.length === 1 ? open[0] : links.at(-1);
}

function openEnds(links: readonly RunLink[]): RunLink[] {
  const named = new Set(links.map((link, at) => previousOf(link, links[at - 1])));
  return links.filter(({ last }) => !named.has(last));
}

/**
 * With a key: what lies behind the chain's last good checkpoint is short. Everything before that is held by it and the links; behind it
 * anybody can write, so that who leaves the checkpoints out could write anew from any point on.
 *
 * @param allowedUs longest time that the records there may span; null: {@link UNSWORN_STRETCHES} of the longest stretch between two good
 * checkpoints of the folder, at least {@link UNSWORN_US_LEAST}
 */
export function unswornProblem(links: readonly RunLink[], allowedUs: number | null): AuditProblem | null {
  const byLast = new Map(links.map((link) => [link.last, link]));
  const before = new Map(links.map((link, at) => [link, links[at - 1]]));
  const unsworn: Stretch[] = [];
  let link = chainEnd(links);
  let runId = link?.runId ?? null;
  for (const _ of links) {
    if (link === undefined) break;
    if (link.unsworn !== null) {
      unsworn.push(link.unsworn);
      runId = link.runId;
    }
    if (link.anchored) break;
    link = byLast.get(previousOf(link, before.get(link)));
  }
  const first = unsworn.at(-1);
  if (first === undefined) return null;
  const spanUs =
    Math.max(...unsworn.map(({ toUs }) => toUs)) - Math.min(...unsworn.map(({ fromUs }) => fromUs));
  const betweenUsMax = Math.max(...links.map((each) => each.betweenUsMax));
  const boundUs = allowedUs ?? Math.max(UNSWORN_US_LEAST, UNSWORN_STRETCHES * betweenUsMax);
  // A time that is none is on nobody's side.
  if (spanUs <= boundUs) return null;
  const records = unsworn.reduce((sum, each) => sum + each.records, 0);
  const what = `no good checkpoint swears to the ${records} records from here on, of ${seconds(spanUs)}; expected at most ${seconds(boundUs)} of them`;
  return { runId, ...first.from, what, cutOff: false };
}

/** What names nothing followed what lies before it. */
function previousOf({ previous }: RunLink, before: RunLink | undefined): string {
  return previous ?? before?.last ?? NOTHING;
}

function seconds(us: number): string {
  return `${Math.round(us / 1e6)} s`;
}

function missingBefore({ previous, firstSegment }: RunLink): string {
  if (firstSegment > 1)
    return `the segments before ${firstSegment} are gone, and not written down as retired`;
  if (previous === NOTHING) return "this run begins a chain of its own although others lie before it";
  return "what lay before this run is gone or changed, and not written down as retired";
}

/** Where a file begins. */
export function headerOf(file: string): JournalPlace {
  return { file, offset: 0, record: 0, sequence: null };
}
