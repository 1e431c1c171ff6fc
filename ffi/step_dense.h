/*
 * Dense layers: y = W x + addend for a few rows at once.
 *
 * Weights are packed by src/inference/cpu/pack.ts in groups of up to 64 outputs, whole panels of 16:
 * f32 [group][k][panels × 16], int8 [group][k / 4][panels × 16][4]; missing outputs and inputs are zero.
 */
#ifndef KEEL_STEP_DENSE_H
#define KEEL_STEP_DENSE_H

#include "lanes.h"
#include "step.h"

/* Vectors in a panel, and accumulators that hide the latency of a fused multiply-add. */
#define PANEL_VECTORS (KEEL_DENSE_PANEL / LANES)
#define CHAINS 8
/* Rows that share a read of the weights: as many as leave registers for their accumulators. */
#define SHARED_ROWS (LANES == 16 ? 4 : 1)

#if defined(__clang__)
#define UNROLL_ALL _Pragma("unroll")
#else
#define UNROLL_ALL _Pragma("GCC unroll 32")
#endif

INLINE void dense_finish(float *to, const float *addend, const lanes *sums, int vectors, int32_t n) {
  UNROLL_ALL for (int v = 0; v < vectors; v += 1) {
    const int32_t left = n - v * LANES;
    if (left <= 0) return;
    store_some(to + v * LANES, addend ? sums[v] + load(addend + v * LANES) : sums[v], left);
  }
}

/* One row: several sums per output vector so that the additions do not wait for each other. */
INLINE void dense_group_row(float *to, const float *x, const float *addend, const float *w, int32_t k, int32_t n, int vectors) {
  enum { DEPTH_MAX = CHAINS };
  const int depth = vectors >= CHAINS ? 1 : CHAINS / vectors;
  lanes sums[DEPTH_MAX][4 * PANEL_VECTORS];
  UNROLL_ALL for (int d = 0; d < depth; d += 1)
    UNROLL_ALL for (int v = 0; v < vectors; v += 1) sums[d][v] = splat(0);
  int32_t i = 0;
  for (; i + depth <= k; i += depth) {
    UNROLL_ALL for (int d = 0; d < depth; d += 1) {
      const lanes value = splat(x[i + d]);
      UNROLL_ALL for (int v = 0; v < vectors; v += 1) sums[d][v] += value * load(w + v * LANES);
      w += vectors * LANES;
    }
  }
  for (; i < k; i += 1, w += vectors * LANES) {
    const lanes value = splat(x[i]);
    UNROLL_ALL for (int v = 0; v < vectors; v += 1) sums[0][v] += value * load(w + v * LANES);
  }
  UNROLL_ALL for (int d = 1; d < depth; d += 1)
    UNROLL_ALL for (int v = 0; v < vectors; v += 1) sums[0][v] += sums[d][v];
  dense_finish(to, addend, sums[0], vectors, n);
}

INLINE void dense_group_rows(float *const *to, const float *const *x, const float *const *addend, int32_t offset,
                             const float *w, int32_t k, int32_t n, int vectors) {
  lanes sums[SHARED_ROWS][4 * PANEL_VECTORS];
  UNROLL_ALL for (int r = 0; r < SHARED_ROWS; r += 1)
    UNROLL_ALL for (int v = 0; v < vectors; v += 1) sums[r][v] = splat(0);
  for (int32_t i = 0; i < k; i += 1, w += vectors * LANES) {
    UNROLL_ALL for (int v = 0; v < vectors; v += 1) {
      const lanes weight = load(w + v * LANES);
      UNROLL_ALL for (int r = 0; r < SHARED_ROWS; r += 1) sums[r][v] += x[r][i] * weight;
    }
  }
  UNROLL_ALL for (int r = 0; r < SHARED_ROWS; r += 1)
    dense_finish(to[r] + offset, addend[r] ? addend[r] + offset : 0, sums[r], vectors, n);
}

#define BY_PANELS(call) \
  switch (panels) { \
    case 1: call(PANEL_VECTORS); break; \
    case 2: call(2 * PANEL_VECTORS); break; \
    case 3: call(3 * PANEL_VECTORS); break; \
    default: call(4 * PANEL_VECTORS); break; \
  }

static void dense(float *const *to, const float *const *x, const float *const *addend, int32_t rows, const float *w,
                  int32_t k, int32_t n) {
  for (int32_t start = 0; start < n; start += KEEL_DENSE_GROUP) {
    const int32_t left = n - start < KEEL_DENSE_GROUP ? n - start : KEEL_DENSE_GROUP;
    const int32_t panels = (left + KEEL_DENSE_PANEL - 1) / KEEL_DENSE_PANEL;
    int32_t r = 0;
    if (SHARED_ROWS > 1) {
      for (; r + SHARED_ROWS <= rows; r += SHARED_ROWS) {
#define CALL(vectors) dense_group_rows(to + r, x + r, addend + r, start, w, k, left, vectors)
        BY_PANELS(CALL)
#undef CALL
      }
    }
    for (; r < rows; r += 1) {
#define CALL(vectors) dense_group_row(to[r] + start, x[r], addend[r] ? addend[r] + start : 0, w, k, left, vectors)
      BY_PANELS(CALL)
#undef CALL
    }
    w += (int64_t)panels * KEEL_DENSE_PANEL * k;
  }
}

#include "step_dense_i8.h"

#endif
