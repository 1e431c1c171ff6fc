import { randomBytes } from "node:crypto";
import { RedisClient } from "bun";
import { KeelError } from "../core/errors.ts";
import type { Secret } from "../core/secret.ts";
import type { LeaseAnswer, LeaseRequest, LeaseService, LeaseView, SessionNumbers } from "./lease-service.ts";

export interface RedisLeaseOptions {
  /** `redis://host:port/db` or `rediss://…`, without user and password. */
  readonly url: string;
  readonly username: string | undefined;
  readonly password: Secret | undefined;
  readonly ca: string | undefined;
  /** One per pair; processes with the same name contend for the same lease. */
  readonly name: string;
  /** A request without an answer for so long has failed. */
  readonly timeoutMs: number;
}

/**
 * KEYS lease token state server; ARGV holder ttl tokenFloor outgoing startedUs block process.
 *
 * A server that is not the one that answered last, because it was restarted or a replica took its place, may have forgotten a lease
 * that somebody still holds: it grants none for as long as one lasts. Nor is one granted before its end because its key was removed. One
 * that the same process was granted last is granted again: it has not had the answer, or leads no more. One that is owed to the holder before
 * is granted to that one, too.
 */
const ACQUIRE = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local clock = string.format('%.3f', time[1] * 1000 + time[2] / 1000)
local server = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
if redis.call('GET', KEYS[4]) ~= server then
  redis.call('SET', KEYS[4], server)
  redis.call('SET', KEYS[1], '0:nobody, because the server is another one than before', 'PX', ARGV[2])
end
local held = redis.call('GET', KEYS[1])
local last = redis.call('GET', KEYS[2])
local own = last and redis.call('HGET', KEYS[3], 'by') == last .. ':' .. ARGV[7] and (not held or held == last .. ':' .. ARGV[1])
local owed = redis.call('HGET', KEYS[3], 'owed')
local reclaims = last and not own and owed == ARGV[7] and redis.call('HGET', KEYS[3], 'parked') == last
  and (not held or string.sub(held, 1, #last + 1) == last .. ':')
if held and not own and not reclaims then return {0, held, redis.call('PTTL', KEYS[1]), clock, last or '0'} end
local expired = redis.call('HGET', KEYS[3], 'released') ~= last
local after = redis.call('HGET', KEYS[3], 'after')
local owedAfter = redis.call('HGET', KEYS[3], 'owedAfter')
if own then expired = expired and after == 'expired' end
if reclaims then expired = owedAfter == 'expired' end
local ends = redis.call('HGET', KEYS[3], 'ends')
if last and not own and not reclaims and expired and ends and tonumber(ends) > now then
  return {0, last .. ':the one whose lease was removed', tonumber(ends) - now, clock, last}
end
local token = redis.call('INCR', KEYS[2])
if token <= tonumber(ARGV[3]) then
  token = tonumber(ARGV[3]) + 1
  redis.call('SET', KEYS[2], token)
end
local before = redis.call('HMGET', KEYS[3], 'outgoing', 'startedUs')
local from = tonumber(ARGV[4])
local started = ARGV[5]
if before[1] and tonumber(before[1]) > from then from = tonumber(before[1]) end
if before[2] and before[2] ~= '' and (started == '' or tonumber(before[2]) > tonumber(started)) then started = before[2] end
local outgoing = string.format('%.0f', from + tonumber(ARGV[6]))
ends = string.format('%.0f', now + tonumber(ARGV[2]))
if not own then
  owed = expired and string.match(redis.call('HGET', KEYS[3], 'by') or '', ':(%x+)$') or ''
  owedAfter = after
end
redis.call('HSET', KEYS[3], 'outgoing', outgoing, 'startedUs', started, 'ends', ends,
  'owed', owed or '', 'owedAfter', owedAfter or '', 'by', token .. ':' .. ARGV[7], 'after', expired and 'expired' or 'released')
redis.call('SET', KEYS[1], token .. ':' .. ARGV[1], 'PX', ARGV[2])
return {1, token, before[1] or '', before[2] or '', expired and 1 or 0, clock}`;

/**
 * KEYS lease token state; ARGV value ttl outgoing startedUs token. One whose key was removed is prolonged as if it were there. Who
 * prolongs it leads, and has waited for the time of whoever had it before.
 */
const RENEW = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.call('GET', KEYS[1])
local ends = redis.call('HGET', KEYS[3], 'ends')
local removed = not held and redis.call('GET', KEYS[2]) == ARGV[5] and redis.call('HGET', KEYS[3], 'released') ~= ARGV[5]
  and ends and tonumber(ends) > now
if held ~= ARGV[1] and not removed then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('HSET', KEYS[3], 'outgoing', ARGV[3], 'startedUs', ARGV[4], 'after', 'released',
  'ends', string.format('%.0f', now + tonumber(ARGV[2])))
return 1`;

/** KEYS lease state; ARGV value outgoing startedUs token how. One that is parked stays until its end, for the one that it is owed to. */
const RELEASE = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[2], 'outgoing', ARGV[2], 'startedUs', ARGV[3], ARGV[5], ARGV[4])
if ARGV[5] == 'released' then redis.call('DEL', KEYS[1]) end
return 1`;

/**
 * A lease in Redis: `SET … PX` by a script that counts the token up in the same step, prolonged and given back only by who holds
 * it. With one Redis without failover there is at most one holder; see docs/failover.md for replicas. Keys: `keel:{NAME}:lease`,
 * `…:token`, `…:state`, `…:server`.
 */
export class RedisLease implements LeaseService {
  readonly name: string;
  readonly handle = "";
  readonly #options: RedisLeaseOptions;
  readonly #keys: {
    readonly lease: string;
    readonly token: string;
    readonly state: string;
    readonly server: string;
  };
  /** Tells a lease of this process from one of another under the same name. */
  readonly #process = randomBytes(8).toString("hex");
  #client: RedisClient | null = null;

  constructor(options: RedisLeaseOptions) {
    this.#options = options;
    this.name = `${options.url} ${options.name}`;
    const key = (part: string): string => `keel:{${options.name}}:${part}`;
    this.#keys = { lease: key("lease"), token: key("token"), state: key("state"), server: key("server") };
  }

  async acquire(request: LeaseRequest): Promise<LeaseAnswer> {
    const { lease, token, state, server } = this.#keys;
    const { holder, ttlMs, tokenFloor, numbers, block } = request;
    const answer = await this.#eval(
      ACQUIRE,
      [lease, token, state, server],
      [
        ...[holder, String(ttlMs), String(tokenFloor)],
        ...[String(numbers.outgoing), startedText(numbers), String(block), this.#process],
      ],
    );
    if (!Array.isArray(answer) || answer.length < 5) throw this.#unsound("acquire", answer);
    if (Number(answer[0]) === 0) {
      return {
        granted: false,
        holder: holderOf(String(answer[1])),
        token: Math.max(tokenOf(answer[1]), tokenOf(answer[4])),
        remainingMs: Math.max(0, Number(answer[2])),
        clockMs: this.#clockOf(answer[3]),
      };
    }
    const granted = Number(answer[1]);
    if (!Number.isSafeInteger(granted) || granted <= tokenFloor) throw this.#unsound("acquire", answer);
    const before = numbersOf(answer[2], answer[3]);
    const expired = Number(answer[4]) === 1;
    return { granted: true, token: granted, before, expired, clockMs: this.#clockOf(answer[5]) };
  }

  async renew(token: number, { holder, ttlMs, numbers, block }: LeaseRequest): Promise<boolean> {
    const { lease, token: last, state } = this.#keys;
    const values = [
      ...[`${token}:${holder}`, String(ttlMs)],
      ...[String(numbers.outgoing + block), startedText(numbers), String(token)],
    ];
    return Number(await this.#eval(RENEW, [lease, last, state], values)) === 1;
  }

  async release(token: number, { holder, numbers }: LeaseRequest, owed = false): Promise<boolean> {
    const { lease, state } = this.#keys;
    const values = [
      ...[`${token}:${holder}`, String(numbers.outgoing), startedText(numbers)],
      ...[String(token), owed ? "parked" : "released"],
    ];
    return Number(await this.#eval(RELEASE, [lease, state], values)) === 1;
  }

  adopt(): void {}

  async look(): Promise<LeaseView> {
    const { lease, token, state } = this.#keys;
    const [held, remaining, last, numbers] = await this.#timed(async () => {
      const client = await this.#connected();
      return Promise.all([
        client.send("GET", [lease]),
        client.send("PTTL", [lease]),
        client.send("GET", [token]),
        client.send("HMGET", [state, "outgoing", "startedUs"]),
      ]);
    });
    const [outgoing, startedUs] = Array.isArray(numbers) ? numbers : [];
    return {
      holder: typeof held === "string" ? holderOf(held) : null,
      token: Number(last ?? 0),
      remainingMs: Math.max(0, Number(remaining)),
      numbers: numbersOf(outgoing, startedUs),
    };
  }

  close(): void {
    this.#client?.close();
    this.#client = null;
  }

  #eval(script: string, keys: readonly string[], values: readonly string[]): Promise<unknown> {
    return this.#timed(async () => {
      const client = await this.#connected();
      return client.send("EVAL", [script, String(keys.length), ...keys, ...values]);
    });
  }

  /** A connection that did not answer in time is not used again: a late answer must not be taken for the next one's. */
  async #timed<T>(ask: () => Promise<T>): Promise<T> {
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(
      () =>
        reject(
          new KeelError("lease-timeout", `${this.name}: no answer within ${this.#options.timeoutMs} ms`),
        ),
      this.#options.timeoutMs,
    );
    try {
      return await Promise.race([ask(), late]);
    } catch (error) {
      this.close();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  async #connected(): Promise<RedisClient> {
    if (this.#client?.connected === true) return this.#client;
    this.close();
    const { url, username, password, ca, timeoutMs } = this.#options;
    const whole = new URL(url);
    if (password !== undefined) {
      whole.username = encodeURIComponent(username ?? "");
      whole.password = encodeURIComponent(password.reveal());
    }
    const client = new RedisClient(whole.href, {
      connectionTimeout: timeoutMs,
      autoReconnect: false,
      enableOfflineQueue: false,
      ...(ca === undefined ? {} : { tls: { ca } }),
    });
    this.#client = client;
    await client.connect();
    return client;
  }

  #clockOf(answer: unknown): number {
    const clockMs = Number(answer);
    if (typeof answer === "string" && clockMs > 0) return clockMs;
    throw this.#unsound("its time", answer);
  }

  #unsound(what: string, answer: unknown): KeelError {
    return new KeelError("lease-answer", `${this.name}: ${what} was answered with ${JSON.stringify(answer)}`);
  }
}

function startedText({ startedUs }: SessionNumbers): string {
  return startedUs === null ? "" : String(startedUs);
}

function holderOf(value: string): string {
  return value.slice(value.indexOf(":") + 1);
}

/** Of `token` or `token:holder`; 0 where there is none. */
function tokenOf(value: unknown): number {
  const token = Number.parseInt(String(value), 10);
  return Number.isSafeInteger(token) && token > 0 ? token : 0;
}

function numbersOf(outgoing: unknown, startedUs: unknown): SessionNumbers | null {
  const next = typeof outgoing === "string" && outgoing !== "" ? Number(outgoing) : Number.NaN;
  if (!Number.isSafeInteger(next)) return null;
  const started = typeof startedUs === "string" && startedUs !== "" ? Number(startedUs) : Number.NaN;
  return { outgoing: next, startedUs: Number.isFinite(started) ? started : null };
}
