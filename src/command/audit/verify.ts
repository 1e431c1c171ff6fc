import { readFileSync } from "node:fs";
import { BadInputError } from "../../core/errors.ts";
import { SignatureChecker } from "../../core/signature.ts";
import { type Audit, type AuditProblem, auditJournal, type RunAudit } from "../../journal/audit.ts";
import { type Output, UsageError } from "../command.ts";

export interface VerifyOptions {
  readonly key: string | undefined;
  readonly head: string | undefined;
  /** Seconds. */
  readonly unsworn: number | undefined;
}

const DIGEST = /^[0-9a-f]{64}$/i;

/** @returns whether everything is as it was written @throws KeelError when there is no such folder or key, nothing in it, or `head` is no digest */
export async function verify(
  directory: string,
  { key, head, unsworn }: VerifyOptions,
  out: Output,
): Promise<boolean> {
  if (head !== undefined && !DIGEST.test(head)) {
    throw new UsageError(`--head: found ${JSON.stringify(head)}, expected a digest of 64 hexadecimal digits`);
  }
  const checker = key === undefined ? null : new SignatureChecker(readKey(key), "journal");
  const audit = auditJournal(directory, {
    checker,
    expected: head?.toLowerCase() ?? null,
    unswornUsMax: unsworn === undefined ? null : unsworn * 1e6,
  });
  // Of nothing it would say that nothing was changed, whoever emptied the folder or mistook its name.
  if (audit.runs.length === 0) {
    throw new BadInputError(directory, "no journal", "segments of a run (keel-RUN-000001.kjl)");
  }
  for (const run of audit.runs) out.line(runLine(run, checker !== null));
  for (const problem of audit.problems) {
    const { runId, what, cutOff } = problem;
    const run = runId === null ? "" : `run ${runId}, `;
    out.line(`${cutOff ? "cut off" : "WRONG"}: ${run}${placeText(problem)}: ${what}`);
  }
  out.line(conclusion(audit, checker));
  out.result(audit);
  return audit.ok;
}

/** The first record that cannot be trusted. */
function placeText({ file, offset, record, sequence }: AuditProblem): string {
  if (offset === null || record === null) return file;
  const which = record === 0 ? "its header" : `record ${record}`;
  return `${file}, byte ${offset}, ${which}${sequence === null ? "" : `, sequence ${sequence}`}`;
}

function runLine(run: RunAudit, isKeyGiven: boolean): string {
  const { runId, records, segments, dropped, checkpoints, signed, unsworn, complete, clockErrorUsMax } = run;
  return [
    `run ${runId}: ${records} records in ${segments} segments`,
    `${checkpoints} checkpoints${isKeyGiven ? `, ${signed} of them signed by the key` : ""}`,
    `${unsworn} records behind the last`,
    ...(dropped > 0 ? [`${dropped} dropped while it was written`] : []),
    clockErrorUsMax === null ? "clock not known to be kept" : `clock within ${clockErrorUsMax} µs`,
    complete ? "ended in order" : "without its end",
  ].join(", ");
}

function conclusion({ ok, retired, head }: Audit, checker: SignatureChecker | null): string {
  const found = ok ? "as it was written" : "NOT as it was written";
  const signatures =
    checker === null ? "signatures not checked (--key)" : `signatures of key ${checker.keyId} checked`;
  return `${found}; ${signatures}; ${retired} segments retired; head ${head ?? "none"}`;
}

function readKey(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    throw new BadInputError(path, "no readable file", "an Ed25519 public key in PEM");
  }
}
