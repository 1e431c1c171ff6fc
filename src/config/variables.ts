import { LOG_FORMATS, LOG_LEVELS } from "../core/log.ts";
import {
  KAFKA_ACKS,
  KAFKA_COMPRESSIONS,
  PUBLICATIONS,
  SASL_MECHANISMS,
  SIGNAL_STARTS,
} from "../distribution/options.ts";
import { SIGNALS } from "../feature/schema.ts";
import { HEDGE_PARAMETERS } from "../hedge/parameters.ts";
import { DEFAULT_MODEL, DEFAULT_STAND_INS } from "../inference/builtin.ts";
import { DEVICES } from "../inference/engine.ts";
import { TENSORRT_PRECISIONS, TENSORRT_WAITS } from "../inference/settings.ts";
import { CHALLENGE_PARAMETERS } from "../learn/challenge/policy.ts";
import { DRIFT_PARAMETERS } from "../learn/drift/parameters.ts";
import { VENUES, type VenueName } from "../market/instrument.ts";
import { SURFACE_PARAMETERS } from "../option/surface/parameters.ts";
import { FEE_PARAMETERS } from "../position/fees.ts";
import { QUOTE_PARAMETERS } from "../quote/parameters.ts";
import { RFQ_PARAMETERS } from "../rfq/parameters.ts";
import { RISK_LIMITS } from "../risk/limits.ts";
import { LOAD_PARAMETERS } from "../risk/load-parameters.ts";
import { MISMATCH_RULES } from "../risk/reconciliation.ts";
import { CLIENT_VARIABLES } from "./client-variables.ts";
import { DERIBIT_VARIABLES } from "./deribit-variables.ts";
import {
  brokerList,
  publicationList,
  redisUrl,
  topicList,
  topicName,
  topicPrefix,
} from "./distribution-types.ts";
import { FAILOVER_VARIABLES } from "./failover-variables.ts";
import { fixSchedule, fixValidation } from "./fix-types.ts";
import { REGISTRY_VARIABLES } from "./registry-variables.ts";
import {
  endpointUrl,
  feedList,
  flag,
  hedgeList,
  httpAddress,
  integerIn,
  numberIn,
  oneOf,
  path,
  phrase,
  powerOfTwo,
  secretFile,
  sharedMemoryName,
  signalList,
  webUrl,
  word,
} from "./types.ts";
import { type Variable, variable } from "./variable.ts";

export type { Variable };

/** `binance-usdm` → `KEEL_URL_BINANCE_USDM`. */
export function urlVariable(venue: VenueName): string {
  return `KEEL_URL_${venue.toUpperCase().replaceAll("-", "_")}`;
}

/** What is done about drift. */
export const DRIFT_MODES = ["off", "watch", "act"] as const;

/** The last thing that is done about load beyond capacity. */
export const SHED_LIMITS = ["off", "conflate", "widen", "pull"] as const;

/** Threads that feeds may be spread over. */
const SHARDS_MAX = 16;

/** One per venue. */
const VENUE_URLS: Readonly<Record<string, Variable<string>>> = Object.fromEntries(
  VENUES.map((venue) => [
    urlVariable(venue),
    variable(endpointUrl, null, `Serves ${venue} instead of the venue itself, for WebSocket and REST`),
  ]),
);

/** Variables that are read one by one by name. */
const NAMED = {
  KEEL_FEEDS: variable(
    feedList,
    null,
    "What to subscribe to, e.g. `binance-usdm:BTCUSDT,deribit:BTC-PERPETUAL,deribit:options:BTC`",
  ),
  KEEL_LINES: variable(
    integerIn(1, 4),
    "1",
    "Connections to each venue, made one feed: the first arrival of an event counts, and a dead one is not noticed",
  ),
  KEEL_SHARDS: variable(
    integerIn(1, SHARDS_MAX),
    "1",
    "Threads over which the venues' connections, decoding, books and features are spread; 1: all on the quoting thread",
  ),
  KEEL_REFERENCE: variable(
    oneOf("first", "next"),
    "first",
    "Book that leads an underlying: the first of `KEEL_FEEDS` only, or the next live one while that is lost",
  ),
  KEEL_DEVICE: variable(
    oneOf(...DEVICES),
    "auto",
    "Engine that runs the model; `auto` takes the one on which the model is fastest here, `gpu` the faster of wgsl and webgpu, any other is used or refused",
  ),
  KEEL_MODEL: variable(
    path,
    null,
    `Built-in model by name, the folder of one (\`model.onnx\` and \`card.json\`), or \`registry:\` and a version or alias; default \`${DEFAULT_MODEL}\`, or ${DEFAULT_STAND_INS.map((name) => `\`${name}\``).join(", ")} where that is much faster`,
  ),
  KEEL_RECALIBRATE: variable(
    flag,
    "off",
    "Fit the model's probabilities to what comes of them, instrument by instrument; see docs/models.md",
  ),
  KEEL_DRIFT: variable(
    oneOf(...DRIFT_MODES),
    "off",
    "Hold the model's input and what comes of its predictions against its training rows: tell alone, or widen and fall back too; see docs/learning.md",
  ),
  KEEL_TRAIN_COMMAND: variable(
    phrase("a program and its arguments"),
    null,
    "Program with which `keel retrain` trains, given `--dataset DIR --out DIR --scratch DIR --seed N`, e.g. `/opt/keel/.venv/bin/python /opt/keel/models/train/train.py`; without it logistic regression",
  ),
  KEEL_QUANTISE_COMMAND: variable(
    phrase("a program and its arguments"),
    null,
    "Program with which `keel retrain` makes 8 bits of the model, given `--model DIR` besides; without it the model stays as trained",
  ),
  KEEL_GPU: variable(
    phrase("part of an adapter's name, its number, software, or a power preference"),
    null,
    "GPU of the wgsl and webgpu engines; without it the first that is hardware. `keel version` lists them",
  ),
  KEEL_GPU_KEEP_ALIVE_MS: variable(
    integerIn(0, 60_000),
    "10",
    "How long a GPU may idle before it is touched with an empty pass, so that it keeps its clocks; 0 = never",
    "ms",
  ),
  KEEL_VULKAN_DIR: variable(
    path,
    null,
    "Folder with a Vulkan driver (ICD file and library) that is used instead of the host's",
  ),
  KEEL_CUDA_DEVICE: variable(integerIn(0, 255), "0", "CUDA's number of the tensorrt engine's GPU"),
  KEEL_TENSORRT_PRECISION: variable(
    oneOf(...TENSORRT_PRECISIONS),
    "model",
    "What TensorRT computes in: as the model states, products in half precision, or refusing a model that is not quantised",
  ),
  KEEL_TENSORRT_WAIT: variable(
    oneOf(...TENSORRT_WAITS),
    "spin",
    "How the loop waits for TensorRT: with its core busy, or asleep",
  ),
  KEEL_TENSORRT_CACHE_DIR: variable(
    path,
    null,
    "Plans that TensorRT has built; default `tensorrt` in the state directory",
  ),
  KEEL_TENSORRT_LIBRARY: variable(path, null, "TensorRT shim that is used instead of the one inside keel"),
  KEEL_FAIR_VALUE: variable(
    oneOf("surface", "venue"),
    "surface",
    "Volatility that options are valued at: of a surface fitted to their books (the venue's own where that has none), or the venue's own",
  ),
  KEEL_SEED: variable(
    integerIn(0, 4_294_967_295),
    "1",
    "Seed of all randomness: back-off jitter, simulation",
  ),
  KEEL_WARM_UP_MS: variable(
    integerIn(0, 60_000),
    "500",
    "Time for which the line is run on simulated data before the first real frame, so that its code is compiled by then",
    "ms",
  ),
  KEEL_CONFLATE: variable(
    flag,
    "on",
    "Decides quotes once for all frames that came in together, of which only the last could have left; off: for each frame",
  ),
  KEEL_SHED: variable(
    oneOf(...SHED_LIMITS),
    "pull",
    "How far the desk goes when more comes in than it can take: conflate, then widen, then pull; off: nothing is shed",
  ),
  KEEL_LOOP_CPU: variable(
    integerIn(0, 1_023),
    null,
    "Processor that the event loop has to itself: it is pinned there and every other thread kept off it",
  ),
  KEEL_LOOP_PRIORITY: variable(
    integerIn(1, 99),
    null,
    "Real-time priority (SCHED_FIFO) of the event loop; wants a processor of its own",
  ),
  KEEL_FIX_HOST: variable(
    word("host name or address"),
    null,
    "FIX counterparty; without it quotes go to a paper counterparty on this host",
  ),
  KEEL_FIX_PORT: variable(integerIn(1, 65_535), "9878", "Its TCP port"),
  KEEL_FIX_VERSION: variable(oneOf("FIX.4.2", "FIX.4.4"), "FIX.4.4", "Protocol version"),
  KEEL_FIX_SENDER_COMP_ID: variable(word("FIX identifier"), "KEEL", "Our SenderCompID (49)"),
  KEEL_FIX_TARGET_COMP_ID: variable(
    word("FIX identifier"),
    "COUNTERPARTY",
    "The counterparty's, our TargetCompID (56)",
  ),
  KEEL_FIX_USERNAME: variable(word("text without spaces"), null, "Username (553) of the logon"),
  KEEL_FIX_PASSWORD_FILE: variable(secretFile, null, "File with the Password (554) of the logon"),
  KEEL_FIX_HEARTBEAT_SECONDS: variable(integerIn(1, 3_600), "30", "HeartBtInt (108)", "s"),
  KEEL_FIX_RESET_ON_LOGON: variable(flag, "off", "Start both sequences at 1 with every logon (141=Y)"),
  KEEL_FIX_STORE_DIR: variable(
    path,
    null,
    "Sequence numbers and sent messages; default `fix` in the state directory",
  ),
  KEEL_FIX_LOGON_TIMEOUT_MS: variable(
    integerIn(100, 120_000),
    "10000",
    "Wait for the answer to a logon",
    "ms",
  ),
  KEEL_FIX_NEXT_EXPECTED: variable(
    flag,
    "off",
    "Exchange NextExpectedMsgSeqNum (789) at the logon in place of resend requests; FIX.4.4 only",
  ),
  KEEL_FIX_SCHEDULE: variable(
    fixSchedule,
    "always",
    "When the session is logged on, e.g. `08:00-17:30 mon-fri Europe/London` or `sun 17:00-fri 16:00 America/New_York`; each time both sequences start at 1",
  ),
  KEEL_FIX_VALIDATION: variable(
    fixValidation,
    "off",
    "What is checked of the fields of received messages; `all` or some of `required`, `values`, `unknown`, `user-defined`, `groups`, `order`",
  ),
  KEEL_FIX_SENDING_TIME_TOLERANCE_MS: variable(
    integerIn(1, 86_400_000),
    "120000",
    "SendingTime (52) of received messages may be this far from the clock, either way",
    "ms",
  ),
  KEEL_FIX_MAX_MESSAGE_KB: variable(
    integerIn(4, 1_024),
    "64",
    "Longer messages are garbled, in both directions",
    "KiB",
  ),
  KEEL_FIX_MAX_MESSAGES_PER_SECOND: variable(
    integerIn(10, 1_000_000),
    "50000",
    "A counterparty that sends more is logged out",
  ),
  KEEL_FIX_MESSAGE_LOG_DIR: variable(
    path,
    null,
    "Every message as a readable line, without secrets; without it there is no such log",
  ),
  KEEL_FIX_TLS: variable(flag, "off", "TLS to the counterparty, whose certificate is verified"),
  KEEL_FIX_TLS_CA_FILE: variable(
    path,
    null,
    "Certificates (PEM) that vouch for the counterparty's; default: those that Bun knows",
  ),
  KEEL_FIX_TLS_SERVER_NAME: variable(
    word("host name"),
    null,
    "Name in the counterparty's certificate; default KEEL_FIX_HOST",
  ),
  KEEL_FIX_TLS_CERT_FILE: variable(path, null, "Our certificate (PEM), for a counterparty that asks for one"),
  KEEL_FIX_TLS_KEY_FILE: variable(secretFile, null, "Its private key (PEM)"),
  ...DERIBIT_VARIABLES,
  ...CLIENT_VARIABLES,
  ...REGISTRY_VARIABLES,
  ...FAILOVER_VARIABLES,
  KEEL_SHM: variable(
    sharedMemoryName,
    null,
    "Shared memory under `/dev/shm` in which predictions and quotes are published for processes on this host; without it none",
  ),
  KEEL_SHM_RING: variable(
    powerOfTwo(1_024, 1_048_576),
    "65536",
    "Updates that a reader of the shared memory may lag behind before it loses some",
  ),
  KEEL_JOURNAL_DIR: variable(path, null, "Folder of the journal; without it nothing is journalled"),
  KEEL_OUTCOMES_DIR: variable(
    path,
    null,
    "Folder for what came of predictions, quotes and fills; without it nothing is followed. See docs/learning.md",
  ),
  KEEL_OUTCOMES_PART_MB: variable(
    integerIn(1, 4_096),
    "64",
    "Size at which the next file of outcomes begins",
    "MiB",
  ),
  KEEL_OUTCOMES_MAX_MB: variable(
    integerIn(2, 1_048_576),
    "4096",
    "Size of all files of outcomes in the folder; the oldest go",
    "MiB",
  ),
  KEEL_JOURNAL_SEGMENT_MB: variable(
    integerIn(1, 4_096),
    "256",
    "Size at which the journal starts a new file",
    "MiB",
  ),
  KEEL_JOURNAL_KEY_FILE: variable(
    secretFile,
    null,
    "Ed25519 private key (PEM) that signs the journal's checkpoints; without it they are not signed",
  ),
  KEEL_JOURNAL_LOST: variable(
    oneOf("quote", "reduce"),
    "quote",
    "What the desk does when records are lost: quote on, or only what reduces a position until `POST /reset`",
  ),
  KEEL_JOURNAL_CHECKPOINT_MS: variable(
    integerIn(100, 3_600_000),
    "5000",
    "How often the journal swears to what it wrote",
    "ms",
  ),
  KEEL_JOURNAL_MAX_GB: variable(
    numberIn({ min: 0.01, max: 1_000_000 }),
    null,
    "Size of the journal's folder; beyond it the oldest files go, and the chain says so",
    "GiB",
  ),
  KEEL_JOURNAL_MAX_DAYS: variable(
    numberIn({ min: 0.01, max: 36_500 }),
    null,
    "Age at which the journal's files go",
    "days",
  ),
  KEEL_RISK_FILE: variable(
    path,
    null,
    "JSON file with risk limits by name, which go before those of the environment; read again on SIGHUP",
  ),
  KEEL_POSITIONS_FILE: variable(
    path,
    null,
    "JSON file with opening positions, which go before those kept in the state directory",
  ),
  KEEL_POSITION_MISMATCH: variable(
    oneOf(...MISMATCH_RULES),
    "adopt",
    "What is done when a counterparty that can be asked holds other positions than the desk's books: take them over, or quote nothing until an operator has them taken over",
  ),
  KEEL_HEDGE_INSTRUMENTS: variable(
    hedgeList,
    null,
    "Perpetuals or futures with which the delta of their underlyings is hedged, e.g. `deribit:BTC-PERPETUAL`; without it nothing is hedged",
  ),
  KEEL_STATE_DIR: variable(
    path,
    ".keel",
    "Kill switch, books and sequence numbers; systemd's STATE_DIRECTORY goes before the default",
  ),
  KEEL_HTTP: variable(
    httpAddress,
    "off",
    "Where the dashboard, `/metrics`, `/healthz`, `/readyz` and the kill switch are served",
  ),
  KEEL_HTTP_TOKEN_FILE: variable(
    secretFile,
    null,
    "File with the bearer token that every HTTP POST then needs, and every action from the dashboard",
  ),
  KEEL_HTTP_VIEW_TOKEN_FILE: variable(
    secretFile,
    null,
    "File with a token that lets look on and nothing else; with it nothing but `/healthz` and `/readyz` is shown without a token",
  ),
  KEEL_HTTP_TLS_CERT_FILE: variable(path, null, "Our certificate (PEM) for HTTP; without it plain TCP"),
  KEEL_HTTP_TLS_KEY_FILE: variable(secretFile, null, "Its private key (PEM)"),
  KEEL_HTTP_TLS_CLIENT_CA_FILE: variable(
    path,
    null,
    "Certificates (PEM) that vouch for HTTP clients; with it every client must present one, and may look on",
  ),
  KEEL_ALERT_URL: variable(
    webUrl,
    null,
    "Where alerts are posted: a receiver of Alertmanager's webhook, or an Alertmanager (`…/api/v2/alerts`); without it they go to the log and to `/alerts`",
  ),
  KEEL_ALERT_TOKEN_FILE: variable(secretFile, null, "File with the bearer token that the receiver needs"),
  KEEL_ALERT_REPEAT_SECONDS: variable(
    integerIn(1, 86_400),
    "60",
    "How often an alert that still fires is told again",
    "s",
  ),
  KEEL_SIGNALS: variable(
    signalList,
    SIGNALS.join(","),
    "Names under which the signal features come, in their order; with KEEL_FIX_HOST they may come as News (35=B)",
  ),
  KEEL_URL_SIGNAL: variable(
    endpointUrl,
    null,
    "WebSocket server of external signals; they may also come from Kafka or as FIX News",
  ),
  KEEL_KAFKA_BROKERS: variable(
    brokerList,
    null,
    "Kafka brokers that are asked first; without them Kafka is not used",
  ),
  KEEL_KAFKA_CLIENT_ID: variable(
    word("text without spaces"),
    "keel",
    "Our name in the brokers' logs and quotas",
  ),
  KEEL_KAFKA_TOPIC_PREFIX: variable(
    topicPrefix,
    "keel.",
    "Goes before the names in KEEL_KAFKA_PUBLISH to make their topics",
  ),
  KEEL_KAFKA_PUBLISH: variable(
    publicationList,
    PUBLICATIONS.filter((name) => name !== "feed").join(","),
    "What is published, keyed by `venue:symbol` (predictions by coin), as JSON; `feed` is all that another keel needs to take this one for the venue",
  ),
  KEEL_KAFKA_SNAPSHOT_MS: variable(
    integerIn(100, 600_000),
    "2000",
    "How often `feed` tells an instrument's whole book: the longest that a late or interrupted reader waits for it",
  ),
  KEEL_KAFKA_FEED_TOPIC: variable(
    topicName,
    "keel.feed",
    "Topic that feeds named `relay:` in KEEL_FEEDS are taken from, e.g. `binance-usdm:relay:BTCUSDT`",
  ),
  KEEL_KAFKA_ACKS: variable(
    oneOf(...KAFKA_ACKS),
    "leader",
    "Who must have a message before it counts as sent",
  ),
  KEEL_KAFKA_COMPRESSION: variable(oneOf(...KAFKA_COMPRESSIONS), "zstd", "Compression of the requests"),
  KEEL_KAFKA_BACKLOG: variable(
    integerIn(1_000, 1_000_000),
    "50000",
    "Messages that may wait for slow or absent brokers; beyond it the oldest are lost, and from 1000 on a later state of the same thing takes the earlier one's place",
  ),
  KEEL_KAFKA_SIGNAL_TOPICS: variable(
    topicList,
    null,
    "Topics that external signals come from, in the form of KEEL_URL_SIGNAL's messages",
  ),
  KEEL_KAFKA_SIGNAL_START: variable(
    oneOf(...SIGNAL_STARTS),
    "latest",
    "Where reading these topics begins; `earliest` fits compacted ones",
  ),
  KEEL_KAFKA_TLS: variable(flag, "off", "TLS to the brokers, whose certificates are verified"),
  KEEL_KAFKA_TLS_CA_FILE: variable(
    path,
    null,
    "Certificates (PEM) that vouch for the brokers'; default: those that Bun knows",
  ),
  KEEL_KAFKA_TLS_CERT_FILE: variable(path, null, "Our certificate (PEM), for brokers that ask for one"),
  KEEL_KAFKA_TLS_KEY_FILE: variable(secretFile, null, "Its private key (PEM)"),
  KEEL_KAFKA_SASL_MECHANISM: variable(
    oneOf(...SASL_MECHANISMS),
    "SCRAM-SHA-512",
    "How we log on to the brokers",
  ),
  KEEL_KAFKA_SASL_USERNAME: variable(
    word("text without spaces"),
    null,
    "Our user name there; without it no log-on",
  ),
  KEEL_KAFKA_SASL_PASSWORD_FILE: variable(secretFile, null, "File with its password"),
  KEEL_REDIS_URL: variable(
    redisUrl,
    null,
    "Redis that the latest features are mirrored to, e.g. `redis://localhost:6379/0`, `rediss` for TLS; without it they are not",
  ),
  KEEL_REDIS_USERNAME: variable(word("text without spaces"), null, "Our user name there"),
  KEEL_REDIS_PASSWORD_FILE: variable(secretFile, null, "File with the password"),
  KEEL_REDIS_TLS_CA_FILE: variable(
    path,
    null,
    "Certificates (PEM) that vouch for Redis's; default: those that Bun knows",
  ),
  KEEL_REDIS_PREFIX: variable(word("text without spaces"), "keel:", "Goes before the keys"),
  KEEL_REDIS_TTL_MS: variable(
    integerIn(100, 86_400_000),
    "10000",
    "Time after which features that are not renewed vanish",
    "ms",
  ),
  KEEL_REDIS_INTERVAL_MS: variable(
    integerIn(1, 60_000),
    "100",
    "How often an underlying's features are written at most",
    "ms",
  ),
  KEEL_SILENCE_MS: variable(
    integerIn(100, 600_000),
    "5000",
    "A connection without data for this long is stale",
    "ms",
  ),
  KEEL_CONNECT_TIMEOUT_MS: variable(integerIn(100, 120_000), "10000", "Wait for a connection to open", "ms"),
  KEEL_REQUEST_TIMEOUT_MS: variable(
    integerIn(100, 120_000),
    "10000",
    "Wait for the answer to a REST request",
    "ms",
  ),
  KEEL_SHUTDOWN_TIMEOUT_MS: variable(
    integerIn(100, 120_000),
    "5000",
    "Wait for cancels and the logout at the end",
    "ms",
  ),
  KEEL_LOG: variable(oneOf(...LOG_FORMATS), "text", "Form of the log on stderr"),
  KEEL_LOG_LEVEL: variable(oneOf(...LOG_LEVELS), "info", "Least severe level that is logged"),
} as const;

/** Quoting parameters, risk limits, hedging, fees, drift and load shedding: numbers whose table stands in their own room. */
const PARAMETERS: Readonly<Record<string, Variable<number>>> = Object.fromEntries(
  [
    ...QUOTE_PARAMETERS,
    ...SURFACE_PARAMETERS,
    ...RISK_LIMITS,
    ...RFQ_PARAMETERS,
    ...HEDGE_PARAMETERS,
    ...FEE_PARAMETERS,
    ...CHALLENGE_PARAMETERS,
    ...DRIFT_PARAMETERS,
    ...LOAD_PARAMETERS,
  ].map((parameter) => [
    parameter.variable,
    variable(
      numberIn({ min: parameter.minimum, max: parameter.maximum, integer: parameter.integer }),
      String(parameter.default),
      parameter.description.replace(/\.$/, ""),
      parameter.unit === "1" ? undefined : parameter.unit,
    ),
  ]),
);

type Named = typeof NAMED;

/** What {@link VARIABLES} read to, by name: the type's value, undefined where there is neither a value nor a default. */
export type NamedValues = {
  readonly [K in keyof Named]: Named[K] extends Variable<infer T>
    ? Named[K] extends { readonly default: string }
      ? T
      : T | undefined
    : never;
};

/** Every environment variable keel knows, in the order of the README's table. */
export const VARIABLES: Readonly<Record<string, Variable>> = {
  ...NAMED,
  ...VENUE_URLS,
  ...PARAMETERS,
};
