/* Implied volatilities of many options at once; the mathematics stands in src/option/implied-volatility.ts. */
#ifndef KEEL_IMPLIED_VOLATILITY_H
#define KEEL_IMPLIED_VOLATILITY_H

#include "host.h"

/* By `IV_STATUS` of src/option/implied-volatility.ts; `open` rows are for the caller to solve. */
enum {
  KEEL_IV_OK = 0,
  KEEL_IV_OPEN = 255,
};

/* Rows by column. Behind each column lie as many bytes as the widest vector has. */
typedef struct {
  const uint8_t *calls;
  const double *premiums;
  const double *forwards;
  const double *strikes;
  const double *years;
  double *volatilities;
  uint8_t *statuses;
  int32_t capacity;
  int32_t isa;
} keel_iv;

/* Solves rows [0, count). Returns how many are open, -1 when count is beyond the capacity. */
KEEL_EXPORT int32_t keel_implied_volatilities(const keel_iv *iv, int32_t count);

#endif
