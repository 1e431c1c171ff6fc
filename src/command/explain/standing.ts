import { KeelError } from "../../core/errors.ts";
import type { Secret } from "../../core/secret.ts";
import type { QuoteReport } from "../../quote/quote-report.ts";
import { askRunning } from "../running-process.ts";

/** The standing quotes of an instrument in a running process. @throws KeelError when it does not answer, or quotes none */
export async function standingQuotes(
  url: string,
  instrument: string,
  token: Secret | undefined,
): Promise<readonly QuoteReport[]> {
  const path = `/quotes?instrument=${encodeURIComponent(instrument)}`;
  const found = await askRunning(url, "GET", path, token);
  const { href } = new URL(path, url);
  if (!Array.isArray(found)) throw new KeelError("not-keel", `${href}: the answer is not that of keel`);
  if (found.length === 0) throw new KeelError("not-quoted", `${href}: ${instrument} is not quoted`);
  return found as QuoteReport[];
}
