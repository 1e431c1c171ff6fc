/* Levels whose price and size are decimals in strings. */
#ifndef KEEL_DECODE_LEVELS_H
#define KEEL_DECODE_LEVELS_H

#include "decode_batch.h"

/* Passes over what a level holds behind its size: nothing, or with `more` any number of plain strings. @returns behind it, or 0. */
INLINE const uint8_t *end_level(const uint8_t *at, bool more) {
  while (more && STARTS(at, ",\"")) {
    at = string_end(at + 2);
    if (UNLIKELY(at == 0)) return 0;
    at += 1;
  }
  return *at == ']' ? at + 1 : 0;
}

INLINE const uint8_t *read_level_bytes(const uint8_t *at, bool more, decimal *price, decimal *size) {
  if (!STARTS(at, "[\"")) return 0;
  const uint8_t *const price_end = string_end(at + 2);
  if (price_end == 0 || !STARTS(price_end + 1, ",\"")) return 0;
  const uint8_t *const size_end = string_end(price_end + 3);
  if (size_end == 0) return 0;
  if (!read_decimal(at + 2, price_end, price) || !read_decimal(price_end + 3, size_end, size)) return 0;
  return end_level(size_end + 1, more);
}

/* Reads `["61800.20","2.909"]`, with `more` also `["61800.2","2.909","0","4"]`. @returns behind it, or 0. */
INLINE const uint8_t *read_level(const uint8_t *at, bool more, decimal *price, decimal *size) {
#if defined(__AVX2__)
  /* Nearly every level fits one vector: the places of its quotes and points say all about its form. */
  const __m256i text = _mm256_loadu_si256((const __m256i *)at);
  const uint32_t quotes = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(text, _mm256_set1_epi8('"')));
  const uint32_t points = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(text, _mm256_set1_epi8('.')));
  const uint32_t after_first = quotes & (quotes - 1);
  const uint32_t after_second = after_first & (after_first - 1);
  const uint32_t after_third = after_second & (after_second - 1);
  if (UNLIKELY(after_third == 0 || (quotes & 3) != 2)) return read_level_bytes(at, more, price, size);
  const int32_t price_end = __builtin_ctz(after_first);
  const int32_t size_at = __builtin_ctz(after_second) + 1;
  const int32_t size_end = __builtin_ctz(after_third);
  const int32_t price_length = price_end - 2, size_length = size_end - size_at;
  const uint32_t price_points = points & ((1u << price_end) - 1), size_points = points >> size_at;
  const int32_t price_fraction = price_points == 0 ? -1 : price_end - 1 - __builtin_ctz(price_points);
  const int32_t size_fraction =
      (size_points & ((1u << size_length) - 1)) == 0 ? -1 : size_length - 1 - __builtin_ctz(size_points);
  const bool formed = at[0] == '[' && at[price_end + 1] == ',' && size_at == price_end + 3;
  const bool short_enough = price_length >= 1 && price_length <= 15 && size_length >= 1 && size_length <= 15;
  const bool pointed = price_fraction != 0 && price_fraction < price_length - 1 && size_fraction != 0 &&
                       size_fraction < size_length - 1;
  if (UNLIKELY(!formed || !short_enough || !pointed)) return read_level_bytes(at, more, price, size);
  if (UNLIKELY(!read_decimal_vector(at + price_end, price_length, price_fraction, price))) return 0;
  if (UNLIKELY(!read_decimal_vector(at + size_end, size_length, size_fraction, size))) return 0;
  return end_level(at + size_end + 1, more);
#else
  return read_level_bytes(at, more, price, size);
#endif
}

/* Reads an array of levels. @returns behind it, or 0. */
INLINE const uint8_t *read_levels(const uint8_t *at, bool more, int32_t side, const keel_listing *listing, appended *out) {
  scaling tick = NO_SCALING, lot = NO_SCALING;
  if (*at != '[') return 0;
  at += 1;
  if (*at == ']') return at + 1;
  for (;; at += 1) {
    decimal price, size;
    int32_t ticks;
    double lots;
    at = read_level(at, more, &price, &size);
    if (UNLIKELY(at == 0)) return 0;
    if (UNLIKELY(!to_ticks(price, listing, &tick, &ticks) || !to_lots(size, listing, &lot, &lots))) return 0;
    if (UNLIKELY(!add_level(out, side, ticks, lots))) return 0;
    if (*at != ',') return *at == ']' ? at + 1 : 0;
  }
}

#endif
