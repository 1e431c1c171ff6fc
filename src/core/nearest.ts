/**
 * Edits (insertion, deletion, substitution, transposition of neighbours) that turn one word into the other: the optimal
 * string alignment distance. O(a·b) time; for names, not for texts.
 */
export function editDistance(a: string, b: string): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i += 1) {
    const current = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1];
      let edits = Math.min(current[j - 1] + 1, previous[j] + 1, previous[j - 1] + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        edits = Math.min(edits, beforePrevious[j - 2] + 1);
      }
      current.push(edits);
    }
    beforePrevious = previous;
    previous = current;
  }
  return previous[b.length];
}

/**
 * The known name that `name` was most likely meant to be, or undefined when none is near (more than a third of it differs).
 * Of names equally near, the one that begins alike the longest.
 */
export function nearest(name: string, known: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestEdits = Number.POSITIVE_INFINITY;
  let bestPrefix = 0;
  for (const candidate of known) {
    const edits = editDistance(name, candidate);
    const prefix = commonPrefix(name, candidate);
    if (edits < bestEdits || (edits === bestEdits && prefix > bestPrefix)) {
      best = candidate;
      bestEdits = edits;
      bestPrefix = prefix;
    }
  }
  return bestEdits <= Math.max(1, Math.floor(name.length / 3)) ? best : undefined;
}

function commonPrefix(a: string, b: string): number {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length += 1;
  return length;
}
