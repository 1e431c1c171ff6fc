/** Brings the README's table of variables up to date: `bun run readme`. */
import { join } from "node:path";
import { variableTable } from "../../src/config/table.ts";

const path = join(import.meta.dir, "../../README.md");
const between = /(<!-- variables -->\n)[\s\S]*?(\n<!-- \/variables -->)/;
const text = await Bun.file(path).text();
await Bun.write(
  path,
  text.replace(between, (_, start: string, end: string) => start + variableTable() + end),
);
