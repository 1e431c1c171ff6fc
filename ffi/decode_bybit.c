/*
 * Bybit v5's books, trades and tickers. Gives what src/feed/bybit/decoder.ts gives. Compiled once for each instruction set, which
 * KEEL_ISA names.
 */
#include "decode_keys.h"
#include "decode_levels.h"

#define COUNT(fields) ((int32_t)(sizeof(fields) / sizeof(fields[0])))

enum { BOOK_SYMBOL, BOOK_BIDS, BOOK_ASKS, BOOK_UPDATE, BOOK_SEQUENCE };

static const uint8_t *read_book(const uint8_t *at, const keel_listing *listing, int32_t row, appended *out) {
  uint32_t seen = 0;
  uint64_t update = 0, sequence = 0;
  if (*at != '{') return 0;
  do {
    key name;
    at = read_key(at + 1, &name);
    if (at == 0) return 0;
    if (KEY_IS(name, "b")) {
      at = ONCE(&seen, BOOK_BIDS, read_levels(at, false, SIDE_BID, listing, out));
    } else if (KEY_IS(name, "a")) {
      if (!first_time(&seen, BOOK_ASKS) || !has(seen, BOOK_BIDS)) return 0;
      at = read_levels(at, false, SIDE_ASK, listing, out);
    } else if (KEY_IS(name, "s")) {
      text symbol;
      if (!first_time(&seen, BOOK_SYMBOL)) return 0;
      at = read_text(at, &symbol);
      if (at == 0 || symbol.end - symbol.at != listing->name_length) return 0;
      if (memcmp(symbol.at, listing->name, (size_t)listing->name_length) != 0) return 0;
    } else if (KEY_IS(name, "u")) {
      at = ONCE(&seen, BOOK_UPDATE, read_integer(at, &update));
    } else if (KEY_IS(name, "seq")) {
      at = ONCE(&seen, BOOK_SEQUENCE, read_integer(at, &sequence));
    } else {
      at = skip_value(at, MAX_DEPTH);
    }
    if (UNLIKELY(at == 0)) return 0;
  } while (*at == ',');
  if (*at != '}' || seen != (1u << (BOOK_SEQUENCE + 1)) - 1) return 0;
  set_sequence(out, row, (double)update, (double)sequence, NAN);
  end_event(out, row);
  return at + 1;
}

/* Reads `"Buy"` or `"Sell"`. @returns behind it, or 0. */
INLINE const uint8_t *read_capital_side(const uint8_t *at, int32_t *side) {
  const bool buy = STARTS(at, "\"Buy\"");
  if (!buy && !STARTS(at, "\"Sell\"")) return 0;
  *side = buy ? SIDE_BID : SIDE_ASK;
  return at + (buy ? 5 : 6);
}

enum { TRADE_TIME, TRADE_SYMBOL, TRADE_SIDE, TRADE_SIZE, TRADE_PRICE, TRADE_SEQUENCE };

static const uint8_t *read_trade(const uint8_t *at, appended *out) {
  uint32_t seen = 0;
  uint64_t time = 0, sequence = 0;
  double price = NAN, size = NAN;
  int32_t side = SIDE_BID;
  const keel_listing *listing = 0;
  if (*at != '{') return 0;
  do {
    key name;
    at = read_key(at + 1, &name);
    if (at == 0) return 0;
    if (KEY_IS(name, "T")) {
      at = ONCE(&seen, TRADE_TIME, read_integer(at, &time));
    } else if (KEY_IS(name, "s")) {
      at = ONCE(&seen, TRADE_SYMBOL, read_listing(at, out->decoder, &listing));
    } else if (KEY_IS(name, "S")) {
      at = ONCE(&seen, TRADE_SIDE, read_capital_side(at, &side));
    } else if (KEY_IS(name, "v")) {
      at = ONCE(&seen, TRADE_SIZE, read_text_number(at, &size));
    } else if (KEY_IS(name, "p")) {
      at = ONCE(&seen, TRADE_PRICE, read_text_number(at, &price));
    } else if (KEY_IS(name, "seq")) {
      at = ONCE(&seen, TRADE_SEQUENCE, read_integer(at, &sequence));
    } else {
      at = skip_value(at, MAX_DEPTH);
    }
    if (UNLIKELY(at == 0)) return 0;
  } while (*at == ',');
  const uint32_t needed = (1u << TRADE_SEQUENCE) - 1;
  if (*at != '}' || (seen & needed) != needed) return 0;
  const int32_t row = begin_event(out, EVENT_TRADE, listing->instrument, (double)time * 1000.0);
  if (row < 0) return 0;
  const double last = has(seen, TRADE_SEQUENCE) ? (double)sequence : NAN;
  set_sequence(out, row, last, last, NAN);
  if (!add_trade(out, listing, side, price, size)) return 0;
  end_event(out, row);
  return at + 1;
}

static const uint8_t *read_trades(const uint8_t *at, appended *out) {
  if (*at != '[') return 0;
  at += 1;
  if (*at == ']') return at + 1;
  for (;; at += 1) {
    at = read_trade(at, out);
    if (at == 0) return 0;
    if (*at != ',') return *at == ']' ? at + 1 : 0;
  }
}

static const text_field TICKER[] = {
    TEXT_FIELD("markPrice", TICKER_MARK_PRICE, false),
    TEXT_FIELD("indexPrice", TICKER_INDEX_PRICE, false),
    TEXT_FIELD("underlyingPrice", TICKER_UNDERLYING_PRICE, false),
    TEXT_FIELD("markPriceIv", TICKER_MARK_IV, true),
    TEXT_FIELD("bidIv", TICKER_BID_IV, true),
    TEXT_FIELD("askIv", TICKER_ASK_IV, true),
    TEXT_FIELD("delta", TICKER_DELTA, false),
    TEXT_FIELD("gamma", TICKER_GAMMA, false),
    TEXT_FIELD("vega", TICKER_VEGA, false),
    TEXT_FIELD("theta", TICKER_THETA, false),
    TEXT_FIELD("fundingRate", TICKER_FUNDING_RATE, false),
    TEXT_FIELD("nextFundingTime", TICKER_NEXT_FUNDING_MS, true),
    TEXT_FIELD("openInterest", TICKER_OPEN_INTEREST, false),
    TEXT_FIELD("lastPrice", TICKER_LAST_PRICE, false),
    /* Spot's name of the index. */
    TEXT_FIELD("usdIndexPrice", TICKER_INDEX_PRICE, false),
};

static const uint8_t *read_ticker(const uint8_t *at, int32_t row, appended *out) {
  uint32_t seen = 0;
  double *const values = ticker_values(out, row);
  if (*at != '{') return 0;
  if (at[1] == '}') return at + 2;
  do {
    key name;
    at = read_key(at + 1, &name);
    if (at == 0) return 0;
    at = read_text_field(at, name, TICKER, COUNT(TICKER), &seen, values);
    if (UNLIKELY(at == 0)) return 0;
  } while (*at == ',');
  return *at == '}' ? at + 1 : 0;
}

enum { ROOT_TYPE, ROOT_TIME, ROOT_ENGINE_TIME, ROOT_DATA };

int32_t FOR_ISA(keel_decode_bybit)(const keel_decoder *d, int32_t length, int32_t *count, int32_t *levels) {
  static const char HEAD[] = "{\"topic\":\"";
  const uint8_t *at = d->frame;
  const uint8_t *const end = at + length;
  appended out = {d, *count, *levels};
  uint32_t seen = 0;
  uint64_t time = 0, engine_time = 0;
  bool snapshot = false;
  if (memcmp(at, HEAD, sizeof HEAD - 1) != 0) return 0;
  const uint8_t *const topic = at + sizeof HEAD - 1;
  at = string_end(topic);
  if (at == 0) return 0;
  const bool is_book = STARTS(topic, "orderbook."), is_ticker = STARTS(topic, "tickers.");
  const keel_listing *listing = 0;
  int32_t row = -1;
  if (is_book || is_ticker) {
    const uint8_t *symbol = at;
    while (symbol[-1] != '.') symbol -= 1;
    listing = find_listing(d, symbol, at);
    if (listing == 0) return 0;
    row = begin_event(&out, is_book ? EVENT_DELTA : EVENT_TICKER, listing->instrument, NAN);
    if (row < 0) return 0;
  } else if (!STARTS(topic, "publicTrade.")) {
    return 0;
  }
  at += 1;
  while (*at == ',') {
    key name;
    at = read_key(at + 1, &name);
    if (at == 0) return 0;
    if (KEY_IS(name, "type")) {
      if (!first_time(&seen, ROOT_TYPE)) return 0;
      snapshot = STARTS(at, "\"snapshot\"");
      if (!snapshot && !STARTS(at, "\"delta\"")) return 0;
      at += snapshot ? 10 : 7;
    } else if (KEY_IS(name, "ts")) {
      at = ONCE(&seen, ROOT_TIME, read_integer(at, &time));
    } else if (KEY_IS(name, "cts")) {
      at = ONCE(&seen, ROOT_ENGINE_TIME, read_integer(at, &engine_time));
    } else if (KEY_IS(name, "data")) {
      if (!first_time(&seen, ROOT_DATA)) return 0;
      if (is_book) at = read_book(at, listing, row, &out);
      else if (is_ticker) at = read_ticker(at, row, &out);
      else at = read_trades(at, &out);
    } else if (KEY_IS(name, "topic")) {
      return 0;
    } else {
      at = skip_value(at, MAX_DEPTH);
    }
    if (UNLIKELY(at == 0)) return 0;
  }
  if (*at != '}' || at + 1 != end) return 0;
  if (!has(seen, ROOT_TYPE) || !has(seen, ROOT_TIME) || !has(seen, ROOT_DATA)) return 0;
  if (row >= 0) {
    if (is_book && snapshot) d->kind[row] = EVENT_SNAPSHOT;
    d->exchange_time_us[row] = (double)(is_book && has(seen, ROOT_ENGINE_TIME) ? engine_time : time) * 1000.0;
  }
  *count = out.count;
  *levels = out.levels;
  return 1;
}
