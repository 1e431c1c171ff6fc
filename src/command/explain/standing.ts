import { EXIT, KeelError } from "../../core/errors.ts";
import type { Secret } from "../../core/secret.ts";
import type { QuoteReport } from "../../quote/quote-report.ts";

const TIMEOUT_MS = 5_000;

/** The standing quotes of an instrument in a running process. @throws KeelError when it does not answer, or quotes none */
export async function standingQuotes(
  url: string,
  instrument: string,
  token: Secret | undefined,
): Promise<readonly QuoteReport[]> {
  const path = `/quotes?instrument=${encodeURIComponent(instrument)}`;
  if (!URL.canParse(path, url)) {
    throw new KeelError("bad-url", `--url: ${JSON.stringify(url)} is no URL`, EXIT.badConfiguration);
  }
  const target = new URL(path, url);
  const headers: Record<string, string> =
    token === undefined ? {} : { authorization: `Bearer ${token.reveal()}` };
  const response = await fetch(target, { headers, signal: AbortSignal.timeout(TIMEOUT_MS) }).catch(
    (error: unknown) => {
      const why = error instanceof Error ? error.message : String(error);
      throw new KeelError("unreachable", `${target.href}: ${why}`, EXIT.unreachable);
    },
  );
  if (!response.ok) {
    throw new KeelError(
      "refused",
      `${target.href}: ${response.status} ${(await response.text()).trim().slice(0, 200)}`,
    );
  }
  const found: unknown = await response.json();
  if (!Array.isArray(found))
    throw new KeelError("not-keel", `${target.href}: the answer is not that of keel`);
  if (found.length === 0) throw new KeelError("not-quoted", `${target.href}: ${instrument} is not quoted`);
  return found as QuoteReport[];
}
