const INVERSE_SQRT_PI = 0.564_189_583_547_756_3;
const SQRT_HALF = 0.707_106_781_186_547_5;

/**
 * Standard normal distribution function, to double precision relative to the smaller tail, so that deep tails keep their
 * significant digits (`normalCdf(-30)` is 4.9e-198, not 0).
 */
export function normalCdf(x: number): number {
  return 0.5 * erfc(-x * SQRT_HALF);
}

/** |p − ½| up to which {@link centralQuantile} holds, and ln p there. */
const CENTRAL = 0.425;
const CENTRAL_LOG = -2.590_267_165_445_825;

/**
 * The x with Φ(x) = p, to about seven digits, which is what a first guess needs: M. J. Wichura's rational approximations PPND7
 * ("Algorithm AS 241: The percentage points of the normal distribution", Applied Statistics 37, 1988).
 *
 * @param p in (0, 1)
 */
export function quantileGuess(p: number): number {
  const q = p - 0.5;
  if (q >= -CENTRAL && q <= CENTRAL) return centralQuantile(q);
  const distance = tailQuantile(Math.sqrt(-Math.log(q < 0 ? p : 1 - p)));
  return q < 0 ? -distance : distance;
}

/** {@link quantileGuess} of a p ≤ ½ that is given by its logarithm. */
export function quantileOfLog(logP: number): number {
  return logP < CENTRAL_LOG ? -tailQuantile(Math.sqrt(-logP)) : centralQuantile(Math.exp(logP) - 0.5);
}

/** @param q p − ½ */
function centralQuantile(q: number): number {
  const r = 0.180_625 - q * q;
  return (
    (q * (((59.109_374_72 * r + 159.291_132_02) * r + 50.434_271_938) * r + 3.387_132_717_9)) /
    (((67.187_563_6 * r + 78.757_757_664) * r + 17.895_169_469) * r + 1)
  );
}

/** @param root √(−ln p), p the probability of the nearer tail */
function tailQuantile(root: number): number {
  if (root <= 5) {
    const r = root - 1.6;
    return (
      (((0.170_238_211_03 * r + 1.306_728_481_6) * r + 2.756_815_39) * r + 1.423_437_277_7) /
      ((0.120_211_329_75 * r + 0.737_001_642_5) * r + 1)
    );
  }
  const r = root - 5;
  return (
    (((0.017_337_203_997 * r + 0.428_682_943_37) * r + 3.081_226_386) * r + 6.657_905_115) /
    ((0.012_258_202_635 * r + 0.241_978_942_25) * r + 1)
  );
}

/**
 * Complementary error function by W. J. Cody's rational Chebyshev approximations ("Rational Chebyshev Approximations for the
 * Error Function", Mathematics of Computation 23, 1969): one form each for |x| ≤ 0.468_75, |x| ≤ 4 and beyond. NaN for NaN.
 */
export function erfc(x: number): number {
  const y = Math.abs(x);
  if (y <= 0.468_75) return 1 - x * erfOverX(y * y);
  if (y > 27) return x > 0 ? 0 : 2;
  const tail = scaledTail(y) * expMinusSquare(y);
  return x >= 0 ? tail : 2 - tail;
}

/** erf(x)/x for x² ≤ 0.22. */
function erfOverX(z: number): number {
  const numerator =
    (((0.185_777_706_184_603_15 * z + 3.161_123_743_870_565_5) * z + 113.864_154_151_050_16) * z +
      377.485_237_685_302) *
      z +
    3209.377_589_138_469_4;
  const denominator =
    (((z + 23.601_290_952_344_122) * z + 244.024_637_934_444_17) * z + 1282.616_526_077_372_3) * z +
    2844.236_833_439_171;
  return numerator / denominator;
}

/** exp(y²)·erfc(y) for y > 0.468_75. */
function scaledTail(y: number): number {
  if (y <= 4) {
    const numerator =
      (((((((2.153_115_354_744_038_3e-8 * y + 0.564_188_496_988_670_1) * y + 8.883_149_794_388_377) * y +
        66.119_190_637_141_63) *
        y +
        298.635_138_197_400_1) *
        y +
        881.952_221_241_769) *
        y +
        1712.047_612_634_070_7) *
        y +
        2051.078_377_826_071_6) *
        y +
      1230.339_354_797_997_2;
    const denominator =
      (((((((y + 15.744_926_110_709_835) * y + 117.693_950_891_312_5) * y + 537.181_101_862_009_9) * y +
        1621.389_574_566_690_3) *
        y +
        3290.799_235_733_459_7) *
        y +
        4362.619_090_143_247) *
        y +
        3439.367_674_143_721_6) *
        y +
      1230.339_354_803_749_5;
    return numerator / denominator;
  }
  const z = 1 / (y * y);
  const numerator =
    ((((0.016_315_387_137_302_097 * z + 0.305_326_634_961_232_36) * z + 0.360_344_899_949_804_45) * z +
      0.125_781_726_111_229_26) *
      z +
      0.016_083_785_148_742_275) *
      z +
    0.000_658_749_161_529_837_8;
  const denominator =
    ((((z + 2.568_520_192_289_822) * z + 1.872_952_849_923_467_3) * z + 0.527_905_102_951_428_5) * z +
      0.060_518_341_312_441_32) *
      z +
    0.002_335_204_976_268_691_8;
  return (INVERSE_SQRT_PI - (z * numerator) / denominator) / y;
}

/** exp(−y²) with the square split at 1/16, so that its rounding does not enter the exponent. */
function expMinusSquare(y: number): number {
  const coarse = Math.trunc(y * 16) / 16;
  return Math.exp(-coarse * coarse) * Math.exp(-(y - coarse) * (y + coarse));
}
