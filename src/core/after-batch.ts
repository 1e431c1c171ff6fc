let isWaiting = false;

/**
 * Calls back once the event loop has delivered everything that was readable together. A loop that spins ({@link SpinningLoop}) lets
 * what waits here run first; other immediates may wait for one spin.
 */
export function afterBatch(act: () => void): void {
  isWaiting = true;
  setImmediate(act);
}

/** @returns whether something was put off to the batch's end since the last call */
export function takeAfterBatch(): boolean {
  const was = isWaiting;
  isWaiting = false;
  return was;
}
