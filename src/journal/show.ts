import { decodeDecision } from "../desk/decision.ts";
import { RECORD, type RecordType } from "./record.ts";

/** A decision's payload, for people. */
export function showDecision(type: RecordType, payload: Uint8Array): unknown {
  return type === RECORD.quote ? decodeDecision(payload) : null;
}
