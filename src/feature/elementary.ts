/**
 * Logarithm and exponential of the features, of additions, multiplications and divisions alone: the same bits on every host and in
 * the native rows (`ffi/elementary.h`), which a C library's own functions do not promise. So a journal replays bit for bit with
 * and without native code. The method and its constants are those of fdlibm (e_log.c, e_exp.c).
 *
 * @module
 */

const LN2_HIGH = 0.6931471803691238;
const LN2_LOW = 1.9082149292705877e-10;
/** High words of 1 and of the square root of one half. */
const ONE = 0x3ff00000;
const ROOT_HALF = 0x3fe6a09e;
/** Below, {@link exponential} is 0. */
const EXPONENT_MIN = -700;
/** Adding and subtracting it rounds to the nearest whole number. */
const MAGIC = 6_755_399_441_055_744;

const double = new Float64Array(1);
const words = new Int32Array(double.buffer);

/** 2^−k by k; halving is exact. */
const HALVES = new Float64Array(1_023);
HALVES[0] = 1;
for (let k = 1; k < HALVES.length; k += 1) HALVES[k] = HALVES[k - 1] / 2;

/** ln(x) for x ≥ 1, within 1 ulp; NaN for what is not finite. */
export function naturalLog(x: number): number {
  double[0] = x;
  const high = words[1] + (ONE - ROOT_HALF);
  const exponent = (high >>> 20) - 1_023;
  // A division by a power of two is exact; two of them where one would be no normal number.
  const mantissa = exponent < HALVES.length ? x * HALVES[exponent] : (x / 4) * HALVES[exponent - 2];
  const f = mantissa - 1;
  const half = 0.5 * f * f;
  const s = f / (2 + f);
  const z = s * s;
  const w = z * z;
  const odd = w * (0.3999999999940942 + w * (0.22222198432149784 + w * 0.15313837699209373));
  const even =
    z * (0.6666666666666735 + w * (0.2857142874366239 + w * (0.1818357216161805 + w * 0.14798198605116586)));
  const rest = even + odd;
  return s * (half + rest) + exponent * LN2_LOW - half + f + exponent * LN2_HIGH + (x - x);
}

/** eˣ for x ≤ 0, within 1 ulp; 0 below −700. */
export function exponential(x: number): number {
  if (!(x > EXPONENT_MIN)) return 0;
  const k = x * Math.LOG2E + MAGIC - MAGIC;
  const high = x - k * LN2_HIGH;
  const low = k * LN2_LOW;
  const r = high - low;
  const z = r * r;
  const c =
    r -
    z *
      (0.16666666666666602 +
        z *
          (-0.0027777777777015593 +
            z * (6.613756321437934e-5 + z * (-1.6533902205465252e-6 + z * 4.1381367970572385e-8))));
  const fraction = 1 - (low - (r * c) / (2 - c) - high);
  return fraction * HALVES[0 - k];
}
