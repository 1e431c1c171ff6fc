const SOH = "\x01";

/** SessionRejectReason values that FIX 4.2 does not have: there the reject goes out without a code. */
const LATER_REASONS = ["373=13", "373=14", "373=16"];

/**
 * An acceptance script of FIX 4.4 as one of 4.2. The session rules are the same, so every step stays; what differs is only what
 * the versions' messages differ in: the codes of rejects, ExecTransType (20) of an execution report, and the repeating group of a
 * security definition, NoSecurityAltID (454) there and NoRelatedSym (146),
 * beside the required TotalNumSecurities (393), here.
 */
export function scriptFor42(text: string): string {
  return text
    .replaceAll("8=FIX.4.4", "8=FIX.4.2")
    .replaceAll("TW44", "TW42")
    .split("\n")
    .map(line42)
    .join("\n");
}

function line42(line: string): string {
  let fields = line.split(SOH);
  if (fields.some((field) => LATER_REASONS.includes(field))) {
    fields = fields.filter((field) => !LATER_REASONS.includes(field) && !field.startsWith("9="));
  }
  if (line.startsWith("I") && fields.includes("35=8")) fields.splice(fields.indexOf("37=id"), 0, "20=0");
  if (!fields.includes("454=0")) return fields.join(SOH);
  fields = fields.filter((field) => field !== "454=0" && !field.startsWith("9="));
  fields.splice(fields.indexOf("336=ONE_MAIN") + 1, 0, "393=0");
  fields.splice(fields.indexOf("167=CS"), 0, "146=0");
  return fields.join(SOH);
}
