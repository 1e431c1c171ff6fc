import { expect, test } from "bun:test";
import { join } from "node:path";
import { allowedCpus, threadIds } from "../../src/core/threads.ts";

const PLACED = join(import.meta.dir, "../../src/core/placed-loop.ts");
const THREADS = join(import.meta.dir, "../../src/core/threads.ts");
const cpus = allowedCpus(process.pid);

/** Runs in a process of its own: its loop is moved about. */
async function placed(placement: object, then = ""): Promise<string> {
  const program = `
    import { PlacedLoop } from ${JSON.stringify(PLACED)};
    import { allowedCpus, threadIds } from ${JSON.stringify(THREADS)};
    const worker = new Worker(URL.createObjectURL(new Blob(["setInterval(() => {}, 1000); postMessage(1)"])));
    await new Promise((resolve) => { worker.onmessage = resolve; });
    try {
      const loop = new PlacedLoop(${JSON.stringify(placement)});
      ${then}
      const others = threadIds().filter((id) => id !== process.pid).map(allowedCpus);
      console.log(JSON.stringify({ loop: allowedCpus(process.pid), others }));
    } catch (error) {
      console.log(error.message);
    }
    process.exit(0);`;
  const child = Bun.spawn([process.execPath, "-e", program], { stdout: "pipe", stderr: "inherit" });
  return (await child.stdout.text()).trim();
}

test("the process has threads beside the loop's, whose number is its own", () => {
  expect(threadIds()).toContain(process.pid);
  expect(threadIds().length).toBeGreaterThan(1);
});

test.skipIf(cpus.length < 2)("the loop has its processor and every other thread the others", async () => {
  const cpu = cpus.at(-1) ?? 0;
  const { loop, others } = JSON.parse(await placed({ cpu, priority: null, spin: false }));
  expect(loop).toEqual([cpu]);
  expect(others.length).toBeGreaterThan(0);
  for (const allowed of others) expect(allowed).toEqual(cpus.filter((other) => other !== cpu));
});

test.skipIf(cpus.length < 2)("given up, its processor is everybody's again", async () => {
  const { loop, others } = JSON.parse(
    await placed({ cpu: cpus.at(-1) ?? 0, priority: null, spin: true }, "loop.stop();"),
  );
  for (const allowed of [loop, ...others]) expect(allowed).toEqual(cpus);
});

test("a processor that is not there is refused with those that are", async () => {
  expect(await placed({ cpu: 1_000, priority: null, spin: false })).toBe(
    `KEEL_LOOP_CPU: found 1000, expected one of the processors that keel may use: ${cpus.join(", ")}`,
  );
});
