import packageJson from "../../package.json";
import { HANDOVER_VERSION, type Identity } from "../failover/handover/messages.ts";
import { STREAM_VERSION } from "../failover/stream.ts";
import { SEEN_IDS_VERSION } from "../gateway/fix/seen-ids.ts";
import { STORE_VERSION } from "../gateway/fix/store-log.ts";
import { LAYOUT_VERSION } from "../gateway/shm/layout.ts";
import { VERSION as JOURNAL_VERSION } from "../journal/format.ts";
import { OUTCOME_FORMAT } from "../learn/outcomes/table.ts";
import { ENTRY_FORMAT } from "../learn/registry/entry.ts";
import { BOOKS_VERSION } from "../position/book-store.ts";
import { SIDES_VERSION } from "../quote/sides-store.ts";
import { COUNTERPARTIES_VERSION } from "../rfq/counterparty-store.ts";
import { KILL_SWITCH_VERSION } from "../risk/kill-switch-store.ts";

/** Versions of what this keel writes into files that a later process reads. */
const FORMATS: Readonly<Record<string, number>> = {
  journal: JOURNAL_VERSION,
  "positions.json": BOOKS_VERSION,
  "kill-switch.json": KILL_SWITCH_VERSION,
  "sides.json": SIDES_VERSION,
  "counterparties.json": COUNTERPARTIES_VERSION,
  "FIX session store": STORE_VERSION,
  "executions.log": SEEN_IDS_VERSION,
  outcomes: OUTCOME_FORMAT,
  "model registry": ENTRY_FORMAT,
  "shared memory": LAYOUT_VERSION,
  "leader's stream": STREAM_VERSION,
};

/** What this process says of itself to one whose place it takes, or that takes its own. */
export function ownIdentity(): Identity {
  return { protocol: HANDOVER_VERSION, keel: packageJson.version, pid: process.pid, formats: { ...FORMATS } };
}
