import { readFileSync } from "node:fs";
import type { ConfigProblem } from "../config.ts";

/** Certificates (PEM) from the file that the variable `name` gives; what is wrong with it is added to the problems. */
export function readCertificates(
  name: string,
  path: string | undefined,
  problems: ConfigProblem[],
): string | undefined {
  if (path === undefined) return undefined;
  try {
    const text = readFileSync(path, "utf8");
    if (text.includes("-----BEGIN CERTIFICATE-----")) return text;
  } catch {
    // Reported below with the path.
  }
  problems.push({ name, found: path, expected: "a readable file of certificates (PEM)" });
  return undefined;
}
