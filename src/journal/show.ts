import { decodeDecision } from "../desk/decision.ts";
import { RECORD, type RecordType } from "./record.ts";

/** A decision's payload, for people. */
export function showDecision(type: RecordType, payload: Uint8Array): unknown {
  if (type === RECORD.quote) return decodeDecision(payload);
  return type === RECORD.risk || type === RECORD.rfqAction
    ? JSON.parse(new TextDecoder().decode(payload))
    : null;
}
