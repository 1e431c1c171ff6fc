import type { Desk } from "../../desk/desk.ts";
import type { StageHistograms } from "../../desk/latency.ts";
import type { LoadStageName } from "../../risk/load-shedder.ts";
import type { AlertView } from "./protocol.ts";

/** What the dashboard shows of a process. It only reads; nothing here is called while nobody looks on. */
export interface DashboardSource {
  /** For the page's title: the host, or whatever tells this desk from another. */
  readonly name: string;
  readonly version: string;
  readonly desk: Desk;
  readonly timer: StageHistograms;
  readonly heads: readonly string[];
  readonly model: { readonly name: string; readonly version: string; readonly sha256: string };
  /** Epoch µs. */
  timeUs(): number;
  /** Since the start of the desk. */
  seconds(): number;
  engine(): string;
  sessionUp(): boolean;
  /** What quoting waits for; empty when nothing is missing. */
  waiting(): readonly string[];
  alerts(): readonly AlertView[];
  /** By name: sessions with counterparties and clients. */
  sessions(): Readonly<Record<string, unknown>>;
  journal(): Readonly<Record<string, unknown>> | null;
  /** As `GET /outcomes`; null where they are not followed. */
  outcomes(): unknown;
  /** Models in the shadow of the one in force; null where there are none. */
  shadow(): unknown;
  /** How late the event loop was at most of late, ms. */
  loopLagMs(): number;
  /** What is done about load beyond capacity; left out: nothing is. */
  load?(): LoadStageName;
}
