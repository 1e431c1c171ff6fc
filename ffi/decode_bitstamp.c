/*
 * Bitstamp's `diff_order_book`, `order_book`, `live_orders` and `live_trades`. Gives what src/feed/bitstamp/decoder.ts gives; the change of an
 * order stands in the values of its event. Compiled once for each instruction set, which KEEL_ISA names.
 */
#include "decode_keys.h"
#include "decode_orders.h"

enum { CHANNEL_NONE, CHANNEL_CHANGES, CHANNEL_BOOK, CHANNEL_ORDERS, CHANNEL_TRADES };
enum { FIELD_DATA, FIELD_CHANNEL, FIELD_EVENT };
enum { SEEN_TIME, SEEN_BIDS, SEEN_ASKS, SEEN_ID, SEEN_ID_TEXT, SEEN_TYPE, SEEN_ORDER_TYPE, SEEN_PRICE, SEEN_AMOUNT };

/* What a message holds. Its data come before its channel, so that what they mean is found afterwards. */
typedef struct {
  uint32_t seen;
  int32_t channel;
  const keel_listing *listing;
  text event;
  text time;
  text bids;
  text asks;
  text id;
  text id_text;
  text type;
  text order_type;
  text price;
  text amount;
} message;

INLINE bool text_is(text found, const char *expected, size_t length) {
  return (size_t)(found.end - found.at) == length && memcmp(found.at, expected, length) == 0;
}

#define TEXT_IS(found, literal) text_is(found, literal, sizeof(literal) - 1)

/* Reads any value without looking into it. @returns behind it, or 0. */
INLINE const uint8_t *read_value(const uint8_t *at, text *to) {
  to->at = at;
  to->end = skip_value(at, MAX_DEPTH);
  return to->end;
}

INLINE const uint8_t *read_field(const uint8_t *at, key name, message *m) {
  if (KEY_IS(name, "microtimestamp")) return ONCE(&m->seen, SEEN_TIME, read_text(at, &m->time));
  if (KEY_IS(name, "bids")) return ONCE(&m->seen, SEEN_BIDS, read_value(at, &m->bids));
  if (KEY_IS(name, "asks")) return ONCE(&m->seen, SEEN_ASKS, read_value(at, &m->asks));
  if (KEY_IS(name, "id")) return ONCE(&m->seen, SEEN_ID, read_value(at, &m->id));
  if (KEY_IS(name, "id_str")) return ONCE(&m->seen, SEEN_ID_TEXT, read_text(at, &m->id_text));
  if (KEY_IS(name, "type")) return ONCE(&m->seen, SEEN_TYPE, read_value(at, &m->type));
  if (KEY_IS(name, "order_type")) return ONCE(&m->seen, SEEN_ORDER_TYPE, read_value(at, &m->order_type));
  if (KEY_IS(name, "price_str")) return ONCE(&m->seen, SEEN_PRICE, read_text(at, &m->price));
  if (KEY_IS(name, "amount_str")) return ONCE(&m->seen, SEEN_AMOUNT, read_text(at, &m->amount));
  return skip_value(at, MAX_DEPTH);
}

static const uint8_t *read_data(const uint8_t *at, message *m) {
  if (*at != '{') return 0;
  do {
    key name;
    at = read_key(at + 1, &name);
    if (at == 0) return 0;
    at = read_field(at, name, m);
    if (UNLIKELY(at == 0)) return 0;
  } while (*at == ',');
  return *at == '}' ? at + 1 : 0;
}

/* Reads `"diff_order_book_btcusd"`. @returns behind it, or 0. */
static const uint8_t *read_channel(const uint8_t *at, message *m, const keel_decoder *d) {
  static const struct {
    const char *name;
    int32_t length;
    int32_t channel;
  } CHANNELS[] = {
      {"live_orders_", 12, CHANNEL_ORDERS},
      {"diff_order_book_", 16, CHANNEL_CHANGES},
      {"live_trades_", 12, CHANNEL_TRADES},
      {"order_book_", 11, CHANNEL_BOOK},
  };
  text name;
  at = read_text(at, &name);
  if (at == 0) return 0;
  for (size_t i = 0; i < sizeof CHANNELS / sizeof CHANNELS[0]; i += 1) {
    const int32_t length = CHANNELS[i].length;
    if (name.end - name.at <= length || memcmp(name.at, CHANNELS[i].name, (size_t)length) != 0) continue;
    const uint8_t *const symbol = name.at + length;
    for (const uint8_t *letter = symbol; letter < name.end; letter += 1) {
      if (!is_digit(*letter) && (*letter < 'a' || *letter > 'z')) return 0;
    }
    m->channel = CHANNELS[i].channel;
    m->listing = find_listing(d, symbol, name.end);
    return m->listing == 0 ? 0 : at;
  }
  return 0;
}

/* The µs of a message, its number as well. */
INLINE bool read_time(const message *m, double *time_us) {
  decimal digits;
  if (!has(m->seen, SEEN_TIME) || !read_decimal(m->time.at, m->time.end, &digits)) return false;
  return digits.fraction == 0 && decimal_value(digits, time_us);
}

/* Reads `0`, a buy, or `1`. */
INLINE bool side_of(text type, int32_t *side) {
  if (type.end - type.at != 1 || (*type.at != '0' && *type.at != '1')) return false;
  *side = *type.at == '0' ? SIDE_BID : SIDE_ASK;
  return true;
}

/* Turns an order's number into the words of its key. */
static bool read_order_id(text id, double *words) {
  const int64_t length = id.end - id.at;
  uint64_t number = 0;
  if (length < 1 || length > 19 || (length > 1 && *id.at == '0')) return false;
  for (const uint8_t *at = id.at; at < id.end; at += 1) {
    if (!is_digit(*at)) return false;
    number = number * 10 + (uint64_t)(*at - '0');
  }
  words[2] = (double)(number >> 32);
  words[3] = (double)(number & 0xffffffff);
  return true;
}

static bool add_book(const message *m, double time_us, appended *out) {
  if (!has(m->seen, SEEN_BIDS) || !has(m->seen, SEEN_ASKS)) return false;
  const int32_t kind = m->channel == CHANNEL_BOOK ? EVENT_SNAPSHOT : EVENT_DELTA;
  const int32_t row = begin_order(out, kind, m->listing->instrument, time_us, NAN);
  if (row < 0) return false;
  set_sequence(out, row, time_us, time_us, NAN);
  if (read_levels(m->bids.at, false, SIDE_BID, m->listing, out) != m->bids.end) return false;
  if (read_levels(m->asks.at, false, SIDE_ASK, m->listing, out) != m->asks.end) return false;
  end_event(out, row);
  return true;
}

static bool add_order(const message *m, double time_us, appended *out) {
  const bool created = TEXT_IS(m->event, "order_created");
  const bool deleted = TEXT_IS(m->event, "order_deleted");
  scaling tick = NO_SCALING, lot = NO_SCALING;
  decimal price, size;
  uint64_t ticks;
  double lots;
  int32_t side;
  if (!created && !deleted && !TEXT_IS(m->event, "order_changed")) return false;
  if (!has(m->seen, SEEN_PRICE) || !has(m->seen, SEEN_AMOUNT) || !has(m->seen, SEEN_ID_TEXT)) return false;
  if (!has(m->seen, SEEN_ORDER_TYPE) || !side_of(m->order_type, &side)) return false;
  if (!read_decimal(m->price.at, m->price.end, &price) || !read_decimal(m->amount.at, m->amount.end, &size)) return false;
  if (to_steps(price, &m->listing->tick, &tick, &ticks) != ON_GRID || !to_lots(size, m->listing, &lot, &lots)) return false;
  const int32_t row = begin_order(out, EVENT_DELTA, m->listing->instrument, time_us, time_us);
  if (row < 0) return false;
  double *const values = out->decoder->values + (size_t)row * TICKER_FIELDS;
  if (!read_order_id(m->id_text, values + AT_KEY)) return false;
  set_sequence(out, row, time_us, time_us, NAN);
  end_event(out, row);
  /* Market orders pass through at prices that nobody could ask, or at none. */
  if (ticks == 0 || ticks > MAX_PRICE_TICKS) return true;
  values[AT_SIDE] = side;
  values[AT_TICKS] = (double)ticks;
  values[AT_LOTS] = lots;
  values[AT_MUST_REST] = created ? 0 : 1;
  if (created) values[AT_ACTION] = lots > 0 ? ORDER_ADD : ORDER_PASS;
  else values[AT_ACTION] = deleted || lots == 0 ? ORDER_REMOVE : ORDER_RESIZE;
  return true;
}

/* A trade's event is no change of an order: its row has the number of the trade. */
static bool add_printed(const message *m, double time_us, appended *out) {
  decimal price, size;
  double price_value, size_value;
  uint64_t id;
  int32_t side;
  if (!TEXT_IS(m->event, "trade") || !has(m->seen, SEEN_TYPE) || !side_of(m->type, &side)) return false;
  if (!has(m->seen, SEEN_ID) || read_integer(m->id.at, &id) != m->id.end) return false;
  if (!has(m->seen, SEEN_PRICE) || !has(m->seen, SEEN_AMOUNT)) return false;
  if (!read_decimal(m->price.at, m->price.end, &price) || !decimal_value(price, &price_value)) return false;
  if (!read_decimal(m->amount.at, m->amount.end, &size) || !decimal_value(size, &size_value)) return false;
  const int32_t row = begin_order(out, EVENT_TRADE, m->listing->instrument, time_us, NAN);
  if (row < 0) return false;
  set_sequence(out, row, (double)id, (double)id, NAN);
  if (!add_trade(out, m->listing, side, price_value, size_value)) return false;
  end_event(out, row);
  return true;
}

int32_t FOR_ISA(keel_decode_bitstamp)(const keel_decoder *d, int32_t length, int32_t *count, int32_t *levels) {
  const uint8_t *at = d->frame;
  const uint8_t *const end = at + length;
  appended out = {d, *count, *levels};
  message m = {.channel = CHANNEL_NONE};
  uint32_t seen = 0;
  double time_us;
  bool added;
  if (*at != '{') return 0;
  do {
    key name;
    at = read_key(at + 1, &name);
    if (at == 0) return 0;
    if (KEY_IS(name, "data")) at = ONCE(&seen, FIELD_DATA, read_data(at, &m));
    else if (KEY_IS(name, "channel")) at = ONCE(&seen, FIELD_CHANNEL, read_channel(at, &m, d));
    else if (KEY_IS(name, "event")) at = ONCE(&seen, FIELD_EVENT, read_text(at, &m.event));
    else at = skip_value(at, MAX_DEPTH);
    if (UNLIKELY(at == 0)) return 0;
  } while (*at == ',');
  if (*at != '}' || at + 1 != end) return 0;
  if (!has(seen, FIELD_DATA) || !has(seen, FIELD_CHANNEL) || !has(seen, FIELD_EVENT)) return 0;
  if (m.event.end - m.event.at >= 4 && memcmp(m.event.at, "bts:", 4) == 0) return 0;
  if (!read_time(&m, &time_us)) return 0;
  switch (m.channel) {
    case CHANNEL_ORDERS: added = add_order(&m, time_us, &out); break;
    case CHANNEL_TRADES: added = add_printed(&m, time_us, &out); break;
    default: added = add_book(&m, time_us, &out); break;
  }
  if (!added) return 0;
  *count = out.count;
  *levels = out.levels;
  return 1;
}
