import { isIP } from "node:net";
import { connect } from "node:tls";

const HANDSHAKE_MS = 3_000;

/**
 * Why a TLS server is not trusted, in words: the Redis client says only that the connection was closed.
 *
 * @param ca certificates (PEM) that vouch for it; undefined = those that Bun knows
 * @returns null when it is trusted, or cannot be reached at all
 */
export function tlsDistrust(url: string, ca: string | undefined): Promise<string | null> {
  const { hostname, port } = new URL(url);
  const host = hostname.replace(/^\[|\]$/g, "");
  return new Promise((resolve) => {
    const socket = connect({
      host,
      port: Number(port === "" ? "6379" : port),
      ...(isIP(host) === 0 ? { servername: host } : {}),
      ...(ca === undefined ? {} : { ca }),
    });
    const end = (reason: string | null): void => {
      socket.destroy();
      resolve(reason);
    };
    socket.setTimeout(HANDSHAKE_MS, () => end(null));
    socket.once("secureConnect", () => end(null));
    socket.once("error", (error) =>
      end("code" in error && /^E(?:CONN|HOST|NET|TIME)/.test(String(error.code)) ? null : error.message),
    );
  });
}
