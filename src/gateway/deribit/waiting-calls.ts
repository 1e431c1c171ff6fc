import { KeelError } from "../../core/errors.ts";
import { type Pool, poolOf } from "./credits.ts";
import type { AnswerHandler } from "./rpc-client.ts";
import { RpcError, UnknownOutcomeError } from "./rpc-error.ts";

type Params = Readonly<Record<string, unknown>>;

/** What became of a request that was offered: it left, there is no credit for it yet, or it may not leave now. */
export type Offered = "sent" | "noCredit" | "heldBack";

interface WaitingCall {
  readonly method: string;
  readonly pool: Pool;
  readonly params: Params;
  readonly deadlineUs: number;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: KeelError) => void;
}

const MAX_WAITING = 256;

/** Requests that wait for credit, in order within each pool, with a promise of what becomes of each. */
export class WaitingCalls {
  readonly #offer: (method: string, params: Params, handler: AnswerHandler, timeUs: number) => Offered;
  #calls: WaitingCall[] = [];

  /** @param offer sends a request if it may leave now */
  constructor(offer: (method: string, params: Params, handler: AnswerHandler, timeUs: number) => Offered) {
    this.#offer = offer;
  }

  /** Takes a request, which leaves with the next {@link flush} that finds credit for it. @param deadlineUs until then it waits */
  add(method: string, params: Params, deadlineUs: number): Promise<unknown> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    if (this.#calls.length >= MAX_WAITING) reject(notSent(method, "too many requests wait"));
    else this.#calls.push({ method, pool: poolOf(method), params, deadlineUs, resolve, reject });
    return promise;
  }

  flush(timeUs: number): void {
    if (this.#calls.length === 0) return;
    const left: WaitingCall[] = [];
    let blocked = 0;
    for (const call of this.#calls) {
      const { method, params, deadlineUs, reject } = call;
      const bit = 1 << call.pool;
      const offered =
        (blocked & bit) !== 0 ? "noCredit" : this.#offer(method, params, handlerOf(call), timeUs);
      if (offered === "sent") continue;
      if (offered === "heldBack") reject(notSent(method, "this process may change nothing at the venue now"));
      else if (timeUs >= deadlineUs) reject(notSent(method, "there was no credit for it in time"));
      else {
        blocked |= bit;
        left.push(call);
      }
    }
    this.#calls = left;
  }

  /** None of them leaves any more. */
  end(why: string): void {
    const ended = this.#calls;
    this.#calls = [];
    for (const { method, reject } of ended) reject(notSent(method, why));
  }
}

/** For a request of which it is certain that the venue never had it. */
export function notSent(method: string, why: string): KeelError {
  return new KeelError("deribit-not-sent", `deribit: ${method} was not sent: ${why}`);
}

function handlerOf({ method, resolve, reject }: WaitingCall): AnswerHandler {
  return {
    onResult: (result) => resolve(result),
    onError: (code, message) => reject(new RpcError(method, code, message)),
    onUnknown: (reason, _timeUs, code) => reject(new UnknownOutcomeError(method, reason, code)),
  };
}
