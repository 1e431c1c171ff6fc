/**
 * The units with which systemd runs keel: systemd.service(5), systemd.exec(5), systemd.resource-control(5), systemd.timer(5).
 *
 * @module
 */
import { posix } from "node:path";
import { secretFile } from "../../config/types.ts";
import { VARIABLES } from "../../config/variables.ts";
import { EXIT } from "../../core/errors.ts";
import type { Environment } from "../command.ts";

export const UNITS = [
  "keel.service",
  "keel-retrain.service",
  "keel-retrain.timer",
  "keel-retrain.path",
] as const;
/** For `keel.service.d`. */
export const HANDOVER_DROP_IN = "handover.conf";
export type UnitName = (typeof UNITS)[number] | typeof HANDOVER_DROP_IN;
export const UNIT_NAMES: readonly UnitName[] = [...UNITS, HANDOVER_DROP_IN];

export interface UnitOptions {
  /** Absolute path of the executable. */
  readonly binary: string;
  /** What keel is going to be configured by; secrets become credentials, folders become writable. */
  readonly env: Environment;
  /** The host's graphics devices stay within reach. */
  readonly gpu: boolean;
}

/** The text of a unit. */
export function unit(name: UnitName, options: UnitOptions): string {
  switch (name) {
    case "keel.service":
      return service(options);
    case "keel-retrain.service":
      return retrainService(options);
    case "keel-retrain.timer":
      return RETRAIN_TIMER;
    case "keel-retrain.path":
      return RETRAIN_PATH;
    case HANDOVER_DROP_IN:
      return handover(options);
  }
}

function service({ binary, env, gpu }: UnitOptions): string {
  return `[Unit]
Description=keel, quotes crypto options
After=network-online.target time-sync.target
Wants=network-online.target
StartLimitIntervalSec=300
StartLimitBurst=5

[Service]
Type=notify
NotifyAccess=main
ExecStart=${binary} run
ExecReload=/bin/kill -HUP $MAINPID
EnvironmentFile=/etc/keel.env
Environment=KEEL_LOG=json KEEL_JOURNAL_DIR=%S/keel/journal
${credentials(env)}
${socketFolder(env)}# The loop feeds it: a loop that hangs is killed, and the counterparties' cancel on disconnect pulls the quotes.
WatchdogSec=10
TimeoutStartSec=180
TimeoutStopSec=15
KillMode=mixed
Restart=on-failure
RestartSec=2
# A bad configuration and a refused model need a person.
RestartPreventExitStatus=${EXIT.badConfiguration} ${EXIT.modelRefused}

CPUWeight=1000
IOSchedulingClass=best-effort
IOSchedulingPriority=2
OOMScoreAdjust=-500
# During a handover it holds two desks, with what their journals have in the page cache.
MemoryHigh=2G
MemoryMax=3G
MemorySwapMax=0
TasksMax=512
LimitNOFILE=65536
LimitCORE=0
# Lets KEEL_LOOP_PRIORITY be up to 50.
LimitRTPRIO=50

${folders(env)}
${hardening(gpu)}

[Install]
WantedBy=multi-user.target
`;
}

/**
 * The new process belongs to the service from its start, for a reload's processes do; the one that gives way tells systemd by
 * `MAINPID=` that it is the main one now, which `NotifyAccess=main` lets nobody else do.
 */
function handover({ binary }: UnitOptions): string {
  return `[Service]
# systemctl reload keel: the executable that is installed now takes the running one's place.
# The risk limits alone are read anew by: systemctl kill --kill-whom=main --signal=HUP keel
ExecReload=
ExecReload=${binary} run --handover --detach
`;
}

function retrainService({ binary, env, gpu }: UnitOptions): string {
  return `[Unit]
Description=keel, trains a candidate model on what was recorded

[Service]
Type=oneshot
ExecStart=${binary} retrain
EnvironmentFile=/etc/keel.env
Environment=KEEL_LOG=json KEEL_JOURNAL_DIR=%S/keel/journal
${credentials(env)}
TimeoutStartSec=6h

# What the desk leaves over, and nothing else.
Nice=19
CPUSchedulingPolicy=idle
IOSchedulingClass=idle
OOMScoreAdjust=500
MemoryMax=8G
MemorySwapMax=0

${folders(env)}
${hardening(gpu)}
`;
}

const RETRAIN_TIMER = `[Unit]
Description=keel, trains a candidate model every night

[Timer]
OnCalendar=*-*-* 03:00:00 UTC
RandomizedDelaySec=10min
Persistent=true

[Install]
WantedBy=timers.target
`;

/** The job takes the request away, so that it is answered once. */
const RETRAIN_PATH = `[Unit]
Description=keel, trains a candidate model when a desk asks for it

[Path]
PathExists=%S/keel/retrain-request.json
Unit=keel-retrain.service

[Install]
WantedBy=multi-user.target
`;

/** `KEEL_FIX_PASSWORD_FILE` → `fix_password`, under which keel looks for it in the credentials directory. */
function credentials(env: Environment): string {
  const secrets = Object.entries(VARIABLES)
    .filter(([name, { type }]) => type === secretFile && (env[name] ?? "") !== "")
    .map(([name]) => ({
      name,
      path: env[name] ?? "",
      id: name.slice("KEEL_".length, -"_FILE".length).toLowerCase(),
    }));
  if (secrets.length === 0) return "# LoadCredential=fix_password:/etc/keel/fix_password";
  const loads = secrets.map(({ id, path }) => `LoadCredential=${id}:${path}`);
  const names = secrets.map(({ name }) => name).join(" ");
  return [...loads, `UnsetEnvironment=${names}`].join("\n");
}

/** Variables that name a folder which keel writes to. */
const WRITTEN = [
  "KEEL_STATE_DIR",
  "KEEL_JOURNAL_DIR",
  "KEEL_FIX_STORE_DIR",
  "KEEL_FIX_MESSAGE_LOG_DIR",
  "KEEL_OUTCOMES_DIR",
  "KEEL_REGISTRY",
  "KEEL_TENSORRT_CACHE_DIR",
] as const satisfies readonly (keyof typeof VARIABLES)[];

/** The folder of `StateDirectory=`, and where `DynamicUser=` keeps it. */
const STATE_DIRECTORIES = ["/var/lib/keel", "/var/lib/private/keel"];

/**
 * Under `DynamicUser=` all but the state folder is read-only. What lies below that one is the service's already, and must not be named:
 * before the first start it is not there, and a path of `ReadWritePaths=` that is not there ends the start.
 */
function folders(env: Environment): string {
  const written = new Set(
    WRITTEN.map((name) => posix.normalize(env[name] ?? "")).filter(
      (path) =>
        path.startsWith("/") && !STATE_DIRECTORIES.some((state) => `${path}/`.startsWith(`${state}/`)),
    ),
  );
  const paths = [...written].map((path) => `\nReadWritePaths=${path}`).join("");
  return `DynamicUser=yes
User=keel
StateDirectory=keel
StateDirectoryMode=0700
UMask=0077${paths}`;
}

/** The socket of `KEEL_HTTP=unix:/run/NAME/…`: systemd makes the folder below `/run` and takes it away; any other one has to be there. */
function socketFolder(env: Environment): string {
  const [, folder = ""] = /^unix:(\/.+)\/[^/]+$/.exec(env.KEEL_HTTP ?? "") ?? [];
  const [, ownFolder] = /^\/run\/(.+)$/.exec(folder) ?? [];
  if (ownFolder !== undefined) return `RuntimeDirectory=${ownFolder}\n`;
  return folder === "" ? "" : `ReadWritePaths=${folder}\n`;
}

/**
 * The JavaScript engine compiles at run time, so memory stays writable and executable. `ProtectClock=` would take away the call that
 * tells how well the clock is kept; without capabilities nothing can set it.
 */
function hardening(gpu: boolean): string {
  const devices = gpu
    ? "DevicePolicy=closed\nDeviceAllow=char-drm rw\nDeviceAllow=char-nvidia-frontend rw\nDeviceAllow=char-nvidia-uvm rw"
    : "PrivateDevices=yes";
  return `${devices}
CapabilityBoundingSet=
AmbientCapabilities=
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateUsers=yes
ProtectProc=invisible
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectHostname=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictSUIDSGID=yes
LockPersonality=yes
RemoveIPC=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service adjtimex
SystemCallErrorNumber=EPERM`;
}
