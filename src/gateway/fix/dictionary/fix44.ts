import type { VersionTables } from "./notation.ts";

/** FIX 4.4: specification volumes 2 to 5. */
export const FIX44: VersionTables = {
  header: `
    35! 49! 56! 115 128 90 91 34! 50 142 57 143 116 144 129 145 43 97 52! 122 212 213 347 369 627(628
    629 630)`,
  trailer: "93 89",
  components: {
    Parties: "453(448 447 452 802(523 803))",
    Instrument: `
      55 65 48 22 454(455 456) 460 461 167 762 200 541 201 224 225 239 226 227 228 255 543 470 471 472
      240 202 947 206 231 223 207 106 348 349 107 350 351 691 667 875 876 864(865 866 867 868) 873 874`,
    FinancingDetails: "913 914 915 918 788 916 917 919 898",
    UndInstrmtGrp: "711({UnderlyingInstrument})",
    UnderlyingInstrument: `
      311 312 309 305 457(458 459) 462 463 310 763 313 542 315 241 242 243 244 245 246 256 595 592 593
      594 247 316 941 317 436 435 308 306 362 363 307 364 365 877 878 318 879 810 882 883 884 885 886
      887(888 889)`,
    Stipulations: "232(233 234)",
    OrderQtyData: "38 152 516 468 469",
    PegInstructions: "211 835 836 837 838 840",
    DiscretionInstructions: "388 389 841 842 843 844 846",
    CommissionData: "12 13 479 497",
    SpreadOrBenchmarkCurveData: "218 220 221 222 662 663 699 761",
    YieldData: "235 236 701 696 697 698",
    InstrumentLeg: `
      600 601 602 603 604(605 606) 607 608 609 764 610 611 248 249 250 251 252 253 257 599 596 597 598
      254 612 942 613 614 615 616 617 618 619 620 621 622 623 624 556 740 739 955 956`,
    LegStipulations: "683(688 689)",
    NestedParties: "539(524 525 538 804(545 805))",
    InstrmtLegGrp: "555({InstrumentLeg})",
    PreAllocGrp: "78(79 661 736 467 {NestedParties} 80)",
    TrdgSesGrp: "386(336 625)",
    QuotReqLegsGrp: `
      555({InstrumentLeg} 687 690 587 588 {LegStipulations} {NestedParties} {LegBenchmarkCurveData})`,
    LegBenchmarkCurveData: "676 677 678 679 680",
    QuotQualGrp: "735(695)",
    LegQuotGrp: `
      555({InstrumentLeg} 687 690 587 588 {LegStipulations} {NestedParties} 686 681 684
      {LegBenchmarkCurveData})`,
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
      fields: "98! 108! 95 96 141 789 383 384(372 385) 464 553 554",
    },
    D: {
      name: "NewOrderSingle",
      fields: `
        11! 526 583 {Parties} 229 75 1 660 581 589 590 591 70 {PreAllocGrp} 63 64 544 635 21 18 110 111
        100 {TrdgSesGrp} 81 {Instrument} {FinancingDetails} {UndInstrmtGrp} 140 54! 114 60!
        {Stipulations} 854 {OrderQtyData} 40! 423 44 99 {SpreadOrBenchmarkCurveData} {YieldData} 15 376
        377 23 117 59 168 432 126 427 {CommissionData} 528 529 582 121 120 775 58 354 355 193 192 640 77
        203 210 {PegInstructions} {DiscretionInstructions} 847 848 849 480 481 513 494`,
    },
    F: {
      name: "OrderCancelRequest",
      fields: `
        41! 37 11! 526 583 66 586 1 660 581 {Parties} {Instrument} {FinancingDetails} {UndInstrmtGrp}
        54! 60! {OrderQtyData} 376 58 354 355`,
    },
    G: {
      name: "OrderCancelReplaceRequest",
      fields: `
        37 {Parties} 229 75 41! 11! 526 583 66 586 1 660 581 589 590 591 70 {PreAllocGrp} 63 64 544 635
        21 18 110 111 100 {TrdgSesGrp} {Instrument} {FinancingDetails} {UndInstrmtGrp} 54! 60! 854
        {OrderQtyData} 40! 423 44 99 {SpreadOrBenchmarkCurveData} {YieldData} {PegInstructions}
        {DiscretionInstructions} 847 848 849 376 377 15 59 168 432 126 427 {CommissionData} 528 529 582
        121 120 775 58 354 355 193 192 640 77 203 210 114 480 481 513 494`,
    },
    q: {
      name: "OrderMassCancelRequest",
      fields: "11! 526 530! 336 625 {Instrument} {UnderlyingInstrument} 54 60! 58 354 355",
    },
    r: {
      name: "OrderMassCancelReport",
      fields: `
        11 526 37! 198 530! 531! 532 533 534(41 535 536) 336 625 {Instrument} {UnderlyingInstrument} 54
        60 58 354 355`,
    },
    "8": {
      name: "ExecutionReport",
      fields: `
        37! 198 526 527 11 41 583 693 790 584 911 912 {Parties} 229 382(375 337 437 438 655) 66 548 551
        549 17! 19 150! 39! 636 103 378 1 660 581 589 590 591 63 64 544 635 {Instrument}
        {FinancingDetails} {UndInstrmtGrp} 54! {Stipulations} 854 {OrderQtyData} 40 423 44 99
        {PegInstructions} {DiscretionInstructions} 839 845 847 848 849 850 15 376 377 59 168 432 126 18
        528 529 582 32 652 31 651 669 194 195 30 336 625 943 29 151! 14! 6! 424 425 426 427 75 60 113
        {CommissionData} {SpreadOrBenchmarkCurveData} {YieldData} 381 157 230 158 159 738 920 921 922
        258 259 260 238 237 118 119 120 155 156 21 110 111 77 210 775 58 354 355 193 192 641 442 480 481
        513 494 483 515 484 485 638 639 851 518(519 520 521) 555({InstrumentLeg} 687 690
        {LegStipulations} 564 565 {NestedParties} 654 566 587 588 637) 797 136(137 138 139 891)`,
    },
    "9": {
      name: "OrderCancelReject",
      fields: "37! 198 526 11! 583 41! 39! 636 586 66 1 660 581 229 75 60 434! 102 58 354 355",
    },
    S: {
      name: "Quote",
      fields: `
        131 117! 693 537 {QuotQualGrp} 301 {Parties} 336 625 {Instrument} {FinancingDetails}
        {UndInstrmtGrp} 54 {OrderQtyData} 63 64 193 192 15 {Stipulations} 1 660 581 {LegQuotGrp} 132 133
        645 646 647 134 648 135 62 188 190 189 191 631 632 633 634 60 40 642 643 656 657 156 13 12 582
        100 528 423 {SpreadOrBenchmarkCurveData} {YieldData} 58 354 355`,
    },
    i: {
      name: "MassQuote",
      fields: `
        131 117! 537 301 {Parties} 1 660 581 293 294 296!(302! {UnderlyingInstrument} 367 304! 893
        295!(299! {Instrument} {InstrmtLegGrp} 132 133 134 135 62 188 190 189 191 631 632 633 634 60 336
        625 64 40 193 192 642 643 15))`,
    },
    b: {
      name: "MassQuoteAcknowledgement",
      fields: `
        131 117 297! 300 301 537 {Parties} 1 660 581 58 354 355 296(302 {UnderlyingInstrument} 304 893
        295(299 {Instrument} {InstrmtLegGrp} 132 133 134 135 62 188 190 189 191 631 632 633 634 60 336
        625 64 40 193 192 642 643 15 368))`,
    },
    R: {
      name: "QuoteRequest",
      fields: `
        131! 644 11 528 146!({Instrument} {FinancingDetails} {UndInstrmtGrp} 140 303 537 336 625 229 54
        854 {OrderQtyData} 63 64 193 192 15 {Stipulations} 1 660 581 {QuotReqLegsGrp} {QuotQualGrp} 692
        40 62 126 60 {SpreadOrBenchmarkCurveData} 423 44 640 {YieldData} {Parties}) 58 354 355`,
    },
    AG: {
      name: "QuoteRequestReject",
      fields: `
        131! 644 658! 146!({Instrument} {FinancingDetails} {UndInstrmtGrp} 140 303 537 336 625 229 54
        854 {OrderQtyData} 63 64 193 192 15 {Stipulations} 1 660 581 {QuotReqLegsGrp} {QuotQualGrp} 692
        40 126 60 {SpreadOrBenchmarkCurveData} 423 44 640 {YieldData} {Parties}) 58 354 355`,
    },
    AI: {
      name: "QuoteStatusReport",
      fields: `
        649 131 117! 693 537 {Parties} 336 625 {Instrument} {FinancingDetails} {UndInstrmtGrp} 54
        {OrderQtyData} 63 64 193 192 15 {Stipulations} 1 660 581 555({InstrumentLeg} 687 690 587 588
        {LegStipulations} {NestedParties}) {QuotQualGrp} 126 44 423 {SpreadOrBenchmarkCurveData}
        {YieldData} 132 133 645 646 647 134 648 135 62 188 190 189 191 631 632 633 634 60 40 642 643 656
        657 156 13 12 582 100 297 58 354 355`,
    },
    AJ: {
      name: "QuoteResponse",
      fields: `
        693! 117 694! 11 528 23 537 {QuotQualGrp} {Parties} 336 625 {Instrument} {FinancingDetails}
        {UndInstrmtGrp} 54 {OrderQtyData} 63 64 193 192 15 {Stipulations} 1 660 581 {LegQuotGrp} 132 133
        645 646 647 134 648 135 62 188 190 189 191 631 632 633 634 60 40 642 643 656 657 156 12 13 582
        100 58 354 355 44 423 {SpreadOrBenchmarkCurveData} {YieldData}`,
    },
    Z: {
      name: "QuoteCancel",
      fields: `
        131 117! 298! 301 {Parties} 1 660 581 336 625 295({Instrument} {FinancingDetails}
        {UndInstrmtGrp} {InstrmtLegGrp})`,
    },
    V: {
      name: "MarketDataRequest",
      fields: `
        262! 263! 264! 265 266 286 546 547 267!(269!) 146!({Instrument} {UndInstrmtGrp} {InstrmtLegGrp})
        {TrdgSesGrp} 815 812`,
    },
    W: {
      name: "MarketDataSnapshotFullRefresh",
      fields: `
        262 {Instrument} {UndInstrmtGrp} {InstrmtLegGrp} 291 292 451 268!(269! 270 15 271 272 273 274
        275 336 625 276 277 282 283 284 286 59 432 126 110 18 287 37 299 288 289 346 290 546 811 58 354
        355) 813 814`,
    },
    X: {
      name: "MarketDataIncrementalRefresh",
      fields: `
        262 268!(279! 285 269 278 280 {Instrument} {UndInstrmtGrp} {InstrmtLegGrp} 291 292 270 15 271
        272 273 274 275 336 625 276 277 282 283 284 286 59 432 126 110 18 287 37 299 288 289 346 290 546
        811 451 58 354 355) 813 814`,
    },
    Y: {
      name: "MarketDataRequestReject",
      fields: "262! 281 816(817) 58 354 355",
    },
    B: {
      name: "News",
      fields: `
        42 61 148! 358 359 215(216 217) 146({Instrument}) {InstrmtLegGrp} {UndInstrmtGrp} 33!(58! 354
        355) 149 95 96`,
    },
    j: {
      name: "BusinessMessageReject",
      fields: "45 372! 379 380! 58 354 355",
    },
    a: {
      name: "QuoteStatusRequest",
      fields: `
        649 117 {Instrument} {FinancingDetails} {UndInstrmtGrp} {InstrmtLegGrp} {Parties} 1 660 581 336
        625 263`,
    },
    d: {
      name: "SecurityDefinition",
      fields: `
        320! 322! 323! {Instrument} 668 869 870(871 872) {UndInstrmtGrp} 15 336 625 58 354 355
        {InstrmtLegGrp} 827 561 562`,
    },
    H: {
      name: "OrderStatusRequest",
      fields: "37 11! 526 583 {Parties} 790 1 660 {Instrument} {FinancingDetails} {UndInstrmtGrp} 54!",
    },
  },
};
