import type { VersionTables } from "./notation.ts";

/** FIX 4.2: specification with errata 20010501. */
export const FIX42: VersionTables = {
  header: `
    35! 49! 56! 115 128 90 91 34! 50 142 57 143 116 144 129 145 43 97 52! 122 212 213 347 369 370`,
  trailer: "93 89",
  components: {
    Instrument: "65 48 22 167 200 205 201 202 206 231 223 207 106 348 349 107 350 351",
    Underlying: "312 309 305 310 313 314 315 316 317 436 435 308 306 362 363 307 364 365",
  },
  messages: {
    "0": {
      name: "Heartbeat",
      fields: "112",
    },
    "1": {
      name: "TestRequest",
      fields: "112!",
    },
    "2": {
      name: "ResendRequest",
      fields: "7! 16!",
    },
    "3": {
      name: "Reject",
      fields: "45! 371 372 373 58 354 355",
    },
    "4": {
      name: "SequenceReset",
      fields: "123 36!",
    },
    "5": {
      name: "Logout",
      fields: "58 354 355",
    },
    A: {
      name: "Logon",
      fields: "98! 108! 95 96 141 383 384(372 385)",
    },
    D: {
      name: "NewOrderSingle",
      fields: `
        11! 109 76 1 78(79 80) 63 64 21! 18 110 111 100 386(336) 81 55! {Instrument} 140 54! 114 60! 38
        152 40! 44 99 15 376 377 23 117 59 168 432 126 427 12 13 47 121 120 58 354 355 193 192 77 203
        204 210 211 388 389 439 440`,
    },
    F: {
      name: "OrderCancelRequest",
      fields: "41! 37 11! 66 1 109 76 55! {Instrument} 54! 60! 38 152 376 377 58 354 355",
    },
    G: {
      name: "OrderCancelReplaceRequest",
      fields: `
        37 109 76 41! 11! 66 1 78(79 80) 63 64 21! 18 110 111 100 386(336) 55! {Instrument} 54! 60! 38
        152 40! 44 99 211 388 389 376 377 15 59 168 432 126 427 12 13 47 121 120 58 354 355 193 192 77
        203 204 210 114 439 440`,
    },
    "8": {
      name: "ExecutionReport",
      fields: `
        37! 198 11 41 109 76 382(375 337 437 438) 66 17! 20! 19 150! 39! 103 378 1 63 64 55!
        {Instrument} 54! 38 152 40 44 99 211 388 389 15 376 377 59 168 432 126 18 47 32 31 194 195 30
        336 29 151! 14! 6! 424 425 426 427 75 60 113 12 13 381 119 120 155 156 21 110 111 77 210 58 354
        355 193 192 439 440 442`,
    },
    "9": {
      name: "OrderCancelReject",
      fields: "37! 198 11! 41! 39! 109 76 66 1 60 434! 102 58 354 355",
    },
    S: {
      name: "Quote",
      fields: `
        131 117! 301 336 55! {Instrument} 132 133 134 135 62 188 190 189 191 60 64 40 193 192 15`,
    },
    i: {
      name: "MassQuote",
      fields: `
        131 117! 301 293 294 296!(302! 311! {Underlying} 367 304! 295!(299! 55 {Instrument} 132 133 134
        135 62 188 190 189 191 60 336 64 40 193 192 15))`,
    },
    b: {
      name: "QuoteAcknowledgement",
      fields: "131 117 297! 300 301 336 58 296(302 311 {Underlying} 304 295(299 55 {Instrument} 368))",
    },
    R: {
      name: "QuoteRequest",
      fields: "131! 146!(55! {Instrument} 140 303 336 54 38 64 40 193 192 126 60 15)",
    },
    Z: {
      name: "QuoteCancel",
      fields: "131 117! 298! 301 336 295!(55! {Instrument} 311)",
    },
    V: {
      name: "MarketDataRequest",
      fields: "262! 263! 264! 265 266 267!(269!) 146!(55! {Instrument} 336)",
    },
    W: {
      name: "MarketDataSnapshotFullRefresh",
      fields: `
        262 55! {Instrument} 291 292 387 268!(269! 270! 15 271 272 273 274 275 336 276 277 282 283 284
        286 59 432 126 110 18 287 37 299 288 289 346 290 58 354 355)`,
    },
    X: {
      name: "MarketDataIncrementalRefresh",
      fields: `
        262 268!(279! 285 269 278 280 55 {Instrument} 291 292 270 15 271 272 273 274 275 336 276 277 282
        283 284 286 59 432 126 110 18 287 37 299 288 289 346 290 387 58 354 355)`,
    },
    Y: {
      name: "MarketDataRequestReject",
      fields: "262! 281 58 354 355",
    },
    B: {
      name: "News",
      fields: "42 61 148! 358 359 215(216 217) 146(46 {Instrument}) 33!(58! 354 355) 149 95 96",
    },
    j: {
      name: "BusinessMessageReject",
      fields: "45 372! 379 380! 58 354 355",
    },
    a: {
      name: "QuoteStatusRequest",
      fields: "117 55! {Instrument} 54 336",
    },
    d: {
      name: "SecurityDefinition",
      fields: "320! 322! 323 393! 55 {Instrument} 15 336 58 354 355 146(311 {Underlying} 319 54 318)",
    },
    H: {
      name: "OrderStatusRequest",
      fields: "37 11! 109 1 76 55! {Instrument} 54!",
    },
  },
};
