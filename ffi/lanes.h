/* Vectors of floats as wide as the instruction set's registers, in the compilers' common vector extension. */
#ifndef KEEL_LANES_H
#define KEEL_LANES_H

#include <stdint.h>
#include <string.h>

#include "isa.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX2__)
#define LANES 8
#else
#define LANES 4
#endif

typedef float lanes __attribute__((vector_size(LANES * 4)));
typedef int32_t ints __attribute__((vector_size(LANES * 4)));
typedef float lanes_unaligned __attribute__((vector_size(LANES * 4), aligned(4), may_alias));

INLINE lanes load(const float *from) { return *(const lanes_unaligned *)from; }
INLINE void store(float *to, lanes value) { *(lanes_unaligned *)to = value; }
INLINE lanes splat(float value) { return value - (lanes){0}; }

/* Stores the first `count` lanes, all of them where count is LANES or more. */
INLINE void store_some(float *to, lanes value, int32_t count) {
  if (count >= LANES) store(to, value);
  else memcpy(to, &value, (size_t)count * sizeof(float));
}

/* Loads `count` lanes and fills the others. */
INLINE lanes load_some(const float *from, int32_t count, float fill) {
  if (count >= LANES) return load(from);
  lanes value = splat(fill);
  memcpy(&value, from, (size_t)count * sizeof(float));
  return value;
}

INLINE lanes select_lanes(ints mask, lanes yes, lanes no) {
  return (lanes)((mask & (ints)yes) | (~mask & (ints)no));
}
INLINE lanes least(lanes a, lanes b) { return select_lanes(a < b, a, b); }
INLINE lanes greatest(lanes a, lanes b) { return select_lanes(a > b, a, b); }
/* A NaN in `value` stays, as in ONNX: these instructions give their second operand when one is NaN. */
INLINE lanes clamp(lanes value, lanes low, lanes high) {
#if defined(__AVX512F__)
  return (lanes)_mm512_min_ps((__m512)high, _mm512_max_ps((__m512)low, (__m512)value));
#elif defined(__AVX2__)
  return (lanes)_mm256_min_ps((__m256)high, _mm256_max_ps((__m256)low, (__m256)value));
#else
  return select_lanes(value < low, low, select_lanes(value > high, high, value));
#endif
}
INLINE lanes magnitude(lanes value) { return (lanes)((ints)value & 0x7fffffff); }

/* Adding and taking away 1.5 × 2^23 leaves the nearest integer, half to even, for magnitudes below 2^22. */
INLINE lanes nearest(lanes value) { return (value + 12582912.0f) - 12582912.0f; }

/* e^x to about 1 ulp between -87.3 and 88, where it stays: reduction by ln 2 and the polynomial of Cephes' expf. */
INLINE lanes exponential(lanes x) {
  x = clamp(x, splat(-87.33654f), splat(88.0f));
  const lanes n = nearest(x * 1.44269504088896341f);
  const lanes r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
  lanes p = splat(1.9875691500e-4f);
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  const lanes value = p * (r * r) + r + 1.0f;
  const ints power = (__builtin_convertvector(n, ints) + 127) << 23;
  return value * (lanes)power;
}

/* 1 / x for x from 1 to 2^127 to about 2 ulp: the hardware's estimate and one step of Newton's method. */
INLINE lanes reciprocal(lanes x) {
#if defined(__AVX512F__)
  const lanes guess = (lanes)_mm512_rcp14_ps((__m512)x);
  return guess * (2.0f - x * guess);
#elif defined(__AVX2__)
  const lanes guess = (lanes)_mm256_rcp_ps((__m256)x);
  return guess * (2.0f - x * guess);
#else
  return 1.0f / x;
#endif
}

INLINE lanes sigmoid(lanes x) { return reciprocal(1.0f + exponential(-x)); }

/* To 1e-7 absolute. */
INLINE lanes hyperbolic_tangent(lanes x) { return 1.0f - 2.0f * reciprocal(1.0f + exponential(x + x)); }

/* erf to 1.5e-7 absolute (Abramowitz and Stegun 7.1.26). */
INLINE lanes error_function(lanes x) {
  const lanes a = magnitude(x);
  const lanes t = 1.0f / (1.0f + 0.3275911f * a);
  lanes p = splat(1.061405429f);
  p = p * t - 1.453152027f;
  p = p * t + 1.421413741f;
  p = p * t - 0.284496736f;
  p = p * t + 0.254829592f;
  const lanes value = 1.0f - p * t * exponential(-a * a);
  return select_lanes(x < 0.0f, -value, value);
}

INLINE float sum_of(lanes value) {
  float sum = 0;
  for (int i = 0; i < LANES; i += 1) sum += value[i];
  return sum;
}

#endif
