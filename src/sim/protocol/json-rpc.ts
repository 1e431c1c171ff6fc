/** What a JSON-RPC method came to. */
export type RpcAnswer = { readonly result: unknown } | { readonly error: RpcError };

export interface RpcError {
  readonly code: number;
  readonly message: string;
  readonly data: { readonly param: string; readonly reason: string } | null;
}

/** @param param the parameter at fault, when there is one */
export function rpcError(code: number, message: string, param?: string, reason?: string): RpcError {
  return { code, message, data: param === undefined ? null : { param, reason: reason ?? "invalid" } };
}

/** The answer in Deribit's envelope, with its processing times. `timeUs`: the venue's clock. */
export function rpcResult(answer: RpcAnswer, id: number | string | null, timeUs: number): string {
  const us = Math.floor(timeUs);
  return JSON.stringify({
    jsonrpc: "2.0",
    ...(id === null ? {} : { id }),
    ...answer,
    usIn: us,
    usOut: us,
    usDiff: 0,
    testnet: false,
  });
}

/** A notification on a channel, `data` being JSON already. */
export function channelFrame(channel: string, data: string): string {
  return `{"jsonrpc":"2.0","method":"subscription","params":{"channel":"${channel}","data":${data}}}`;
}
