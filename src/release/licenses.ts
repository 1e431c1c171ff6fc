import type { BundledPackage } from "./packages.ts";
import { BUN_HOMEPAGE, BUN_LICENSE, LINKED_IN_BUN } from "./runtime.ts";

const RULE = "=".repeat(80);

/** The licences of everything in the executable that others wrote: what the runtime links, then each package with its own texts. */
export function licenseText(packages: readonly BundledPackage[], bunVersion: string): string {
  const linked = LINKED_IN_BUN.map(
    ({ name, license, homepage }) => `  ${name}: ${license ?? "several, see its source"}, ${homepage}`,
  );
  return [
    "keel holds the following software of others.",
    RULE,
    `bun ${bunVersion}, ${BUN_LICENSE}, ${BUN_HOMEPAGE}`,
    "",
    "The runtime. It links these libraries statically; how to link it anew with changes to those under the LGPL is told at",
    "https://bun.com/docs/project/license.",
    "",
    ...linked,
    ...packages.flatMap(section),
    "",
  ].join("\n");
}

function section({ name, version, license, homepage, texts }: BundledPackage): string[] {
  const head = [
    RULE,
    [`${name} ${version}`, license ?? "no licence stated", homepage ?? ""].filter(Boolean).join(", "),
  ];
  if (texts.length === 0) return [...head, "", "Its package holds no text of the licence; its source does."];
  return [...head, ...texts.flatMap(({ file, text }) => ["", `--- ${file}`, "", text.trim()])];
}
