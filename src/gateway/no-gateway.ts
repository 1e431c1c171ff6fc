import type { QuoteGateway } from "./gateway.ts";

/** Of a process that is not to speak to anybody yet: there is no session, and nothing is taken. */
export class NoGateway implements QuoteGateway {
  readonly ready: boolean = false;

  start(): void {}

  publish(): number {
    return 0;
  }

  cancelAll(): boolean {
    return false;
  }

  onTimer(): void {}

  async stop(): Promise<void> {}
}
