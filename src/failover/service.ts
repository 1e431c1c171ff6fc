import type { FailoverConfig } from "../config/failover.ts";
import { EtcdLease } from "./etcd-lease.ts";
import type { LeaseService } from "./lease-service.ts";
import { RedisLease } from "./redis-lease.ts";

/** The coordination service that is configured: etcd by `http` URLs, Redis otherwise. */
export function leaseService(
  { url, name, username, password, ca }: FailoverConfig["lease"],
  timeoutMs: number,
): LeaseService {
  const options = { url, name, username, password, ca, timeoutMs };
  return /^https?:/.test(url) ? new EtcdLease(options) : new RedisLease(options);
}
