/**
 * Runs native books and features under AddressSanitizer and UndefinedBehaviorSanitizer: `bun test/feature/sanitize.ts [EVENTS [SEED]]`,
 * default 200,000 and 1. Exit code 0 also where the compiler has no sanitizers, which is said.
 *
 * @module
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compileSanitized } from "../../ffi/compile.ts";

const [events = "200000", seed = "1"] = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), "keel-sanitize-"));
try {
  const program = join(folder, "sanitize");
  let compiled = true;
  await compileSanitized(program, "sanitize_features.c").catch((error: Error) => {
    if (!/option.*-fsanitize|cannot find.*(asan|ubsan)|no C compiler/.test(error.message)) throw error;
    console.warn(`native features not run under sanitizers: ${error.message}`);
    compiled = false;
  });
  if (compiled) {
    const child = Bun.spawn([program, events, seed], { stdout: "inherit", stderr: "inherit" });
    process.exitCode = await child.exited;
  }
} finally {
  rmSync(folder, { recursive: true });
}
