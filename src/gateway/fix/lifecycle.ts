import type { AdminMessages } from "./admin-messages.ts";
import type { Outgoing } from "./outgoing.ts";
import type { SessionApplication, SessionCounters } from "./session-options.ts";

export type SessionState = "disconnected" | "logon-sent" | "logon-awaited" | "active" | "logout-sent";

export interface LifecycleOptions {
  readonly port: Outgoing;
  readonly admin: AdminMessages;
  readonly application: SessionApplication;
  readonly counters: SessionCounters;
  /** The connection is over: what was kept for it is let go. */
  readonly onLeave: () => void;
}

/** The states of a session, and the ways out of a connection: by logout, by refusal, by cutting it. */
export class Lifecycle {
  readonly #options: LifecycleOptions;
  #state: SessionState = "disconnected";
  #sinceUs = 0;
  #logoutReason = "";

  constructor(options: LifecycleOptions) {
    this.#options = options;
  }

  get state(): SessionState {
    return this.#state;
  }

  /** When the state was entered. */
  get sinceUs(): number {
    return this.#sinceUs;
  }

  /** Why we log out; empty while we do not. */
  get logoutReason(): string {
    return this.#logoutReason;
  }

  is(state: SessionState): boolean {
    return this.#state === state;
  }

  /** Messages of the peer are acted on. */
  get alive(): boolean {
    return this.#state === "active" || this.#state === "logout-sent";
  }

  enter(state: SessionState): void {
    this.#state = state;
    this.#sinceUs = this.#options.port.timeUs;
  }

  /** A connection begins: whatever ended the last one is past. */
  begin(): void {
    this.#logoutReason = "";
  }

  /** Begins the logout handshake, from an established session only. */
  sendLogout(text: string, reason: string): void {
    if (this.#state !== "active") return;
    this.#logoutReason = reason;
    this.enter("logout-sent");
    this.#options.admin.logout(text, this.#options.port.timeUs);
  }

  /** Logout with a reason, and the connection is closed without waiting for the answer. */
  refuse(text: string): void {
    this.#options.admin.logout(text, this.#options.port.timeUs);
    this.drop(text);
  }

  /** The peer has broken a bound: it is told why, and cut off. */
  cutOff(why: string): void {
    this.#options.counters.cutOff += 1;
    this.refuse(why);
  }

  drop(reason: string): void {
    if (this.#state === "disconnected") return;
    this.leave(reason);
    this.#options.port.disconnect(reason);
  }

  /** The connection is gone, or is about to go. */
  leave(reason: string): void {
    if (this.#state === "disconnected") return;
    this.enter("disconnected");
    const { onLeave, application, port } = this.#options;
    onLeave();
    application.onLogout(this.#logoutReason || reason, port.timeUs);
  }
}
