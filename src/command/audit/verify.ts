import { readFileSync } from "node:fs";
import { BadInputError } from "../../core/errors.ts";
import { SignatureChecker } from "../../core/signature.ts";
import { type Audit, type AuditProblem, auditJournal, type RunAudit } from "../../journal/audit.ts";
import { type Output, UsageError } from "../command.ts";

export interface VerifyOptions {
  /** Files with public keys. */
  readonly key: readonly string[];
  readonly "signed-from": string | undefined;
  readonly head: string | undefined;
  /** Seconds. */
  readonly unsworn: number | undefined;
}

const PEM = /-----BEGIN ([A-Z ]+)-----[^-]+-----END \1-----/g;
const DIGEST = /^[0-9a-f]{64}$/i;

/** @returns whether everything is as it was written @throws KeelError when there is no such folder or key, nothing in it, or `head` is no digest */
export async function verify(
  directory: string,
  { key, head, unsworn, "signed-from": signedFrom }: VerifyOptions,
  out: Output,
): Promise<boolean> {
  if (head !== undefined && !DIGEST.test(head)) {
    throw new UsageError(`--head: found ${JSON.stringify(head)}, expected a digest of 64 hexadecimal digits`);
  }
  const trusted = key.length === 0 ? null : key.flatMap(readKeys);
  if (signedFrom !== undefined && trusted === null)
    throw new UsageError("--signed-from: found no --key, which it is about");
  const audit = auditJournal(directory, {
    trusted,
    signedFrom: signedFrom ?? null,
    expected: head?.toLowerCase() ?? null,
    unswornUsMax: unsworn === undefined ? null : unsworn * 1e6,
  });
  // Of nothing it would say that nothing was changed, whoever emptied the folder or mistook its name.
  if (audit.runs.length === 0) {
    throw new BadInputError(directory, "no journal", "segments of a run (keel-RUN-000001.kjl)");
  }
  for (const run of audit.runs) out.line(runLine(run, trusted !== null));
  for (const problem of audit.problems) {
    const { runId, what, cutOff } = problem;
    const run = runId === null ? "" : `run ${runId}, `;
    out.line(`${cutOff ? "cut off" : "WRONG"}: ${run}${placeText(problem)}: ${what}`);
  }
  out.line(conclusion(audit, trusted));
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
  const { runId, records, segments, dropped, checkpoints, signed, key, unsworn, complete, clockErrorUsMax } =
    run;
  return [
    `run ${runId}: ${records} records in ${segments} segments`,
    `${checkpoints} checkpoints${isKeyGiven ? `, ${signed} of them signed by ${key === null ? "the key" : `key ${key}`}` : ""}`,
    `${unsworn} records behind the last`,
    ...(dropped > 0 ? [`${dropped} dropped while it was written`] : []),
    clockErrorUsMax === null ? "clock not known to be kept" : `clock within ${clockErrorUsMax} µs`,
    complete ? "ended in order" : "without its end",
  ].join(", ");
}

function conclusion({ ok, retired, head }: Audit, trusted: readonly SignatureChecker[] | null): string {
  const found = ok ? "as it was written" : "NOT as it was written";
  const signatures =
    trusted === null
      ? "signatures not checked (--key)"
      : `signatures of key ${trusted.map(({ keyId }) => keyId).join(" and ")} checked`;
  return `${found}; ${signatures}; ${retired} segments retired; head ${head ?? "none"}`;
}

/** A file may hold several, one behind the other. */
function readKeys(path: string): SignatureChecker[] {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    throw new BadInputError(path, "no readable file", "Ed25519 public keys in PEM");
  }
  return (text.match(PEM) ?? [text]).map((pem) => new SignatureChecker(pem, "journal"));
}
