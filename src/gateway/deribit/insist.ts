import type { Clock } from "../../core/clock.ts";
import type { JsonRecord } from "./json.ts";
import type { RpcClient } from "./rpc-client.ts";
import { RpcError, UnknownOutcomeError } from "./rpc-error.ts";

const ATTEMPTS = 4;

/**
 * Makes a call that must not stay undone and may be made twice, and makes it again where the venue was too busy for it, does not know
 * whether it did it, or has the session log in anew.
 *
 * @param isCurrent the connection is still the one that the call was meant for; another one is not asked again
 * @throws KeelError when it was refused or its outcome is unknown
 */
export async function insist(
  { client, clock }: { readonly client: RpcClient; readonly clock: Clock },
  method: string,
  params: JsonRecord,
  timeUs: number,
  isCurrent: () => boolean,
): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await client.call(method, params, attempt === 1 ? timeUs : clock.wallUs());
      return;
    } catch (error) {
      const again =
        error instanceof RpcError
          ? error.action === "retry" || error.action === "login"
          : error instanceof UnknownOutcomeError && error.rpcCode !== null;
      if (!again || attempt === ATTEMPTS || !isCurrent()) throw error;
    }
  }
}
