import { isBybitVenue } from "../../feed/bybit/venue.ts";
import type { VenueName } from "../../market/instrument.ts";
import { BitstampCaptureDialect } from "./bitstamp.ts";
import { BybitCaptureDialect } from "./bybit.ts";
import { CoinbaseCaptureDialect } from "./coinbase.ts";
import type { CaptureDialect } from "./dialect.ts";
import { KrakenCaptureDialect } from "./kraken.ts";
import { OkxCaptureDialect } from "./okx.ts";

/** The dialect of a venue, anew for each capture; null for Binance and Deribit, which have protocols of their own. */
export function captureDialect(venue: VenueName): CaptureDialect | null {
  if (isBybitVenue(venue)) return new BybitCaptureDialect(venue);
  switch (venue) {
    case "okx":
      return new OkxCaptureDialect();
    case "kraken":
      return new KrakenCaptureDialect();
    case "coinbase":
      return new CoinbaseCaptureDialect();
    case "bitstamp":
      return new BitstampCaptureDialect();
    default:
      return null;
  }
}
