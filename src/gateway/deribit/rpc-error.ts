import { KeelError } from "../../core/errors.ts";

/** What an error of the venue asks of the one who sent the request. */
export type ErrorAction =
  /** The venue could not take it now: again after a pause. */
  | "retry"
  /** The venue broke off or gave up waiting for a part of itself: it may have carried the request out. */
  | "unknown"
  /** The connection's authentication is void: log in again. */
  | "login"
  /** The venue takes no quotes for now. */
  | "frozen"
  /** What the request speaks of is not there any more: what became of it must be asked. */
  | "gone"
  /** The account or the session cannot do this at all: no later request of the kind can succeed. */
  | "forbidden"
  /** The request itself was refused; the next one may be taken. */
  | "refused";

interface KnownError {
  readonly name: string;
  readonly action: ErrorAction;
}

const e = (name: string, action: ErrorAction): KnownError => ({ name, action });

/** Error codes that the gateway knows, with what it does about each. Source: Deribit API, "RPC Error Codes". */
const RPC_ERRORS: Readonly<Record<number, KnownError>> = {
  10000: e("authorization_required", "login"),
  10001: e("error", "refused"),
  10002: e("qty_too_low", "refused"),
  10003: e("order_overlap", "refused"),
  10004: e("order_not_found", "gone"),
  10005: e("price_too_low", "refused"),
  10006: e("price_too_low4idx", "refused"),
  10007: e("price_too_high", "refused"),
  10009: e("not_enough_funds", "refused"),
  10010: e("already_closed", "gone"),
  10011: e("price_not_allowed", "refused"),
  10012: e("book_closed", "refused"),
  10019: e("locked_by_admin", "forbidden"),
  10020: e("invalid_or_unsupported_instrument", "refused"),
  10021: e("invalid_amount", "refused"),
  10023: e("invalid_price", "refused"),
  10026: e("price_precision_exceeded", "refused"),
  10027: e("non_integer_contract_amount", "refused"),
  10028: e("too_many_requests", "retry"),
  10029: e("not_owner_of_order", "refused"),
  10031: e("invalid_args_for_instrument", "refused"),
  10040: e("retry", "retry"),
  10041: e("settlement_in_progress", "retry"),
  10043: e("price_wrong_tick", "refused"),
  10047: e("matching_engine_queue_full", "retry"),
  10049: e("cancel_on_disconnect_failed", "forbidden"),
  10066: e("too_many_concurrent_requests", "retry"),
  11008: e("already_filled", "gone"),
  11029: e("invalid_arguments", "refused"),
  11030: e("other_reject", "refused"),
  11042: e("permission_denied", "forbidden"),
  11044: e("not_open_order", "gone"),
  11050: e("bad_request", "refused"),
  11051: e("system_maintenance", "retry"),
  11054: e("post_only_reject", "refused"),
  11094: e("internal_server_error", "unknown"),
  11098: e("account_locked", "forbidden"),
  13004: e("invalid_credentials", "forbidden"),
  13009: e("unauthorized", "login"),
  13021: e("forbidden", "forbidden"),
  13028: e("temporarily_unavailable", "unknown"),
  13030: e("mmp_trigger", "frozen"),
  13040: e("mmp_required", "forbidden"),
  13042: e("cod_not_enabled", "forbidden"),
  13043: e("quotes_frozen", "frozen"),
  13403: e("scope_exceeded", "forbidden"),
  13777: e("replaced", "refused"),
  13888: e("timed_out", "unknown"),
  13905: e("too_many_quotes_per_block_rfq", "refused"),
  13906: e("too_many_quotes_per_block_rfq_side", "refused"),
  13910: e("quote_crossed", "refused"),
  13917: e("account_quote_limit_crossed", "refused"),
  13918: e("inverse_future_cross_trading", "refused"),
  [-32_000]: e("missing params", "refused"),
  [-32_600]: e("invalid request", "refused"),
  [-32_601]: e("method not found", "forbidden"),
  [-32_602]: e("invalid params", "refused"),
  [-32_700]: e("parse error", "refused"),
};

/** What to do about a code; one that is not known counts as a refusal of that request. */
export function actionOf(code: number): ErrorAction {
  return RPC_ERRORS[code]?.action ?? "refused";
}

/** The venue answered a request with an error. */
export class RpcError extends KeelError {
  readonly rpcCode: number;

  constructor(method: string, rpcCode: number, message: string) {
    super("deribit-refused", `deribit: ${method} was answered with ${rpcCode} ${message}`);
    this.rpcCode = rpcCode;
  }

  get action(): ErrorAction {
    return actionOf(this.rpcCode);
  }
}

/** Whether a request was carried out is not known: its answer did not come, cannot be read, or says that the venue does not know. */
export class UnknownOutcomeError extends KeelError {
  /** What the venue answered; null when it did not. */
  readonly rpcCode: number | null;

  constructor(method: string, reason: string, rpcCode: number | null = null) {
    super("deribit-unknown-outcome", `deribit: what became of ${method} is unknown: ${reason}`);
    this.rpcCode = rpcCode;
  }
}
