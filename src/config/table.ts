import { VARIABLES } from "./variables.ts";

/** The table of variables as it stands in README.md, in Markdown. A test compares the two. */
export function variableTable(): string {
  const rows = Object.entries(VARIABLES).map(([name, variable]) => [
    `\`${name}\``,
    variable.type.label.replaceAll("|", "\\|"),
    variable.default === null ? "" : `\`${variable.default}\``,
    variable.unit ?? "",
    variable.description.replaceAll("|", "\\|"),
  ]);
  return ["Variable | Value | Default | Unit | Meaning", "--- | --- | --- | --- | ---"]
    .concat(rows.map((row) => row.join(" | ")))
    .map((row) => `| ${row} |`)
    .join("\n");
}
