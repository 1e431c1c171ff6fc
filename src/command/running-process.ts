import { EXIT, KeelError } from "../core/errors.ts";
import type { Secret } from "../core/secret.ts";

const TIMEOUT_MS = 5_000;
/** Of what a process answers to a request that it refuses, so much is shown. */
const REFUSAL_CHARACTERS = 300;

/**
 * Asks a running keel over its HTTP side.
 *
 * @param url as `--url` gives it
 * @param path with its query, under the URL
 * @param token undefined where the process asks for none
 * @returns what the JSON of its answer says
 * @throws KeelError when there is no such URL, nobody answers in time, it refuses, or the answer is no JSON
 */
export async function askRunning(
  url: string,
  method: "GET" | "POST",
  path: string,
  token: Secret | undefined,
): Promise<unknown> {
  const target = URL.canParse(path, url) ? new URL(path, url) : null;
  if (target === null)
    throw new KeelError("bad-url", `--url: ${JSON.stringify(url)} is no URL`, EXIT.badConfiguration);
  const headers: Record<string, string> =
    token === undefined ? {} : { authorization: `Bearer ${token.reveal()}` };
  const response = await fetch(target, { method, headers, signal: AbortSignal.timeout(TIMEOUT_MS) }).catch(
    (error: unknown) => {
      const why = error instanceof Error ? error.message : String(error);
      throw new KeelError("unreachable", `${target.href}: ${why}`, EXIT.unreachable);
    },
  );
  if (!response.ok) {
    const text = (await response.text()).trim().slice(0, REFUSAL_CHARACTERS);
    throw new KeelError("refused", `${target.href}: ${response.status} ${text}`);
  }
  return response.json().catch(() => {
    throw new KeelError("not-keel", `${target.href}: the answer is not that of keel`);
  });
}
