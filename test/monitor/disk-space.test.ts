import { expect, test } from "bun:test";
import { tmpdir } from "node:os";
import { DiskSpace } from "../../src/monitor/disk-space.ts";

test("says what is free in a folder, and of one that is not there that it is not known", async () => {
  const disk = new DiskSpace(
    new Map([
      ["state", tmpdir()],
      ["journal", "/nowhere/at/all"],
    ]),
    () => 0,
  );
  expect([...disk.free()].map(([, bytes]) => bytes)).toEqual([Number.NaN, Number.NaN]);
  await disk.refresh();
  const [state, journal] = [...disk.free()];
  expect(state?.[0]).toBe("state");
  expect(state?.[1]).toBeGreaterThan(0);
  expect(journal).toEqual(["journal", Number.NaN]);
});

test("a mount that hangs is asked once, its answer becomes unknown, and the others are asked on", async () => {
  let nowNs = 0;
  const asked: string[] = [];
  const hung = Promise.withResolvers<number>();
  let isHanging = false;
  const disk = new DiskSpace(
    new Map([
      ["state", "/mount"],
      ["journal", "/disk"],
    ]),
    () => nowNs,
    (path) => {
      asked.push(path);
      return isHanging && path === "/mount" ? hung.promise : Promise.resolve(asked.length);
    },
  );
  await disk.refresh();
  isHanging = true;
  asked.length = 0;
  for (let turn = 1; turn <= 10; turn += 1) {
    nowNs = turn * 10e9;
    void disk.refresh();
    await Bun.sleep(0);
  }
  expect(asked.filter((path) => path === "/mount")).toHaveLength(1);
  expect(asked.filter((path) => path === "/disk")).toHaveLength(10);
  expect([...disk.free()]).toEqual([
    ["state", Number.NaN],
    ["journal", 11],
  ]);
  hung.resolve(7);
  await Bun.sleep(0);
  expect([...disk.free()][0]).toEqual(["state", 7]);
});
