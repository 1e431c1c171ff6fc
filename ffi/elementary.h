/*
 * Logarithm and exponential of the features, of additions, multiplications and divisions alone: the same bits on every host, in
 * every vector width and in src/feature/elementary.ts. The method and its constants are those of fdlibm (e_log.c, e_exp.c).
 */
#ifndef KEEL_ELEMENTARY_H
#define KEEL_ELEMENTARY_H

#include <stdint.h>
#include <string.h>

#define LN2_HIGH 6.93147180369123816490e-01
#define LN2_LOW 1.90821492927058770002e-10

/* ln(x) for x >= 1, within 1 ulp; NaN for what is not finite. */
static inline __attribute__((always_inline)) double natural_log(double x) {
  /* The greatest double whose high word is not above that of the square root of one half. */
  const uint64_t root_half = 0x3fe6a09eull << 32, one = 0x3ff00000ull << 32;
  uint64_t bits;
  memcpy(&bits, &x, sizeof bits);
  bits += one - root_half;
  const uint64_t biased = 0x4330000000000000ull | bits >> 52;
  double exponent;
  memcpy(&exponent, &biased, sizeof exponent);
  exponent -= 4503599627370496.0 + 1023.0;
  bits = (bits & 0x000fffffffffffffull) + root_half;
  double mantissa;
  memcpy(&mantissa, &bits, sizeof mantissa);
  const double f = mantissa - 1.0;
  const double half = 0.5 * f * f;
  const double s = f / (2.0 + f);
  const double z = s * s;
  const double w = z * z;
  const double odd = w * (3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01));
  const double even = z * (6.666666666666735130e-01 +
                           w * (2.857142874366239149e-01 + w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01)));
  const double rest = even + odd;
  return s * (half + rest) + exponent * LN2_LOW - half + f + exponent * LN2_HIGH + (x - x);
}

/* e^x for x <= 0, within 1 ulp; 0 below -700. */
static inline __attribute__((always_inline)) double exponential(double x) {
  const double bounded = x > -700.0 ? x : -700.0;
  /* Of -1010 to 0 halves: adding 1.5 × 2^52 rounds to a whole number, which then stands in the low bits. */
  const double magic = 6755399441055744.0;
  const double shifted = bounded * 1.44269504088896338700 + magic;
  const double k = shifted - magic;
  const double high = bounded - k * LN2_HIGH;
  const double low = k * LN2_LOW;
  const double r = high - low;
  const double z = r * r;
  const double c =
      r - z * (1.66666666666666019037e-01 +
               z * (-2.77777777770155933842e-03 +
                    z * (6.61375632143793436117e-05 + z * (-1.65339022054652515390e-06 + z * 4.13813679705723846039e-08))));
  const double fraction = 1.0 - ((low - (r * c) / (2.0 - c)) - high);
  uint64_t bits;
  memcpy(&bits, &shifted, sizeof bits);
  const uint64_t power = (bits + 1023ull) << 52;
  double scale;
  memcpy(&scale, &power, sizeof scale);
  return x > -700.0 ? fraction * scale : 0.0;
}

#endif
