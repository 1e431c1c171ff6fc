/* Vectors of doubles as wide as the instruction set's registers, in the compilers' common vector extension. */
#ifndef KEEL_DOUBLES_H
#define KEEL_DOUBLES_H

#include <stdint.h>
#include <string.h>

#include "isa.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define DOUBLES 8
#elif defined(__AVX2__)
#define DOUBLES 4
#else
#define DOUBLES 2
#endif

typedef double doubles __attribute__((vector_size(DOUBLES * 8)));
typedef int64_t longs __attribute__((vector_size(DOUBLES * 8)));
typedef double doubles_unaligned __attribute__((vector_size(DOUBLES * 8), aligned(8), may_alias));

INLINE doubles load(const double *from) { return *(const doubles_unaligned *)from; }
INLINE void store(double *to, doubles value) { *(doubles_unaligned *)to = value; }
INLINE doubles all_of(double value) { return value - (doubles){0}; }
INLINE doubles choose(longs mask, doubles yes, doubles no) {
  return (doubles)((mask & (longs)yes) | (~mask & (longs)no));
}
INLINE doubles lesser(doubles a, doubles b) { return choose(a < b, a, b); }
INLINE doubles greater(doubles a, doubles b) { return choose(a > b, a, b); }
INLINE doubles magnitude(doubles value) { return (doubles)((longs)value & INT64_MAX); }

INLINE int any(longs mask) {
#if defined(__AVX512F__)
  return _mm512_test_epi64_mask((__m512i)mask, (__m512i)mask) != 0;
#elif defined(__AVX2__)
  return !_mm256_testz_si256((__m256i)mask, (__m256i)mask);
#else
  return (mask[0] | mask[1]) != 0;
#endif
}

INLINE doubles root(doubles x) {
#if defined(__AVX512F__)
  return (doubles)_mm512_sqrt_pd((__m512d)x);
#elif defined(__AVX2__)
  return (doubles)_mm256_sqrt_pd((__m256d)x);
#else
  return (doubles){__builtin_sqrt(x[0]), __builtin_sqrt(x[1])};
#endif
}

/*
 * e^x to 1 ulp for -708 <= x <= 709, 0 and infinity beyond: reduced by ln 2 in two parts, then the rational function of Cephes'
 * exp (S. Moshier, 1989) on |r| <= ln 2 / 2.
 */
INLINE doubles exponential(doubles x) {
  const doubles bounded = greater(lesser(x, all_of(709.0)), all_of(-708.0));
  const doubles shifted = bounded * 1.4426950408889634074 + 6755399441055744.0;
  const doubles n = shifted - 6755399441055744.0;
  const doubles r = (bounded - n * 6.93145751953125e-1) - n * 1.42860682030941723212e-6;
  const doubles square = r * r;
  const doubles odd =
      r * ((1.26177193074810590878e-4 * square + 3.02994407707441961300e-2) * square + 9.99999999999999999910e-1);
  const doubles even = ((3.00198505138664455042e-6 * square + 2.52448340349684104192e-3) * square +
                        2.27265548208155028766e-1) * square + 2.00000000000000000009e0;
  const doubles value = 1.0 + 2.0 * (odd / (even - odd));
  const longs power = ((longs)shifted << 52) + (INT64_C(1023) << 52);
  const doubles scaled = value * (doubles)power;
  return choose(x < -708.0, (doubles){0}, choose(x > 709.0, all_of(__builtin_inf()), scaled));
}

/* 2·atanh(s) - 2s for |s| <= 0.1716, by the polynomial of fdlibm's log (Sun Microsystems, 1993). */
INLINE doubles beyond_linear(doubles s) {
  const doubles z = s * s;
  const doubles w = z * z;
  const doubles even = w * (3.999999999940941908e-1 + w * (2.222219843214978396e-1 + w * 1.531383769920937332e-1));
  const doubles odd = z * (6.666666666666735130e-1 +
                           w * (2.857142874366239149e-1 + w * (1.818357216161805012e-1 + w * 1.479819860511658591e-1)));
  return s * (even + odd);
}

/* ln(x) to 1 ulp for positive normal x. */
INLINE doubles logarithm(doubles x) {
  const longs bits = (longs)x;
  const longs shifted = bits - (INT64_C(0x3fe6a09e) << 32);
  const longs exponent = shifted >> 52;
  const doubles mantissa = (doubles)(bits - (exponent << 52));
  const doubles n = __builtin_convertvector(exponent, doubles);
  const doubles f = mantissa - 1.0;
  const doubles s = f / (2.0 + f);
  /* f - s·f is 2s without its rounding. */
  const doubles half = 0.5 * f * f;
  const doubles rest = beyond_linear(s);
  const doubles tail = s * half + (rest + n * 1.90821492927058770002e-10);
  return n * 6.93147180369123816490e-1 - ((half - tail) - f);
}

#endif
