import type { FixVersion } from "./tags.ts";

/** Data types of FIX 4.4, volume 1, as far as they are told apart on the wire. */
export type FieldType =
  | "string"
  | "char"
  | "int"
  | "length"
  | "seqNum"
  | "numInGroup"
  | "float"
  | "boolean"
  | "utcTimestamp"
  | "localDate"
  | "monthYear"
  | "currency"
  | "data"
  | "multipleValue";

/** Type of every field that a message below may have. */
export const FIELD_TYPES: Record<FieldType, string> = {
  string:
    "1 8 10 11 17 19 22 30 35 37 41 48 49 50 55 56 57 58 65 66 76 100 106 107 109 112 115 116 117 128 129 131 142 143 144 145 148 167 198 207 299 302 305 308 309 311 312 320 322 324 336 347 372 379 448 455 456 461 523 526 553 554 583 625 628 649 693 762",
  char: "20 21 29 39 40 54 59 63 81 127 150 385 388 447 528 589",
  int: "98 103 108 201 203 204 205 209 297 298 300 301 304 323 368 371 373 378 380 423 452 460 537 581 582 660 803",
  length: "9 90 93 95 212 354 383",
  seqNum: "7 16 34 36 45 369 630 789",
  numInGroup: "295 296 384 386 453 454 627 802",
  float:
    "6 12 14 31 32 38 44 99 110 111 132 133 134 135 140 151 152 188 189 190 191 192 194 195 202 210 211 231 293 294 389 424 425 426 516 631 632 633 634 642 643",
  boolean: "43 97 113 114 121 123 141 377 464 893",
  utcTimestamp: "52 60 62 122 126 168 367 370 629",
  localDate: "64 75 193 432 541",
  monthYear: "200 313",
  currency: "15",
  data: "89 91 96 213 355",
  multipleValue: "18 529",
};

/** Fields whose values are enumerated. A field that is enumerated in one version only stands under that version. */
export const FIELD_VALUES: Record<string, string> = {
  "20@4.2": "0 1 2 3",
  21: "1 2 3",
  "22@4.4": "1 2 3 4 5 6 7 8 9 A B C D E F G H I J",
  "22@4.2": "1 2 3 4 5 6 7 8 9",
  29: "1 2 3 4",
  "39@4.4": "0 1 2 3 4 6 7 8 9 A B C D E",
  "39@4.2": "0 1 2 3 4 5 6 7 8 9 A B C D E",
  "40@4.4": "1 2 3 4 6 7 8 9 D E G I J K L M P",
  "40@4.2": "1 2 3 4 5 6 7 8 9 A B C D E F G H I P",
  "54@4.4": "1 2 3 4 5 6 7 8 9 A B C D E F G",
  "54@4.2": "1 2 3 4 5 6 7 8 9",
  "59@4.4": "0 1 2 3 4 5 6 7",
  "59@4.2": "0 1 2 3 4 5 6",
  98: "0 1 2 3 4 5 6",
  "150@4.4": "0 3 4 5 6 7 8 9 A B C D E F G H I",
  "150@4.2": "0 1 2 3 4 5 6 7 8 9 A B C D E",
  "167@4.4":
    "EUSUPRA FAC FADN PEF SUPRA CORP CPP CB DUAL EUCORP XLINKD STRUCT YANK FOR FUT OPT CS PS WAR BRADY EUSOV TBOND TINT TIPS TCAL TPRN UST USTB TNOTE TBILL REPO FORWARD BUYSELL SECLOAN SECPLEDGE TERM RVLV RVLVTRM BRIDGE LOFC SWING DINP DEFLTED WITHDRN REPLACD MATURED AMENDED RETIRED BA BN BOX CD CL CP DN EUCD EUCP LQN MTN ONITE PN PZFJ STN TD XCN YCD ABS CMBS CMO IET MBS MIO MPO MPP MPT PFAND TBA AN COFO COFP GO MT RAN REV SPCLA SPCLO SPCLT TAN TAXA TECP TRAN VRDN MF MLEG NONE",
  "167@4.2":
    "BA CB CD CMO CORP CP CPP CS FHA FHL FN FOR FUT GN GOVT IET MF MIO MPO MPP MPT MUNI NONE OPT PS RP RVRP SL TD USTB WAR ZOO ?",
  "297@4.4": "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15",
  "297@4.2": "0 1 2 3 4 5",
  298: "1 2 3 4",
  301: "0 1 2",
  323: "1 2 3 4 5 6",
  "447@4.4": "1 2 3 4 5 6 7 8 9 A B C D E F G H I",
  "537@4.4": "0 1 2 3",
};

const INSTRUMENT: Record<FixVersion, string> = {
  "4.4": "55 65 48 22 454(455 456) 460 461 167 762 200 541 202 231 207 106 107",
  "4.2": "55 65 48 22 167 200 205 201 202 231 207 106 107",
};
const PARTIES = "453(448 447 452 802(523 803))";
const ENTRY_PRICES = "132 133 134 135 62 188 189 190 191";

const ADMIN = {
  "0": "112",
  "1": "112!",
  "2": "7! 16!",
  "3": "45! 371 372 373 58 354 355",
  "4": "123 36!",
  "5": "58 354 355",
};

/** Standard header and trailer, without BeginString, BodyLength and CheckSum, which the parser has checked. */
export const HEADER: Record<FixVersion, string> = {
  "4.4":
    "35! 49! 56! 115 128 90 91 34! 50 142 57 143 116 144 129 145 43 97 52! 122 212 213 347 369 627(628 629 630)",
  "4.2": "35! 49! 56! 115 128 90 91 34! 50 142 57 143 116 144 129 145 43 97 52! 122 212 213 347 369 370",
};
export const TRAILER = "93 89";

/**
 * Fields of each message that keel's sessions take, in a notation of its own: `!` = required, `n(…)` = repeating group counted
 * by field n. FIX 4.4 specification, volumes 2 to 5; FIX 4.2 specification with errata 20010501.
 */
export const MESSAGES: Record<FixVersion, Record<string, string>> = {
  "4.4": {
    ...ADMIN,
    A: "98! 108! 95 96 141 789 383 384(372 385) 464 553 554",
    D: `11! 526 583 1 660 581 589 63 64 18 110 111 100 21 81 386(336 625) ${PARTIES} ${INSTRUMENT["4.4"]} 140 54! 114 60! 38 152 516 40! 423 44 99 15 377 117 59 168 432 126 528 529 582 58 210 211 203 388 389`,
    "8": `37! 198 526 11 41 583 ${PARTIES} 17! 19 150! 39! 103 378 1 660 581 589 63 64 ${INSTRUMENT["4.4"]} 54! 38 152 516 40 423 44 99 15 377 59 168 432 126 18 528 529 582 32 31 30 336 625 29 151! 14! 6! 424 425 426 75 60 113 21 210 211 203 388 389 58`,
    i: `131 117! 537 301 ${PARTIES} 1 660 581 293 294 296!(302! 311 312 309 305 308 313 367 304! 893 295!(299! ${INSTRUMENT["4.4"]} ${ENTRY_PRICES} 631 632 633 634 60 336 625 64 40 193 192 642 643 15))`,
    Z: `131 117! 298! 301 ${PARTIES} 1 660 581 336 625 295(${INSTRUMENT["4.4"]})`,
    b: `131 117 297! 300 301 537 ${PARTIES} 1 660 581 58 354 355 296(302 311 312 309 305 308 313 304 893 295(299 ${INSTRUMENT["4.4"]} ${ENTRY_PRICES} 631 632 633 634 60 336 625 64 40 193 192 642 643 15 368))`,
    AI: `649 131 117! 693 537 ${PARTIES} 336 625 ${INSTRUMENT["4.4"]} 54 38 152 15 1 660 581 126 44 ${ENTRY_PRICES} 60 40 297 58 354 355`,
    d: `320! 322! 323! ${INSTRUMENT["4.4"]} 15 336 625 58 354 355`,
    j: "45 372! 379 380! 58 354 355",
  },
  "4.2": {
    ...ADMIN,
    A: "98! 108! 95 96 141 383 384(372 385)",
    D: `11! 109 76 1 63 64 21! 18 110 111 100 386(336) 81 ${INSTRUMENT["4.2"].replace("55", "55!")} 140 54! 114 60! 38 152 40! 44 99 15 377 117 59 168 432 126 12 58 210 211 203 204 388 389`,
    "8": `37! 198 11 41 109 76 17! 20! 19 150! 39! 103 378 1 63 64 ${INSTRUMENT["4.2"].replace("55", "55!")} 54! 38 152 40 44 99 15 377 59 168 432 126 18 32 31 30 336 29 151! 14! 6! 424 425 426 75 60 113 21 210 211 203 204 388 389 58`,
    i: `131 117! 301 293 294 296!(302! 311! 312 309 305 308 313 367 304! 295!(299! ${INSTRUMENT["4.2"]} ${ENTRY_PRICES} 194 195 60 336 64 40 193 192 15))`,
    Z: `131 117! 298! 301 336 295!(${INSTRUMENT["4.2"]} 311)`,
    b: `131 117 297! 300 301 336 58 296(302 311 312 309 305 308 313 304 295(299 ${INSTRUMENT["4.2"]} 368))`,
    d: `320! 322! 323! ${INSTRUMENT["4.2"]} 15 336 58 354 355`,
    j: "45 372! 379 380! 58 354 355",
  },
};

/** Message types of each version. One without a table above is valid but unsupported; it is not checked further. */
export const MESSAGE_TYPES: Record<FixVersion, RegExp> = {
  "4.4": /^(?:[0-9A-Za-z]|A[A-Z]|B[A-H]|U.+)$/,
  "4.2": /^(?:[0-9A-Za-m]|U.+)$/,
};
