import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import packageJson from "../../package.json";
import { VERBS } from "../../src/command/verbs.ts";
import { VARIABLES } from "../../src/config/variables.ts";
import { EXIT } from "../../src/core/errors.ts";

const root = join(import.meta.dir, "../..");
const pages = ["README.md", ...readdirSync(join(root, "docs")).map((name) => `docs/${name}`)].filter((name) =>
  name.endsWith(".md"),
);
const read = (page: string) => readFileSync(join(root, page), "utf8");

test("the reference lists every exit code by its name", () => {
  const rows = [...read("docs/reference.md").matchAll(/^\| (\d+) \| `(\w+)` \|/gm)].map((row) => [
    row[2],
    Number(row[1]),
  ]);
  expect(Object.fromEntries(rows)).toEqual({ ...EXIT });
});

test("the reference lists every verb", () => {
  const reference = read("docs/reference.md");
  for (const verb of Object.keys(VERBS)) expect(reference).toContain(`| \`${verb}\` |`);
});

test("the README gives a reason for every dependency", () => {
  const readme = read("README.md");
  for (const name of Object.keys({ ...packageJson.dependencies, ...packageJson.devDependencies })) {
    expect(readme).toContain(`\`${name}\``);
  }
});

describe.each(pages)("%s", (page) => {
  test("names only variables that exist", () => {
    const named = [...read(page).matchAll(/KEEL_[A-Z0-9_]*[A-Z0-9]/g)].map(([name]) => name);
    const prefixes = Object.keys(VARIABLES);
    for (const name of named) expect(prefixes.some((known) => known.startsWith(name))).toBe(true);
  });

  test("links only to files that exist", () => {
    const targets = [...read(page).matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map((match) => match[1] ?? "");
    for (const target of targets)
      expect([target, existsSync(resolve(root, dirname(page), target))]).toEqual([target, true]);
  });
});
