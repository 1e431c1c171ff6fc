import { existsSync, readdirSync, readFileSync } from "node:fs";
import type { LoopPlacement } from "../../core/placed-loop.ts";
import { allowedCpus } from "../../core/threads.ts";
import { type Check, type Finding, findings } from "./check.ts";
import { type NicSettings, readNic } from "./nic.ts";

const { ok, warn, fail } = findings("latency");

const CPU = "/sys/devices/system/cpu";
/** An idle state that takes longer to leave shows in the tail, µs. */
const EXIT_LATENCY_US_MAX = 10;

/** What the host does that lengthens the tail: power, memory, clock source, interrupts, network card. */
export const hostLatency: Check = {
  area: "latency",
  async run({ config }) {
    const found = [
      isolation(
        text(`${CPU}/isolated`),
        text(`${CPU}/nohz_full`),
        config.placement,
        allowedCpus(process.pid),
      ),
      hugePages(
        text("/sys/kernel/mm/transparent_hugepage/enabled"),
        text("/sys/kernel/mm/transparent_hugepage/defrag"),
      ),
      clockSource(text("/sys/devices/system/clocksource/clocksource0/current_clocksource")),
      idleStates(),
      swap(text("/proc/swaps")),
    ];
    const smt = text(`${CPU}/smt/active`);
    if (smt === "1") {
      found.push(
        warn(
          "smt",
          "on: two threads share a core",
          "turn it off, or leave the loop's sibling idle (isolcpus)",
        ),
      );
    } else if (smt === "0") found.push(ok("smt", "off"));
    const device = defaultDevice(text("/proc/net/route"));
    if (device !== null) found.push(...nic(device, readNic(device)));
    found.push(ptp());
    return found;
  },
};

function text(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return "";
  }
}

/**
 * @param isolated processors that the scheduler leaves alone (`isolcpus=`), as a list such as `2-3`
 * @param tickless those without a periodic tick (`nohz_full=`)
 * @param placement the loop's processor and real-time priority; null when none is chosen
 * @param allowed processors that this process may use
 */
export function isolation(
  isolated: string,
  tickless: string,
  { cpu: loopCpu, priority }: Pick<LoopPlacement, "cpu" | "priority">,
  allowed: readonly number[],
): Finding {
  const kept = cpuList(isolated);
  if (loopCpu === null && priority !== null) {
    return warn(
      "loop",
      "real-time (KEEL_LOOP_PRIORITY) and not pinned: it can keep a thread of its own that it waits for from running",
      "set KEEL_LOOP_CPU",
    );
  }
  if (loopCpu === null) {
    return kept.length === 0
      ? ok("loop", "not pinned (KEEL_LOOP_CPU), no processor is isolated")
      : warn("loop", `not pinned while ${isolated} are isolated`, "set KEEL_LOOP_CPU to one of them");
  }
  if (!allowed.includes(loopCpu)) {
    return fail(
      "loop",
      `KEEL_LOOP_CPU: found ${loopCpu}, expected one of the processors that keel may use: ${allowed.join(", ")}`,
      "choose one of them; `keel run` does not start",
    );
  }
  const detail = `pinned to ${loopCpu}; isolated: ${isolated || "none"}; without tick: ${tickless || "none"}`;
  if (!kept.includes(loopCpu)) {
    return warn("loop", detail, `boot with isolcpus=${loopCpu} nohz_full=${loopCpu} rcu_nocbs=${loopCpu}`);
  }
  return cpuList(tickless).includes(loopCpu)
    ? ok("loop", detail)
    : warn("loop", detail, `boot with nohz_full=${loopCpu} rcu_nocbs=${loopCpu}, too`);
}

/** `0-1,4` → 0, 1, 4. */
export function cpuList(list: string): number[] {
  return list
    .split(",")
    .filter((range) => /^\d+(-\d+)?$/.test(range))
    .flatMap((range) => {
      const [first = 0, last = first] = range.split("-").map(Number);
      return Array.from({ length: Math.max(last - first + 1, 0) }, (_, at) => first + at);
    });
}

/** @param enabled such as `always [madvise] never` */
export function hugePages(enabled: string, defrag: string): Finding {
  const chosen = /\[(\w+)\]/.exec(enabled)?.[1];
  if (chosen === undefined) return ok("huge pages", "the kernel has no transparent ones");
  const detail = `${chosen}, defrag ${/\[([\w+]+)\]/.exec(defrag)?.[1] ?? "unknown"}`;
  return chosen === "always"
    ? warn(
        "huge pages",
        detail,
        "write madvise to /sys/kernel/mm/transparent_hugepage/enabled: compaction stops threads for milliseconds",
      )
    : ok("huge pages", detail);
}

export function clockSource(current: string): Finding {
  if (current === "") return warn("clock source", "unknown: /sys cannot be read", "mount /sys");
  return /^(tsc|kvm-clock|hyperv_clocksource_tsc_page|arch_sys_counter)$/.test(current)
    ? ok("clock source", current)
    : warn(
        "clock source",
        `${current}: every reading of the clock is a system call`,
        "boot with clocksource=tsc",
      );
}

function idleStates(): Finding {
  const folder = `${CPU}/cpu0/cpuidle`;
  if (!existsSync(folder)) return ok("idle states", "none that the kernel chooses among");
  const states = readdirSync(folder).map((state) => ({
    name: text(`${folder}/${state}/name`),
    exitLatencyUs: Number(text(`${folder}/${state}/latency`)),
    disabled: text(`${folder}/${state}/disable`) === "1",
  }));
  return idleFinding(states);
}

export function idleFinding(
  states: readonly { readonly name: string; readonly exitLatencyUs: number; readonly disabled: boolean }[],
): Finding {
  const deep = states.filter(
    ({ disabled, exitLatencyUs }) => !disabled && exitLatencyUs > EXIT_LATENCY_US_MAX,
  );
  if (deep.length === 0) return ok("idle states", "none that takes long to leave");
  const named = deep.map(({ name, exitLatencyUs }) => `${name} ${exitLatencyUs} µs`).join(", ");
  return warn(
    "idle states",
    `in use: ${named}`,
    "use the tuned profile network-latency, or boot with processor.max_cstate=1",
  );
}

/** @param swaps contents of `/proc/swaps` */
export function swap(swaps: string): Finding {
  const devices = swaps
    .split("\n")
    .slice(1)
    .filter((line) => line !== "").length;
  return devices === 0
    ? ok("swap", "none")
    : warn(
        "swap",
        `${devices} in use`,
        "turn it off, or set MemorySwapMax=0 in the unit (keel print unit does)",
      );
}

/** The network device of the default route, null where there is none. @param routes contents of `/proc/net/route` */
export function defaultDevice(routes: string): string | null {
  for (const line of routes.split("\n").slice(1)) {
    const [device, destination] = line.split("\t");
    if (destination === "00000000") return device ?? null;
  }
  return null;
}

/** @param settings null where the device does not tell */
export function nic(device: string, settings: NicSettings | null): Finding[] {
  if (settings === null) return [ok(device, "tells nothing of its offloads")];
  const found: Finding[] = [];
  const { gro, lro, adaptiveRx, rxDelayUs } = settings;
  const merging = [gro ? "GRO" : "", lro ? "LRO" : ""].filter((name) => name !== "").join(" and ");
  found.push(
    merging === ""
      ? ok(`${device} merging`, "off")
      : warn(
          `${device} merging`,
          `${merging} on: frames wait to be merged`,
          `ethtool -K ${device} gro off lro off`,
        ),
  );
  if (adaptiveRx === null || rxDelayUs === null) return found;
  found.push(
    !adaptiveRx && rxDelayUs === 0
      ? ok(`${device} interrupts`, "at once")
      : warn(
          `${device} interrupts`,
          adaptiveRx ? "put off adaptively" : `put off by ${rxDelayUs} µs`,
          `ethtool -C ${device} adaptive-rx off rx-usecs 0`,
        ),
  );
  return found;
}

function ptp(): Finding {
  const clocks = existsSync("/dev/ptp0");
  return ok("ptp", clocks ? "the host has a hardware clock (/dev/ptp0)" : "the host has no hardware clock");
}
