/** Versions of the protocol spoken. */
export type FixVersion = "4.2" | "4.4";

/** BeginString (8) of each version. */
export const BEGIN_STRING: Record<FixVersion, string> = { "4.2": "FIX.4.2", "4.4": "FIX.4.4" };

/** Tags that the engine itself reads or writes, under their names in the FIX 4.4 specification, volume 6. */
export const TAG = {
  avgPx: 6,
  beginSeqNo: 7,
  beginString: 8,
  bodyLength: 9,
  checkSum: 10,
  cumQty: 14,
  endSeqNo: 16,
  execId: 17,
  execTransType: 20,
  lastPx: 31,
  lastQty: 32,
  msgSeqNum: 34,
  msgType: 35,
  newSeqNo: 36,
  orderId: 37,
  ordStatus: 39,
  possDupFlag: 43,
  refSeqNum: 45,
  senderCompId: 49,
  sendingTime: 52,
  side: 54,
  symbol: 55,
  targetCompId: 56,
  text: 58,
  transactTime: 60,
  tradeDate: 75,
  possResend: 97,
  encryptMethod: 98,
  heartBtInt: 108,
  testReqId: 112,
  onBehalfOfCompId: 115,
  onBehalfOfSubId: 116,
  quoteId: 117,
  origSendingTime: 122,
  gapFillFlag: 123,
  deliverToCompId: 128,
  deliverToSubId: 129,
  bidPx: 132,
  offerPx: 133,
  bidSize: 134,
  offerSize: 135,
  resetSeqNumFlag: 141,
  onBehalfOfLocationId: 144,
  deliverToLocationId: 145,
  execType: 150,
  leavesQty: 151,
  securityExchange: 207,
  noQuoteEntries: 295,
  noQuoteSets: 296,
  quoteStatus: 297,
  quoteCancelType: 298,
  quoteEntryId: 299,
  quoteRejectReason: 300,
  quoteResponseLevel: 301,
  quoteSetId: 302,
  totNoQuoteEntries: 304,
  underlyingSymbol: 311,
  quoteEntryRejectReason: 368,
  refTagId: 371,
  refMsgType: 372,
  sessionRejectReason: 373,
  businessRejectReason: 380,
  username: 553,
  password: 554,
  nextExpectedMsgSeqNum: 789,
} as const;

/** A MsgType as one number: its first character, plus 256 times its second. */
export function msgTypeCode(text: string): number {
  return text.charCodeAt(0) + (text.length > 1 ? text.charCodeAt(1) * 256 : 0);
}

/** The characters of a {@link msgTypeCode}. */
export function msgTypeText(code: number): string {
  return code < 256 ? String.fromCharCode(code) : String.fromCharCode(code & 255, code >> 8);
}

/** MsgType (35) values the engine itself handles, as {@link msgTypeCode}. */
export const MSG = {
  heartbeat: msgTypeCode("0"),
  testRequest: msgTypeCode("1"),
  resendRequest: msgTypeCode("2"),
  reject: msgTypeCode("3"),
  sequenceReset: msgTypeCode("4"),
  logout: msgTypeCode("5"),
  executionReport: msgTypeCode("8"),
  logon: msgTypeCode("A"),
  quoteStatusReport: msgTypeCode("AI"),
  quoteCancel: msgTypeCode("Z"),
  massQuoteAck: msgTypeCode("b"),
  massQuote: msgTypeCode("i"),
  businessReject: msgTypeCode("j"),
} as const;

/** Session-level (administrative) messages: never resent, always gap-filled (FIX 4.4, volume 2). */
export function isAdmin(msgType: number): boolean {
  return (msgType >= 0x30 && msgType <= 0x35) || msgType === MSG.logon;
}
