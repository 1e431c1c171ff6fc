import { isObject, parseJson } from "../decoder.ts";
import type { LoginWord, VenueLogin } from "../venue-login.ts";
import { type DeribitCredentials, Login } from "./login.ts";

/** Beyond every id that a feed gives its own calls. */
const FIRST_ID = 2_000_000_001;

/** Logs a feed's connection in, by which it gets raw channels; refreshes its token before it dies. */
export class DeribitFeedLogin implements VenueLogin {
  readonly #login: Login;
  #id = FIRST_ID;
  #asked = false;
  #askedMs = 0;

  constructor(credentials: DeribitCredentials) {
    this.#login = new Login(credentials);
  }

  get dueMs(): number {
    return this.#login.refreshUs / 1_000;
  }

  hello(timeMs: number): string {
    this.#login.forget();
    return this.refresh(timeMs);
  }

  refresh(timeMs: number): string {
    const params = this.#login.params(timeMs * 1_000);
    this.#login.asked();
    this.#id += 1;
    this.#asked = true;
    this.#askedMs = timeMs;
    return JSON.stringify({ jsonrpc: "2.0", id: this.#id, method: "public/auth", params });
  }

  onFrame(frame: string): LoginWord {
    if (!this.#asked || !frame.includes(`"id":${this.#id}`)) return "pass";
    const answer = parseJson(frame);
    if (!isObject(answer) || answer.id !== this.#id) return "pass";
    this.#asked = false;
    if (this.#login.granted(answer.result, this.#askedMs * 1_000)) return "granted";
    const error = isObject(answer.error) ? answer.error : {};
    const words = `${String(error.code)} ${String(error.message)}`.slice(0, 100);
    return { refused: this.#login.redact(`login refused: ${words}`) };
  }

  outgoing(text: string): string {
    return text;
  }
}
