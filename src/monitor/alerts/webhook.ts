/**
 * Tells alerts to whoever listens: a receiver of Alertmanager's webhook
 * (https://prometheus.io/docs/alerting/latest/configuration/#webhook_config, version 4), or an Alertmanager itself
 * (`/api/v2/alerts` of its API).
 *
 * @module
 */
import type { Secret } from "../../core/secret.ts";
import type { Alert } from "./alerter.ts";

export interface WebhookOptions {
  /** An Alertmanager when the path ends with `/api/v2/alerts`, else a receiver. */
  readonly url: string;
  /** Sent as `Authorization: Bearer …`. */
  readonly token: Secret | undefined;
  /** Names this process: the label `instance`. */
  readonly instance: string;
  readonly timeoutMs: number;
  /** What still fires is told again this often, because an Alertmanager forgets what it is not told. */
  readonly repeatMs: number;
}

const ALERTMANAGER_PATH = "/api/v2/alerts";
/** An Alertmanager takes an alert for ended when it was not told again for this many repeats. */
const REPEATS_UNTIL_OVER = 4;
const RETRY_MS_MAX = 30_000;
/** Alerts that wait for a receiver that does not answer; the oldest of those that ended are given up first. */
const WAITING_MAX = 1_000;

type Post = (url: string, init: RequestInit) => Promise<Response>;

/**
 * Sends what the alerter finds. At most one request is under way; while it is, or while the receiver is away, the latest state of each
 * alert waits. Nothing here holds up the caller.
 */
export class Webhook {
  /** Requests that were taken, and those that were not. */
  sent = 0;
  failed = 0;
  /** Alerts given up because too many waited. */
  dropped = 0;
  /** Why the latest request was not taken; null when it was. */
  problem: string | null = null;
  readonly #options: WebhookOptions;
  readonly #post: Post;
  readonly #waiting = new Map<string, Alert>();
  readonly #toldUs = new Map<string, number>();
  #busy = false;
  #retryAtUs = Number.NEGATIVE_INFINITY;
  #retryMs = 1_000;

  constructor(options: WebhookOptions, post: Post = fetch) {
    this.#options = options;
    this.#post = post;
  }

  /** @param alerts what fires and what has just ended */
  take(alerts: readonly Alert[], timeUs: number): void {
    for (const alert of alerts) {
      const key = keyOf(alert);
      const toldUs = this.#toldUs.get(key);
      const isDue = toldUs === undefined || Math.abs(timeUs - toldUs) >= this.#options.repeatMs * 1_000;
      if (alert.endsUs !== null || isDue) this.#wait(key, alert);
    }
    if (this.#waiting.size > 0 && !this.#busy && timeUs >= this.#retryAtUs) void this.#send(timeUs);
  }

  #wait(key: string, alert: Alert): void {
    this.#waiting.delete(key);
    this.#waiting.set(key, alert);
    if (this.#waiting.size <= WAITING_MAX) return;
    const ended = [...this.#waiting].find(([, { endsUs }]) => endsUs !== null)?.[0];
    const given = ended ?? this.#waiting.keys().next().value;
    if (given !== undefined) this.#waiting.delete(given);
    this.dropped += 1;
  }

  async #send(timeUs: number): Promise<void> {
    this.#busy = true;
    const batch = [...this.#waiting];
    try {
      await this.#request(
        batch.map(([, alert]) => alert),
        timeUs,
      );
      this.sent += 1;
      this.problem = null;
      this.#retryMs = 1_000;
      for (const [key, alert] of batch) {
        if (this.#waiting.get(key) === alert) this.#waiting.delete(key);
        if (alert.endsUs === null) this.#toldUs.set(key, timeUs);
        else this.#toldUs.delete(key);
      }
    } catch (error) {
      this.failed += 1;
      this.problem = error instanceof Error ? error.message : String(error);
      this.#retryAtUs = timeUs + this.#retryMs * 1_000;
      this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MS_MAX);
    } finally {
      this.#busy = false;
    }
  }

  async #request(alerts: readonly Alert[], nowUs: number): Promise<void> {
    const { url, token, timeoutMs } = this.#options;
    const response = await this.#post(url, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        ...(token === undefined ? {} : { authorization: `Bearer ${token.reveal()}` }),
      },
      body: JSON.stringify(this.#body(alerts, nowUs)),
      signal: AbortSignal.timeout(timeoutMs),
      redirect: "error",
    });
    if (!response.ok) throw new Error(`the receiver answered ${response.status}`);
  }

  #body(alerts: readonly Alert[], nowUs: number): unknown {
    const { url, instance, repeatMs } = this.#options;
    if (new URL(url).pathname.endsWith(ALERTMANAGER_PATH)) {
      const overUs = repeatMs * 1_000 * REPEATS_UNTIL_OVER;
      return alerts.map((alert) => ({
        ...described(alert, instance),
        startsAt: iso(alert.startsUs),
        endsAt: iso(alert.endsUs ?? nowUs + overUs),
      }));
    }
    const isFiring = alerts.some(({ endsUs }) => endsUs === null);
    return {
      version: "4",
      groupKey: `keel/${instance}`,
      truncatedAlerts: 0,
      status: isFiring ? "firing" : "resolved",
      receiver: "keel",
      groupLabels: { job: "keel", instance },
      commonLabels: { job: "keel", instance },
      commonAnnotations: {},
      externalURL: "",
      alerts: alerts.map((alert) => ({
        status: alert.endsUs === null ? "firing" : "resolved",
        ...described(alert, instance),
        startsAt: iso(alert.startsUs),
        endsAt: alert.endsUs === null ? "0001-01-01T00:00:00Z" : iso(alert.endsUs),
        generatorURL: "",
        fingerprint: Bun.hash.xxHash64(keyOf(alert)).toString(16).padStart(16, "0"),
      })),
    };
  }
}

function described({ name, severity, summary, labels, value }: Alert, instance: string) {
  return {
    labels: { ...labels, alertname: name, severity, job: "keel", instance },
    annotations: { summary, value: String(value), runbook: `docs/runbooks.md#${name.toLowerCase()}` },
  };
}

function keyOf({ name, labels }: Alert): string {
  return `${name} ${JSON.stringify(labels)}`;
}

function iso(timeUs: number): string {
  return new Date(timeUs / 1_000).toISOString();
}
