/** Begins the reason of what the leader of a pair had this process do. */
const LEADER = "leader: ";

/** The reason as one that follows the leader keeps it: what bears it ends by the leader's word. */
export function leadersReason(reason: string): string {
  return isLeaders(reason) ? reason : `${LEADER}${reason}`;
}

/** What was done for this reason was the leader's word; anything else is this process's own, and only its own reset ends it. */
export function isLeaders(reason: string): boolean {
  return reason.startsWith(LEADER);
}
