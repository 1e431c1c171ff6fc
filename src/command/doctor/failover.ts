import { leaseService } from "../../failover/service.ts";
import { StreamClient } from "../../failover/stream-client.ts";
import { type Check, type CheckContext, type Finding, findings, within } from "./check.ts";
import { reason } from "./network.ts";

const { ok, warn, fail } = findings("pair");
/** Share of a lease's length in which an answer should come: a leader renews as often. */
const SLOW_SHARE = 0.2;

/** The coordination service and the other one of a pair can be reached, by TLS where that is configured. Nothing is asked for. */
export const failover: Check = {
  area: "pair",
  async run({ config, offline }) {
    if (config.failover === undefined) return [];
    if (offline) return [ok("KEEL_LEASE_URL", "not tried: --offline")];
    return [await lease(config), ...(await peer(config))];
  },
};

async function lease({ failover, timeouts }: CheckContext["config"]): Promise<Finding> {
  if (failover === undefined) return ok("KEEL_LEASE_URL", "none");
  const service = leaseService(failover.lease, timeouts.requestMs);
  const started = performance.now();
  try {
    const { holder, token } = await service.look();
    const ms = performance.now() - started;
    const detail = `${holder === null ? "nobody leads" : `${holder} leads`}, term ${token}; answered in ${ms.toFixed(1)} ms`;
    const limitMs = failover.lease.ttlMs * SLOW_SHARE;
    return ms > limitMs
      ? warn(
          service.name,
          detail,
          `above ${limitMs.toFixed(0)} ms: raise KEEL_LEASE_TTL_MS or move the service nearer`,
        )
      : ok(service.name, detail);
  } catch (error) {
    return fail(service.name, reason(error), "check KEEL_LEASE_URL, its password and KEEL_LEASE_TLS_CA_FILE");
  } finally {
    service.close();
  }
}

async function peer({ failover, timeouts }: CheckContext["config"]): Promise<Finding[]> {
  const other = failover?.peer;
  if (other === undefined)
    return [
      warn(
        "KEEL_PEER",
        "not set: a passive process takes over with what it has itself",
        "set KEEL_PEER and KEEL_PEER_LISTEN on both",
      ),
    ];
  const { promise, resolve } = Promise.withResolvers<string>();
  const client = new StreamClient({
    ...{ url: other.url, token: other.token, ca: other.ca, certificate: other.tls },
    holder: "keel doctor",
    monotonicNs: () => Bun.nanoseconds(),
    onSnapshot: () => resolve("leads, and can be followed"),
    onRecord: () => {},
    onLost: () => {},
    onNotLeading: () => resolve("does not lead"),
    onProblem: (problem) => resolve(`problem: ${problem}`),
  });
  try {
    client.follow();
    const found = await within(timeouts.connectMs, "the other one of the pair", promise);
    if (!found.startsWith("problem: ")) return [ok(other.url, found)];
    return [
      fail(
        other.url,
        found.slice("problem: ".length),
        "start it, and check KEEL_PEER, KEEL_PEER_TOKEN_FILE and its certificates",
      ),
    ];
  } catch (error) {
    return [fail(other.url, reason(error), "check KEEL_PEER and firewalls")];
  } finally {
    client.leave();
  }
}
