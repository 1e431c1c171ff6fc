import packageJson from "../../package.json";
import { HANDOVER_VERSION, type Identity } from "../failover/handover/messages.ts";
import { STREAM_VERSION } from "../failover/stream.ts";
import { VERSION as JOURNAL_VERSION } from "../journal/format.ts";

/** Versions of what this keel writes into files that a later process reads. */
export const FORMATS: Readonly<Record<string, number>> = {
  journal: JOURNAL_VERSION,
  "leader's stream": STREAM_VERSION,
};

/** What this process says of itself to one whose place it takes, or that takes its own. */
export function ownIdentity(): Identity {
  return { protocol: HANDOVER_VERSION, keel: packageJson.version, pid: process.pid, formats: { ...FORMATS } };
}
