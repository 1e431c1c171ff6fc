import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { ConfigProblem } from "../config.ts";
import { Secret } from "../core/secret.ts";

const MAX_SECRET_BYTES = 16_384;

/**
 * Reads the secret that a `KEEL_…_FILE` variable points at. Without the variable it is taken from systemd's credentials
 * directory, where it is called like the variable in lower case without prefix and suffix: `fix_password`.
 *
 * A secret is one line unless the `form` says that it has several, as a key in PEM does. One line feed at the end does not belong to the secret. What is wrong is added to `problems`, without the secret.
 */
export function readSecret(
  env: Readonly<Record<string, string | undefined>>,
  name: `KEEL_${string}_FILE`,
  problems: ConfigProblem[],
  form: { readonly lines: boolean } = { lines: false },
): Secret | undefined {
  const configured = env[name] ?? "";
  const credentials = env.CREDENTIALS_DIRECTORY ?? "";
  const credential = join(credentials, name.slice("KEEL_".length, -"_FILE".length).toLowerCase());
  const path =
    configured !== "" ? configured : credentials !== "" && isFile(credential) ? credential : undefined;
  if (path === undefined) return undefined;
  try {
    if (!isFile(path) || statSync(path).size > MAX_SECRET_BYTES) throw new Error();
    const text = readFileSync(path, "utf8").replace(/\r?\n$/, "");
    if (text !== "" && (form.lines || !text.includes("\n"))) return new Secret(text);
  } catch {
    // Reported below: why a file is no secret must not show what it holds.
  }
  problems.push({
    name,
    found: path,
    expected: `a readable file ${form.lines ? "" : "with one line "}of at most ${MAX_SECRET_BYTES} bytes`,
  });
  return undefined;
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}
