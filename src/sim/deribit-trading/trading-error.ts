/** 0 = buy, 1 = sell. */
export type Side = 0 | 1;

/** Error codes of trading, as documented under "RPC Error Codes". */
export const TRADING_ERROR = {
  overlap: 10_003,
  orderNotFound: 10_004,
  priceTooLow: 10_005,
  priceTooHigh: 10_007,
  bookClosed: 10_012,
  unknownInstrument: 10_020,
  invalidAmount: 10_021,
  invalidPrice: 10_023,
  tooManyRequests: 10_028,
  wrongTick: 10_043,
  queueFull: 10_047,
  invalidArguments: 11_029,
  otherReject: 11_030,
  permissionDenied: 11_042,
  notOpen: 11_044,
  invalidCredentials: 13_004,
  unauthorized: 13_009,
  mmpTrigger: 13_030,
  codNotEnabled: 13_042,
  quotesFrozen: 13_043,
  rawNotAuthorized: 13_778,
  timedOut: 13_888,
} as const;
