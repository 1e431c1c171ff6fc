/* Objects whose keys come in any order, and what stands under the keys. */
#ifndef KEEL_DECODE_KEYS_H
#define KEEL_DECODE_KEYS_H

#include "decode_batch.h"

/* A key of an object, from behind its opening quote to its closing one. */
typedef struct {
  const uint8_t *at;
  size_t length;
} key;

#define KEY_IS(name, literal) ((name).length == sizeof(literal) - 1 && STARTS((name).at, literal))

/* Reads `"name":`. @returns the value behind it, or 0. */
INLINE const uint8_t *read_key(const uint8_t *at, key *name) {
  if (*at != '"') return 0;
  const uint8_t *const end = string_end(at + 1);
  if (end == 0 || end[1] != ':') return 0;
  name->at = at + 1;
  name->length = (size_t)(end - name->at);
  return end + 2;
}

/* Marks a field as seen; false when it was before: the last of two would count. */
INLINE bool first_time(uint32_t *seen, int32_t field) {
  if ((*seen >> field) & 1) return false;
  *seen |= 1u << field;
  return true;
}

INLINE bool has(uint32_t seen, int32_t field) { return (seen >> field) & 1; }

/* What `read` comes to when nothing of the field was before; otherwise 0. */
#define ONCE(seen, field, read) (first_time(seen, field) ? (read) : 0)

/* A string's bytes. */
typedef struct {
  const uint8_t *at;
  const uint8_t *end;
} text;

/* Reads a string. @returns behind it, or 0. */
INLINE const uint8_t *read_text(const uint8_t *at, text *to) {
  if (*at != '"') return 0;
  to->at = at + 1;
  to->end = string_end(at + 1);
  return to->end == 0 ? 0 : to->end + 1;
}

/* Reads the symbol of a listing. @returns behind it, or 0 when there is none of that name. */
static inline const uint8_t *read_listing(const uint8_t *at, const keel_decoder *d, const keel_listing **listing) {
  text symbol;
  at = read_text(at, &symbol);
  if (at == 0) return 0;
  *listing = find_listing(d, symbol.at, symbol.end);
  return *listing == 0 ? 0 : at;
}

/* Reads `"buy"` or `"sell"`. @returns behind it, or 0. */
INLINE const uint8_t *read_side(const uint8_t *at, int32_t *side) {
  const bool buy = STARTS(at, "\"buy\"");
  if (!buy && !STARTS(at, "\"sell\"")) return 0;
  *side = buy ? SIDE_BID : SIDE_ASK;
  return at + (buy ? 5 : 6);
}

/* Reads a decimal in a string, NaN where the string is empty. @returns behind it, or 0. */
static inline const uint8_t *read_text_number(const uint8_t *at, double *value) {
  text string;
  at = read_text(at, &string);
  if (at == 0) return 0;
  *value = __builtin_nan("");
  if (string.at == string.end) return at;
  const bool negative = *string.at == '-';
  decimal magnitude;
  if (!read_decimal(string.at + negative, string.end, &magnitude) || !decimal_value(magnitude, value)) return 0;
  if (negative) *value = -*value;
  return at;
}

/* Where a ticker's numbers, decimals in strings, go; those that are only meant where they are positive are NaN otherwise. */
typedef struct {
  const char *name;
  uint8_t length;
  uint8_t column;
  bool positive;
} text_field;

#define TEXT_FIELD(name, column, positive) {name, sizeof(name) - 1, column, positive}

/* Reads a known field, or passes over an unknown one. @returns behind the value, or 0. */
static inline const uint8_t *read_text_field(const uint8_t *at, key name, const text_field *fields, int32_t count,
                                             uint32_t *seen, double *values) {
  for (int32_t i = 0; i < count; i += 1) {
    if (fields[i].length != name.length || memcmp(fields[i].name, name.at, name.length) != 0) continue;
    if (!first_time(seen, fields[i].column)) return 0;
    double value;
    at = read_text_number(at, &value);
    if (at == 0) return 0;
    values[fields[i].column] = fields[i].positive && !(value > 0) ? __builtin_nan("") : value;
    return at;
  }
  return skip_value(at, MAX_DEPTH);
}

#endif
