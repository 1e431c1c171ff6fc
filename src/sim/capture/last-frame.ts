import type { ChannelState } from "./dialect.ts";

/** A channel whose subscription begins with what it told last, such as a ticker. */
export class LastFrame implements ChannelState {
  #text: string | null = null;

  apply(text: string): void {
    this.#text = text;
  }

  first(): string | null {
    return this.#text;
  }
}
