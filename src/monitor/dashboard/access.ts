import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { Viewer } from "./protocol.ts";

export interface AccessOptions {
  /** Lets look on; null: whoever has the other one may. */
  readonly viewToken: string | null;
  /** Lets act, and look on; null: nobody acts from a page. */
  readonly token: string | null;
  /** Every client has shown a certificate that is vouched for. */
  readonly certificates: boolean;
  /** Epoch ms. */
  readonly nowMs: () => number;
}

export interface AccessCounters {
  logins: number;
  /** Logins with a token that is none. */
  failed: number;
  /** Logins that were not looked at, because there had been too many. */
  limited: number;
}

/** What came of a login, or of unlocking. */
export type Verdict =
  | { readonly ok: true; readonly session: string }
  | { readonly ok: false; readonly waitMs: number };

interface Session {
  endsMs: number;
  idleMs: number;
  unlockedMs: number;
}

const SESSIONS_MAX = 64;
const SESSION_MS = 12 * 3_600_000;
const IDLE_MS = 60 * 60_000;
/** How long actions stay unlocked. */
const UNLOCK_MS = 10 * 60_000;
/** Wrong tokens in a row that an address and all together may try at once, and how long until one more. */
const TRIES = 5;
const TRIES_OF_ALL = 30;
const TRY_MS = 12_000;
const ADDRESSES_MAX = 1_024;

/** Tries that come back with time. */
class Tries {
  left: number;
  atMs: number;
  readonly #most: number;

  constructor(most: number, nowMs: number) {
    this.#most = most;
    this.left = most;
    this.atMs = nowMs;
  }

  refill(nowMs: number): void {
    this.left = Math.min(this.left + Math.max(nowMs - this.atMs, 0) / TRY_MS, this.#most);
    this.atMs = nowMs;
  }

  get full(): boolean {
    return this.left >= this.#most;
  }

  get waitMs(): number {
    return this.left >= 1 ? 0 : Math.ceil((1 - this.left) * TRY_MS);
  }
}

/**
 * Who may look on and who may act. A login makes a session that only looks on; actions are unlocked in it, for ten minutes, with
 * the token for them. Tokens are compared in constant time, wrong ones are limited by address and in all, sessions are kept
 * under the digest of their id, in bounded memory.
 */
export class Access {
  readonly counters: AccessCounters = { logins: 0, failed: 0, limited: 0 };
  readonly #options: AccessOptions;
  readonly #view: Buffer | null;
  readonly #act: Buffer | null;
  readonly #sessions = new Map<string, Session>();
  readonly #tries = new Map<string, Tries>();
  readonly #all: Tries;

  constructor(options: AccessOptions) {
    this.#options = options;
    this.#view = options.viewToken === null ? null : digest(options.viewToken);
    this.#act = options.token === null ? null : digest(options.token);
    this.#all = new Tries(TRIES_OF_ALL, options.nowMs());
  }

  /** A token must be shown before anything is. */
  get needsLogin(): boolean {
    return !this.#options.certificates && (this.#view !== null || this.#act !== null);
  }

  get canUnlock(): boolean {
    return this.#act !== null;
  }

  /** A program's `Authorization` header holds a token that lets look on. */
  admits(authorization: string | null): boolean {
    const given = digest((authorization ?? "").replace(/^Bearer /i, ""));
    const views = this.#view !== null && timingSafeEqual(given, this.#view);
    const acts = this.#act !== null && timingSafeEqual(given, this.#act);
    return authorization !== null && (views || acts);
  }

  /** @returns the viewer behind a session id; null when there is no such session any more */
  viewer(id: string | null): Viewer | null {
    const { canUnlock } = this;
    const nowMs = this.#options.nowMs();
    const key = id === null ? "" : keyOf(id);
    const session = this.#sessions.get(key);
    if (session !== undefined && nowMs < session.endsMs && nowMs < session.idleMs) {
      session.idleMs = nowMs + IDLE_MS;
      const by = this.needsLogin ? "token" : this.#options.certificates ? "certificate" : "local";
      return { canUnlock, unlockedMs: Math.max(session.unlockedMs - nowMs, 0), by };
    }
    this.#sessions.delete(key);
    if (this.needsLogin) return null;
    return { canUnlock, unlockedMs: 0, by: this.#options.certificates ? "certificate" : "local" };
  }

  /** Begins a session that looks on. @param address of the client, by which wrong tokens are limited */
  login(token: string, address: string): Verdict {
    const tries = this.#triesOf(address);
    if (this.#limited(tries)) return { ok: false, waitMs: Math.max(tries.waitMs, this.#all.waitMs) };
    if (!this.admits(`Bearer ${token}`)) return this.#fail(tries);
    this.counters.logins += 1;
    return { ok: true, session: this.#begin() };
  }

  /** Lets a session act for a while; begins one where looking on needs none. */
  unlock(id: string | null, token: string, address: string): Verdict {
    const tries = this.#triesOf(address);
    if (this.#limited(tries)) return { ok: false, waitMs: Math.max(tries.waitMs, this.#all.waitMs) };
    if (this.#act === null || !timingSafeEqual(digest(token), this.#act)) return this.#fail(tries);
    let session = id;
    if (session === null || !this.#sessions.has(keyOf(session))) {
      if (this.needsLogin) return this.#fail(tries);
      session = this.#begin();
    }
    const found = this.#sessions.get(keyOf(session));
    if (found !== undefined) found.unlockedMs = this.#options.nowMs() + UNLOCK_MS;
    return { ok: true, session };
  }

  lock(id: string | null): void {
    const session = id === null ? undefined : this.#sessions.get(keyOf(id));
    if (session !== undefined) session.unlockedMs = 0;
  }

  logout(id: string | null): void {
    if (id !== null) this.#sessions.delete(keyOf(id));
  }

  #begin(): string {
    const id = randomBytes(32).toString("base64url");
    const nowMs = this.#options.nowMs();
    for (const [key, { endsMs, idleMs }] of this.#sessions) {
      if (nowMs >= endsMs || nowMs >= idleMs) this.#sessions.delete(key);
    }
    const [oldest] = this.#sessions.keys();
    if (this.#sessions.size >= SESSIONS_MAX && oldest !== undefined) this.#sessions.delete(oldest);
    this.#sessions.set(keyOf(id), { endsMs: nowMs + SESSION_MS, idleMs: nowMs + IDLE_MS, unlockedMs: 0 });
    return id;
  }

  #fail(tries: Tries): Verdict {
    tries.left -= 1;
    this.#all.left -= 1;
    this.counters.failed += 1;
    return { ok: false, waitMs: 0 };
  }

  #limited(tries: Tries): boolean {
    this.#all.refill(this.#options.nowMs());
    if (tries.waitMs === 0 && this.#all.waitMs === 0) return false;
    this.counters.limited += 1;
    return true;
  }

  #triesOf(address: string): Tries {
    const nowMs = this.#options.nowMs();
    const known = this.#tries.get(address);
    if (known !== undefined) {
      known.refill(nowMs);
      return known;
    }
    if (this.#tries.size >= ADDRESSES_MAX) {
      for (const [other, tries] of this.#tries) {
        tries.refill(nowMs);
        if (tries.full) this.#tries.delete(other);
      }
      const [oldest] = this.#tries.keys();
      if (this.#tries.size >= ADDRESSES_MAX && oldest !== undefined) this.#tries.delete(oldest);
    }
    const tries = new Tries(TRIES, nowMs);
    this.#tries.set(address, tries);
    return tries;
  }
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

function keyOf(id: string): string {
  return digest(id).toString("base64");
}
