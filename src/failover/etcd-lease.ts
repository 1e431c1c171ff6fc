import { z } from "zod";
import { KeelError } from "../core/errors.ts";
import type { Secret } from "../core/secret.ts";
import type { LeaseAnswer, LeaseRequest, LeaseService, LeaseView, SessionNumbers } from "./lease-service.ts";

export interface EtcdLeaseOptions {
  /** `http://host:port` or `https://…` of a member's client address. */
  readonly url: string;
  readonly username: string | undefined;
  readonly password: Secret | undefined;
  readonly ca: string | undefined;
  readonly name: string;
  readonly timeoutMs: number;
}

const int64 = z.coerce.number().default(0);
const header = z.object({ revision: int64 });
const pair = z.object({
  value: z.string().default(""),
  create_revision: int64,
  mod_revision: int64,
  lease: z.string().default("0"),
});
const range = z.object({ kvs: z.array(pair).default([]) });
const granted = z.object({ ID: z.string(), TTL: int64 });
const keptAlive = z.object({ result: z.object({ TTL: int64 }) });
const ttlLeft = z.object({ TTL: int64 });
const committed = z.object({
  header,
  succeeded: z.boolean().default(false),
  responses: z.array(z.object({ response_range: range.optional() })).default([]),
});
const stored = z.object({ outgoing: z.number(), startedUs: z.number().nullable() });
const anything = z.unknown();
const offset = z.coerce.number().int().nonnegative();
const authenticated = z.object({ token: z.string() });

const DATA_LOST = "nobody, because etcd has lost its data";

interface Seen extends LeaseView {
  /** Of the whole of etcd. */
  readonly revision: number;
  /** By how much tokens are higher than revisions. */
  readonly ahead: number;
  readonly stateRevision: number;
  readonly aheadRevision: number;
}

/**
 * A lease in etcd, by its v3 API over HTTP: a key that is there only as long as etcd's own lease, made in a transaction that holds
 * only while there is none. The token is the revision in which the key was made, which consensus makes unique and rising. etcd
 * counts leases in whole seconds. Revisions that are lower than tokens granted before are those of an etcd that was made anew or from an
 * older copy, and that may have forgotten a lease that somebody still holds: none is granted for as long as one lasts, and tokens go on
 * from the highest known, by as much ahead of the revisions. Keys: `/keel/NAME/lease`, `…/state`, `…/ahead`.
 */
export class EtcdLease implements LeaseService {
  readonly name: string;
  readonly #options: EtcdLeaseOptions;
  readonly #lease: string;
  readonly #state: string;
  readonly #ahead: string;
  /** etcd's id of the lease held. */
  #id = "";
  /** etcd's id of a lease that was asked for, and of which it is not known whether the key was made. */
  #asked = "";
  #login: string | null = null;

  constructor(options: EtcdLeaseOptions) {
    this.#options = options;
    this.name = `${options.url} ${options.name}`;
    this.#lease = base64(`/keel/${options.name}/lease`);
    this.#state = base64(`/keel/${options.name}/state`);
    this.#ahead = base64(`/keel/${options.name}/ahead`);
  }

  async acquire({ holder, ttlMs, tokenFloor, numbers, block }: LeaseRequest): Promise<LeaseAnswer> {
    if (this.#asked !== "") await this.#revoke(this.#asked).catch(() => {});
    const seen = await this.#look();
    const { holder: holderNow, remainingMs } = seen;
    if (holderNow !== null) return refused(holderNow, seen.token, remainingMs);
    const lost = seen.revision + seen.ahead < tokenFloor;
    const { ID: id } = await this.#post("lease/grant", { TTL: String(Math.ceil(ttlMs / 1_000)) }, granted);
    // What was read above is the last only if nobody has written since.
    const free = { key: this.#lease, target: "CREATE", result: "EQUAL", create_revision: "0" };
    const unchanged = [
      { key: this.#state, target: "MOD", result: "EQUAL", mod_revision: String(seen.stateRevision) },
      { key: this.#ahead, target: "MOD", result: "EQUAL", mod_revision: String(seen.aheadRevision) },
    ];
    if (lost) {
      const lead = base64(String(tokenFloor - seen.revision));
      await this.#commit({
        compare: [free, ...unchanged],
        success: [
          { request_put: { key: this.#lease, value: base64(DATA_LOST), lease: id } },
          { request_put: { key: this.#ahead, value: lead } },
        ],
      });
      return refused(DATA_LOST, 0, 0);
    }
    const before = seen.numbers;
    const outgoing = Math.max(numbers.outgoing, before?.outgoing ?? 0) + block;
    const startedUs = latest(numbers.startedUs, before?.startedUs ?? null);
    this.#asked = id;
    const outcome = await this.#commit({
      compare: [free, ...unchanged],
      success: [
        { request_put: { key: this.#lease, value: base64(holder), lease: id } },
        { request_put: { key: this.#state, value: base64(JSON.stringify({ outgoing, startedUs })) } },
      ],
    });
    const token = outcome.header.revision + seen.ahead;
    if (!outcome.succeeded || token <= tokenFloor) {
      await this.#revoke(id);
      return refused(outcome.succeeded ? DATA_LOST : "another process", 0, 0);
    }
    this.#asked = "";
    this.#id = id;
    return { granted: true, token, before, expired: false, clockMs: null };
  }

  async renew(_token: number, { numbers, block }: LeaseRequest): Promise<boolean> {
    if (this.#id === "") return false;
    const { result } = await this.#post("lease/keepalive", { ID: this.#id }, keptAlive);
    if (result.TTL <= 0) return false;
    return this.#write({ outgoing: numbers.outgoing + block, startedUs: numbers.startedUs });
  }

  async release(_token: number, { numbers }: LeaseRequest): Promise<boolean> {
    if (this.#id === "") return false;
    const held = await this.#write(numbers);
    await this.#revoke(this.#id);
    return held;
  }

  /** What hangs on a lease is gone with it. One that is there no more is an error to etcd. */
  async #revoke(id: string): Promise<void> {
    this.#asked = "";
    await this.#post("lease/revoke", { ID: id }, anything);
  }

  get handle(): string {
    return this.#id;
  }

  adopt(handle: string): void {
    this.#id = handle;
  }

  async look(): Promise<LeaseView> {
    return this.#look();
  }

  close(): void {}

  async #look(): Promise<Seen> {
    const keys = [this.#lease, this.#state, this.#ahead];
    const { header, responses } = await this.#commit({
      success: keys.map((key) => ({ request_range: { key } })),
    });
    const [lease, state, lead] = responses.map(({ response_range }) => response_range?.kvs[0]);
    const numbers = state === undefined ? null : stored.parse(JSON.parse(fromBase64(state.value)));
    const ahead = lead === undefined ? 0 : offset.parse(fromBase64(lead.value));
    let remainingMs = 0;
    if (lease !== undefined && lease.lease !== "0") {
      const left = await this.#post("lease/timetolive", { ID: lease.lease }, ttlLeft);
      remainingMs = Math.max(0, left.TTL * 1_000);
    }
    return {
      holder: lease === undefined ? null : fromBase64(lease.value),
      token: lease === undefined ? 0 : lease.create_revision + ahead,
      ...{ remainingMs, numbers, ahead },
      revision: header.revision,
      stateRevision: state?.mod_revision ?? 0,
      aheadRevision: lead?.mod_revision ?? 0,
    };
  }

  /** Writes the numbers if the key is still that of etcd's lease that is held, of which each token has its own. */
  async #write(numbers: SessionNumbers): Promise<boolean> {
    const { succeeded } = await this.#commit({
      compare: [{ key: this.#lease, target: "LEASE", result: "EQUAL", lease: this.#id }],
      success: [{ request_put: { key: this.#state, value: base64(JSON.stringify(numbers)) } }],
    });
    return succeeded;
  }

  #commit(transaction: object): Promise<z.infer<typeof committed>> {
    return this.#post("kv/txn", transaction, committed);
  }

  async #post<T>(path: string, body: object, form: z.ZodType<T>): Promise<T> {
    const { username, password } = this.#options;
    if (username !== undefined && password !== undefined && this.#login === null) {
      const credentials = { name: username, password: password.reveal() };
      this.#login = (await this.#send("auth/authenticate", credentials, authenticated)).token;
    }
    return this.#send(path, body, form);
  }

  async #send<T>(path: string, body: object, form: z.ZodType<T>): Promise<T> {
    const { url, ca, timeoutMs } = this.#options;
    const response = await fetch(new URL(`/v3/${path}`, url), {
      method: "POST",
      body: JSON.stringify(body),
      headers: this.#login === null ? {} : { authorization: this.#login },
      signal: AbortSignal.timeout(timeoutMs),
      ...(ca === undefined ? {} : { tls: { ca } }),
    });
    const text = await response.text();
    if (!response.ok) {
      this.#login = null;
      throw new KeelError("lease-answer", `${this.name}: ${path}: ${response.status} ${text.slice(0, 200)}`);
    }
    const read = form.safeParse(JSON.parse(text));
    if (read.success) return read.data;
    throw new KeelError("lease-answer", `${this.name}: ${path} was answered with ${text.slice(0, 200)}`);
  }
}

function refused(holder: string, token: number, remainingMs: number): LeaseAnswer {
  return { granted: false, holder, token, remainingMs, clockMs: null };
}

function latest(one: number | null, other: number | null): number | null {
  if (one === null || other === null) return one ?? other;
  return Math.max(one, other);
}

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}

function fromBase64(text: string): string {
  return Buffer.from(text, "base64").toString();
}
