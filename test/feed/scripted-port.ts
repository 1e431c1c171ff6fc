import type { FeedPort } from "../../src/feed/feed.ts";

export interface Request {
  readonly request: number;
  readonly path: string;
}

/** A port that notes what the feed asks for; the test plays the network. */
export class ScriptedPort implements FeedPort {
  connects = 0;
  disconnects: string[] = [];
  sent: string[] = [];
  requests: Request[] = [];

  connect(): void {
    this.connects += 1;
  }

  send(_feed: number, text: string): void {
    this.sent.push(text);
  }

  disconnect(_feed: number, reason: string): void {
    this.disconnects.push(reason);
  }

  request(_feed: number, request: number, path: string): void {
    this.requests.push({ request, path });
  }

  takeSent(): string[] {
    return this.sent.splice(0);
  }

  takeRequests(): Request[] {
    return this.requests.splice(0);
  }
}
