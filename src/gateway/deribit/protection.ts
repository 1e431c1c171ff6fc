import type { GatewayEvents } from "../gateway.ts";
import type { BlockRfqs } from "./block-rfqs.ts";
import { type JsonRecord, numberOf, recordsOf, textOf } from "./json.ts";
import { type LogonCall, mmpParams } from "./logon.ts";
import type { QuoteWriter } from "./quote-writer.ts";
import type { MmpLimits } from "./venue.ts";

export interface ProtectionOptions {
  readonly indexes: readonly string[];
  /** Levels that are quoted by mass quotes, each with a group of its own; 0 = quotes are orders, which have one without a name. */
  readonly levels: number;
  /** Begins the names of groups. */
  readonly name: string;
  /** Null: the protection that the account has is left as it is. */
  readonly limits: MmpLimits | null;
  readonly blockRfqs: BlockRfqs | null;
  readonly writer: QuoteWriter;
  readonly counters: { mmpTriggers: number };
  readonly events: () => GatewayEvents;
  /** The session is up: the desk is told at once what it must know. */
  readonly up: () => boolean;
}

/** The venue's market-maker protection: its groups, and until when the quotes of which index are frozen. */
export class Protection {
  /** By index; Infinity = until an operator resets it. */
  readonly frozenUntilUs = new Map<string, number>();
  readonly #options: ProtectionOptions;

  constructor(options: ProtectionOptions) {
    this.#options = options;
  }

  /** The group of a level; null for an index that is not quoted. */
  groupOf(index: string, level: number): string | null {
    return this.#options.indexes.includes(index) ? this.#groupName(index, level) : null;
  }

  /** Part of the logon: the account's protection is set as configured. */
  async configure(call: LogonCall): Promise<void> {
    const { indexes, limits, blockRfqs } = this.#options;
    if (limits === null) return;
    await Promise.all(
      indexes.flatMap((index) => {
        const groups = [...this.#groups(index), ...(blockRfqs === null ? [] : [{ block_rfq: true }])];
        return groups.map((group) =>
          call("private/set_mmp_config", { ...mmpParams(index, limits), ...group }),
        );
      }),
    );
  }

  /** Part of the logon: what is frozen already. */
  async ask(call: LogonCall, offsetUs: number, now: () => number): Promise<void> {
    const { indexes, blockRfqs } = this.#options;
    const one = async (index: string, group: JsonRecord): Promise<void> => {
      const frozen = recordsOf(await call("private/get_mmp_status", { index_name: index, ...group }));
      for (const status of frozen) this.onStatus(index, { ...status, ...group }, offsetUs, now());
    };
    await Promise.all(
      indexes.flatMap((index) => {
        const groups = [...this.#groups(index), ...(blockRfqs === null ? [] : [{ block_rfq: true }])];
        return groups.map((group) => one(index, group));
      }),
    );
  }

  /** The protection has gone off, or was on at the logon. @param offsetUs the venue's clock less ours */
  onStatus(index: string, status: JsonRecord, offsetUs: number, timeUs: number): void {
    const { blockRfqs, counters } = this.#options;
    const untilMs = numberOf(status.frozen_until);
    if (Number.isNaN(untilMs)) return;
    const untilUs = untilMs === 0 ? Number.POSITIVE_INFINITY : untilMs * 1_000 - offsetUs;
    if (untilUs <= timeUs) return;
    if (status.block_rfq === true) {
      blockRfqs?.onFrozen(untilUs);
      return;
    }
    const group = textOf(status.mmp_group);
    if (group !== "" && !this.#groups(index).some(({ mmp_group: name }) => name === group)) return;
    counters.mmpTriggers += 1;
    this.freeze(index, untilUs, "market-maker protection of the venue", timeUs);
  }

  /** One group of an index after another may go off: what is said of a shorter time does not end a longer one. */
  freeze(index: string, endUs: number, why: string, timeUs: number): void {
    const untilUs = Math.max(endUs, this.frozenUntilUs.get(index) ?? endUs);
    this.frozenUntilUs.set(index, untilUs);
    this.#options.writer.freeze(index, untilUs);
    if (this.#options.up()) this.#tell(index, untilUs, why, timeUs);
  }

  thaw(index: string, timeUs: number): void {
    this.frozenUntilUs.delete(index);
    this.#options.writer.freeze(index, 0);
    if (this.#options.up()) this.#tell(index, timeUs, "over", timeUs);
  }

  /** Lifts the protection of an index before its time. */
  async reset(index: string, call: LogonCall, now: () => number): Promise<void> {
    const { blockRfqs } = this.#options;
    for (const group of this.#groups(index)) await call("private/reset_mmp", { index_name: index, ...group });
    if (blockRfqs !== null) {
      await call("private/reset_mmp", { index_name: index, block_rfq: true });
      blockRfqs.thaw();
    }
    this.thaw(index, now());
  }

  onTimer(timeUs: number): void {
    for (const [index, untilUs] of this.frozenUntilUs) if (timeUs >= untilUs) this.thaw(index, timeUs);
  }

  /** The session has come up: what was frozen before is told. */
  tellAll(timeUs: number): void {
    for (const [index, untilUs] of this.frozenUntilUs)
      this.#tell(index, untilUs, "frozen before the logon", timeUs);
  }

  #tell(index: string, untilUs: number, why: string, timeUs: number): void {
    const base = index.slice(0, Math.max(index.indexOf("_"), 0)).toUpperCase();
    this.#options.events().onFrozen?.(base, untilUs, why, timeUs);
  }

  /** The venue takes one quote per side, instrument and group: each level has a group of its own. */
  #groupName(index: string, level: number): string {
    return `${this.#options.name}-${index}${level === 0 ? "" : `-${level}`}`;
  }

  #groups(index: string): readonly JsonRecord[] {
    const { levels } = this.#options;
    if (levels === 0) return [{}];
    return Array.from({ length: levels }, (_, level) => ({ mmp_group: this.#groupName(index, level) }));
  }
}
