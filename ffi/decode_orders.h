/* The change of one order, as it stands in the values of its event. */
#ifndef KEEL_DECODE_ORDERS_H
#define KEEL_DECODE_ORDERS_H

#include "decode_levels.h"

/* Numbers of src/feed/order-change.ts, and columns of src/feed/native-order.ts. */
enum { ORDER_PASS = 0, ORDER_ADD = 1, ORDER_REDUCE = 2, ORDER_RESIZE = 3, ORDER_REMOVE = 5 };
enum { AT_ACTION, AT_KEY, AT_SIDE = AT_KEY + 4, AT_TICKS, AT_LOTS, AT_MUST_REST, AT_SEQUENCE };

/*
 * Opens an event that changes no order until more is said; `sequence` is that of the message. @returns its row, or -1 when the batch
 * is full.
 */
INLINE int32_t begin_order(appended *out, int32_t kind, int32_t instrument, double time_us, double sequence) {
  const int32_t row = begin_event(out, kind, instrument, time_us);
  if (row < 0) return -1;
  double *const values = out->decoder->values + (size_t)row * TICKER_FIELDS;
  for (int32_t i = 0; i < TICKER_FIELDS; i += 1) values[i] = 0;
  values[AT_ACTION] = ORDER_PASS;
  values[AT_SEQUENCE] = sequence;
  return row;
}

#endif
