/*
 * Reading JSON of a known, compact form. Behind every frame lie KEEL_DECODE_BACK zeros, and nothing that is accepted contains a
 * zero: so a position moves only over bytes that were looked at and cannot leave the frame.
 */
#ifndef KEEL_DECODE_TEXT_H
#define KEEL_DECODE_TEXT_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "decode.h"
#include "isa.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)

/* The greatest integer that a double and JavaScript's Number.isSafeInteger take. */
#define SAFE_INTEGER 9007199254740991ull
/* So many digits always fit 64 bits. */
#define MAX_DIGITS 18

static const uint64_t POWERS[MAX_DIGITS + 1] = {
    1ull, 10ull, 100ull, 1000ull, 10000ull, 100000ull, 1000000ull, 10000000ull, 100000000ull, 1000000000ull, 10000000000ull,
    100000000000ull, 1000000000000ull, 10000000000000ull, 100000000000000ull, 1000000000000000ull, 10000000000000000ull,
    100000000000000000ull, 1000000000000000000ull,
};
/* Powers of ten that are doubles. */
#define EXACT_POWERS 22
static const double EXACT[EXACT_POWERS + 1] = {
    1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
};

/* Digits of a plain decimal: `digits` × 10^-`fraction`. */
typedef struct {
  uint64_t digits;
  int32_t fraction;
} decimal;

INLINE bool is_digit(uint8_t byte) { return (uint8_t)(byte - '0') <= 9; }

/* Whether the bytes at `at` are those of a literal. */
#define STARTS(at, literal) (memcmp((at), (literal), sizeof(literal) - 1) == 0)

/* The closing quote of a string whose first byte is at `at`; 0 when it has escapes, control or non-ASCII characters, or no end. */
INLINE const uint8_t *string_end(const uint8_t *at) {
#if defined(__AVX2__)
  const __m256i quote = _mm256_set1_epi8('"'), escape = _mm256_set1_epi8('\\'), space = _mm256_set1_epi8(' ');
  for (;; at += 32) {
    const __m256i text = _mm256_loadu_si256((const __m256i *)at);
    const uint32_t quotes = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(text, quote));
    const __m256i odd = _mm256_or_si256(_mm256_cmpgt_epi8(space, text), _mm256_cmpeq_epi8(text, escape));
    const uint32_t refused = (uint32_t)_mm256_movemask_epi8(odd);
    /* Bits below the first quote. */
    const uint32_t before = quotes ^ (quotes - 1);
    if (quotes != 0) return (refused & before) == 0 ? at + __builtin_ctz(quotes) : 0;
    if (refused != 0) return 0;
  }
#else
  for (;; at += 1) {
    if (*at == '"') return at;
    if (*at < ' ' || *at >= 0x80 || *at == '\\') return 0;
  }
#endif
}

/* Reads a JSON number as the nearest double, where that takes one exact operation. @returns behind it, or 0. */
INLINE const uint8_t *read_number(const uint8_t *at, double *value) {
  const bool negative = *at == '-';
  at += negative;
  const uint8_t *const start = at;
  uint64_t digits = 0;
  int32_t exponent = 0;
  while (is_digit(*at) && at - start < MAX_DIGITS) {
    digits = digits * 10 + (uint64_t)(*at - '0');
    at += 1;
  }
  if (UNLIKELY(at == start || (*start == '0' && at - start > 1))) return 0;
  if (*at == '.') {
    const uint8_t *const point = at;
    at += 1;
    while (is_digit(*at) && at - start <= MAX_DIGITS) {
      digits = digits * 10 + (uint64_t)(*at - '0');
      at += 1;
    }
    exponent = (int32_t)(point + 1 - at);
    if (UNLIKELY(exponent == 0)) return 0;
  }
  if (*at == 'e' || *at == 'E') {
    at += 1;
    const bool down = *at == '-';
    at += down || *at == '+';
    if (UNLIKELY(!is_digit(*at))) return 0;
    int32_t written = *at - '0';
    at += 1;
    if (is_digit(*at)) {
      written = written * 10 + (*at - '0');
      at += 1;
    }
    exponent += down ? -written : written;
  }
  if (UNLIKELY(is_digit(*at) || digits > SAFE_INTEGER)) return 0;
  if (UNLIKELY(exponent < -EXACT_POWERS || exponent > EXACT_POWERS)) return 0;
  const double magnitude = exponent < 0 ? (double)digits / EXACT[-exponent] : (double)digits * EXACT[exponent];
  *value = negative ? -magnitude : magnitude;
  return at;
}

INLINE bool read_decimal_bytes(const uint8_t *at, const uint8_t *end, decimal *out) {
  uint64_t digits = 0;
  int32_t fraction = -1;
  if (UNLIKELY(end - at > MAX_DIGITS + 1 || !is_digit(*at) || !is_digit(end[-1]))) return false;
  for (; at < end; at += 1) {
    if (is_digit(*at)) {
      digits = digits * 10 + (uint64_t)(*at - '0');
      fraction += fraction >= 0;
    } else if (*at == '.' && fraction < 0) {
      fraction = 0;
    } else {
      return false;
    }
  }
  out->digits = digits;
  out->fraction = fraction < 0 ? 0 : fraction;
  return true;
}

#if defined(__AVX2__)
/*
 * Reads the decimal of `length` bytes, 1 to 15, that ends before `end` and has `fraction` digits behind its point, -1 = no
 * point. The sixteen bytes before `end` are shifted together over the point and weighed pair by pair.
 */
INLINE bool read_decimal_vector(const uint8_t *end, int32_t length, int32_t fraction, decimal *out) {
  static const uint8_t KEEP[32] = {[16 ... 31] = 0xff};
  const __m128i lane = _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const int32_t point = fraction < 0 ? 0 : 16 - fraction;
  const int32_t digits = length - (fraction >= 0);
  const __m128i text = _mm_loadu_si128((const __m128i *)(end - 16));
  const __m128i from = _mm_add_epi8(lane, _mm_cmpgt_epi8(_mm_set1_epi8((char)point), lane));
  const __m128i keep = _mm_loadu_si128((const __m128i *)(KEEP + digits));
  const __m128i nine = _mm_set1_epi8(9);
  const __m128i values = _mm_and_si128(_mm_sub_epi8(_mm_shuffle_epi8(text, from), _mm_set1_epi8('0')), keep);
  if (UNLIKELY(_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_max_epu8(values, nine), nine)) != 0xffff)) return false;
  const __m128i twos = _mm_maddubs_epi16(values, _mm_set1_epi16(1 << 8 | 10));
  const __m128i fours = _mm_madd_epi16(twos, _mm_set1_epi32(1 << 16 | 100));
  const __m128i packed = _mm_packus_epi32(fours, fours);
  const __m128i eights = _mm_madd_epi16(packed, _mm_set1_epi32(1 << 16 | 10000));
  const uint64_t both = (uint64_t)_mm_cvtsi128_si64(eights);
  out->digits = (both & 0xffffffff) * 100000000 + (both >> 32);
  out->fraction = fraction < 0 ? 0 : fraction;
  return true;
}
#endif

/* Reads a whole number without sign, fraction and exponent that JSON and doubles can hold. @returns behind it, or 0. */
INLINE const uint8_t *read_integer(const uint8_t *at, uint64_t *value) {
  const uint8_t *const start = at;
#if defined(__AVX2__)
  /* Times and sequence numbers fit one vector. */
  const __m128i digits = _mm_sub_epi8(_mm_loadu_si128((const __m128i *)at), _mm_set1_epi8('0'));
  const __m128i nine = _mm_set1_epi8(9);
  const uint32_t others = ~(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_max_epu8(digits, nine), nine));
  const int32_t length = __builtin_ctz(others);
  if (length >= 1 && length <= 15) {
    decimal whole;
    const uint8_t *const behind = at + length;
    if (UNLIKELY((*at == '0' && length > 1) || *behind == '.' || *behind == 'e' || *behind == 'E')) return 0;
    read_decimal_vector(behind, length, -1, &whole);
    *value = whole.digits;
    return behind;
  }
#endif
  uint64_t sum = 0;
  while (is_digit(*at) && at - start < MAX_DIGITS) {
    sum = sum * 10 + (uint64_t)(*at - '0');
    at += 1;
  }
  const bool leading_zero = *start == '0' && at - start > 1;
  if (UNLIKELY(at == start || leading_zero || sum > SAFE_INTEGER)) return 0;
  if (UNLIKELY(*at == '.' || *at == 'e' || *at == 'E' || is_digit(*at))) return 0;
  *value = sum;
  return at;
}

/* Reads a plain decimal such as 61800.20 that fills the bytes from `at` to `end`. */
INLINE bool read_decimal(const uint8_t *at, const uint8_t *end, decimal *out) {
#if defined(__AVX2__)
  const int64_t length = end - at;
  if (length >= 1 && length <= 15) {
    const __m128i text = _mm_loadu_si128((const __m128i *)at);
    const uint32_t points =
        (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(text, _mm_set1_epi8('.'))) & ((1u << length) - 1);
    const int32_t fraction = points == 0 ? -1 : (int32_t)length - 1 - __builtin_ctz(points);
    if (UNLIKELY(fraction == 0 || fraction == length - 1)) return false;
    return read_decimal_vector(end, (int32_t)length, fraction, out);
  }
#endif
  return end > at && read_decimal_bytes(at, end, out);
}

/* The nearest double, as Number() gives it; false when that takes more than one exact operation. */
INLINE bool decimal_value(decimal value, double *out) {
  if (UNLIKELY(value.digits > SAFE_INTEGER)) return false;
  *out = (double)value.digits / EXACT[value.fraction];
  return true;
}

/* Passes over a JSON number of any size. @returns behind it, or 0. */
INLINE const uint8_t *skip_number(const uint8_t *at) {
  at += *at == '-';
  if (!is_digit(*at) || (*at == '0' && is_digit(at[1]))) return 0;
  while (is_digit(*at)) at += 1;
  if (*at == '.') {
    if (!is_digit(at[1])) return 0;
    for (at += 1; is_digit(*at);) at += 1;
  }
  if (*at == 'e' || *at == 'E') {
    at += 1;
    at += *at == '+' || *at == '-';
    if (!is_digit(*at)) return 0;
    while (is_digit(*at)) at += 1;
  }
  return at;
}

/* Deepest nesting of a value that is passed over. */
#define MAX_DEPTH 4

/* Passes over any JSON value of up to `depth` nested objects and arrays, without spaces and escapes. @returns behind it, or 0. */
static const uint8_t *skip_value(const uint8_t *at, int32_t depth) {
  switch (*at) {
    case '"': {
      const uint8_t *const end = string_end(at + 1);
      return end == 0 ? 0 : end + 1;
    }
    case 't': return STARTS(at, "true") ? at + 4 : 0;
    case 'f': return STARTS(at, "false") ? at + 5 : 0;
    case 'n': return STARTS(at, "null") ? at + 4 : 0;
    case '{':
    case '[': {
      const uint8_t close = *at + 2;
      const bool named = *at == '{';
      if (depth == 0) return 0;
      at += 1;
      if (*at == close) return at + 1;
      for (;; at += 1) {
        if (named) {
          if (*at != '"') return 0;
          at = string_end(at + 1);
          if (at == 0 || at[1] != ':') return 0;
          at += 2;
        }
        at = skip_value(at, depth - 1);
        if (at == 0) return 0;
        if (*at == close) return at + 1;
        if (*at != ',') return 0;
      }
    }
    default: return skip_number(at);
  }
}

#endif
