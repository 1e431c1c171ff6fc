import type { RpcAnswer } from "../protocol/json-rpc.ts";
import type { MmpGroup, SimAccount } from "./account.ts";
import type { BlockRfqs } from "./block-rfqs.ts";
import { type Exchange, groupKey, INDEX } from "./exchange.ts";
import { invalid, type Params } from "./rpc.ts";

const MAX_GROUPS = 16;

/** `private/set_mmp_config`. */
export function setMmp(blockRfqs: BlockRfqs, account: SimAccount, params: Params): RpcAnswer {
  const { index_name: index, mmp_group: name, interval, frozen_time: frozen } = params;
  if (index !== INDEX) return invalid("index_name", "no such index");
  if (typeof interval !== "number" || typeof frozen !== "number" || interval < 0 || frozen < 0) {
    return invalid("interval", "interval and frozen_time must be non-negative numbers");
  }
  if (params.block_rfq === true) {
    blockRfqs.mmp.configure(account, params);
    return { result: [{ ...params }] };
  }
  const key = groupKey(INDEX, typeof name === "string" ? name : null);
  if (interval === 0) {
    account.groups.delete(key);
    return { result: [] };
  }
  const limit = (value: unknown): number =>
    typeof value === "number" && value > 0 ? value : Number.POSITIVE_INFINITY;
  const quantityLimit = limit(params.quantity_limit);
  const deltaLimit = limit(params.delta_limit);
  if (typeof name === "string" && !(deltaLimit < quantityLimit))
    return invalid("delta_limit", "must be below quantity_limit");
  if (!account.groups.has(key) && account.groups.size >= MAX_GROUPS)
    return invalid("mmp_group", "too many groups");
  const known = account.groups.get(key);
  const group: MmpGroup = {
    index: INDEX,
    name: typeof name === "string" ? name : null,
    intervalUs: interval * 1e6,
    frozenUs: frozen * 1e6,
    quantityLimit,
    deltaLimit,
    vegaLimit: limit(params.vega_limit),
    maxQuoteQuantity: limit(params.max_quote_quantity),
    ...{ sinceUs: Number.NEGATIVE_INFINITY, quantity: 0, delta: 0, vega: 0 },
    frozenUntilUs: known?.frozenUntilUs ?? Number.NEGATIVE_INFINITY,
  };
  account.groups.set(key, group);
  return { result: [mmpConfig(group)] };
}

/** The group that a request names, if its quotes are frozen. */
export function frozenGroups(exchange: Exchange, account: SimAccount, params: Params): MmpGroup[] {
  const key = groupKey(
    String(params.index_name),
    typeof params.mmp_group === "string" ? params.mmp_group : null,
  );
  const group = account.groups.get(key);
  return group !== undefined && exchange.timeUs < group.frozenUntilUs ? [group] : [];
}

export function mmpStatus(group: MmpGroup): object {
  return {
    index_name: group.index,
    frozen_until: Number.isFinite(group.frozenUntilUs) ? Math.ceil(group.frozenUntilUs / 1_000) : 0,
    ...(group.name === null ? {} : { mmp_group: group.name }),
  };
}

export function mmpConfig(group: MmpGroup): object {
  return {
    index_name: group.index,
    interval: group.intervalUs / 1e6,
    frozen_time: group.frozenUs / 1e6,
    quantity_limit: group.quantityLimit,
    delta_limit: group.deltaLimit,
    vega_limit: group.vegaLimit,
    max_quote_quantity: group.maxQuoteQuantity,
    ...(group.name === null ? {} : { mmp_group: group.name }),
  };
}
