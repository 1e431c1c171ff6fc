import { z } from "zod";
import { KeelError } from "../../core/errors.ts";
import type { RunningProcess } from "../running-process.ts";

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
export async function show(running: RunningProcess): Promise<RunningSession> {
  const found = SESSION.nullable().safeParse(await running.ask("GET", "/fix", "look"));
  if (!found.success) throw new KeelError("not-keel", `${running.name}/fix: the answer is not that of keel`);
  if (found.data === null)
    throw new KeelError("no-session", `${running.name}: the process has no FIX session`);
  return found.data;
}

/** Has the process log its session out and back on with both sequences at 1; tells the session as it is right after. */
export async function reset(running: RunningProcess): Promise<RunningSession> {
  await running.ask("POST", "/fix/reset", "act");
  return show(running);
}
