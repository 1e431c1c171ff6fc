import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join, normalize } from "node:path";

const root = join(import.meta.dir, "../..");
const rows = [...readFileSync(join(root, "docs/concepts.md"), "utf8").matchAll(/^\| (`[^|]+`) \|/gm)];
/** What stands in a row of the table of rooms, topmost first. */
const rooms = rows.map(([, row = ""]) => [...row.matchAll(/`([^`]+)`/g)].map(([, name]) => name));

/** Place of the room that a path below `src` is in; −1 where no row names it. */
function placeOf(path: string): number {
  const [first = ""] = path.split("/");
  return rooms.findIndex((names) => names.includes(path) || names.includes(`${first}/`));
}

test("the table of rooms names every folder of src, and every file beside them", () => {
  const entries = readdirSync(join(root, "src"), { withFileTypes: true })
    .map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name))
    .filter((name) => !name.endsWith(".d.ts"));
  expect(rooms.flat().toSorted()).toEqual(entries.toSorted());
});

test("a room imports from its own and from rooms above it only", () => {
  const files = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" });
  const wrong: string[] = [];
  for (const file of files.filter((name) => name.endsWith(".ts") && !name.endsWith(".d.ts"))) {
    const source = readFileSync(join(root, "src", file), "utf8");
    for (const [, path = ""] of source.matchAll(/(?:\bfrom|\bimport\(?)\s*"(\.[^"]+)"/g)) {
      const target = normalize(join(file, "..", path));
      if (target.startsWith("..")) continue;
      if (placeOf(target) < 0 || placeOf(target) > placeOf(file)) wrong.push(`${file} imports ${target}`);
    }
  }
  expect(wrong).toEqual([]);
});
