import { type RpcAnswer, rpcError } from "../protocol/json-rpc.ts";

/** Parameters of a request, of which nothing is known yet. */
export type Params = Readonly<Record<string, unknown>>;

/** An answer in the venue's words. @param reason what its `data` says of the parameters */
export function refuse(code: number, message: string, reason?: string): RpcAnswer {
  return {
    error: reason === undefined ? rpcError(code, message) : rpcError(code, message, "params", reason),
  };
}

/** An answer for a parameter that cannot be. */
export function invalid(param: string, reason: string): RpcAnswer {
  return { error: rpcError(-32_602, "Invalid params", param, reason) };
}
