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
  | "utcDate"
  | "utcTime"
  | "localDate"
  | "monthYear"
  | "currency"
  | "data"
  | "multipleValue";

/** Name and number of every field of the messages in this dictionary, by type; a field's name is that of FIX 4.4 where it has one. */
export const FIELDS: Record<FieldType, string> = {
  string: `
    Account=1 ClOrdID=11 ExecID=17 ExecRefID=19 SecurityIDSource=22 IOIID=23 LastMkt=30 MsgType=35
    OrderID=37 OrigClOrdID=41 RelatdSym=46 SecurityID=48 SenderCompID=49 SenderSubID=50 Symbol=55
    TargetCompID=56 TargetSubID=57 Text=58 SymbolSfx=65 ListID=66 AllocID=70 ExecBroker=76
    AllocAccount=79 ExDestination=100 Issuer=106 SecurityDesc=107 ClientID=109 TestReqID=112
    OnBehalfOfCompID=115 OnBehalfOfSubID=116 QuoteID=117 DeliverToCompID=128 DeliverToSubID=129
    QuoteReqID=131 MiscFeeType=139 SenderLocationID=142 TargetLocationID=143 OnBehalfOfLocationID=144
    DeliverToLocationID=145 Headline=148 URLLink=149 SecurityType=167 SecondaryOrderID=198
    SecurityExchange=207 RoutingID=217 BenchmarkCurveName=221 BenchmarkCurvePoint=222
    StipulationType=233 StipulationValue=234 YieldType=235 RepoCollateralSecurityType=239
    UnderlyingRepoCollateralSecurityType=243 LegRepoCollateralSecurityType=250 CreditRating=255
    UnderlyingCreditRating=256 LegCreditRating=257 MDReqID=262 MDMkt=275 MDEntryID=278 MDEntryRefID=280
    MDEntryOriginator=282 LocationID=283 DeskID=284 MDEntryBuyer=288 MDEntrySeller=289 QuoteEntryID=299
    QuoteSetID=302 UnderlyingSecurityIDSource=305 UnderlyingIssuer=306 UnderlyingSecurityDesc=307
    UnderlyingSecurityExchange=308 UnderlyingSecurityID=309 UnderlyingSecurityType=310
    UnderlyingSymbol=311 UnderlyingSymbolSfx=312 SecurityReqID=320 SecurityResponseID=322
    TradingSessionID=336 ContraTrader=337 MessageEncoding=347 RefMsgType=372 ContraBroker=375
    ComplianceID=376 BusinessRejectRefID=379 ClearingFirm=439 ClearingAccount=440 PartyID=448
    SecurityAltID=455 SecurityAltIDSource=456 UnderlyingSecurityAltID=458
    UnderlyingSecurityAltIDSource=459 CFICode=461 UnderlyingCFICode=463 IndividualAllocID=467
    CountryOfIssue=470 StateOrProvinceOfIssue=471 LocaleOfIssue=472 Designation=494 RegistID=513
    PartySubID=523 NestedPartyID=524 SecondaryClOrdID=526 SecondaryExecID=527 MassCancelRejectReason=532
    AffectedOrderID=535 AffectedSecondaryOrderID=536 InstrRegistry=543 NestedPartySubID=545 CrossID=548
    OrigCrossID=551 Username=553 Password=554 ClOrdLinkID=583 MassStatusReqID=584
    UnderlyingCountryOfIssue=592 UnderlyingStateOrProvinceOfIssue=593 UnderlyingLocaleOfIssue=594
    UnderlyingInstrRegistry=595 LegCountryOfIssue=596 LegStateOrProvinceOfIssue=597 LegLocaleOfIssue=598
    LegInstrRegistry=599 LegSymbol=600 LegSymbolSfx=601 LegSecurityID=602 LegSecurityIDSource=603
    LegSecurityAltID=605 LegSecurityAltIDSource=606 LegCFICode=608 LegSecurityType=609
    LegSecurityExchange=616 LegIssuer=617 LegSecurityDesc=620 TradingSessionSubID=625 HopCompID=628
    ClearingFeeIndicator=635 RFQReqID=644 QuoteStatusReqID=649 LegRefID=654 ContraLegRefID=655
    LegBenchmarkCurveName=677 LegBenchmarkCurvePoint=678 LegStipulationType=688 LegStipulationValue=689
    Pool=691 QuoteRespID=693 BenchmarkSecurityID=699 LegPool=740 BenchmarkSecurityIDSource=761
    SecuritySubType=762 UnderlyingSecuritySubType=763 LegSecuritySubType=764 OrdStatusReqID=790
    AltMDSourceID=817 TargetStrategyParameters=848 EventText=868 InstrAttribValue=872 CPRegType=876
    UnderlyingCPProgram=877 UnderlyingCPRegType=878 UnderlyingStipType=888 UnderlyingStipValue=889
    AgreementDesc=913 AgreementID=914 TimeBracket=943`,
  char: `
    CommType=13 ExecTransType=20 HandlInst=21 LastCapacity=29 OrdStatus=39 OrdType=40 Rule80A=47 Side=54
    TimeInForce=59 Urgency=61 SettlType=63 PositionEffect=77 ProcessCode=81 ExecType=150
    SettlCurrFxRateCalc=156 OptAttribute=206 SubscriptionRequestType=263 MDEntryType=269
    TickDirection=274 MDUpdateAction=279 MDReqRejReason=281 DeleteReason=285 UnderlyingOptAttribute=317
    MsgDirection=385 DiscretionInst=388 CxlRejResponseTo=434 MultiLegReportingType=442 PartyIDSource=447
    RoundingDirection=468 CancellationRights=480 MoneyLaunderingStatus=481 ExecPriceType=484
    FundRenewWaiv=497 NestedPartyIDSource=525 OrderCapacity=528 MassCancelRequestType=530
    MassCancelResponse=531 CashMargin=544 LegPositionEffect=564 LegSettlType=587 DayBookingInst=589
    BookingUnit=590 PreallocMethod=591 LegOptAttribute=613 LegSide=624 QuoteQualifier=695`,
  int: `
    EncryptMethod=98 CxlRejReason=102 OrdRejReason=103 HeartBtInt=108 NumDaysInterest=157 PutOrCall=201
    CoveredOrUncovered=203 CustomerOrFirm=204 MaturityDay=205 RoutingType=216 RepurchaseTerm=226
    UnderlyingRepurchaseTerm=244 LegRepurchaseTerm=251 MarketDepth=264 MDUpdateType=265 SellerDays=287
    MDEntryPositionNo=290 QuoteStatus=297 QuoteCancelType=298 QuoteRejectReason=300
    QuoteResponseLevel=301 QuoteRequestType=303 TotNoQuoteEntries=304 UnderlyingMaturityDay=314
    UnderlyingPutOrCall=315 SecurityResponseType=323 NumberOfOrders=346 QuoteEntryRejectReason=368
    RefTagID=371 SessionRejectReason=373 ExecRestatementReason=378 BusinessRejectReason=380
    TotalNumSecurities=393 PriceType=423 GTBookingInst=427 PartyRole=452 Product=460
    UnderlyingProduct=462 ContAmtType=519 TotalAffectedOrders=533 QuoteType=537 NestedPartyRole=538
    CrossType=549 LegCoveredOrUncovered=565 AccountType=581 CustOrderCapacity=582 LegProduct=607
    PriorityIndicator=638 QuoteRequestRejectReason=658 AcctIDSource=660 AllocAcctIDSource=661
    BenchmarkPriceType=663 DeliveryForm=668 LegBenchmarkPriceType=680 LegPriceType=686 LegSwapType=690
    QuotePriceType=692 QuoteRespType=694 YieldRedemptionPriceType=698 BookingType=775
    TerminationType=788 PartySubIDType=803 NestedPartySubIDType=805 ApplQueueMax=812 ApplQueueDepth=813
    ApplQueueResolution=814 ApplQueueAction=815 ExpirationCycle=827 PegMoveType=835 PegOffsetType=836
    PegLimitType=837 PegRoundDirection=838 PegScope=840 DiscretionMoveType=841 DiscretionOffsetType=842
    DiscretionLimitType=843 DiscretionRoundDirection=844 DiscretionScope=846 TargetStrategy=847
    LastLiquidityInd=851 QtyType=854 EventType=865 InstrAttribType=871 CPProgram=875 MiscFeeBasis=891
    TotNumReports=911 DeliveryType=919`,
  length: `
    SecureDataLen=90 SignatureLength=93 RawDataLength=95 XmlDataLen=212 EncodedIssuerLen=348
    EncodedSecurityDescLen=350 EncodedTextLen=354 EncodedHeadlineLen=358 EncodedUnderlyingIssuerLen=362
    EncodedUnderlyingSecurityDescLen=364 MaxMessageSize=383 EncodedLegIssuerLen=618
    EncodedLegSecurityDescLen=621`,
  seqNum: `
    BeginSeqNo=7 EndSeqNo=16 MsgSeqNum=34 NewSeqNo=36 RefSeqNum=45 LastMsgSeqNumProcessed=369
    HopRefID=630 NextExpectedMsgSeqNum=789`,
  numInGroup: `
    NoLinesOfText=33 NoAllocs=78 NoMiscFees=136 NoRelatedSym=146 NoRoutingIDs=215 NoStipulations=232
    NoMDEntryTypes=267 NoMDEntries=268 NoQuoteEntries=295 NoQuoteSets=296 NoContraBrokers=382
    NoMsgTypes=384 NoTradingSessions=386 NoPartyIDs=453 NoSecurityAltID=454
    NoUnderlyingSecurityAltID=457 NoContAmts=518 NoAffectedOrders=534 NoNestedPartyIDs=539 NoLegs=555
    NoLegSecurityAltID=604 NoHops=627 NoLegStipulations=683 NoUnderlyings=711 NoQuoteQualifiers=735
    NoPartySubIDs=802 NoNestedPartySubIDs=804 NoAltMDSource=816 NoEvents=864 NoInstrAttrib=870
    NoUnderlyingStips=887`,
  float: `
    AvgPx=6 Commission=12 CumQty=14 LastPx=31 LastQty=32 OrderQty=38 Price=44 AllocQty=80 StopPx=99
    MinQty=110 MaxFloor=111 NetMoney=118 SettlCurrAmt=119 BidPx=132 OfferPx=133 BidSize=134
    OfferSize=135 MiscFeeAmt=137 PrevClosePx=140 LeavesQty=151 CashOrderQty=152 SettlCurrFxRate=155
    AccruedInterestRate=158 AccruedInterestAmt=159 BidSpotRate=188 BidForwardPoints=189
    OfferSpotRate=190 OfferForwardPoints=191 OrderQty2=192 LastSpotRate=194 LastForwardPoints=195
    StrikePrice=202 MaxShow=210 PegOffsetValue=211 Spread=218 CouponRate=223 RepurchaseRate=227
    Factor=228 ContractMultiplier=231 Yield=236 TotalTakedown=237 Concession=238
    UnderlyingRepurchaseRate=245 UnderlyingFactor=246 LegRepurchaseRate=252 LegFactor=253
    BasisFeaturePrice=260 MDEntryPx=270 MDEntrySize=271 DefBidSize=293 DefOfferSize=294
    UnderlyingStrikePrice=316 RatioQty=319 GrossTradeAmt=381 TotalVolumeTraded=387
    DiscretionOffsetValue=389 DayOrderQty=424 DayCumQty=425 DayAvgPx=426 UnderlyingCouponRate=435
    UnderlyingContractMultiplier=436 ContraTradeQty=437 NetChgPrevDay=451 RoundingModulus=469
    ExecPriceAdjustment=485 OrderPercent=516 ContAmtValue=520 RoundLot=561 MinTradeVol=562 LegPrice=566
    LegStrikePrice=612 LegContractMultiplier=614 LegCouponRate=615 LegRatioQty=623 MidPx=631
    BidYield=632 MidYield=633 OfferYield=634 LegLastPx=637 PriceImprovement=639 Price2=640
    LastForwardPoints2=641 BidForwardPoints2=642 OfferForwardPoints2=643 MktBidPx=645 MktOfferPx=646
    MinBidSize=647 MinOfferSize=648 UnderlyingLastPx=651 UnderlyingLastQty=652 SettlCurrBidFxRate=656
    SettlCurrOfferFxRate=657 BenchmarkPrice=662 LastParPx=669 LegBenchmarkPrice=679 LegBidPx=681
    LegOfferPx=684 LegQty=687 YieldRedemptionPrice=697 InterestAtMaturity=738 UnderlyingPx=810
    PriceDelta=811 PeggedPrice=839 DiscretionPrice=845 ParticipationRate=849
    TargetStrategyPerformance=850 EventPx=867 PctAtRisk=869 UnderlyingQty=879 UnderlyingDirtyPrice=882
    UnderlyingEndPrice=883 UnderlyingStartValue=884 UnderlyingCurrentValue=885 UnderlyingEndValue=886
    MarginRatio=898 EndAccruedInterestAmt=920 StartCash=921 EndCash=922`,
  boolean: `
    PossDupFlag=43 PossResend=97 ReportToExch=113 LocateReqd=114 ForexReq=121 GapFillFlag=123
    ResetSeqNumFlag=141 TradedFlatSwitch=258 AggregatedBook=266 SolicitedFlag=377
    TestMessageIndicator=464 MDImplicitDelete=547 WorkingIndicator=636 CopyMsgIndicator=797
    LastFragment=893 LastRptRequested=912`,
  utcTimestamp: `
    OrigTime=42 SendingTime=52 TransactTime=60 ValidUntilTime=62 OrigSendingTime=122 ExpireTime=126
    EffectiveTime=168 QuoteSetValidUntilTime=367 OnBehalfOfSendingTime=370 ContraTradeTime=438
    TransBkdTime=483 ExecValuationPoint=515 OrigOrdModTime=586 HopSendingTime=629`,
  utcDate: "MDEntryDate=272",
  utcTime: "MDEntryTime=273",
  localDate: `
    SettlDate=64 TradeDate=75 SettlDate2=193 CouponPaymentDate=224 IssueDate=225
    TradeOriginationDate=229 ExDate=230 RedemptionDate=240 UnderlyingCouponPaymentDate=241
    UnderlyingIssueDate=242 UnderlyingRedemptionDate=247 LegCouponPaymentDate=248 LegIssueDate=249
    LegRedemptionDate=254 BasisFeatureDate=259 ExpireDate=432 MaturityDate=541
    UnderlyingMaturityDate=542 LegSettlDate=588 LegMaturityDate=611 YieldRedemptionDate=696
    YieldCalcDate=701 LegDatedDate=739 EventDate=866 DatedDate=873 InterestAccrualDate=874
    AgreementDate=915 StartDate=916 EndDate=917 LegInterestAccrualDate=956`,
  monthYear: `
    MaturityMonthYear=200 UnderlyingMaturityMonthYear=313 LegMaturityMonthYear=610
    ContractSettlMonth=667 LegContractSettlMonth=955`,
  currency: `
    Currency=15 SettlCurrency=120 MiscFeeCurr=138 BenchmarkCurveCurrency=220 UnderlyingCurrency=318
    CommCurrency=479 ContAmtCurr=521 LegCurrency=556 LegBenchmarkCurveCurrency=676
    AllocSettlCurrency=736 AgreementCurrency=918 UnderlyingStrikeCurrency=941 LegStrikeCurrency=942
    StrikeCurrency=947`,
  data: `
    Signature=89 SecureData=91 RawData=96 XmlData=213 EncodedIssuer=349 EncodedSecurityDesc=351
    EncodedText=355 EncodedHeadline=359 EncodedUnderlyingIssuer=363 EncodedUnderlyingSecurityDesc=365
    EncodedLegIssuer=619 EncodedLegSecurityDesc=622`,
  multipleValue: `
    ExecInst=18 QuoteCondition=276 TradeCondition=277 OpenCloseSettlFlag=286 FinancialStatus=291
    CorporateAction=292 OrderRestrictions=529 Scope=546`,
};
