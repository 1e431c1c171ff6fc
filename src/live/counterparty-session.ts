import type { TLSOptions } from "bun";
import type { FixConfig, FixTlsConfig } from "../config/fix.ts";
import { Dictionary } from "../gateway/fix/dictionary/dictionary.ts";
import { openMessageLog } from "../gateway/fix/message-log.ts";
import type { FixQuoteGatewayOptions } from "../gateway/fix/quote-gateway-options.ts";
import { Schedule } from "../gateway/fix/schedule.ts";
import { type FixVersion, TAG } from "../gateway/fix/tags.ts";

/** What the quote gateway takes from the configuration of the counterparty. Opens the message log where one is configured. */
export function sessionOf(
  fix: FixConfig,
): Omit<FixQuoteGatewayOptions, "instruments" | "seed" | "clock" | "onProblem"> {
  const version: FixVersion = fix.version === "FIX.4.2" ? "4.2" : "4.4";
  const { host, port, senderCompId, targetCompId } = fix;
  const credentials: [number, string][] = [];
  if (fix.username !== undefined) credentials.push([TAG.username, fix.username]);
  if (fix.password !== undefined) credentials.push([TAG.password, fix.password.reveal()]);
  return {
    version,
    host,
    port,
    senderCompId,
    targetCompId,
    heartbeatSeconds: fix.heartbeatSeconds,
    resetOnLogon: fix.resetOnLogon,
    nextExpected: fix.nextExpected,
    storeDir: fix.storeDir,
    logonTimeoutMs: fix.logonTimeoutMs,
    logonFields: credentials,
    dictionary: fix.validation === null ? null : new Dictionary(version, fix.validation),
    schedule: fix.schedule === null ? null : new Schedule(fix.schedule),
    sendingTimeToleranceMs: fix.sendingTimeToleranceMs,
    maxMessageBytes: fix.maxMessageBytes,
    maxMessagesPerSecond: fix.maxMessagesPerSecond,
    messageLog:
      fix.messageLogDir === undefined
        ? null
        : openMessageLog(fix.messageLogDir, { version, senderCompId, targetCompId }),
    tls: fix.tls === undefined ? false : tlsOptions(fix.tls),
  };
}

function tlsOptions(tls: FixTlsConfig): TLSOptions {
  return {
    serverName: tls.serverName,
    ...(tls.ca === undefined ? {} : { ca: tls.ca }),
    ...(tls.certificate === undefined
      ? {}
      : { cert: tls.certificate.cert, key: tls.certificate.key.reveal() }),
  };
}
