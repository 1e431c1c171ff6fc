import { KeelError } from "../../core/errors.ts";
import type { QuoteReport } from "../../quote/quote-report.ts";
import type { RunningProcess } from "../running-process.ts";

/** The standing quotes of an instrument in a running process. @throws KeelError when it does not answer, or quotes none */
export async function standingQuotes(
  running: RunningProcess,
  instrument: string,
): Promise<readonly QuoteReport[]> {
  const path = `/quotes?instrument=${encodeURIComponent(instrument)}`;
  const found = await running.ask("GET", path, "look");
  const where = `${running.name}${path}`;
  if (!Array.isArray(found)) throw new KeelError("not-keel", `${where}: the answer is not that of keel`);
  if (found.length === 0) throw new KeelError("not-quoted", `${where}: ${instrument} is not quoted`);
  return found as QuoteReport[];
}
