/**
 * What every HTTP server of the process has in common.
 *
 * Whoever asks for something that goes wrong learns no more than that: by itself Bun answers with a page of the source, and writes to
 * stderr between the lines of the log. An address that is taken stays an error: out of development Bun would share it.
 *
 * @param tell is given what was thrown while a request was answered
 */
export function serverDefaults(tell: (error: unknown) => void): {
  readonly development: false;
  readonly reusePort: false;
  readonly error: (error: unknown) => Response;
} {
  return {
    development: false,
    reusePort: false,
    error: (error) => {
      tell(error);
      return new Response("internal error\n", { status: 500 });
    },
  };
}
