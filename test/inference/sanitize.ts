/**
 * Runs the native step kernels under AddressSanitizer and UndefinedBehaviorSanitizer: `bun test/inference/sanitize.ts`.
 * Exit code 0 also where the compiler has no sanitizers, which is said.
 *
 * @module
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compileSanitized } from "../../ffi/compile.ts";
import { compileStep } from "../../src/inference/cpu/compile.ts";
import { WORDS } from "../../src/inference/cpu/program.ts";
import type { StepModel } from "../../src/inference/step-model.ts";
import { quantisedModel } from "./quantised-model.ts";
import { ringModel } from "./ring-model.ts";
import { testModel } from "./test-model.ts";

const MAX_BATCH = 11;
const SLOTS = 13;

/** The file that `ffi/sanitize_main.c` reads: eleven sizes, the program, the constants, the moves. */
function encode(model: StepModel): Uint8Array {
  const { program, probabilitiesAt, slotFloats, moves } = compileStep(model, { shiftInPlace: true });
  const words = program.encode();
  const constants = new Float32Array(program.constantFloats);
  program.writeConstants(constants);
  const { card } = model;
  const sizes = Int32Array.of(
    ...[words.length / WORDS, program.arenaFloats, card.featureCount, card.heads.length, probabilitiesAt],
    ...[slotFloats, SLOTS, MAX_BATCH, moves.length, 0, program.constantFloats],
  );
  const parts = [sizes, words, constants, Int32Array.from(moves.flat())];
  return Buffer.concat(
    parts.map(({ buffer, byteOffset, byteLength }) => Buffer.from(buffer, byteOffset, byteLength)),
  );
}

const folder = mkdtempSync(join(tmpdir(), "keel-sanitize-"));
try {
  const program = join(folder, "sanitize");
  let compiled = true;
  await compileSanitized(program, "sanitize_main.c").catch((error: Error) => {
    if (!/option.*-fsanitize|cannot find.*(asan|ubsan)|no C compiler/.test(error.message)) throw error;
    console.warn(`native kernels not run under sanitizers: ${error.message}`);
    compiled = false;
  });
  if (compiled) {
    const odd = [1, 3, 16, 17, 65];
    const models = [
      ringModel(),
      ...odd.map((hidden) =>
        testModel({ featureCount: hidden + 2, hidden, heads: 1 + (hidden % 7), seed: 1 }),
      ),
      ...odd.map((hidden) => quantisedModel({ featureCount: hidden + 1, hidden, heads: 2, seed: 1 })),
    ];
    const files = models.map((_, index) => join(folder, `${index}.program`));
    for (const [index, model] of models.entries()) await Bun.write(files[index], encode(model));
    const child = Bun.spawn([program, ...files], { stdout: "inherit", stderr: "inherit" });
    process.exitCode = await child.exited;
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
