/**
 * Fields of a slot's state: offsets into its part of one Float64Array. A pair holds the bid side first (for moves, the fall).
 *
 * @module
 */

export const TIME = 0;
export const FIRST_TIME = 1;
export const EVENTS = 2;
export const BID_TICKS = 3;
export const ASK_TICKS = 4;
export const QUEUE = 5;
/** Mid with the overlay, ticks; keeps its last value while a side is empty; 0 = never known. */
export const MID = 7;
export const DEPTH = 8;
export const STALE = 10;
export const SEEN_BOOK = 12;
export const LAST_DIFF = 13;
export const LAST_TRADE = 14;
export const LAST_MOVE = 15;
export const TRADE_SIDE = 16;
export const MOVE_SIDE = 17;
export const DIFF_INTERVAL = 18;
/** Lots traded against each side since the last diff. */
export const TRADED = 19;
export const INDEX = 21;
export const FUNDING = 22;
export const IV = 23;

export const QUEUE_MEAN = 24;
export const DEPTH_MEAN = 26;
export const DEPTH_MEAN_50 = 28;
export const DEPTH_MEAN_500 = 30;
export const DEPTH_LOW = 32;
export const DEPTH_HIGH = 34;
export const MID_10 = 36;
export const MID_50 = 37;
export const MID_200 = 38;
export const MID_1000 = 39;
export const MOVE_RATE = 40;
export const WITHDRAW_RATE = 42;
export const BASIS_MEAN = 44;
export const IV_MEAN = 45;

export const FLOW_50 = 46;
export const FLOW_100 = 47;
export const FLOW_500 = 48;
export const FLOW_2000 = 49;
export const NET_100 = 50;
export const NET_1000 = 52;
export const CANCEL_100 = 54;
export const CANCEL_1000 = 56;
/** Lots traded against each side: sold into the bid, bought from the ask. */
export const TAKEN_50 = 58;
export const TAKEN_200 = 60;
export const TAKEN_1000 = 62;
export const TRADES_1000 = 64;
export const COUNT_50 = 65;
export const COUNT_500 = 66;
export const COUNT_10000 = 67;
export const VARIANCE_100 = 68;
export const VARIANCE_1000 = 69;
export const VARIANCE_10000 = 70;
/** 1 while the mid lies away from its recent mean to the side, 1 while depth lies below its own; judged at events. */
export const MOVED = 71;
export const WITHDRAWN = 73;
/** Time that the volatility and its mean stand at. */
export const IV_TIME = 75;
export const STRIDE = 76;
