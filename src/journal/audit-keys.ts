import type { SignatureChecker } from "../core/signature.ts";
import type { FoundCheckpoint } from "./reader.ts";
import type { RetiredLine } from "./retention.ts";

/** Whose signatures a journal's folder has to bear. */
export class TrustedKeys {
  /** No signature is looked at. */
  readonly isUnchecked: boolean;
  readonly #byId: ReadonlyMap<string, SignatureChecker>;
  readonly #signedFrom: string;

  /** @param signedFrom runs whose ids sort before it may be unsigned; null: none may */
  constructor(keys: readonly SignatureChecker[] | null, signedFrom: string | null) {
    this.isUnchecked = keys === null;
    this.#byId = new Map(keys?.map((key) => [key.keyId, key]));
    this.#signedFrom = signedFrom ?? "";
  }

  /** The run is from before there was a key, and bears no signature: it is held by the first signed one behind it alone. */
  mayLack(runId: string, signature: string): boolean {
    return signature === "" && runId < this.#signedFrom;
  }

  /**
   * In words what is wrong with a checkpoint's signature; null when nothing is.
   *
   * @param runKey the key that signed the run's first good checkpoint: a process has one; null where there is none
   */
  problemOf(
    { body: { key }, signed, signature }: FoundCheckpoint,
    it: string,
    runKey: string | null,
  ): string | null {
    if (this.isUnchecked) return null;
    if (key === null) return `${it} is not signed`;
    const expected = runKey ?? [...this.#byId.keys()].join(" or ");
    const checker = this.#byId.get(key);
    if (checker === undefined || key !== (runKey ?? key))
      return `${it} is signed by key ${key}, expected ${expected}`;
    return checker.matches(signed, signature) ? null : `the signature of ${it} is none of the key`;
  }

  /** Whether one of the keys signed the line, or none had to. Lines do not tell which. */
  hasSigned({ entry: { runId }, signed, signature }: RetiredLine): boolean {
    if (this.isUnchecked || this.mayLack(runId, signature)) return true;
    return signature !== "" && [...this.#byId.values()].some((key) => key.matches(signed, signature));
  }
}
