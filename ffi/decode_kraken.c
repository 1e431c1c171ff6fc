/*
 * Kraken's books (WebSocket v2). Gives what src/feed/kraken/decoder.ts gives. Compiled once for each instruction set, which KEEL_ISA
 * names.
 */
#include "decode_batch.h"
#include "decode_time.h"

/* Reads a JSON number without sign and exponent, digit for digit. @returns behind it, or 0. */
INLINE const uint8_t *read_plain(const uint8_t *at, decimal *value) {
  const uint8_t *const start = at;
  while (is_digit(*at) || *at == '.') at += 1;
  if (*start == '0' && is_digit(start[1])) return 0;
  return *at == 'e' || *at == 'E' || !read_decimal(start, at, value) ? 0 : at;
}

/* Reads an array of `{"price":0.5666,"qty":4831.75496356}`. @returns behind it, or 0. */
static const uint8_t *read_levels(const uint8_t *at, int32_t side, const keel_listing *listing, appended *out) {
  scaling tick = NO_SCALING, lot = NO_SCALING;
  if (*at != '[') return 0;
  at += 1;
  if (*at == ']') return at + 1;
  for (;; at += 1) {
    decimal price, size;
    int32_t ticks;
    double lots;
    if (!STARTS(at, "{\"price\":")) return 0;
    at = read_plain(at + 9, &price);
    if (at == 0 || !STARTS(at, ",\"qty\":")) return 0;
    at = read_plain(at + 7, &size);
    if (at == 0 || *at != '}') return 0;
    if (UNLIKELY(!to_ticks(price, listing, &tick, &ticks) || !to_lots(size, listing, &lot, &lots))) return 0;
    if (UNLIKELY(!add_level(out, side, ticks, lots))) return 0;
    at += 1;
    if (*at != ',') return *at == ']' ? at + 1 : 0;
  }
}

enum { BOOK_SYMBOL, BOOK_BIDS, BOOK_ASKS, BOOK_CHECKSUM, BOOK_TIME };

static const uint8_t *read_book(const uint8_t *at, bool snapshot, appended *out) {
  uint32_t seen = 0;
  uint64_t checksum = 0;
  double time_us = NAN;
  const keel_listing *listing = 0;
  const int32_t row = begin_event(out, snapshot ? EVENT_SNAPSHOT : EVENT_DELTA, 0, NAN);
  if (row < 0 || *at != '{') return 0;
  do {
    key name;
    at = read_key(at + 1, &name);
    if (at == 0) return 0;
    if (KEY_IS(name, "symbol")) {
      at = ONCE(&seen, BOOK_SYMBOL, read_listing(at, out->decoder, &listing));
    } else if (KEY_IS(name, "bids")) {
      if (!first_time(&seen, BOOK_BIDS) || listing == 0 || has(seen, BOOK_ASKS)) return 0;
      at = read_levels(at, SIDE_BID, listing, out);
    } else if (KEY_IS(name, "asks")) {
      if (!first_time(&seen, BOOK_ASKS) || listing == 0) return 0;
      at = read_levels(at, SIDE_ASK, listing, out);
    } else if (KEY_IS(name, "checksum")) {
      at = ONCE(&seen, BOOK_CHECKSUM, read_integer(at, &checksum));
    } else if (KEY_IS(name, "timestamp")) {
      at = ONCE(&seen, BOOK_TIME, read_rfc3339(at, &time_us));
    } else {
      /* The reference quotes amounts wherever they stand; nothing but known keys is sure to come to the same. */
      return 0;
    }
    if (UNLIKELY(at == 0)) return 0;
  } while (*at == ',');
  if (*at != '}' || listing == 0 || !has(seen, BOOK_CHECKSUM) || checksum > 0xffffffffull) return 0;
  out->decoder->instrument[row] = listing->instrument;
  out->decoder->exchange_time_us[row] = time_us;
  out->decoder->checksum[row] = (double)checksum;
  end_event(out, row);
  return at + 1;
}

int32_t FOR_ISA(keel_decode_kraken)(const keel_decoder *d, int32_t length, int32_t *count, int32_t *levels) {
  static const char HEAD[] = "{\"channel\":\"book\",\"type\":\"";
  const uint8_t *at = d->frame;
  const uint8_t *const end = at + length;
  appended out = {d, *count, *levels};
  if (memcmp(at, HEAD, sizeof HEAD - 1) != 0) return 0;
  at += sizeof HEAD - 1;
  const bool snapshot = STARTS(at, "snapshot\",\"data\":[");
  if (!snapshot && !STARTS(at, "update\",\"data\":[")) return 0;
  at = read_book(at + (snapshot ? 18 : 16), snapshot, &out);
  if (at == 0 || !STARTS(at, "]}") || at + 2 != end) return 0;
  *count = out.count;
  *levels = out.levels;
  return 1;
}
