/** Which session listens to which channel, both ways round. Bounded per session. */
export class Subscriptions<Session> {
  readonly maxChannelsPerSession: number;
  readonly #bySession = new Map<Session, Set<string>>();
  readonly #byChannel = new Map<string, Set<Session>>();

  constructor(maxChannelsPerSession: number) {
    this.maxChannelsPerSession = maxChannelsPerSession;
  }

  /** @returns false when the session has as many channels as it may. Adding a channel twice is fine. */
  add(session: Session, channel: string): boolean {
    let channels = this.#bySession.get(session);
    if (channels === undefined) {
      channels = new Set();
      this.#bySession.set(session, channels);
    }
    if (channels.has(channel)) return true;
    if (channels.size >= this.maxChannelsPerSession) return false;
    channels.add(channel);
    const sessions = this.#byChannel.get(channel);
    if (sessions === undefined) this.#byChannel.set(channel, new Set([session]));
    else sessions.add(session);
    return true;
  }

  /** @returns false when the session did not have the channel. */
  remove(session: Session, channel: string): boolean {
    if (this.#bySession.get(session)?.delete(channel) !== true) return false;
    this.#forget(session, channel);
    return true;
  }

  /** Forgets a session that has gone. */
  drop(session: Session): void {
    for (const channel of this.#bySession.get(session) ?? []) this.#forget(session, channel);
    this.#bySession.delete(session);
  }

  has(session: Session, channel: string): boolean {
    return this.#byChannel.get(channel)?.has(session) === true;
  }

  /** Somebody listens to the channel. */
  wanted(channel: string): boolean {
    return this.#byChannel.has(channel);
  }

  sessions(channel: string): Iterable<Session> {
    return this.#byChannel.get(channel) ?? [];
  }

  channels(session: Session): string[] {
    return [...(this.#bySession.get(session) ?? [])];
  }

  #forget(session: Session, channel: string): void {
    const sessions = this.#byChannel.get(channel);
    sessions?.delete(session);
    if (sessions?.size === 0) this.#byChannel.delete(channel);
  }
}
