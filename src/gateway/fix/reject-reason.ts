/** SessionRejectReason (373) values of FIX 4.4, volume 6. */
export const REJECT = {
  invalidTagNumber: 0,
  requiredTagMissing: 1,
  tagNotDefinedForMessageType: 2,
  undefinedTag: 3,
  tagWithoutValue: 4,
  valueOutOfRange: 5,
  incorrectDataFormat: 6,
  compIdProblem: 9,
  sendingTimeAccuracy: 10,
  invalidMsgType: 11,
  tagAppearsMoreThanOnce: 13,
  tagOutOfRequiredOrder: 14,
  incorrectNumInGroup: 16,
} as const;

/** Highest reason that FIX 4.2 defines; finer ones are sent there without a code. */
export const LAST_REASON_42 = REJECT.invalidMsgType;

const TEXTS: Record<number, string> = {
  [REJECT.invalidTagNumber]: "Invalid tag number",
  [REJECT.requiredTagMissing]: "Required tag missing",
  [REJECT.tagNotDefinedForMessageType]: "Tag not defined for this message type",
  [REJECT.undefinedTag]: "Undefined Tag",
  [REJECT.tagWithoutValue]: "Tag specified without a value",
  [REJECT.valueOutOfRange]: "Value is incorrect (out of range) for this tag",
  [REJECT.incorrectDataFormat]: "Incorrect data format for value",
  [REJECT.compIdProblem]: "CompID problem",
  [REJECT.sendingTimeAccuracy]: "SendingTime accuracy problem",
  [REJECT.invalidMsgType]: "Invalid MsgType",
  [REJECT.tagAppearsMoreThanOnce]: "Tag appears more than once",
  [REJECT.tagOutOfRequiredOrder]: "Tag specified out of required order",
  [REJECT.incorrectNumInGroup]: "Incorrect NumInGroup count for repeating group",
};

export function rejectText(reason: number): string {
  return TEXTS[reason] ?? `Rejected (${reason})`;
}

/** What is wrong with a message: filled by a check that fails, reused for all checks. */
export class Violation {
  reason = 0;
  /** Offending tag, or {@link NO_TAG} when none is to be named. */
  tag = 0;

  set(reason: number, tag: number): false {
    this.reason = reason;
    this.tag = tag;
    return false;
  }
}

/** RefTagID is left out. Tag 0 and negative tags can be named: peers do send them. */
export const NO_TAG = Number.MIN_SAFE_INTEGER;
