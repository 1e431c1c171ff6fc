import type { Examination } from "./examine.ts";
import type { ListedModel } from "./list.ts";

/** The list of models as a table for people. */
export function listLines(models: readonly ListedModel[]): string[] {
  const rows = models.map((model) => [
    model.name,
    model.version ?? "–",
    model.heads.length === 0 ? "–" : String(model.heads.length),
    shownBytes(model.onnxBytes),
    shownBytes(model.slotBytes),
    shownOk(model.schemaOk),
    shownOk(model.digestOk),
    model.engines.join(" ") || "–",
    model.source,
  ]);
  const head = ["name", "version", "heads", "size", "per slot", "schema", "digest", "engines", "source"];
  const lines = table([head, ...rows]);
  for (const { name, refused } of models) if (refused !== null) lines.push(`${name}: ${refused}`);
  return lines;
}

/** An examination for people: what it is, what was checked, what each engine did. */
export function examinationLines(found: Examination): string[] {
  const { window } = found;
  const heads = found.heads.length === 0 ? [] : [["heads", found.heads.join(" ")]];
  const states =
    window !== null
      ? [
          [
            "window",
            `the last ${window.length} events as ${window.layout}, ${shownBytes(found.slotBytes)} a slot`,
          ],
        ]
      : found.states.length === 0
        ? []
        : [
            [
              "states",
              `${found.states.map(({ name, shape }) => `${name} [${shape.join(",")}]`).join(" ")}, ${shownBytes(found.slotBytes)} a slot`,
            ],
          ];
  const operators = found.operators.map(
    ({ operator, count, cpu }) => `${operator} ×${count}${cpu ? "" : " (not on cpu)"}`,
  );
  const lines = [
    `${found.name}${found.version === null ? "" : ` ${found.version}`} (${found.source}), ${shownBytes(found.onnxBytes)}${found.card ? "" : ", no card"}`,
    ...table([
      ...found.checks.map(({ check, ok, detail }) => [check, `${ok ? "ok   " : "FAIL "} ${detail}`]),
      ...(found.opset === null ? [] : [["opset", String(found.opset)]]),
      ...found.inputs.map((value) => ["input", value]),
      ...found.outputs.map((value) => ["output", value]),
      ...heads,
      ...states,
      ...(operators.length === 0 ? [] : [["operators", operators.join(", ")]]),
    ]),
  ];
  if (found.engines.length > 0) {
    lines.push(
      "",
      ...table(
        found.engines.map(({ engine, isa, verdict, difference, memoryBytes, detail }) => [
          isa === null ? engine : `${engine} (${isa})`,
          verdict,
          [
            ...(difference === null ? [] : [`differs by at most ${difference.toExponential(1)}`]),
            ...(memoryBytes === null ? [] : [shownBytes(memoryBytes)]),
            ...(detail === "" ? [] : [detail]),
          ].join(", "),
        ]),
      ),
    );
  }
  lines.push("", found.refused === null ? "may be used on this host" : `refused: ${found.refused}`);
  return lines;
}

const shownOk = (ok: boolean | null): string => (ok === null ? "–" : ok ? "ok" : "not ok");

function shownBytes(bytes: number): string {
  if (bytes < 1_000) return `${bytes} B`;
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

function table(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, cell.length);
  }
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}
