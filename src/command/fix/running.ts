import { z } from "zod";
import { EXIT, KeelError } from "../../core/errors.ts";
import type { Secret } from "../../core/secret.ts";

const TIMEOUT_MS = 5_000;

const SESSION = z.object({
  session: z.string(),
  version: z.string(),
  senderCompId: z.string(),
  targetCompId: z.string(),
  counterparty: z.string(),
  state: z.string(),
  nextOutgoing: z.number(),
  nextIncoming: z.number(),
  startedUs: z.number().nullable(),
  counters: z.record(z.string(), z.number()),
});

export type RunningSession = z.infer<typeof SESSION>;

/** The session of a running process, as its HTTP side tells it. @throws KeelError when it does not answer, or has none. */
export async function show(url: string, token: Secret | undefined): Promise<RunningSession> {
  const found = SESSION.nullable().safeParse(await ask(url, "GET", "/fix", token));
  if (!found.success) throw new KeelError("not-keel", `${url}/fix: the answer is not that of keel`);
  if (found.data === null) throw new KeelError("no-session", `${url}: the process has no FIX session`);
  return found.data;
}

/** Has the process log its session out and back on with both sequences at 1; tells the session as it is right after. */
export async function reset(url: string, token: Secret | undefined): Promise<RunningSession> {
  await ask(url, "POST", "/fix/reset", token);
  return show(url, token);
}

async function ask(url: string, method: string, path: string, token: Secret | undefined): Promise<unknown> {
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
    const text = (await response.text()).trim().slice(0, 200);
    throw new KeelError("refused", `${target.href}: ${response.status} ${text}`);
  }
  return response.json().catch(() => {
    throw new KeelError("not-keel", `${target.href}: the answer is not that of keel`);
  });
}
