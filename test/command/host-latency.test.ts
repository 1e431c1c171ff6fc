import { describe, expect, test } from "bun:test";
import {
  clockSource,
  cpuList,
  defaultDevice,
  hostLatency,
  hugePages,
  idleFinding,
  isolation,
  nic,
  swap,
} from "../../src/command/doctor/host-latency.ts";
import { readNic } from "../../src/command/doctor/nic.ts";
import { loadConfig } from "../../src/config.ts";
import { EXIT } from "../../src/core/errors.ts";
import { PlacedLoop } from "../../src/core/placed-loop.ts";

const ALLOWED = [0, 1, 2, 3];
const SETTINGS = { gro: false, lro: false, adaptiveRx: false, rxDelayUs: 0 };

test("what the host does to latency is told whatever the host is", async () => {
  const found = await hostLatency.run({ config: loadConfig({}), env: {}, offline: true });
  expect(found.length).toBeGreaterThanOrEqual(5);
  for (const { status, detail } of found) expect([status === "fail", detail === ""]).toEqual([false, false]);
});

test("a list of processors is read as the kernel writes it", () => {
  expect(cpuList("0-2,5")).toEqual([0, 1, 2, 5]);
  expect(cpuList("")).toEqual([]);
});

describe("a pinned loop", () => {
  test.each([
    ["2-3", "2-3", 2, null, "ok"],
    ["2-3", "2-3", 2, 20, "ok"],
    ["2-3", "", 2, null, "warn"],
    ["", "", 2, null, "warn"],
    ["", "", null, null, "ok"],
    ["", "", null, 20, "warn"],
    ["2-3", "2-3", null, null, "warn"],
  ] as const)(
    "isolated %p, without tick %p, on %p at priority %p: %s",
    (isolated, tickless, cpu, priority, status) => {
      expect(isolation(isolated, tickless, { cpu, priority }, ALLOWED).status).toBe(status);
    },
  );

  test("on a processor that is not there is a failure, as it is of the start", () => {
    expect(isolation("", "", { cpu: 63, priority: null }, ALLOWED)).toMatchObject({
      status: "fail",
      detail: "KEEL_LOOP_CPU: found 63, expected one of the processors that keel may use: 0, 1, 2, 3",
    });
    const placement = { cpu: 1_023, priority: null, spin: false };
    expect(() => new PlacedLoop(placement)).toThrow(
      expect.objectContaining({ exitCode: EXIT.badConfiguration }),
    );
  });

  test("is told how to boot", () => {
    expect(isolation("", "", { cpu: 3, priority: null }, ALLOWED).advice).toBe(
      "boot with isolcpus=3 nohz_full=3 rcu_nocbs=3",
    );
  });
});

test.each([
  ["[always] madvise never", "warn"],
  ["always [madvise] never", "ok"],
  ["", "ok"],
] as const)("huge pages %p: %s", (enabled, status) => {
  expect(hugePages(enabled, "always [madvise] never").status).toBe(status);
});

test.each([
  ["tsc", "ok"],
  ["kvm-clock", "ok"],
  ["hpet", "warn"],
  ["", "warn"],
] as const)("clock source %p: %s", (source, status) => {
  expect(clockSource(source).status).toBe(status);
});

test("an idle state that takes long to leave is named", () => {
  const states = [
    { name: "C1", exitLatencyUs: 2, disabled: false },
    { name: "C6", exitLatencyUs: 133, disabled: false },
    { name: "C10", exitLatencyUs: 900, disabled: true },
  ];
  expect(idleFinding(states)).toMatchObject({ status: "warn", detail: "in use: C6 133 µs" });
  expect(idleFinding(states.slice(0, 1)).status).toBe("ok");
});

test("swap is counted", () => {
  expect(swap("Filename Type Size").status).toBe("ok");
  expect(swap("Filename Type Size\n/dev/sda2 partition 1\n").detail).toBe("1 in use");
});

test("the device of the default route is found", () => {
  expect(defaultDevice("Iface\tDestination\nlan0\t000200C0\neth1\t00000000\t01")).toBe("eth1");
  expect(defaultDevice("Iface\tDestination")).toBeNull();
});

describe("a network device", () => {
  test("that neither merges nor waits is good", () => {
    expect(nic("eth0", SETTINGS).map(({ status }) => status)).toEqual(["ok", "ok"]);
  });

  test("that merges or waits comes with the command that stops it", () => {
    const advice = nic("eth0", { gro: true, lro: false, adaptiveRx: false, rxDelayUs: 50 }).map(
      (found) => found.advice,
    );
    expect(advice).toEqual(["ethtool -K eth0 gro off lro off", "ethtool -C eth0 adaptive-rx off rx-usecs 0"]);
  });

  test("is read from the kernel where there is one, and is no fault where there is none", () => {
    expect(readNic("lo")).toMatchObject({ lro: false });
    expect(readNic("no-such-device")).toBeNull();
  });
});
