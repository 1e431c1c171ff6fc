/*
 * Kernel of implied volatility, compiled once for each instruction set: a vector of options goes through P. Jäckel's "Let's Be
 * Rational" (Wilmott, 2015) together, as src/option/implied-volatility.ts describes it. Lanes whose branch the others do not take
 * are computed and thrown away. Rows that are refused, lie in the far wings, or need the upper branch stay open: the caller
 * solves those. Products and sums are two roundings everywhere, so every instruction set gives the same bits.
 */
#include "doubles.h"
#include "implied_volatility.h"

#define INVERSE_ROOT_2PI 0.3989422804014327
#define ROOT_2PI 2.5066282746310005
#define LOG_ROOT_2PI 0.9189385332046727
#define ROOT_THIRD 0.5773502691896258
/* 2π/√27 */
#define LOWER_SCALE 1.2091995761561452
/* 2^-43 */
#define LEAST_TIME_VALUE 1.1368683772161603e-13
#define LAST_STEP 2e-4
#define MOST_STEPS 8
/* Where the asymptotic series would take over. */
#define FAR 10.0
#define SERIES_HALF_DEVIATION 0.21
#define SERIES_PRODUCT 1.0
/* Past this the value is Φ/φ less a Mills ratio. */
#define DIRECT_FROM 0.85
#define CENTRAL_LOG (-2.590267165445825)

/* Mills' ratio and its moment; the rational functions and their bounds are those of src/option/mills.ts. */
INLINE doubles near_mills(doubles x) {
  const doubles square = x * x;
  const doubles numerator =
      ((0.0004242431290961028 * square + 0.04156370650233146) * square + 0.6426692950420309) * square + 1.2533141373155003 + x * (((1.4967282902531048e-5 * square + 0.0054615684883894755) * square + 0.20260214279099786) * square + 1.2447330038706204);
  const doubles denominator =
      (((1.4969632618689403e-5 * square + 0.005477752747041245) * square + 0.20815734588023338) * square + 1.4418173221662094) * square + 1 + x * (((0.00042416951671694333 * square + 0.04197397911901644) * square + 0.6824995193841826) * square + 1.7910378069130066);
  return numerator / denominator;
}

INLINE doubles middle_moment(doubles x) {
  const doubles square = x * x;
  const doubles numerator =
      ((0.00041552617235288337 * square + 0.032633912813706034) * square + 0.4786628500187486) * square + 1.0000000000545473 + x * (((1.7913563151023267e-5 * square + 0.004675493158154158) * square + 0.15226759444260438) * square + 0.9551209640856568);
  const doubles denominator =
      (((0.0004155249560198202 * square + 0.03387963587515766) * square + 0.5739150573428897) * square + 2.2465257816527666) * square + 1 + x * ((((1.7913581055753235e-5 * square + 0.0047292739818215095) * square + 0.16619979248980757) * square + 1.3860920930966036) * square + 2.208435101989007);
  return numerator / denominator;
}

INLINE doubles far_moment(doubles x) {
  const doubles w = 1.0 / (x * x);
  const doubles square = w * w;
  const doubles numerator =
      ((295869.86370025395 * square + 152936.1604577175) * square + 2070.5297360008667) * square + 1 + w * (((11700.190379996799 * square + 381032.1084567041) * square + 26021.12263205891) * square + 75.32365534232383);
  const doubles denominator =
      ((1065538.7390097775 * square + 221325.94348698034) * square + 2290.500702027996) * square + 1 + w * (((459219.2535676322 * square + 744550.1049607345) * square + 31822.769907923648) * square + 78.32365534232372);
  return w * numerator / denominator;
}

/* 1 - x·M(x) for x >= 1. */
INLINE doubles outer_moment(doubles x) {
  const longs far = x >= 4.0;
  doubles moment = (doubles){0};
  if (any(~far)) moment = middle_moment(x);
  if (any(far)) moment = choose(far, far_moment(x), moment);
  return moment;
}

INLINE doubles mills(doubles x) {
  const longs near = x < 1.0;
  doubles value = (doubles){0};
  if (any(near)) value = near_mills(x);
  if (any(~near)) value = choose(near, value, (1.0 - outer_moment(x)) / x);
  return value;
}

INLINE doubles mills_moment(doubles x) {
  const longs near = x < 1.0;
  doubles value = (doubles){0};
  if (any(near)) value = 1.0 - x * near_mills(x);
  if (any(~near)) value = choose(near, value, outer_moment(x));
  return value;
}

/* M(H-t) - M(H+t) for small t and tH; H = -h. */
INLINE doubles moment_series(doubles distance, doubles t) {
  const doubles h2 = distance * distance;
  const doubles t2 = t * t;
  const doubles m1 = mills_moment(distance);
  const doubles m3 = (3.0 + h2) * m1 - 1.0;
  const doubles m5 = (7.0 + h2) * m3 - 6.0 * m1;
  const doubles m7 = (11.0 + h2) * m5 - 20.0 * m3;
  const doubles m9 = (15.0 + h2) * m7 - 42.0 * m5;
  const doubles m11 = (19.0 + h2) * m9 - 72.0 * m7;
  const doubles m13 = (23.0 + h2) * m11 - 110.0 * m9;
  const doubles high = m9 * (1.0 / 362880.0) + t2 * (m11 * (1.0 / 39916800.0) + t2 * m13 * (1.0 / 6227020800.0));
  const doubles low = m3 * (1.0 / 6.0) + t2 * (m5 * (1.0 / 120.0) + t2 * m7 * (1.0 / 5040.0));
  return 2.0 * t * (m1 + t2 * (low + t2 * t2 * t2 * high));
}

/* b/b' where -h - t <= FAR. */
INLINE doubles black_over_vega(doubles h, doubles t) {
  const longs series = (t < SERIES_HALF_DEVIATION) & (h * t > -SERIES_PRODUCT);
  doubles value = (doubles){0};
  if (any(series)) value = moment_series(-h, t);
  if (any(~series)) {
    const doubles sum = h + t;
    const longs direct = sum > DIRECT_FROM;
    doubles nearer = mills(choose(direct, sum, -sum));
    if (any(direct)) nearer = choose(direct, ROOT_2PI * exponential(0.5 * sum * sum) - nearer, nearer);
    value = choose(series, value, nearer - mills(t - h));
  }
  return value;
}

INLINE doubles vega(doubles h, doubles t) { return INVERSE_ROOT_2PI * exponential(-0.5 * (h * h + t * t)); }

/* `rationalCubic` of src/option/rational-cubic.ts, for an interval of positive width and values that rise or all fall. */
INLINE doubles rational_cubic(doubles x, doubles left, doubles right, doubles value_left, doubles value_right,
                              doubles slope_left, doubles slope_right, doubles curvature, int at_right) {
  const doubles width = right - left;
  const doubles inverse = 1.0 / width;
  const doubles chord = (value_right - value_left) * inverse;
  const doubles from_left = chord - slope_left;
  const doubles to_right = slope_right - chord;
  const doubles lack = at_right ? to_right : from_left;
  const doubles turn = slope_right - slope_left;
  const doubles numerator = 0.5 * width * curvature + turn;
  doubles r = choose(lack != 0.0, numerator / lack, choose(numerator > 0.0, all_of(1e300), (doubles){0}));
  r = greater(r, all_of(-0.999999985));
  const longs monotone = (slope_left * chord >= 0.0) & (slope_right * chord >= 0.0) & (chord != 0.0);
  r = choose(monotone, greater(r, (slope_right + slope_left) / chord), r);
  const longs curved = from_left * to_right > 0.0;
  const doubles shorter = choose(from_left * from_left < to_right * to_right, from_left, to_right);
  r = choose(curved, greater(r, turn / shorter), r);
  const doubles t = (x - left) * inverse;
  const doubles u = 1.0 - t;
  const doubles tu = t * u;
  const doubles near_left = r * value_left + width * slope_left;
  const doubles near_right = r * value_right - width * slope_right;
  const doubles sum = value_right * t * t * t + near_right * t * tu + near_left * u * tu + value_left * u * u * u;
  return choose(r < 1e300, sum / (1.0 + (r - 3.0) * tu), value_right * t + value_left * u);
}

/* The x with ln Φ(x) = log_p for p <= 1/2, to seven digits: PPND7 of M. J. Wichura's AS 241 (1988). */
INLINE doubles quantile_of_log(doubles log_p) {
  const longs tail = log_p < CENTRAL_LOG;
  doubles value = (doubles){0};
  if (any(~tail)) {
    const doubles q = exponential(log_p) - 0.5;
    const doubles r = 0.180625 - q * q;
    value = q * (((59.10937472 * r + 159.29113202) * r + 50.434271938) * r + 3.3871327179) /
            (((67.1875636 * r + 78.757757664) * r + 17.895169469) * r + 1.0);
  }
  if (any(tail)) {
    const doubles distance = root(choose(tail, -log_p, all_of(1.0)));
    const doubles near = distance - 1.6;
    const doubles near_value = (((0.17023821103 * near + 1.3067284816) * near + 2.75681539) * near + 1.4234372777) /
                               ((0.12021132975 * near + 0.7370016425) * near + 1.0);
    const doubles far = distance - 5.0;
    const doubles far_value = (((0.017337203997 * far + 0.42868294337) * far + 3.081226386) * far + 6.657905115) /
                              ((0.012258202635 * far + 0.24197894225) * far + 1.0);
    value = choose(tail, -choose(distance <= 5.0, near_value, far_value), value);
  }
  return value;
}

/* The guess of the lowest segment; see `lowGuess`. */
INLINE doubles low_guess(doubles beta, doubles x, doubles low, doubles low_value) {
  const doubles z = -x * ROOT_THIRD / low;
  const doubles y = z * z;
  const doubles ratio = mills(z);
  const doubles density = INVERSE_ROOT_2PI * exponential(-0.5 * y);
  const doubles tail = density * ratio;
  const doubles square = low * low;
  const doubles growth = exponential(0.125 * square);
  const doubles bend = 8.0 / ROOT_THIRD * low * -x + (3.0 * square * (square - 8.0) - 8.0 * x * x) * ratio;
  const doubles inverse_density = INVERSE_ROOT_2PI / density;
  const doubles value = -x * LOWER_SCALE * tail * tail * tail;
  const doubles slope = y * ratio * ratio * growth;
  const doubles curvature = 3.141592653589793 / 6.0 * (y / (square * low)) * ratio * bend * growth * growth *
                            inverse_density * inverse_density * inverse_density * INVERSE_ROOT_2PI;
  doubles f = rational_cubic(beta, (doubles){0}, low_value, (doubles){0}, value, all_of(1.0), slope, curvature, 1);
  const doubles t = beta / low_value;
  f = choose(f > 0.0, f, beta * (1.0 - t) + value * t * t);
  return x * ROOT_THIRD / quantile_of_log(logarithm(f / (-x * LOWER_SCALE)) * (1.0 / 3.0));
}

/* Householder's steps, on 1/ln b in `low` lanes and on b in the others. Clears `sure` where they do not end. */
INLINE doubles refine(doubles s, doubles beta, doubles x, longs low, longs *sure) {
  const doubles target = logarithm(beta);
  longs going = *sure;
  for (int step = 0; step < MOST_STEPS && any(going); step += 1) {
    const doubles rate = 1.0 / s;
    const doubles h = x * rate;
    const doubles t = 0.5 * s;
    const longs near = -h - t <= FAR;
    *sure &= near | ~going;
    going &= near;
    const doubles over = black_over_vega(h, t);
    const doubles second = (h * h - t * t) * rate;
    const doubles third = second * second - 3.0 * h * h * rate * rate - 0.25;
    doubles newton = (doubles){0};
    doubles halley = second;
    doubles cubic = third;
    if (any(~low)) newton = beta / vega(h, t) - over;
    if (any(low)) {
      const doubles value = logarithm(greater(over, all_of(1e-300))) - 0.5 * (h * h + t * t) - LOG_ROOT_2PI;
      const doubles inverse = 1.0 / value;
      const doubles slope = 1.0 / over;
      const doubles mixed = 1.0 + 2.0 * inverse;
      newton = choose(low, (target - value) * value * over / target, newton);
      halley = choose(low, second - slope * mixed, halley);
      cubic = choose(
          low, third + 2.0 * slope * slope * (1.0 + 3.0 * inverse * (1.0 + inverse)) - 3.0 * second * slope * mixed,
          cubic);
    }
    const doubles change =
        newton * (1.0 + 0.5 * halley * newton) / (1.0 + newton * (halley + newton * cubic * (1.0 / 6.0)));
    const doubles next = choose(s + change > 0.25 * s, s + change, 0.5 * s);
    s = choose(going, next, s);
    going &= magnitude(change) > LAST_STEP * s;
  }
  *sure &= ~going & (s > 0.0);
  return s;
}

/* s with b(x, s) = beta in the lanes that stay `sure`; maximum = e^(x/2). */
INLINE doubles deviation(doubles beta, doubles x, doubles maximum, longs *sure) {
  const doubles inflection = root(-2.0 * x);
  const doubles inflection_vega = INVERSE_ROOT_2PI * maximum;
  const doubles inflection_value = 0.5 * maximum * (1.0 - 2.0 * INVERSE_ROOT_2PI * mills(inflection));
  const longs lower = beta < inflection_value;
  doubles guess = inflection;
  longs low_lanes = (longs){0};
  if (any(lower & *sure)) {
    const doubles low = inflection - inflection_value / inflection_vega;
    const longs has_low = lower & (low > 0.0);
    const doubles at = choose(has_low, low, all_of(1.0));
    const doubles h = choose(has_low, x / at, all_of(-1.0));
    const doubles t = 0.5 * at;
    const doubles low_vega = vega(h, t);
    const doubles low_value = low_vega * black_over_vega(h, t);
    low_lanes = has_low & (beta < low_value);
    const longs middle = has_low & ~low_lanes;
    if (any(low_lanes)) guess = choose(low_lanes, low_guess(beta, x, at, low_value), guess);
    if (any(middle)) {
      const doubles between = rational_cubic(beta, low_value, inflection_value, at, inflection, 1.0 / low_vega,
                                             1.0 / inflection_vega, (doubles){0}, 1);
      guess = choose(middle, between, guess);
    }
    *sure &= ~has_low | (-h - t <= FAR);
  }
  if (any(~lower & *sure)) {
    const doubles high = inflection + (maximum - inflection_value) / inflection_vega;
    const doubles h = x / high;
    const doubles t = 0.5 * high;
    const doubles high_vega = vega(h, t);
    const doubles high_value = high_vega * black_over_vega(h, t);
    const doubles between = rational_cubic(beta, inflection_value, high_value, inflection, high, 1.0 / inflection_vega,
                                           1.0 / high_vega, (doubles){0}, 0);
    guess = choose(lower, guess, between);
    *sure &= lower | (beta <= high_value);
  }
  return refine(choose(*sure, guess, all_of(1.0)), beta, x, low_lanes, sure);
}

int32_t FOR_ISA(keel_iv_rows)(const keel_iv *iv, int32_t count);

int32_t FOR_ISA(keel_iv_rows)(const keel_iv *iv, int32_t count) {
  int32_t open = 0;
  for (int32_t row = 0; row < count; row += DOUBLES) {
    const doubles premium = load(iv->premiums + row);
    const doubles forward = load(iv->forwards + row);
    const doubles strike = load(iv->strikes + row);
    const doubles years = load(iv->years + row);
    longs call;
    for (int lane = 0; lane < DOUBLES; lane += 1) call[lane] = iv->calls[row + lane] != 0 ? -1 : 0;
    const doubles intrinsic = greater(choose(call, forward - strike, strike - forward), (doubles){0});
    const doubles time_value = premium - intrinsic;
    const doubles scale = root(forward * strike);
    const doubles difference = (forward - strike) / (forward + strike);
    const longs near = magnitude(difference) < 0.17;
    const doubles ratio = forward / strike;
    const longs normal = (ratio > 1e-300) & (ratio < 1e300) & (scale > 1e-150) & (scale < 1e150);
    longs sure = normal & (premium > 0.0) & (years > 0.0) & (years < 1e300) &
                 (premium < choose(call, forward, strike)) & (time_value > LEAST_TIME_VALUE * premium);
    const doubles safe_ratio = choose(sure, ratio, all_of(2.0));
    doubles log_ratio = 2.0 * difference + beyond_linear(difference);
    if (any(~near)) log_ratio = choose(near, log_ratio, logarithm(safe_ratio));
    const doubles x = choose(sure, -magnitude(log_ratio), all_of(-1.0));
    const doubles beta = choose(sure, time_value / scale, all_of(0.1));
    sure &= (beta > 1e-290) & (x < 0.0);
    const doubles maximum = lesser(forward, strike) / scale;
    const doubles s = deviation(choose(sure, beta, all_of(0.1)), choose(sure, x, all_of(-1.0)),
                                choose(sure, maximum, all_of(0.6065306597126334)), &sure);
    const doubles volatility = choose(sure, s / root(years), all_of(__builtin_nan("")));
    const int32_t lanes = count - row < DOUBLES ? count - row : DOUBLES;
    for (int lane = 0; lane < lanes; lane += 1) {
      iv->statuses[row + lane] = sure[lane] != 0 ? KEEL_IV_OK : KEEL_IV_OPEN;
      open += sure[lane] == 0;
    }
    if (lanes == DOUBLES) store(iv->volatilities + row, volatility);
    else memcpy(iv->volatilities + row, &volatility, (size_t)lanes * sizeof(double));
  }
  return open;
}
