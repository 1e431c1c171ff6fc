/** What a client's message asks of a venue of channels. */
export interface ControlRequest {
  readonly operation: "subscribe" | "unsubscribe" | "ping";
  /** By the names of {@link VenueControl}; empty for a ping. */
  readonly channels: readonly string[];
  /** What the venue echoes in its answers; undefined where it echoes nothing. */
  readonly id?: unknown;
}

/**
 * How a venue of channels is spoken to over its WebSocket: where it listens, how it is asked for channels and what it answers. Simulated
 * markets and recorded captures answer by the same one. A channel has one name, in which topic and instrument are both told.
 */
export interface VenueControl {
  accepts(url: URL): boolean;
  /** What the venue says first; null when it waits to be spoken to. */
  greeting(): string | null;
  /** Reads a client's message. @returns null when it is none of the venue's */
  read(text: string): ControlRequest | null;
  pong(request: ControlRequest): string;
  /** Answers to what was taken of a request; `listening` are all the client's channels now. */
  acknowledge(
    request: ControlRequest,
    taken: readonly string[],
    listening: readonly string[],
  ): readonly string[];
  /** Refuses a channel, or, without a request, a message that could not be read. */
  complaint(text: string, request: ControlRequest | null): string;
}

/** What {@link answerControl} needs of a server that keeps subscriptions. */
export interface ControlledChannels {
  /** @returns false when there is no such channel. */
  subscribe(channel: string): boolean;
  unsubscribe(channel: string): boolean;
  list(): readonly string[];
  reply(text: string): void;
}

/**
 * Answers one client message as the venue does.
 *
 * @returns channels that are subscribed now and were asked for by this message: they may begin
 */
export function answerControl(control: VenueControl, text: string, channels: ControlledChannels): string[] {
  const request = control.read(text);
  if (request === null) {
    channels.reply(control.complaint(text, null));
    return [];
  }
  if (request.operation === "ping") {
    channels.reply(control.pong(request));
    return [];
  }
  const isSubscription = request.operation === "subscribe";
  const taken: string[] = [];
  for (const channel of request.channels) {
    if (isSubscription ? channels.subscribe(channel) : channels.unsubscribe(channel)) taken.push(channel);
    else if (isSubscription) channels.reply(control.complaint(channel, request));
  }
  for (const answer of control.acknowledge(request, taken, channels.list())) channels.reply(answer);
  return isSubscription ? taken : [];
}
