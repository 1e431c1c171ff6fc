import { z } from "zod";
import type { Signer } from "../core/signature.ts";

/**
 * Type of a record that the journal's own thread writes: what the segment held so far, sworn to. Its sequence is that of the desk's
 * record before it, and the desk's sequence goes on as if it were not there. Payload: a line of JSON (see {@link CheckpointBody}), a
 * line feed, and the Ed25519 signature in base64, empty where no key is configured.
 */
export const CHECKPOINT = 3;

const body = z.strictObject({
  /** Hex SHA-256 of the segment's bytes before this record, header included. The header holds the digest of the segment before. */
  digest: z.string().regex(/^[0-9a-f]{64}$/),
  /** Records of the desk in this segment so far. */
  records: z.int().nonnegative(),
  /** Wall clock, µs since the epoch. */
  timeUs: z.number(),
  /** What the kernel knew of its clock, as RTS 25 and similar rules want it kept; null where it does not tell. */
  clock: z
    .strictObject({ synchronised: z.boolean(), maxErrorUs: z.number(), offsetUs: z.number() })
    .nullable(),
  /** Which key signed, see `keyIdOf`; null where none did. */
  key: z.string().nullable(),
});
export type CheckpointBody = z.infer<typeof body>;

/** A checkpoint as it stands in a segment. */
export interface Checkpoint {
  readonly body: CheckpointBody;
  /** The text that was signed. */
  readonly signed: string;
  /** Base64; empty when it was not signed. */
  readonly signature: string;
}

/** @returns the payload of the record */
export function encodeCheckpoint(
  runId: string,
  segment: number,
  content: Omit<CheckpointBody, "key">,
  signer: Signer | null,
): string {
  const text = JSON.stringify({ ...content, key: signer?.keyId ?? null });
  return `${text}\n${signer?.sign(statement(runId, segment, text)) ?? ""}`;
}

/** @returns null when the payload is none of a checkpoint */
export function decodeCheckpoint(runId: string, segment: number, payload: Uint8Array): Checkpoint | null {
  const [text = "", signature = "", ...more] = Buffer.from(payload).toString("utf8").split("\n");
  if (more.length > 0) return null;
  try {
    const parsed = body.safeParse(JSON.parse(text));
    if (!parsed.success) return null;
    return { body: parsed.data, signed: statement(runId, segment, text), signature };
  } catch {
    return null;
  }
}

/** A checkpoint of one segment must not pass for that of another. */
function statement(runId: string, segment: number, text: string): string {
  return `keel journal checkpoint\n${runId}\n${segment}\n${text}`;
}
