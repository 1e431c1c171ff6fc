import { describe, expect, test } from "bun:test";
import { manPage } from "../../src/command/print/man.ts";
import { VERBS } from "../../src/command/verbs.ts";
import { VARIABLES } from "../../src/config/variables.ts";

describe("the manual page", async () => {
  const commands = await Promise.all(Object.values(VERBS).map((load) => load()));
  const page = manPage({ version: "1.2.3", date: "2026-01-31", commands });

  test("names every verb and every variable", () => {
    const rendered = page.replaceAll("\\-", "-");
    expect(Object.keys(VERBS).filter((verb) => !rendered.includes(`.SS "keel ${verb}`))).toEqual([]);
    expect(Object.keys(VARIABLES).filter((name) => !rendered.includes(`.B ${name}\n`))).toEqual([]);
  });

  const groff = Bun.which("groff");
  if (groff === null) console.warn("skipped: groff is not installed");
  test.skipIf(groff === null)("is set without a warning", () => {
    const { exitCode, stderr } = Bun.spawnSync([groff ?? "", "-man", "-Tutf8", "-ww"], {
      stdin: Buffer.from(page),
    });
    expect([exitCode, stderr.toString()]).toEqual([0, ""]);
  });
});
