/* Times such as 2021-04-17T16:43:37.075687Z (RFC 3339), exactly as `rfc3339Us` of src/feed/rfc3339.ts gives them. */
#ifndef KEEL_DECODE_TIME_H
#define KEEL_DECODE_TIME_H

#include "decode_keys.h"

/* Two or four digits; -1 when one of them is none. */
INLINE int32_t read_digits(const uint8_t *at, int32_t count) {
  int32_t value = 0;
  for (int32_t i = 0; i < count; i += 1) {
    if (!is_digit(at[i])) return -1;
    value = value * 10 + (at[i] - '0');
  }
  return value;
}

INLINE int32_t leap_days(int32_t year) { return year / 4 - year / 100 + year / 400; }

/* Reads a time in a string as µs since the epoch; what is no such time is left to the reference. @returns behind it, or 0. */
static inline const uint8_t *read_rfc3339(const uint8_t *at, double *time_us) {
  static const int32_t DAYS_BEFORE[12] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
  static const int32_t MONTH_DAYS[12] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  text string;
  at = read_text(at, &string);
  if (at == 0) return 0;
  const uint8_t *const t = string.at;
  const int64_t length = string.end - t;
  if (length < 20 || t[length - 1] != 'Z') return 0;
  if (t[4] != '-' || t[7] != '-' || t[10] != 'T' || t[13] != ':' || t[16] != ':') return 0;
  const int32_t year = read_digits(t, 4), month = read_digits(t + 5, 2), day = read_digits(t + 8, 2);
  const int32_t hour = read_digits(t + 11, 2), minute = read_digits(t + 14, 2), second = read_digits(t + 17, 2);
  if (year < 1970 || year >= 2200 || month < 1 || month > 12 || day < 1 || day > MONTH_DAYS[month - 1]) return 0;
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60) return 0;
  int64_t micros = 0;
  if (length > 20) {
    if (t[19] != '.' || length == 21) return 0;
    int64_t unit = 100000;
    for (int64_t i = 20; i < length - 1; i += 1) {
      if (!is_digit(t[i])) return 0;
      micros += (t[i] - '0') * unit;
      unit /= 10;
    }
  }
  const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  const int64_t days = (int64_t)(year - 1970) * 365 + leap_days(year - 1) - leap_days(1969) +
                       (month > 2 && leap ? 1 : 0) + DAYS_BEFORE[month - 1] + day - 1;
  *time_us = (double)((days * 86400 + hour * 3600 + minute * 60 + second) * 1000000 + micros);
  return at;
}

#endif
