import { z } from "zod";
import { EXIT, KeelError } from "../../core/errors.ts";
import type { LeaseService, LeaseView } from "../../failover/lease-service.ts";
import type { RunningProcess } from "../running-process.ts";

const REPORT = z.object({
  role: z.enum(["leader", "passive"]),
  holder: z.string(),
  token: z.number(),
  remainingMs: z.number(),
  leader: z.string(),
  service: z.string(),
  serviceUp: z.boolean(),
  since: z.string(),
  followers: z.array(
    z.object({
      holder: z.string(),
      address: z.string(),
      number: z.number(),
      behind: z.number(),
      unfit: z.array(z.string()).nullable(),
    }),
  ),
  following: z.object({ synced: z.boolean(), behind: z.number() }).nullable(),
  unfit: z.array(z.string()),
});
export type RunningReport = z.infer<typeof REPORT>;

/** What a process is of its pair. @throws KeelError when it does not answer or is alone */
export async function report(running: RunningProcess): Promise<RunningReport> {
  const { name } = running;
  const found = REPORT.nullable().safeParse(await running.ask("GET", "/failover", "look"));
  if (!found.success) throw new KeelError("not-keel", `${name}/failover: the answer is not that of keel`);
  if (found.data === null) throw new KeelError("alone", `${name}: the process is not one of a pair`);
  return found.data;
}

/** Has the leader give up the lead; tells what it is right after. @throws KeelError that says why it did not */
export async function switchLead(running: RunningProcess, force: boolean): Promise<RunningReport> {
  await running.ask("POST", `/failover/switch${force ? "?force=true" : ""}`, "act");
  return report(running);
}

/** @throws KeelError when the service does not answer */
export async function lease(service: LeaseService): Promise<LeaseView> {
  try {
    return await service.look();
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new KeelError("unreachable", `${service.name}: ${why}`, EXIT.unreachable);
  } finally {
    service.close();
  }
}

export function reportLines(report: RunningReport): string[] {
  const { role, holder, token, leader, remainingMs, since, service, serviceUp, following, unfit } = report;
  const lines = [
    `${holder}  ${role}, term ${token}: ${since}`,
    `lease   ${service}${serviceUp ? "" : ", which does not answer"}`,
  ];
  if (role === "leader") {
    lines.push(`        may quote for ${remainingMs} ms unless it is renewed`);
    for (const follower of report.followers) {
      const could = follower.unfit === null ? "not known" : follower.unfit.join("; ") || "ready";
      lines.push(`behind  ${follower.holder} (${follower.address}), ${follower.behind} records: ${could}`);
    }
    if (report.followers.length === 0) lines.push("behind  nobody follows");
  } else {
    lines.push(`leader  ${leader === "" ? "not known" : leader}`);
    if (following !== null)
      lines.push(
        `follows ${following.synced ? "and has everything" : `not, or lacks ${following.behind} records`}`,
      );
  }
  for (const reason of unfit) lines.push(`unfit   ${reason}`);
  return lines;
}
