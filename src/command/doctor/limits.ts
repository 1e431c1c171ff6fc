import { readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import type { Config } from "../../config.ts";
import { dealFeeds, spreadFeeds } from "../../shard/assignment.ts";
import { type Check, type Finding, findings } from "./check.ts";

const { ok, warn, fail } = findings("limit");

const NOFILE_NEEDED = 256;
const NOFILE_WANTED = 4_096;
const MEMORY_NEEDED_BYTES = 256 << 20;
const MEMORY_WANTED_BYTES = 1 << 30;

/** Limits of the process and of the host that bound what keel can do. */
export const limits: Check = {
  area: "limit",
  async run({ config }) {
    const found: Finding[] = [nofile(await text("/proc/self/limits"))];
    found.push(memory(await text("/proc/meminfo"), await text("/sys/fs/cgroup/memory.max")));
    found.push(cores(availableParallelism()));
    if (config.shards > 1) found.push(threads(config, availableParallelism()));
    const governor = (await text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")).trim();
    if (governor !== "") {
      found.push(
        governor === "performance"
          ? ok("cpu governor", governor)
          : warn(
              "cpu governor",
              governor,
              "set it to performance: cores that slow down when idle lengthen the tail",
            ),
      );
    }
    return found;
  },
};

async function text(path: string): Promise<string> {
  return readFile(path, "utf8").catch(() => "");
}

/** @param proc contents of `/proc/self/limits` */
export function nofile(proc: string): Finding {
  const match = /^Max open files\s+(\d+|unlimited)\s+(\d+|unlimited)/m.exec(proc);
  if (match === null) return warn("nofile", "unknown: /proc/self/limits cannot be read", "mount /proc");
  const soft = match[1] === "unlimited" ? Number.POSITIVE_INFINITY : Number(match[1]);
  const detail = `soft ${match[1]}, hard ${match[2]}`;
  const advice = `raise it to ${NOFILE_WANTED} (systemd: LimitNOFILE=${NOFILE_WANTED})`;
  if (soft < NOFILE_NEEDED) return fail("nofile", detail, advice);
  return soft < NOFILE_WANTED ? warn("nofile", detail, advice) : ok("nofile", detail);
}

/**
 * @param meminfo contents of `/proc/meminfo`
 * @param cgroupMax contents of `memory.max` of control groups v2, empty when there is none
 */
export function memory(meminfo: string, cgroupMax: string): Finding {
  const kibibytes = /^MemAvailable:\s+(\d+) kB/m.exec(meminfo)?.[1];
  if (kibibytes === undefined) return warn("memory", "unknown: /proc/meminfo cannot be read", "mount /proc");
  const limit = /^\d+$/.test(cgroupMax.trim()) ? Number(cgroupMax) : Number.POSITIVE_INFINITY;
  const bytes = Math.min(Number(kibibytes) * 1_024, limit);
  const detail = `${(bytes / 2 ** 30).toFixed(1)} GiB available`;
  const advice = "keel wants 1 GiB";
  if (bytes < MEMORY_NEEDED_BYTES) return fail("memory", detail, advice);
  return bytes < MEMORY_WANTED_BYTES ? warn("memory", detail, advice) : ok("memory", detail);
}

function cores(count: number): Finding {
  return count >= 2
    ? ok("cores", String(count))
    : warn("cores", "1", "give keel two: one for the loop, one for the journal");
}

/** Whether the threads that `KEEL_SHARDS` asks for can be put to use, and have processors. @param processors of the host */
export function threads({ feeds, shards }: Pick<Config, "feeds" | "shards">, processors: number): Finding {
  const begun = dealFeeds(spreadFeeds(feeds, shards), shards).length;
  const detail = `${shards} for feeds, ${begun} of them with something to do, on ${processors} processors`;
  const fitting = Math.max(1, Math.min(begun, processors - 2));
  if (begun + 2 > processors)
    return warn(
      "KEEL_SHARDS",
      detail,
      `set it to ${fitting}: each thread wants a processor, and so do the loop and the journal`,
    );
  if (begun < shards)
    return warn("KEEL_SHARDS", detail, `set it to ${begun}: what a venue tells of one coin is not split`);
  return ok("KEEL_SHARDS", detail);
}
