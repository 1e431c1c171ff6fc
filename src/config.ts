import { join } from "node:path";
import { z } from "zod";
import { type ApiConfig, type FixAcceptConfig, readApi, readFixAccept } from "./config/clients.ts";
import { type DeribitConfig, type FeedKeys, readDeribit } from "./config/deribit.ts";
import { readDistribution } from "./config/distribution.ts";
import { type FailoverConfig, readFailover } from "./config/failover.ts";
import { type FixConfig, readFix } from "./config/fix.ts";
import { type HttpAccess, type HttpConfig, readHttp, readHttpTokens } from "./config/http.ts";
import { readPlacement } from "./config/placement.ts";
import { type ChallengeSettings, readRegistry } from "./config/registry.ts";
import { readPositionsFile, readRiskFile } from "./config/risk-file.ts";
import { readSecret } from "./config/secrets.ts";
import { readServiceManager } from "./config/service.ts";
import { readShedding, type SheddingSettings } from "./config/shedding.ts";
import { type NamedValues, urlVariable, VARIABLES } from "./config/variables.ts";
import { EXIT, KeelError } from "./core/errors.ts";
import type { LogFormat, LogLevel } from "./core/log.ts";
import { nearest } from "./core/nearest.ts";
import type { ParameterDescription } from "./core/parameter.ts";
import type { LoopPlacement } from "./core/placed-loop.ts";
import type { Secret } from "./core/secret.ts";
import type { DistributionOptions } from "./distribution/options.ts";
import { withLines } from "./feed/lines.ts";
import { defaultEndpoint, endpointAt, type VenueEndpoint, type VenueSubscriptions } from "./feed/registry.ts";
import { isRelayed } from "./feed/relay/subscription.ts";
import { HEDGE_PARAMETERS, type HedgeSettings } from "./hedge/parameters.ts";
import type { DeviceName } from "./inference/engine.ts";
import type { EngineSettings } from "./inference/settings.ts";
import type { Retention } from "./journal/retention.ts";
import { CHALLENGE_PARAMETERS } from "./learn/challenge/policy.ts";
import { DRIFT_PARAMETERS, type DriftParameters } from "./learn/drift/parameters.ts";
import type { RecalibrationMethod } from "./learn/recalibration.ts";
import type { RegistrySettings } from "./learn/registry/open.ts";
import { VENUES, type VenueName } from "./market/instrument.ts";
import type { WebhookOptions } from "./monitor/alerts/webhook.ts";
import type { ServiceManager } from "./monitor/service-notifier.ts";
import { SURFACE_PARAMETERS, type SurfaceParameters } from "./option/surface/parameters.ts";
import { FEE_PARAMETERS, type FeeRates } from "./position/fees.ts";
import { QUOTE_PARAMETERS, type QuoteParameters } from "./quote/parameters.ts";
import { RFQ_PARAMETERS, type RfqParameters } from "./rfq/parameters.ts";
import { RISK_LIMITS, type RiskLimits } from "./risk/limits.ts";
import { LOAD_PARAMETERS } from "./risk/load-parameters.ts";
import type { MismatchRule, VenuePosition } from "./risk/reconciliation.ts";

export interface ConfiguredEndpoint extends VenueEndpoint {
  /** Set by `KEEL_URL_…`: another server stands in for the venue. */
  readonly standIn: boolean;
}

export interface JournalConfig {
  readonly dir: string;
  readonly segmentBytes: number;
  readonly checkpointMs: number;
  /** What the desk does when records are lost. */
  readonly lost: "quote" | "reduce";
  readonly signingKey: Secret | undefined;
  readonly retention: Retention;
}

/** The whole configuration, read once. */
export interface Config {
  /** One entry per venue, as often as `KEEL_LINES` says; empty when `KEEL_FEEDS` is not set. */
  readonly feeds: readonly VenueSubscriptions[];
  /** Where each venue is reached: by `KEEL_URL_…`, else the venue itself. */
  readonly endpoints: Readonly<Record<VenueName, ConfiguredEndpoint>>;
  /** Threads over which the feeds are spread; 1: they are kept on the quoting thread. */
  readonly shards: number;
  /** What leads an underlying when its first book is lost: nothing, or the next live book by rank. */
  readonly reference: "first" | "next";
  readonly device: DeviceName;
  /** `KEEL_GPU`, `KEEL_VULKAN_DIR`, `KEEL_CUDA_DEVICE`, `KEEL_TENSORRT_…` */
  readonly engines: EngineSettings;
  /** Undefined: the default model, or what stands in for it on this host. */
  readonly model: string | undefined;
  readonly seed: number;
  /** How long the line is run on simulated data before the first real frame; 0 = not at all. */
  readonly warmUpMs: number;
  /** Quotes are decided once for all frames that came in together. */
  readonly conflate: boolean;
  /** `KEEL_SHED…`; null when nothing is shed. */
  readonly shedding: SheddingSettings | null;
  /** Fit the model's probabilities to what comes of them, instrument by instrument. */
  readonly recalibrate: RecalibrationMethod | null;
  /** Words of `KEEL_TRAIN_COMMAND` and `KEEL_QUANTISE_COMMAND`; null where there is none. */
  readonly trainCommand: readonly string[] | null;
  readonly quantiseCommand: readonly string[] | null;
  /** `KEEL_DRIFT_…`; null when drift is not watched. */
  readonly drift: { readonly acts: boolean; readonly parameters: DriftParameters } | null;
  /** Undefined when no counterparty is configured. */
  readonly fix: FixConfig | undefined;
  /** Undefined unless quotes go to Deribit. */
  readonly deribit: DeribitConfig | undefined;
  readonly feedKeys: FeedKeys;
  /** `KEEL_LEASE_…`, `KEEL_PEER…`; undefined for a process that is not one of a pair. */
  readonly failover: FailoverConfig | undefined;
  /** Undefined when no client may log on by FIX. */
  readonly fixAccept: FixAcceptConfig | undefined;
  /** Undefined when the JSON gateway is off. */
  readonly api: ApiConfig | undefined;
  /** `KEEL_RFQ_…`; null when nobody could ask. */
  readonly rfq: RfqParameters | null;
  /** Undefined when nothing is to be journalled. */
  readonly journal: JournalConfig | undefined;
  /** Undefined when nothing is published in shared memory. */
  readonly shm: { readonly name: string; readonly ringCapacity: number } | undefined;
  readonly stateDir: string;
  /** `KEEL_ALERT_…`; undefined when alerts go to the log and to `/alerts` alone. */
  readonly alerts: Omit<WebhookOptions, "instance"> | undefined;
  /** `KEEL_LOOP_…`, `KEEL_SPIN` */
  readonly placement: LoopPlacement;
  /** `KEEL_COLLECT_SECONDS` */
  readonly collectSeconds: number;
  /** systemd, when it started this process and wants to be told; see {@link readServiceManager}. */
  readonly serviceManager: ServiceManager | null;
  /** Undefined when nothing is served. */
  readonly http: HttpConfig | undefined;
  /** What `KEEL_HTTP_…` gives, whether or not this process serves anything itself. */
  readonly httpAccess: HttpAccess;
  /** Undefined when there are none. */
  readonly signals:
    | {
        readonly names: readonly string[];
        /** Null: they come from Kafka alone. */
        readonly webSocketUrl: string | null;
      }
    | undefined;
  /** `KEEL_KAFKA_…`, `KEEL_REDIS_…` */
  readonly distribution: DistributionOptions;
  /** Undefined when outcomes are not followed. */
  readonly outcomes:
    | { readonly dir: string; readonly partBytes: number; readonly totalBytes: number }
    | undefined;
  readonly timeouts: {
    readonly silenceMs: number;
    readonly connectMs: number;
    readonly requestMs: number;
    readonly shutdownMs: number;
    readonly handoverMs: number;
  };
  /** `KEEL_QUOTE_…` */
  readonly quote: QuoteParameters;
  /** `KEEL_SURFACE_…`; null with `KEEL_FAIR_VALUE=venue`. */
  readonly surface: SurfaceParameters | null;
  /** `KEEL_RISK_…`, and what `KEEL_RISK_FILE` says of them. */
  readonly risk: RiskLimits;
  /** `KEEL_POSITIONS_FILE`; undefined where there is none. */
  readonly openingPositions: readonly VenuePosition[] | undefined;
  readonly positionMismatch: MismatchRule;
  /** How often positions are held against the counterparty's during a session; 0 = never. */
  readonly positionCheckMs: number;
  /** `KEEL_HEDGE_…`; null when nothing is hedged. */
  readonly hedge: HedgeSettings | null;
  /** `KEEL_REGISTRY…`; undefined where there is none. */
  readonly registry: RegistrySettings | undefined;
  /** `KEEL_CHALLENGERS`, `KEEL_PROMOTE`, `KEEL_CHALLENGE_…`; null where no model runs beside the champion. */
  readonly challenge: ChallengeSettings | null;
  /** `KEEL_FEE_…` */
  readonly fees: FeeRates;
  readonly log: { readonly format: LogFormat; readonly level: LogLevel };
}

/** One thing wrong with the environment. */
export interface ConfigProblem {
  readonly name: string;
  /** As given; null when the variable is not set. */
  readonly found: string | null;
  readonly expected: string;
}

/** Everything that is wrong with the environment, at once. */
export class ConfigError extends KeelError {
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    const lines = problems.map(
      ({ name, found, expected }) =>
        `  ${name}: found ${found === null ? "nothing" : JSON.stringify(found)}, expected ${expected}`,
    );
    super("bad-configuration", `bad configuration\n${lines.join("\n")}`, EXIT.badConfiguration);
    this.problems = problems;
  }
}

/**
 * For verbs that trade or record.
 *
 * @throws ConfigError when nothing is subscribed to.
 */
export function requireFeeds(config: Config): void {
  if (config.feeds.length > 0) return;
  const expected =
    "venue:subscription,…, e.g. binance-usdm:BTCUSDT,deribit:BTC-PERPETUAL,deribit:options:BTC";
  throw new ConfigError([{ name: "KEEL_FEEDS", found: null, expected }]);
}

const PREFIX = "KEEL_";

/**
 * Reads the environment.
 *
 * An empty variable counts as not set. Other variables than keel's own are not looked at, but for systemd's
 * `STATE_DIRECTORY`, `CREDENTIALS_DIRECTORY`, `NOTIFY_SOCKET` and `WATCHDOG_…`.
 *
 * @throws ConfigError that lists every unknown `KEEL_…` name and every bad value.
 */
export function loadConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const problems = unknownNames(env);
  const values = readValues(env, problems);
  const httpTokens = readHttpTokens(env, problems);
  const alertToken = readSecret(env, "KEEL_ALERT_TOKEN_FILE", problems);
  const journalKey = readSecret(env, "KEEL_JOURNAL_KEY_FILE", problems, { lines: true });
  if (
    given(env, "KEEL_SIGNALS") !== undefined &&
    given(env, "KEEL_URL_SIGNAL") === undefined &&
    given(env, "KEEL_KAFKA_SIGNAL_TOPICS") === undefined &&
    given(env, "KEEL_FIX_HOST") === undefined
  ) {
    const expected = "a URL (or KEEL_KAFKA_SIGNAL_TOPICS, or KEEL_FIX_HOST), because KEEL_SIGNALS is set";
    problems.push({ name: "KEEL_URL_SIGNAL", found: null, expected });
  }
  if (values === undefined) throw new ConfigError(problems);
  const { http, httpAccess } = readHttp(env, values, httpTokens, problems);
  if (values.KEEL_SHARDS > 1 && values.KEEL_FEEDS?.some(isRelayedFeed) === true) {
    const expected = "1, because KEEL_FEEDS has relayed feeds, whose topic is taken on the quoting thread";
    problems.push({ name: "KEEL_SHARDS", found: String(values.KEEL_SHARDS), expected });
  }
  const stateDir = given(env, "KEEL_STATE_DIR") ?? systemdDirectory(env) ?? values.KEEL_STATE_DIR;
  const fix = readFix(env, values, stateDir, problems);
  const fixAccept = readFixAccept(env, values, stateDir, problems);
  const api = readApi(env, values, problems);
  const { gateway: deribit, feedKeys } = readDeribit(env, values, problems);
  const failover = readFailover(env, values, problems);
  const distribution = readDistribution(env, values, problems);
  const limits = parameterValues(RISK_LIMITS, values);
  const { KEEL_RISK_FILE: riskFile, KEEL_POSITIONS_FILE: positionsFile } = values;
  const risk = riskFile === undefined ? limits : readRiskFile(riskFile, limits, problems);
  const openingPositions =
    positionsFile === undefined ? undefined : readPositionsFile(positionsFile, values, problems);
  const challenge = parameterValues(CHALLENGE_PARAMETERS, values);
  const models = readRegistry(env, values, challenge, problems);
  const hedging = values.KEEL_HEDGE_INSTRUMENTS;
  const shedding = readShedding(values, parameterValues(LOAD_PARAMETERS, values), problems);
  const placement = readPlacement(values, problems);
  const serviceManager = readServiceManager(env, process.pid, problems);
  if (problems.length > 0) throw new ConfigError(problems);
  return {
    feeds: withLines(values.KEEL_FEEDS ?? [], values.KEEL_LINES),
    endpoints: venueEndpoints(values),
    shards: values.KEEL_SHARDS,
    reference: values.KEEL_REFERENCE,
    device: values.KEEL_DEVICE,
    engines: {
      gpu: {
        adapter: values.KEEL_GPU ?? null,
        vulkanDir: values.KEEL_VULKAN_DIR ?? null,
        keepAliveMs: values.KEEL_GPU_KEEP_ALIVE_MS,
      },
      tensorrt: {
        library: values.KEEL_TENSORRT_LIBRARY ?? null,
        device: values.KEEL_CUDA_DEVICE,
        precision: values.KEEL_TENSORRT_PRECISION,
        wait: values.KEEL_TENSORRT_WAIT,
        cacheDir: values.KEEL_TENSORRT_CACHE_DIR ?? join(stateDir, "tensorrt"),
      },
    },
    model: values.KEEL_MODEL,
    seed: values.KEEL_SEED,
    warmUpMs: values.KEEL_WARM_UP_MS,
    conflate: values.KEEL_CONFLATE,
    shedding,
    recalibrate:
      values.KEEL_RECALIBRATE === "off"
        ? null
        : values.KEEL_RECALIBRATE === "on"
          ? "platt"
          : values.KEEL_RECALIBRATE,
    trainCommand: wordsOf(values.KEEL_TRAIN_COMMAND),
    quantiseCommand: wordsOf(values.KEEL_QUANTISE_COMMAND),
    drift:
      values.KEEL_DRIFT === "off"
        ? null
        : { acts: values.KEEL_DRIFT === "act", parameters: parameterValues(DRIFT_PARAMETERS, values) },
    fix,
    ...{ deribit, feedKeys, fixAccept, api, failover },
    rfq:
      fixAccept === undefined && api === undefined && deribit?.blockRfqs !== true
        ? null
        : parameterValues(RFQ_PARAMETERS, values),
    journal:
      values.KEEL_JOURNAL_DIR === undefined
        ? undefined
        : { ...journalOf(values, values.KEEL_JOURNAL_DIR), signingKey: journalKey },
    outcomes:
      values.KEEL_OUTCOMES_DIR === undefined
        ? undefined
        : {
            dir: values.KEEL_OUTCOMES_DIR,
            partBytes: values.KEEL_OUTCOMES_PART_MB * 1_048_576,
            totalBytes: values.KEEL_OUTCOMES_MAX_MB * 1_048_576,
          },
    shm:
      values.KEEL_SHM === undefined
        ? undefined
        : { name: values.KEEL_SHM, ringCapacity: values.KEEL_SHM_RING },
    stateDir,
    alerts:
      values.KEEL_ALERT_URL === undefined
        ? undefined
        : {
            url: values.KEEL_ALERT_URL,
            token: alertToken,
            timeoutMs: values.KEEL_REQUEST_TIMEOUT_MS,
            repeatMs: values.KEEL_ALERT_REPEAT_SECONDS * 1_000,
          },
    placement,
    collectSeconds: values.KEEL_COLLECT_SECONDS,
    serviceManager,
    http,
    httpAccess,
    signals:
      values.KEEL_URL_SIGNAL === undefined &&
      (distribution.kafka?.signalTopics.length ?? 0) === 0 &&
      (fix === undefined || given(env, "KEEL_SIGNALS") === undefined)
        ? undefined
        : {
            names: values.KEEL_SIGNALS,
            webSocketUrl: values.KEEL_URL_SIGNAL?.replace(/^http/, "ws") ?? null,
          },
    distribution,
    timeouts: {
      silenceMs: values.KEEL_SILENCE_MS,
      connectMs: values.KEEL_CONNECT_TIMEOUT_MS,
      requestMs: values.KEEL_REQUEST_TIMEOUT_MS,
      shutdownMs: values.KEEL_SHUTDOWN_TIMEOUT_MS,
      handoverMs: values.KEEL_HANDOVER_WAIT_MS,
    },
    quote: parameterValues(QUOTE_PARAMETERS, values),
    surface: values.KEEL_FAIR_VALUE === "venue" ? null : parameterValues(SURFACE_PARAMETERS, values),
    risk,
    openingPositions,
    positionMismatch: values.KEEL_POSITION_MISMATCH,
    positionCheckMs: values.KEEL_POSITION_CHECK_SECONDS * 1_000,
    hedge:
      hedging === undefined
        ? null
        : { instruments: hedging, parameters: parameterValues(HEDGE_PARAMETERS, values) },
    ...models,
    fees: parameterValues(FEE_PARAMETERS, values),
    log: { format: values.KEEL_LOG, level: values.KEEL_LOG_LEVEL },
  };
}

/** No shell looks at a command: words are what stands between spaces. */
function wordsOf(command: string | undefined): string[] | null {
  return command === undefined ? null : command.split(/\s+/).filter((word) => word !== "");
}

function journalOf(values: NamedValues, dir: string): Omit<JournalConfig, "signingKey"> {
  const { KEEL_JOURNAL_MAX_GB: gibibytes, KEEL_JOURNAL_MAX_DAYS: days } = values;
  return {
    dir,
    segmentBytes: values.KEEL_JOURNAL_SEGMENT_MB * 1_048_576,
    checkpointMs: values.KEEL_JOURNAL_CHECKPOINT_MS,
    lost: values.KEEL_JOURNAL_LOST,
    retention: {
      bytes: gibibytes === undefined ? null : gibibytes * 1_073_741_824,
      ageMs: days === undefined ? null : days * 86_400_000,
    },
  };
}

function given(env: Readonly<Record<string, string | undefined>>, name: string): string | undefined {
  const text = env[name];
  return text === "" ? undefined : text;
}

/** systemd lists several directories with colons between them; the first is ours. */
function systemdDirectory(env: Readonly<Record<string, string | undefined>>): string | undefined {
  return given(env, "STATE_DIRECTORY")?.split(":")[0];
}

function unknownNames(env: Readonly<Record<string, string | undefined>>): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const known = Object.keys(VARIABLES);
  for (const name of Object.keys(env).sort()) {
    if (!name.startsWith(PREFIX) || name in VARIABLES) continue;
    const near = nearest(name, known);
    problems.push({
      name,
      found: env[name] ?? "",
      expected: near === undefined ? "a name from the table of variables" : `another name, perhaps ${near}`,
    });
  }
  return problems;
}

function readValues(
  env: Readonly<Record<string, string | undefined>>,
  problems: ConfigProblem[],
): (NamedValues & Readonly<Record<string, unknown>>) | undefined {
  const shape: Record<string, z.ZodType> = {};
  const texts: Record<string, string> = {};
  for (const [name, variable] of Object.entries(VARIABLES)) {
    shape[name] = variable.type.schema.optional();
    const text = given(env, name) ?? variable.default;
    if (text !== null) texts[name] = text;
  }
  const read = z.object(shape).safeParse(texts);
  if (read.success) return read.data as NamedValues & Readonly<Record<string, unknown>>;
  for (const issue of read.error.issues) {
    const name = String(issue.path[0]);
    problems.push({ name, found: texts[name] ?? null, expected: issue.message });
  }
  return undefined;
}

function venueEndpoints(values: Readonly<Record<string, unknown>>): Record<VenueName, ConfiguredEndpoint> {
  const endpoint = (venue: VenueName): ConfiguredEndpoint => {
    const url = values[urlVariable(venue)];
    if (typeof url !== "string") return { ...defaultEndpoint(venue), standIn: false };
    return { ...endpointAt(venue, url), standIn: true };
  };
  return Object.fromEntries(VENUES.map((venue) => [venue, endpoint(venue)])) as Record<
    VenueName,
    ConfiguredEndpoint
  >;
}

function parameterValues<Key extends string>(
  table: readonly ParameterDescription<Key>[],
  values: Readonly<Record<string, unknown>>,
): Readonly<Record<Key, number>> {
  return Object.fromEntries(table.map(({ key, variable }) => [key, values[variable]])) as Record<Key, number>;
}

function isRelayedFeed({ subscriptions }: VenueSubscriptions): boolean {
  return subscriptions.some(isRelayed);
}
