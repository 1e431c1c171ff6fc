/* Dense layers on 8-bit levels: y = scale × (start + Σ w x) + addend, w signed, x unsigned, sums in 32 bits. */
#ifndef KEEL_STEP_DENSE_I8_H
#define KEEL_STEP_DENSE_I8_H

INLINE void finish_i8(float *to, const float *addend, const float *scales, const ints *sums, int vectors, int32_t n) {
  UNROLL_ALL for (int v = 0; v < vectors; v += 1) {
    const int32_t left = n - v * LANES;
    if (left <= 0) return;
    lanes value = __builtin_convertvector(sums[v], lanes) * load(scales + v * LANES);
    if (addend) value += load(addend + v * LANES);
    store_some(to + v * LANES, value, left);
  }
}

#if defined(__AVX512VNNI__) || defined(__AVXVNNI__)

#if defined(__AVX512VNNI__)
INLINE ints dot4(ints sum, int32_t x, const int8_t *w) {
  return (ints)_mm512_dpbusd_epi32((__m512i)sum, _mm512_set1_epi32(x), _mm512_loadu_si512(w));
}
#else
INLINE ints dot4(ints sum, int32_t x, const int8_t *w) {
  return (ints)_mm256_dpbusd_avx_epi32((__m256i)sum, _mm256_set1_epi32(x), _mm256_loadu_si256((const __m256i *)w));
}
#endif

INLINE int32_t four(const uint8_t *x) {
  int32_t value;
  memcpy(&value, x, sizeof value);
  return value;
}

INLINE ints start_of(const int32_t *starts) {
  ints value;
  memcpy(&value, starts, sizeof value);
  return value;
}

INLINE void group_i8_row(float *to, const uint8_t *x, const float *addend, const int8_t *w, const float *scales,
                         const int32_t *starts, int32_t k, int32_t n, int vectors) {
  const int depth = vectors >= CHAINS ? 1 : CHAINS / vectors;
  ints sums[CHAINS][4 * PANEL_VECTORS];
  UNROLL_ALL for (int d = 0; d < depth; d += 1)
    UNROLL_ALL for (int v = 0; v < vectors; v += 1) sums[d][v] = d == 0 ? start_of(starts + v * LANES) : (ints){0};
  int32_t i = 0;
  for (; i + 4 * depth <= k; i += 4 * depth) {
    UNROLL_ALL for (int d = 0; d < depth; d += 1) {
      const int32_t value = four(x + i + 4 * d);
      UNROLL_ALL for (int v = 0; v < vectors; v += 1) sums[d][v] = dot4(sums[d][v], value, w + v * LANES * 4);
      w += vectors * LANES * 4;
    }
  }
  for (; i < k; i += 4, w += vectors * LANES * 4) {
    const int32_t value = four(x + i);
    UNROLL_ALL for (int v = 0; v < vectors; v += 1) sums[0][v] = dot4(sums[0][v], value, w + v * LANES * 4);
  }
  UNROLL_ALL for (int d = 1; d < depth; d += 1)
    UNROLL_ALL for (int v = 0; v < vectors; v += 1) sums[0][v] += sums[d][v];
  finish_i8(to, addend, scales, sums[0], vectors, n);
}

#define I8_SHARED_ROWS (SHARED_ROWS)

INLINE void group_i8_rows(float *const *to, const uint8_t *const *x, const float *const *addend, int32_t offset, const int8_t *w,
                          const float *scales, const int32_t *starts, int32_t k, int32_t n, int vectors) {
  ints sums[SHARED_ROWS][4 * PANEL_VECTORS];
  UNROLL_ALL for (int r = 0; r < SHARED_ROWS; r += 1)
    UNROLL_ALL for (int v = 0; v < vectors; v += 1) sums[r][v] = start_of(starts + v * LANES);
  for (int32_t i = 0; i < k; i += 4, w += vectors * LANES * 4) {
    UNROLL_ALL for (int r = 0; r < SHARED_ROWS; r += 1) {
      const int32_t value = four(x[r] + i);
      UNROLL_ALL for (int v = 0; v < vectors; v += 1) sums[r][v] = dot4(sums[r][v], value, w + v * LANES * 4);
    }
  }
  UNROLL_ALL for (int r = 0; r < SHARED_ROWS; r += 1)
    finish_i8(to[r] + offset, addend[r] ? addend[r] + offset : 0, scales, sums[r], vectors, n);
}

#elif defined(__AVX2__)

/* Outputs that a pass over the inputs sums at once, eight in a pair of registers: as many as leave some for the operands. */
#define EIGHTS 4

/* Without VNNI: bytes widened to 16 bits, so that no sum of two products can saturate; sums of the halves of four inputs. */
INLINE void eights_i8(float *to, const uint8_t *x, const float *addend, const int8_t *w, const float *scales,
                      const int32_t *starts, int32_t k, int32_t n, int stride, int eights) {
  __m256i low[EIGHTS], high[EIGHTS];
  UNROLL_ALL for (int e = 0; e < eights; e += 1) low[e] = high[e] = _mm256_setzero_si256();
  for (int32_t i = 0; i < k; i += 4, w += stride) {
    int32_t value;
    memcpy(&value, x + i, sizeof value);
    const __m256i wide = _mm256_cvtepu8_epi16(_mm_set1_epi32(value));
    UNROLL_ALL for (int e = 0; e < eights; e += 1) {
      const __m128i *weights = (const __m128i *)(w + e * 32);
      low[e] = _mm256_add_epi32(low[e], _mm256_madd_epi16(wide, _mm256_cvtepi8_epi16(_mm_loadu_si128(weights))));
      high[e] = _mm256_add_epi32(high[e], _mm256_madd_epi16(wide, _mm256_cvtepi8_epi16(_mm_loadu_si128(weights + 1))));
    }
  }
  UNROLL_ALL for (int e = 0; e < eights; e += 1) {
    const int32_t left = n - e * 8;
    if (left <= 0) return;
    const __m256i pairs = _mm256_permute4x64_epi64(_mm256_hadd_epi32(low[e], high[e]), 0xd8);
    const __m256i sum = _mm256_add_epi32(pairs, _mm256_loadu_si256((const __m256i *)(starts + e * 8)));
    __m256 value = _mm256_mul_ps(_mm256_cvtepi32_ps(sum), _mm256_loadu_ps(scales + e * 8));
    if (addend) value = _mm256_add_ps(value, _mm256_loadu_ps(addend + e * 8));
    if (left >= 8) _mm256_storeu_ps(to + e * 8, value);
    else memcpy(to + e * 8, &value, (size_t)left * sizeof(float));
  }
}

INLINE void group_i8_row(float *to, const uint8_t *x, const float *addend, const int8_t *w, const float *scales,
                         const int32_t *starts, int32_t k, int32_t n, int vectors) {
  const int eights = vectors * LANES / 8;
  UNROLL_ALL for (int e = 0; e < eights; e += EIGHTS) {
    if (e * 8 >= n) return;
    const int now = eights - e < EIGHTS ? eights - e : EIGHTS;
    eights_i8(to + e * 8, x, addend ? addend + e * 8 : 0, w + e * 32, scales + e * 8, starts + e * 8, k, n - e * 8,
              vectors * LANES * 4, now);
  }
}

#else

INLINE void group_i8_row(float *to, const uint8_t *x, const float *addend, const int8_t *w, const float *scales,
                         const int32_t *starts, int32_t k, int32_t n, int vectors) {
  ints sums[4 * PANEL_VECTORS];
  int32_t *sum = (int32_t *)sums;
  const int32_t outputs = vectors * LANES;
  memcpy(sums, starts, (size_t)outputs * sizeof(int32_t));
  for (int32_t i = 0; i < k; i += 4, w += outputs * 4) {
    for (int32_t o = 0; o < outputs; o += 1) {
      sum[o] += w[o * 4] * x[i] + w[o * 4 + 1] * x[i + 1] + w[o * 4 + 2] * x[i + 2] + w[o * 4 + 3] * x[i + 3];
    }
  }
  finish_i8(to, addend, scales, sums, vectors, n);
}

#endif

static void dense_i8(float *const *to, const uint8_t *const *x, const float *const *addend, int32_t rows, const int8_t *w,
                     const float *scales, const int32_t *starts, int32_t k, int32_t n) {
  for (int32_t start = 0; start < n; start += KEEL_DENSE_GROUP) {
    const int32_t left = n - start < KEEL_DENSE_GROUP ? n - start : KEEL_DENSE_GROUP;
    const int32_t panels = (left + KEEL_DENSE_PANEL - 1) / KEEL_DENSE_PANEL;
    int32_t r = 0;
#if defined(I8_SHARED_ROWS) && I8_SHARED_ROWS > 1
    for (; r + SHARED_ROWS <= rows; r += SHARED_ROWS) {
#define CALL(vectors) group_i8_rows(to + r, x + r, addend + r, start, w, scales + start, starts + start, k, left, vectors)
      BY_PANELS(CALL)
#undef CALL
    }
#endif
    for (; r < rows; r += 1) {
#define CALL(vectors) \
  group_i8_row(to[r] + start, x[r], addend[r] ? addend[r] + start : 0, w, scales + start, starts + start, k, left, vectors)
      BY_PANELS(CALL)
#undef CALL
    }
    w += (int64_t)panels * KEEL_DENSE_PANEL * k;
  }
}

#endif
