/** Resolves when the process is told to end, or after `seconds` where they are given. */
export function stopped(shutdown: AbortSignal, seconds: number | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (shutdown.aborted) return resolve();
    const timer = seconds === undefined ? undefined : setTimeout(resolve, seconds * 1_000);
    shutdown.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
