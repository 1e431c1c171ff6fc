/*
 * OKX v5's books, best bid and ask, trades and the parts of its tickers. Gives what src/feed/okx/decoder.ts gives. Compiled once for
 * each instruction set, which KEEL_ISA names.
 */
#include "decode_keys.h"
#include "decode_levels.h"

#define COUNT(fields) ((int32_t)(sizeof(fields) / sizeof(fields[0])))

/* Reads a whole number that may be negative, but no -0. @returns behind it, or 0. */
INLINE const uint8_t *read_signed(const uint8_t *at, int64_t *value) {
  const bool negative = *at == '-';
  uint64_t magnitude;
  at = read_integer(at + negative, &magnitude);
  if (at == 0 || (negative && magnitude == 0)) return 0;
  *value = negative ? -(int64_t)magnitude : (int64_t)magnitude;
  return at;
}

/* Reads the time, ms in a string. @returns behind it, or 0. */
INLINE const uint8_t *read_time(const uint8_t *at, double *time_us) {
  double ms;
  at = read_text_number(at, &ms);
  if (at == 0 || ms != ms) return 0;
  *time_us = ms * 1000.0;
  return at;
}

enum { BOOK_ASKS, BOOK_BIDS, BOOK_TIME, BOOK_CHECKSUM, BOOK_SEQUENCE, BOOK_PREVIOUS };

static const uint8_t *read_book(const uint8_t *at, const keel_listing *listing, bool snapshot, appended *out) {
  uint32_t seen = 0;
  int64_t checksum = 0, sequence = 0, previous = 0;
  double time_us = NAN;
  const int32_t row = begin_event(out, snapshot ? EVENT_SNAPSHOT : EVENT_DELTA, listing->instrument, NAN);
  if (row < 0 || *at != '{') return 0;
  do {
    key name;
    at = read_key(at + 1, &name);
    if (at == 0) return 0;
    if (KEY_IS(name, "asks")) {
      at = ONCE(&seen, BOOK_ASKS, read_levels(at, true, SIDE_ASK, listing, out));
    } else if (KEY_IS(name, "bids")) {
      if (!first_time(&seen, BOOK_BIDS) || !has(seen, BOOK_ASKS)) return 0;
      at = read_levels(at, true, SIDE_BID, listing, out);
    } else if (KEY_IS(name, "ts")) {
      at = ONCE(&seen, BOOK_TIME, read_time(at, &time_us));
    } else if (KEY_IS(name, "checksum")) {
      at = ONCE(&seen, BOOK_CHECKSUM, read_signed(at, &checksum));
    } else if (KEY_IS(name, "seqId")) {
      at = ONCE(&seen, BOOK_SEQUENCE, read_signed(at, &sequence));
    } else if (KEY_IS(name, "prevSeqId")) {
      at = ONCE(&seen, BOOK_PREVIOUS, read_signed(at, &previous));
    } else {
      at = skip_value(at, MAX_DEPTH);
    }
    if (UNLIKELY(at == 0)) return 0;
  } while (*at == ',');
  if (*at != '}' || !has(seen, BOOK_BIDS) || !has(seen, BOOK_TIME)) return 0;
  out->decoder->exchange_time_us[row] = time_us;
  if (checksum != 0) out->decoder->checksum[row] = (double)(uint32_t)checksum;
  set_sequence(out, row, NAN, has(seen, BOOK_SEQUENCE) ? (double)sequence : NAN,
               has(seen, BOOK_PREVIOUS) ? (double)previous : NAN);
  end_event(out, row);
  return at + 1;
}

/* Reads the one level of a side, or none: price and size are 0 then. @returns behind it, or 0. */
static const uint8_t *read_best(const uint8_t *at, const keel_listing *listing, int32_t *ticks, double *lots) {
  scaling tick = NO_SCALING, lot = NO_SCALING;
  decimal price, size;
  *ticks = 0;
  *lots = 0;
  if (STARTS(at, "[]")) return at + 2;
  if (*at != '[') return 0;
  at = read_level(at + 1, true, &price, &size);
  if (at == 0 || *at != ']') return 0;
  return to_ticks(price, listing, &tick, ticks) && to_lots(size, listing, &lot, lots) ? at + 1 : 0;
}

static const uint8_t *read_top(const uint8_t *at, const keel_listing *listing, appended *out) {
  uint32_t seen = 0;
  uint64_t sequence = 0;
  double time_us = NAN, bid_lots = 0, ask_lots = 0;
  int32_t bid_ticks = 0, ask_ticks = 0;
  if (*at != '{') return 0;
  do {
    key name;
    at = read_key(at + 1, &name);
    if (at == 0) return 0;
    if (KEY_IS(name, "asks")) {
      at = ONCE(&seen, BOOK_ASKS, read_best(at, listing, &ask_ticks, &ask_lots));
    } else if (KEY_IS(name, "bids")) {
      at = ONCE(&seen, BOOK_BIDS, read_best(at, listing, &bid_ticks, &bid_lots));
    } else if (KEY_IS(name, "ts")) {
      at = ONCE(&seen, BOOK_TIME, read_time(at, &time_us));
    } else if (KEY_IS(name, "seqId")) {
      at = ONCE(&seen, BOOK_SEQUENCE, read_integer(at, &sequence));
    } else {
      at = skip_value(at, MAX_DEPTH);
    }
    if (UNLIKELY(at == 0)) return 0;
  } while (*at == ',');
  if (*at != '}' || !has(seen, BOOK_ASKS) || !has(seen, BOOK_BIDS)) return 0;
  if (!has(seen, BOOK_TIME) || !has(seen, BOOK_SEQUENCE)) return 0;
  const int32_t row = begin_event(out, EVENT_TOP, listing->instrument, time_us);
  if (row < 0) return 0;
  set_sequence(out, row, (double)sequence, (double)sequence, NAN);
  if (!add_level(out, SIDE_BID, bid_ticks, bid_lots) || !add_level(out, SIDE_ASK, ask_ticks, ask_lots)) return 0;
  end_event(out, row);
  return at + 1;
}

enum { TRADE_SYMBOL, TRADE_ID, TRADE_PRICE, TRADE_SIZE, TRADE_SIDE, TRADE_TIME, TRADE_FIELDS };

static const uint8_t *read_trade(const uint8_t *at, appended *out) {
  uint32_t seen = 0;
  double time_us = NAN, price = NAN, size = NAN, trade = NAN;
  int32_t side = SIDE_BID;
  const keel_listing *listing = 0;
  if (*at != '{') return 0;
  do {
    key name;
    at = read_key(at + 1, &name);
    if (at == 0) return 0;
    if (KEY_IS(name, "instId")) {
      at = ONCE(&seen, TRADE_SYMBOL, read_listing(at, out->decoder, &listing));
    } else if (KEY_IS(name, "tradeId")) {
      if (!first_time(&seen, TRADE_ID)) return 0;
      at = read_text_number(at, &trade);
      if (at == 0 || trade != (double)(int64_t)trade) return 0;
    } else if (KEY_IS(name, "px")) {
      at = ONCE(&seen, TRADE_PRICE, read_text_number(at, &price));
    } else if (KEY_IS(name, "sz")) {
      at = ONCE(&seen, TRADE_SIZE, read_text_number(at, &size));
    } else if (KEY_IS(name, "side")) {
      at = ONCE(&seen, TRADE_SIDE, read_side(at, &side));
    } else if (KEY_IS(name, "ts")) {
      at = ONCE(&seen, TRADE_TIME, read_time(at, &time_us));
    } else {
      at = skip_value(at, MAX_DEPTH);
    }
    if (UNLIKELY(at == 0)) return 0;
  } while (*at == ',');
  if (*at != '}' || seen != (1u << TRADE_FIELDS) - 1) return 0;
  const int32_t row = begin_event(out, EVENT_TRADE, listing->instrument, time_us);
  if (row < 0) return 0;
  set_sequence(out, row, trade, trade, NAN);
  if (!add_trade(out, listing, side, price, size)) return 0;
  end_event(out, row);
  return at + 1;
}

/* What an entry of a channel tells of a ticker. */
typedef struct {
  const char *name;
  uint8_t length;
  uint8_t count;
  text_field fields[8];
} ticker_channel;

#define CHANNEL(name) name, sizeof(name) - 1

static const ticker_channel CHANNELS[] = {
    {CHANNEL("mark-price"), 1, {TEXT_FIELD("markPx", TICKER_MARK_PRICE, false)}},
    {CHANNEL("tickers"), 1, {TEXT_FIELD("last", TICKER_LAST_PRICE, false)}},
    {CHANNEL("open-interest"), 1, {TEXT_FIELD("oi", TICKER_OPEN_INTEREST, false)}},
    {CHANNEL("funding-rate"),
     2,
     {TEXT_FIELD("fundingRate", TICKER_FUNDING_RATE, false), TEXT_FIELD("fundingTime", TICKER_NEXT_FUNDING_MS, false)}},
    {CHANNEL("opt-summary"),
     8,
     {TEXT_FIELD("fwdPx", TICKER_UNDERLYING_PRICE, false), TEXT_FIELD("markVol", TICKER_MARK_IV, true),
      TEXT_FIELD("bidVol", TICKER_BID_IV, true), TEXT_FIELD("askVol", TICKER_ASK_IV, true),
      TEXT_FIELD("deltaBS", TICKER_DELTA, false), TEXT_FIELD("gammaBS", TICKER_GAMMA, false),
      TEXT_FIELD("vegaBS", TICKER_VEGA, false), TEXT_FIELD("thetaBS", TICKER_THETA, false)}},
};

enum { SEEN_SYMBOL = TICKER_FIELDS, SEEN_TIME };

static const uint8_t *read_ticker(const uint8_t *at, const ticker_channel *channel, appended *out) {
  uint32_t seen = 0;
  double time_us = NAN;
  const keel_listing *listing = 0;
  const int32_t row = begin_event(out, EVENT_TICKER, 0, NAN);
  if (row < 0 || *at != '{') return 0;
  double *const values = ticker_values(out, row);
  do {
    key name;
    at = read_key(at + 1, &name);
    if (at == 0) return 0;
    if (KEY_IS(name, "instId")) {
      at = ONCE(&seen, SEEN_SYMBOL, read_listing(at, out->decoder, &listing));
    } else if (KEY_IS(name, "ts")) {
      at = ONCE(&seen, SEEN_TIME, read_time(at, &time_us));
    } else {
      at = read_text_field(at, name, channel->fields, channel->count, &seen, values);
    }
    if (UNLIKELY(at == 0)) return 0;
  } while (*at == ',');
  if (*at != '}' || listing == 0 || !has(seen, SEEN_TIME)) return 0;
  out->decoder->instrument[row] = listing->instrument;
  out->decoder->exchange_time_us[row] = time_us;
  return at + 1;
}

/* Reads the entries of trades (`channel` 0) or of a ticker's part. @returns behind the array, or 0. */
static const uint8_t *read_entries(const uint8_t *at, const ticker_channel *channel, appended *out) {
  if (*at == ']') return at + 1;
  for (;; at += 1) {
    at = channel == 0 ? read_trade(at, out) : read_ticker(at, channel, out);
    if (at == 0) return 0;
    if (*at != ',') return *at == ']' ? at + 1 : 0;
  }
}

static const ticker_channel *find_channel(const uint8_t *name, size_t length) {
  for (int32_t i = 0; i < COUNT(CHANNELS); i += 1) {
    if (CHANNELS[i].length == length && memcmp(CHANNELS[i].name, name, length) == 0) return &CHANNELS[i];
  }
  return 0;
}

/* Reads the message of a channel that names its instrument in the argument: books and best bid and ask. @returns behind it, or 0. */
static const uint8_t *read_instrument_channel(const uint8_t *at, bool is_book, appended *out) {
  const keel_listing *listing = 0;
  if (!STARTS(at, "\"instId\":")) return 0;
  at = read_listing(at + 9, out->decoder, &listing);
  if (at == 0 || *at != '}') return 0;
  at += 1;
  bool snapshot = false;
  if (is_book) {
    snapshot = STARTS(at, ",\"action\":\"snapshot\"");
    if (!snapshot && !STARTS(at, ",\"action\":\"update\"")) return 0;
    at += snapshot ? 20 : 18;
  }
  if (!STARTS(at, ",\"data\":[")) return 0;
  at = is_book ? read_book(at + 9, listing, snapshot, out) : read_top(at + 9, listing, out);
  return at == 0 || *at != ']' ? 0 : at + 1;
}

int32_t FOR_ISA(keel_decode_okx)(const keel_decoder *d, int32_t length, int32_t *count, int32_t *levels) {
  static const char HEAD[] = "{\"arg\":{\"channel\":\"";
  const uint8_t *at = d->frame;
  const uint8_t *const end = at + length;
  appended out = {d, *count, *levels};
  if (memcmp(at, HEAD, sizeof HEAD - 1) != 0) return 0;
  const uint8_t *const channel = at + sizeof HEAD - 1;
  at = string_end(channel);
  if (at == 0 || at[1] != ',') return 0;
  const size_t name_length = (size_t)(at - channel);
  const bool is_book = STARTS(channel, "books\""), is_top = STARTS(channel, "bbo-tbt\"");
  if (is_book || is_top) {
    at = read_instrument_channel(at + 2, is_book, &out);
  } else {
    const bool is_trade = STARTS(channel, "trades\"");
    const ticker_channel *const ticker = is_trade ? 0 : find_channel(channel, name_length);
    if (!is_trade && ticker == 0) return 0;
    at += 1;
    do {
      key name;
      at = read_key(at + 1, &name);
      if (at == 0 || KEY_IS(name, "channel")) return 0;
      at = skip_value(at, MAX_DEPTH);
      if (at == 0) return 0;
    } while (*at == ',');
    if (!STARTS(at, "},\"data\":[")) return 0;
    at = read_entries(at + 10, ticker, &out);
  }
  if (at == 0 || *at != '}' || at + 1 != end) return 0;
  *count = out.count;
  *levels = out.levels;
  return 1;
}
