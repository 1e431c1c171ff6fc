import { z } from "zod";
import { KeelError } from "../../core/errors.ts";
import type { DirectoryEntry, RowChange, SectionName, Sections } from "../../monitor/dashboard/protocol.ts";
import type { RunningProcess } from "../running-process.ts";

/** What a running process tells of itself, as `GET /dashboard/view` gives it. */
export interface Snapshot {
  /** Time there, µs since the epoch. */
  readonly us: number;
  readonly hello: { readonly name: string; readonly version: string; readonly heads: readonly string[] };
  /** Instruments of {@link rows}, in the same order. */
  readonly directory: readonly DirectoryEntry[];
  readonly rows: readonly RowChange[];
  readonly sections: Partial<Sections>;
}

const answer = z.looseObject({
  us: z.number().min(0).max(8.64e18),
  hello: z.looseObject({ name: z.string(), version: z.string(), heads: z.array(z.string()) }),
  directory: z.array(z.array(z.unknown())),
  rows: z.array(z.array(z.number().nullable())),
  sections: z.record(z.string(), z.unknown()),
});

/** @throws KeelError when it does not answer, refuses, or is no keel */
export async function look(
  running: RunningProcess,
  sections: readonly SectionName[],
  rows: number,
): Promise<Snapshot> {
  const path = `/dashboard/view?sections=${sections.join()}&rows=${rows}`;
  const found = answer.safeParse(await running.ask("GET", path, "look"));
  if (!found.success) throw new KeelError("not-keel", `${running.name}: the answer is not that of keel`);
  return found.data as unknown as Snapshot;
}
