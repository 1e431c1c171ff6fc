/*
 * Deribit's notifications of books, trades and tickers. Gives what src/feed/deribit/decoder.ts gives. Compiled once for each
 * instruction set, which KEEL_ISA names.
 */
#include "decode_keys.h"

/* `numberToSteps` of src/core/decimal.ts for a number that is not negative. */
INLINE bool number_to_steps(double value, const keel_grid *grid, double *steps) {
  const double scaled = value * grid->power / grid->mantissa;
  if (!round_steps(scaled, steps)) return false;
  return fabs(scaled - *steps) <= 1e-6 + *steps * 1e-12;
}

/* Reads `["new",0.0015,4714.0]`. @returns behind it, or 0. */
INLINE const uint8_t *read_level(const uint8_t *at, int32_t side, const keel_listing *listing, appended *out) {
  double price, amount, ticks, lots;
  bool deleted = false;
  if (STARTS(at, "[\"new\",")) at += 7;
  else if (STARTS(at, "[\"change\",")) at += 10;
  else if (STARTS(at, "[\"delete\",")) at += 10, deleted = true;
  else return 0;
  if (!is_digit(*at)) return 0;
  at = read_number(at, &price);
  if (at == 0 || *at != ',' || !is_digit(at[1])) return 0;
  at = read_number(at + 1, &amount);
  if (at == 0 || *at != ']') return 0;
  if (!number_to_steps(price, &listing->tick, &ticks) || ticks > MAX_PRICE_TICKS) return 0;
  if (deleted) lots = 0;
  else if (!number_to_steps(amount, &listing->lot, &lots)) lots = steps_in(amount, &listing->lot);
  return add_level(out, side, (int32_t)ticks, lots) ? at + 1 : 0;
}

static const uint8_t *read_levels(const uint8_t *at, int32_t side, const keel_listing *listing, appended *out) {
  if (*at != '[') return 0;
  at += 1;
  if (*at == ']') return at + 1;
  for (;; at += 1) {
    at = read_level(at, side, listing, out);
    if (UNLIKELY(at == 0)) return 0;
    if (*at != ',') return *at == ']' ? at + 1 : 0;
  }
}

enum { BOOK_TYPE, BOOK_TIME, BOOK_CHANGE, BOOK_PREVIOUS, BOOK_BIDS, BOOK_ASKS };

static const uint8_t *read_book(const uint8_t *at, const keel_listing *listing, appended *out) {
  uint32_t seen = 0;
  uint64_t change = 0, previous = 0;
  double timestamp = NAN;
  bool snapshot = false;
  const int32_t row = begin_event(out, EVENT_DELTA, listing->instrument, NAN);
  if (row < 0 || *at != '{') return 0;
  do {
    key name;
    at = read_key(at + 1, &name);
    if (at == 0) return 0;
    if (KEY_IS(name, "type")) {
      if (!first_time(&seen, BOOK_TYPE)) return 0;
      snapshot = STARTS(at, "\"snapshot\"");
      if (!snapshot && !STARTS(at, "\"change\"")) return 0;
      at += snapshot ? 10 : 8;
    } else if (KEY_IS(name, "timestamp")) {
      at = ONCE(&seen, BOOK_TIME, read_number(at, &timestamp));
    } else if (KEY_IS(name, "change_id")) {
      at = ONCE(&seen, BOOK_CHANGE, read_integer(at, &change));
    } else if (KEY_IS(name, "prev_change_id")) {
      at = ONCE(&seen, BOOK_PREVIOUS, read_integer(at, &previous));
    } else if (KEY_IS(name, "bids")) {
      at = ONCE(&seen, BOOK_BIDS, read_levels(at, SIDE_BID, listing, out));
    } else if (KEY_IS(name, "asks")) {
      if (!first_time(&seen, BOOK_ASKS) || !has(seen, BOOK_BIDS)) return 0;
      at = read_levels(at, SIDE_ASK, listing, out);
    } else {
      at = skip_value(at, MAX_DEPTH);
    }
    if (UNLIKELY(at == 0)) return 0;
  } while (*at == ',');
  if (*at != '}' || !has(seen, BOOK_TYPE) || !has(seen, BOOK_CHANGE) || !has(seen, BOOK_ASKS)) return 0;
  if (!snapshot && !has(seen, BOOK_PREVIOUS)) return 0;
  out->decoder->kind[row] = snapshot ? EVENT_SNAPSHOT : EVENT_DELTA;
  out->decoder->exchange_time_us[row] = timestamp * 1000.0;
  set_sequence(out, row, NAN, (double)change, has(seen, BOOK_PREVIOUS) ? (double)previous : NAN);
  end_event(out, row);
  return at + 1;
}

enum { TRADE_PRICE, TRADE_AMOUNT, TRADE_DIRECTION, TRADE_SEQUENCE, TRADE_TIME };

static const uint8_t *read_trade(const uint8_t *at, const keel_listing *listing, appended *out) {
  uint32_t seen = 0;
  uint64_t sequence = 0;
  double price = 0, amount = 0, timestamp = NAN;
  int32_t side = SIDE_BID;
  if (*at != '{') return 0;
  do {
    key name;
    at = read_key(at + 1, &name);
    if (at == 0) return 0;
    if (KEY_IS(name, "price")) {
      at = ONCE(&seen, TRADE_PRICE, read_number(at, &price));
    } else if (KEY_IS(name, "amount")) {
      at = ONCE(&seen, TRADE_AMOUNT, read_number(at, &amount));
    } else if (KEY_IS(name, "direction")) {
      at = ONCE(&seen, TRADE_DIRECTION, read_side(at, &side));
    } else if (KEY_IS(name, "trade_seq")) {
      at = ONCE(&seen, TRADE_SEQUENCE, read_integer(at, &sequence));
    } else if (KEY_IS(name, "timestamp")) {
      at = ONCE(&seen, TRADE_TIME, read_number(at, &timestamp));
    } else {
      at = skip_value(at, MAX_DEPTH);
    }
    if (UNLIKELY(at == 0)) return 0;
  } while (*at == ',');
  if (*at != '}' || !has(seen, TRADE_PRICE) || !has(seen, TRADE_AMOUNT) || !has(seen, TRADE_DIRECTION)) return 0;
  const int32_t row = begin_event(out, EVENT_TRADE, listing->instrument, timestamp * 1000.0);
  if (row < 0) return 0;
  const double last = has(seen, TRADE_SEQUENCE) ? (double)sequence : NAN;
  set_sequence(out, row, last, last, NAN);
  if (!add_trade(out, listing, side, price, amount)) return 0;
  end_event(out, row);
  return at + 1;
}

static const uint8_t *read_trades(const uint8_t *at, const keel_listing *listing, appended *out) {
  if (*at != '[') return 0;
  at += 1;
  if (*at == ']') return at + 1;
  for (;; at += 1) {
    at = read_trade(at, listing, out);
    if (at == 0) return 0;
    if (*at != ',') return *at == ']' ? at + 1 : 0;
  }
}

/* Where a ticker's numbers go. Volatilities come in percent, and 0 where there is nothing to imply one from. */
typedef struct {
  const char *name;
  uint8_t length;
  uint8_t column;
  bool percent;
} ticker_field;

#define FIELD(name, column, percent) {name, sizeof(name) - 1, column, percent}

static const ticker_field TICKER[] = {
    FIELD("underlying_price", TICKER_UNDERLYING_PRICE, false),
    FIELD("open_interest", TICKER_OPEN_INTEREST, false),
    FIELD("mark_price", TICKER_MARK_PRICE, false),
    FIELD("mark_iv", TICKER_MARK_IV, true),
    FIELD("last_price", TICKER_LAST_PRICE, false),
    FIELD("interest_rate", TICKER_INTEREST_RATE, false),
    FIELD("index_price", TICKER_INDEX_PRICE, false),
    FIELD("current_funding", TICKER_FUNDING_RATE, false),
    FIELD("bid_iv", TICKER_BID_IV, true),
    FIELD("ask_iv", TICKER_ASK_IV, true),
};
static const ticker_field GREEKS[] = {
    FIELD("vega", TICKER_VEGA, false),
    FIELD("theta", TICKER_THETA, false),
    FIELD("gamma", TICKER_GAMMA, false),
    FIELD("delta", TICKER_DELTA, false),
};
#define COUNT(fields) ((int32_t)(sizeof(fields) / sizeof(fields[0])))

/* Reads a known field, or passes over an unknown one. @returns behind the value, or 0. */
static const uint8_t *read_ticker_field(const uint8_t *at, key name, const ticker_field *fields, int32_t count,
                                        uint32_t *seen, double *values) {
  for (int32_t i = 0; i < count; i += 1) {
    if (fields[i].length != name.length || memcmp(fields[i].name, name.at, name.length) != 0) continue;
    if (!first_time(seen, fields[i].column)) return 0;
    if (STARTS(at, "null")) return at + 4;
    double value;
    at = read_number(at, &value);
    if (at == 0) return 0;
    if (fields[i].percent) value = value > 0 ? value / 100 : NAN;
    values[fields[i].column] = value;
    return at;
  }
  return skip_value(at, MAX_DEPTH);
}

static const uint8_t *read_greeks(const uint8_t *at, uint32_t *seen, double *values) {
  if (*at != '{' || at[1] == '}') return 0;
  do {
    key name;
    at = read_key(at + 1, &name);
    if (at == 0) return 0;
    at = read_ticker_field(at, name, GREEKS, COUNT(GREEKS), seen, values);
    if (at == 0) return 0;
  } while (*at == ',');
  return *at == '}' ? at + 1 : 0;
}

enum { SEEN_TIME = TICKER_FIELDS, SEEN_GREEKS };

static const uint8_t *read_ticker(const uint8_t *at, const keel_listing *listing, appended *out) {
  uint32_t seen = 0;
  double timestamp = NAN;
  const int32_t row = begin_event(out, EVENT_TICKER, listing->instrument, NAN);
  if (row < 0 || *at != '{') return 0;
  double *const values = ticker_values(out, row);
  do {
    key name;
    at = read_key(at + 1, &name);
    if (at == 0) return 0;
    if (KEY_IS(name, "timestamp")) {
      at = ONCE(&seen, SEEN_TIME, read_number(at, &timestamp));
    } else if (KEY_IS(name, "greeks")) {
      at = ONCE(&seen, SEEN_GREEKS, read_greeks(at, &seen, values));
    } else {
      at = read_ticker_field(at, name, TICKER, COUNT(TICKER), &seen, values);
    }
    if (UNLIKELY(at == 0)) return 0;
  } while (*at == ',');
  if (*at != '}' || values[TICKER_MARK_PRICE] != values[TICKER_MARK_PRICE]) return 0;
  out->decoder->exchange_time_us[row] = timestamp * 1000.0;
  return at + 1;
}

int32_t FOR_ISA(keel_decode_deribit)(const keel_decoder *d, int32_t length, int32_t *count, int32_t *levels) {
  static const char HEAD[] = "{\"jsonrpc\":\"2.0\",\"method\":\"subscription\",\"params\":{\"channel\":\"";
  const uint8_t *at = d->frame;
  const uint8_t *const end = at + length;
  appended out = {d, *count, *levels};
  if (length < (int32_t)sizeof HEAD || memcmp(at, HEAD, sizeof HEAD - 1) != 0) return 0;
  const uint8_t *const topic = at + sizeof HEAD - 1;
  at = string_end(topic);
  if (at == 0 || !STARTS(at, "\",\"data\":")) return 0;
  const uint8_t *const symbol = memchr(topic, '.', (size_t)(at - topic));
  if (symbol == 0) return 0;
  const uint8_t *const rest = memchr(symbol + 1, '.', (size_t)(at - symbol - 1));
  const keel_listing *const listing = find_listing(d, symbol + 1, rest == 0 ? at : rest);
  if (listing == 0) return 0;
  at += 9;
  if (STARTS(topic, "book.")) at = read_book(at, listing, &out);
  else if (STARTS(topic, "trades.")) at = read_trades(at, listing, &out);
  else if (STARTS(topic, "ticker.")) at = read_ticker(at, listing, &out);
  else return 0;
  if (at == 0 || !STARTS(at, "}}") || at + 2 != end) return 0;
  *count = out.count;
  *levels = out.levels;
  return 1;
}
