/**
 * Chance that a positive row scores above a negative one: the area under the ROC curve, by ranks; a tie counts half.
 *
 * @param labels 1 for a positive row, 0 for a negative one; rows beyond its end are passed over
 */
export function areaUnderCurve(scores: ArrayLike<number>, labels: ArrayLike<number>): number {
  const count = labels.length;
  const order = Uint32Array.from({ length: count }, (_, row) => row).sort((a, b) => scores[a] - scores[b]);
  let ranks = 0;
  let positives = 0;
  for (let start = 0; start < count; ) {
    let end = start + 1;
    while (end < count && scores[order[end]] === scores[order[start]]) end += 1;
    for (let at = start; at < end; at += 1) {
      if (labels[order[at]] !== 1) continue;
      ranks += (start + 1 + end) / 2;
      positives += 1;
    }
    start = end;
  }
  return (ranks - (positives * (positives + 1)) / 2) / (positives * (count - positives));
}
