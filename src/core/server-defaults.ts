/**
 * What every HTTP server of the process has in common.
 *
 * Whoever asks for something that goes wrong learns no more than that: by itself Bun answers with a page of the source, and writes to
 * stderr between the lines of the log. Out of development it also lets servers share a port: with a
 * port goes `reusePort: false`, so that one that is taken stays an error.
 *
 * @param tell is given what was thrown while a request was answered
 */
export function serverDefaults(tell: (error: unknown) => void): {
  readonly development: false;
  readonly error: (error: unknown) => Response;
} {
  return {
    development: false,
    error: (error) => {
      tell(error);
      return new Response("internal error\n", { status: 500 });
    },
  };
}
