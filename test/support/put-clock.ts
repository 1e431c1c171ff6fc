import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Stands before the host's own and adds what a file says to the time of day, and to no other clock. */
const LIBRARY = `
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static long shift(void) {
  char text[32] = {0};
  char *path = getenv("CLOCK_SHIFT_FILE");
  int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (file < 0) return 0;
  if (read(file, text, sizeof text - 1) < 0) text[0] = 0;
  close(file);
  return atol(text);
}
int clock_gettime(clockid_t clock, struct timespec *time) {
  int answer = syscall(SYS_clock_gettime, clock, time);
  if (answer == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) time->tv_sec += shift();
  return answer;
}
int gettimeofday(struct timeval *time, void *zone) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  time->tv_sec = now.tv_sec;
  time->tv_usec = now.tv_nsec / 1000;
  return 0;
}
time_t time(time_t *into) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (into) *into = now.tv_sec;
  return now.tv_sec;
}
`;

/** Why no process's clock can be put here; null when it can. */
export const CLOCK_FIXED: string | null =
  process.platform !== "linux"
    ? "a process's clock is put on Linux alone"
    : Bun.which("cc") === null
      ? "a process's clock is put by a library that needs a C compiler"
      : null;

let library = "";

/** The library, made once a run. */
function made(): string {
  if (library !== "") return library;
  const folder = mkdtempSync(join(tmpdir(), "keel-put-clock-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  const [source, target] = [join(folder, "put.c"), join(folder, "put.so")];
  writeFileSync(source, LIBRARY);
  const { exitCode, stderr } = Bun.spawnSync(["cc", "-shared", "-fPIC", "-O1", "-o", target, source]);
  if (exitCode !== 0) throw new Error(stderr.toString());
  library = target;
  return target;
}

/** The wall clock of processes that were started with its environment; their monotonic one stays the host's. */
export class PutClock {
  readonly #file: string;

  /** @param folder that outlives the processes */
  constructor(folder: string) {
    mkdirSync(folder, { recursive: true });
    this.#file = join(folder, "clock-shift");
    this.put(0);
  }

  get environment(): Record<string, string> {
    return { LD_PRELOAD: made(), CLOCK_SHIFT_FILE: this.#file };
  }

  /** Puts it that far off the host's, as a step of the host's would. */
  put(seconds: number): void {
    writeFileSync(this.#file, String(seconds));
  }
}
