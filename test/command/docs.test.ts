import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import packageJson from "../../package.json";
import { VERBS } from "../../src/command/verbs.ts";
import { VARIABLES } from "../../src/config/variables.ts";
import { EXIT, EXIT_MEANINGS } from "../../src/core/errors.ts";

import { metricNames } from "../support/metric-names.ts";

const root = join(import.meta.dir, "../..");
const pages = ["README.md", ...readdirSync(join(root, "docs")).map((name) => `docs/${name}`)].filter((name) =>
  name.endsWith(".md"),
);
const read = (page: string) => readFileSync(join(root, page), "utf8");

/** What the headings of a page are linked to by, as GitHub makes it of their text. */
function headings(page: string): string[] {
  const text = read(page).replace(/^```[\s\S]*?^```/gm, "");
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading
      .replace(/\[([^\]]*)\]\([^)]*\)/g, "$1")
      .toLowerCase()
      .replace(/[^\w\- ]/g, "")
      .replaceAll(" ", "-"),
  );
}

test("the reference lists every exit code by its name and with its meaning", () => {
  const rows = [...read("docs/reference.md").matchAll(/^\| (\d+) \| `(\w+)` \| (.*) \|$/gm)].map(
    ([, code, name, meaning]) => ({ name, code: Number(code), meaning }),
  );
  const names = Object.keys(EXIT) as (keyof typeof EXIT)[];
  expect(rows).toEqual(names.map((name) => ({ name, code: EXIT[name], meaning: EXIT_MEANINGS[name] })));
});

test("the reference lists every verb and whether it reads the environment", async () => {
  const reference = read("docs/reference.md");
  for (const [verb, load] of Object.entries(VERBS)) {
    const reads = (await load()).environment ? "yes" : "no";
    expect([verb, reads, reference.includes(`| \`${verb}\` | ${reads} |`)]).toEqual([verb, reads, true]);
  }
});

const cHeader = readFileSync(join(root, "ffi/include/keel_shm.h"), "utf8");
const inHeader = (name: string) => new RegExp(`\\b${name}`).test(cHeader);

test("every page stands once in the list of pages", () => {
  const listed = [...read("docs/README.md").matchAll(/^- \[[^\]]+\]\(([\w-]+\.md)\)/gm)].map(
    ([, page]) => `docs/${page}`,
  );
  expect(listed.toSorted()).toEqual(pages.filter((page) => !page.endsWith("README.md")).toSorted());
});

test("every metric that is named exists", () => {
  const known = metricNames();
  const histograms = /_(bucket|sum|count)$/;
  for (const page of pages) {
    for (const [name] of read(page).matchAll(/\bkeel_[a-z_]+[a-z]\b(?!\.[ch]\b)/g)) {
      if (inHeader(name)) continue;
      expect([name, known.has(name) || known.has(name.replace(histograms, ""))]).toEqual([name, true]);
    }
  }
});

test("the README gives a reason for every dependency", () => {
  const readme = read("README.md");
  for (const name of Object.keys({ ...packageJson.dependencies, ...packageJson.devDependencies })) {
    expect([name, readme.includes(`\`${name}\``)]).toEqual([name, true]);
  }
});

describe.each(pages)("%s", (page) => {
  test("names only variables that exist", () => {
    const named = [...read(page).matchAll(/KEEL_[A-Z0-9_]*[A-Z0-9]/g)].map(([name]) => name);
    const prefixes = Object.keys(VARIABLES);
    const unknown = named.filter(
      (name) => !inHeader(name) && !prefixes.some((known) => known.startsWith(name)),
    );
    expect(unknown).toEqual([]);
  });

  test("links only to files and headings that exist", () => {
    for (const [, target = "", heading] of read(page).matchAll(/\]\(([^)#:]*)(?:#([^)]*))?\)/g)) {
      const path = target === "" ? page : join(dirname(page), target);
      expect([target, existsSync(resolve(root, path))]).toEqual([target, true]);
      if (heading !== undefined)
        expect([target, headings(path)]).toEqual([target, expect.arrayContaining([heading])]);
    }
  });

  test("names only files of this repository that exist", () => {
    const named = [
      ...read(page).matchAll(/(?<![\w/.-])(?:src|test|ffi|shaders|docs|models\/train)\/[\w./-]*\w/g),
    ];
    const missing = named.map(([path]) => path).filter((path) => !existsSync(join(root, path)));
    expect(missing.filter((path) => !path.includes("VENUE"))).toEqual([]);
  });
});
