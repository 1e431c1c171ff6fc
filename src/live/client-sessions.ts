import type { FixAcceptConfig } from "../config/clients.ts";
import { tlsOptionsOf } from "../config/server-tls.ts";
import type { Desk } from "../desk/desk.ts";
import type { FixClientsOptions } from "../gateway/rfq/fix-clients.ts";
import { OwnQuotes } from "../gateway/rfq/own-quotes.ts";
import type { TapContext } from "./taps.ts";

/** Whether only this host can reach the address. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host.startsWith("127.");
}

/** What the acceptor of FIX clients takes from the configuration. */
export function fixClientsOf(config: FixAcceptConfig, desk: Desk, context: TapContext): FixClientsOptions {
  const { address, senderCompId, tls, allowed, maxMessagesPerSecond } = config;
  const { clock, log, onRfq } = context;
  if (!isLoopback(address.host) && tls === undefined)
    log.warn("FIX clients are accepted without TLS", { hostname: address.host });
  return {
    ...address,
    ...{ senderCompId, clock },
    clients: config.clients.map(({ compId, version, credentials }) => ({
      compId,
      version: version === "FIX.4.2" ? "4.2" : "4.4",
      credentials:
        credentials === null
          ? null
          : { username: credentials.username, password: credentials.password.reveal() },
    })),
    quotes: new OwnQuotes(desk.market.instruments, desk.quoter),
    onInput: onRfq,
    onProblem: (text) => log.warn("FIX client", { problem: text }),
    ...(tls === undefined ? {} : { tls: tlsOptionsOf(tls) }),
    ...(allowed === undefined ? {} : { allowed }),
    maxConnectionsPerAddress: config.maxConnectionsPerAddress,
    session: { maxMessagesPerSecond },
    storeDir: config.storeDir,
    ...(config.messageLogDir === undefined ? {} : { messageLogDir: config.messageLogDir }),
  };
}
