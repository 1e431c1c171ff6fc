/** What a Binance server does when a client asks; streams are spelled as the client wrote them. */
export interface BinanceStreams {
  /** @returns false when there is no such stream. */
  subscribe(stream: string): boolean;
  unsubscribe(stream: string): void;
  list(): string[];
}

/**
 * Answers one client message of Binance's WebSocket control protocol (SUBSCRIBE, UNSUBSCRIBE, LIST_SUBSCRIPTIONS,
 * SET_PROPERTY). Unknown streams are accepted and stay silent, as the exchange does.
 * Source: Binance USD-M futures, "Live Subscribing/Unsubscribing to streams".
 */
export function answerBinanceControl(text: string, streams: BinanceStreams): string {
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch {
    return error(null, 3, "Invalid JSON: expected value");
  }
  if (typeof message !== "object" || message === null)
    return error(null, 2, "Invalid request: not an object");
  const id = "id" in message ? message.id : null;
  if (typeof id !== "number" && typeof id !== "string" && id !== null) {
    return error(null, 2, "Invalid request: request ID must be an unsigned integer or a string");
  }
  const method = "method" in message ? message.method : undefined;
  const params = "params" in message ? message.params : undefined;
  if (method === "LIST_SUBSCRIPTIONS") return result(id, streams.list());
  if (method === "SET_PROPERTY") return result(id, null);
  if (method !== "SUBSCRIBE" && method !== "UNSUBSCRIBE") {
    return error(id, 2, `Invalid request: unknown variant ${JSON.stringify(method)}`);
  }
  if (!Array.isArray(params) || !params.every((stream) => typeof stream === "string")) {
    return error(id, 2, "Invalid request: params must be an array of stream names");
  }
  for (const stream of params) {
    if (method === "SUBSCRIBE") streams.subscribe(stream);
    else streams.unsubscribe(stream);
  }
  return result(id, null);
}

/** Streams named in the query of `/stream?streams=a/b/c` or in the path `/ws/a/b`; empty when the client subscribes later. */
export function streamsInUrl(url: URL): string[] {
  const query = url.searchParams.get("streams");
  const path = /\/ws\/(.+)$/.exec(url.pathname);
  return (query ?? path?.[1] ?? "").split("/").filter((stream) => stream.length > 0);
}

/** Frames on `/stream` are wrapped as `{"stream":…,"data":…}`; on `/ws` they come bare. */
export function isCombinedStream(url: URL): boolean {
  return url.pathname.endsWith("/stream");
}

function result(id: number | string | null, value: string[] | null): string {
  return JSON.stringify({ result: value, id });
}

function error(id: number | string | null, code: number, msg: string): string {
  return JSON.stringify({ error: { code, msg }, id });
}
