// Values and implied volatilities of a whole option chain in one dispatch: x over options, y over jobs (0: price and Greeks by
// Black-76; 1, 2, 3: the volatility that the bid, the ask and the mark imply). See src/option/chain-gpu.ts, which also does, in
// double precision, what single precision would lose: the relative moneyness and the time values of the premiums.

override WORKGROUP: u32 = 64u;

struct Chain {
  // Options.
  count: u32,
  // Words from one column to the next.
  stride: u32,
}

@group(0) @binding(0) var<uniform> chain: Chain;
// Columns: forward, strike, (forward - strike) / strike, years, volatility, time value of bid, ask and mark over the forward.
// Then a word for each option: 1 for a call; from bit 4 what is known of bid, ask, mark and the option itself, four bits each.
@group(0) @binding(1) var<storage, read> inputs: array<u32>;
// Columns: price, delta, gamma, vega, theta, vanna, volga, volatility of bid, ask, mark; then four words of statuses.
@group(0) @binding(2) var<storage, read_write> outputs: array<u32>;

const FORWARD: u32 = 0u;
const STRIKE: u32 = 1u;
const RATIO: u32 = 2u;
const YEARS: u32 = 3u;
const VOLATILITY: u32 = 4u;
const TIME_VALUES: u32 = 5u;
const FLAGS: u32 = 8u;
const FACTS: u32 = 4u;
const OPTION_FACT: u32 = 3u;

const VALUES: u32 = 7u;
const STATUSES: u32 = 10u;

const OK: u32 = 0u;
const LIMIT: u32 = 1u;
const BAD_INPUT: u32 = 2u;
// No digit of the result would be right.
const IMPRECISE: u32 = 15u;

const NAN_BITS: u32 = 0x7fc00000u;
// The smallest number with all of f32's digits.
const SINGLE_MIN: f32 = 1.1754944e-38f;
const ROOT_2PI: f32 = 2.5066283f;
const INVERSE_ROOT_2PI: f32 = 0.39894228f;
// Standard deviations at which the normal density leaves the range of f32.
const FARTHEST: f32 = 13.0f;
// σ√T beyond which a density or its reciprocal does.
const DEVIATION_MAX: f32 = 12.0f;
// ln b moves the volatility by this much more than its share: f32's error of ln b, 1e-6, makes 1e-4 of it.
const CONDITION_MAX: f32 = 100.0f;
const ROUNDS_MAX: u32 = 32u;
// The last step, as a share of the deviation: f32's noise may keep it from becoming smaller than the first for ever.
const STEP_ENOUGH: f32 = 6.0e-7f;
const STEP_MOST: f32 = 4.0e-6f;

fn bits_at(column: u32, option: u32) -> u32 { return inputs[column * chain.stride + option]; }
fn input_at(column: u32, option: u32) -> f32 { return bitcast<f32>(bits_at(column, option)); }
fn is_nan(bits: u32) -> bool { return (bits & 0x7fffffffu) > 0x7f800000u; }
fn is_finite(x: f32) -> bool { return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u; }
fn put(column: u32, option: u32, value: f32) { outputs[column * chain.stride + option] = bitcast<u32>(value); }
fn put_nan(column: u32, option: u32) { outputs[column * chain.stride + option] = NAN_BITS; }
fn put_status(job: u32, option: u32, status: u32) { outputs[(STATUSES + job) * chain.stride + option] = status; }

// ln(1 + r) for |r| up to a half or so, by the series of the inverse hyperbolic tangent.
fn log_near(r: f32) -> f32 {
  let s = r / (2.0f + r);
  let w = s * s;
  var sum = fma(w, 1.0f / 15.0f, 1.0f / 13.0f);
  sum = fma(w, sum, 1.0f / 11.0f);
  sum = fma(w, sum, 1.0f / 9.0f);
  sum = fma(w, sum, 1.0f / 7.0f);
  sum = fma(w, sum, 0.2f);
  sum = fma(w, sum, 1.0f / 3.0f);
  return 2.0f * fma(s * w, sum, s);
}

// ln x for positive normal x; the language's own may be off by 5e-7 near 1.
fn log_of(x: f32) -> f32 {
  let parts = frexp(x);
  let low = parts.fract < 0.70710678f;
  let m = select(parts.fract, 2.0f * parts.fract, low);
  let e = f32(select(parts.exp, parts.exp - 1, low));
  return fma(e, 0.69314575f, fma(e, 1.4286068e-6f, log_near(m - 1.0f)));
}

// e^x for x from -87 to 87.
fn exponential(x: f32) -> f32 {
  let n = round(x * 1.442695f);
  let r = fma(n, 2.12194440e-4f, fma(n, -0.693359375f, x));
  var p = fma(1.9875691500e-4f, r, 1.3981999507e-3f);
  p = fma(p, r, 8.3334519073e-3f);
  p = fma(p, r, 4.1665795894e-2f);
  p = fma(p, r, 1.6666665459e-1f);
  p = fma(p, r, 5.0000001201e-1f);
  return ldexp(fma(p, r * r, r) + 1.0f, i32(n));
}

// e^(±y²/2), the square taken apart at sixteenths, so that its rounding does not enter the exponent.
fn exp_half_square(y: f32, sign: f32) -> f32 {
  let coarse = trunc(y * 16.0f) * 0.0625f;
  let rest = (y - coarse) * (y + coarse);
  return exponential(sign * 0.5f * coarse * coarse) * exponential(sign * 0.5f * rest);
}

fn density(y: f32) -> f32 { return INVERSE_ROOT_2PI * exp_half_square(y, -1.0f); }

// Mills' ratio M(x) = (1 - Φ(x)) / φ(x) and its moment 1 - x M(x): the rational functions of src/option/mills.ts.
fn near_mills(x: f32) -> f32 {
  let w = x * x;
  let numerator = fma(fma(fma(4.2424313e-4f, w, 0.041563707f), w, 0.6426693f), w, 1.2533141f)
    + x * fma(fma(fma(1.4967283e-5f, w, 0.0054615684f), w, 0.20260214f), w, 1.244733f);
  let denominator = fma(fma(fma(fma(1.4969633e-5f, w, 0.005477753f), w, 0.20815734f), w, 1.4418173f), w, 1.0f)
    + x * fma(fma(fma(4.2416952e-4f, w, 0.04197398f), w, 0.6824995f), w, 1.7910378f);
  return numerator / denominator;
}

fn middle_moment(x: f32) -> f32 {
  let w = x * x;
  let numerator = fma(fma(fma(4.1552617e-4f, w, 0.032633912f), w, 0.47866285f), w, 1.0f)
    + x * fma(fma(fma(1.7913563e-5f, w, 0.004675493f), w, 0.1522676f), w, 0.95512096f);
  let denominator = fma(fma(fma(fma(4.1552496e-4f, w, 0.033879636f), w, 0.57391506f), w, 2.2465258f), w, 1.0f)
    + x * fma(fma(fma(fma(1.7913581e-5f, w, 0.004729274f), w, 0.16619979f), w, 1.3860921f), w, 2.2084351f);
  return numerator / denominator;
}

fn far_moment(x: f32) -> f32 {
  let w = 1.0f / (x * x);
  let v = w * w;
  let numerator = fma(fma(fma(295869.86f, v, 152936.16f), v, 2070.5297f), v, 1.0f)
    + w * fma(fma(fma(11700.19f, v, 381032.11f), v, 26021.123f), v, 75.323656f);
  let denominator = fma(fma(fma(1065538.7f, v, 221325.94f), v, 2290.5007f), v, 1.0f)
    + w * fma(fma(fma(459219.25f, v, 744550.1f), v, 31822.77f), v, 78.323656f);
  return w * numerator / denominator;
}

fn moment_of(x: f32) -> f32 {
  if (x < 1.0f) { return 1.0f - x * near_mills(x); }
  if (x < 4.0f) { return middle_moment(x); }
  return far_moment(x);
}

fn mills(x: f32) -> f32 {
  if (x < -1.0f) { return ROOT_2PI * exp_half_square(x, 1.0f) - positive_mills(-x); }
  return positive_mills(x);
}

// For x from -1 on.
fn positive_mills(x: f32) -> f32 {
  if (x < 1.0f) { return near_mills(x); }
  return (1.0f - moment_of(x)) / x;
}

// M(H - t) - M(H + t): time value over forward and density; src/option/normalised-black.ts says how it is taken.
fn over_density(distance: f32, t: f32) -> f32 {
  if (distance - t > 8.0f) { return far_difference(distance, t); }
  if (t < 0.35f && distance * t < 1.0f) {
    let h2 = distance * distance;
    let t2 = t * t;
    let m1 = moment_of(distance);
    let m3 = fma(3.0f + h2, m1, -1.0f);
    let m5 = fma(7.0f + h2, m3, -6.0f * m1);
    let m7 = fma(11.0f + h2, m5, -20.0f * m3);
    let m9 = fma(15.0f + h2, m7, -42.0f * m5);
    var sum = fma(t2, m9 * (1.0f / 362880.0f), m7 * (1.0f / 5040.0f));
    sum = fma(t2, sum, m5 * (1.0f / 120.0f));
    sum = fma(t2, sum, m3 * (1.0f / 6.0f));
    return 2.0f * t * fma(t2, sum, m1);
  }
  return mills(distance - t) - positive_mills(distance + t);
}

// The same by the asymptotic series of M, the differences of whose powers are built up without subtraction.
fn far_difference(distance: f32, t: f32) -> f32 {
  let near = 1.0f / (distance - t);
  let far = 1.0f / (distance + t);
  let near_square = near * near;
  let far_square = far * far;
  let gap = 2.0f * t * near * far;
  let square_gap = gap * (near + far);
  var difference = gap;
  var far_power = far;
  var coefficient = 1.0f;
  var sum = gap;
  for (var k = 1u; k < 9u; k += 1u) {
    difference = fma(near_square, difference, far_power * square_gap);
    far_power *= far_square;
    coefficient *= 1.0f - 2.0f * f32(k);
    sum = fma(coefficient, difference, sum);
  }
  return sum;
}

fn log_moneyness(option: u32) -> f32 {
  let ratio = input_at(RATIO, option);
  if (abs(ratio) < 0.5f) { return log_near(ratio); }
  return log_of(input_at(FORWARD, option) / input_at(STRIKE, option));
}

struct Deviation {
  // σ√T.
  value: f32,
  status: u32,
}

// Time value over forward at the deviation s, by the time value that is wanted; and the slope's reciprocal D = b / b'.
struct Trial {
  ratio: f32,
  depth: f32,
}

fn trial(log_m: f32, s: f32, wanted: f32) -> Trial {
  let t = 0.5f * s;
  let d1 = log_m / s + t;
  // The square in the exponent is limited, because a trial may lie where the density has no f32.
  let depth = over_density(abs(log_m) / s, t);
  return Trial(density(clamp(d1, -FARTHEST, FARTHEST)) / wanted * depth, depth);
}

// The deviation at which the time value over the forward is `wanted`.
//
// Below the inflection of b(s), at √(2|x|), Newton's method on 1 / ln b as a function of s², which is nearly a line there; above
// it on b, which is concave there, so that it comes near from the left. Both between bounds. P. Jäckel, "Let's Be Rational"
// (2015), gives the objectives.
fn deviation_of(log_m: f32, wanted: f32) -> Deviation {
  let x = abs(log_m);
  let log_wanted = log_of(wanted) + 0.5f * log_m;
  let inflection = sqrt(2.0f * x);
  var low = 0.0f;
  var high = DEVIATION_MAX;
  var below = false;
  if (inflection > 0.0f && inflection < DEVIATION_MAX) { below = trial(log_m, inflection, wanted).ratio > 1.0f; }
  var s = max(inflection, wanted * exponential(clamp(0.5f * log_m, -40.0f, 40.0f)) * ROOT_2PI);
  if (below) {
    high = inflection;
    s = x / sqrt(-2.0f * log_wanted);
  } else {
    low = min(inflection, DEVIATION_MAX);
  }
  s = clamp(s, 1.0e-6f, DEVIATION_MAX);
  var depth = 0.0f;
  var step = 1.0f;
  for (var round = 0u; round < ROUNDS_MAX && step > STEP_ENOUGH; round += 1u) {
    // Beyond the farthest the density is none: the deviation is too small.
    if (max(x / s - 0.5f * s, abs(log_m / s + 0.5f * s)) > FARTHEST) {
      low = s;
      s = select(2.0f * s, 0.5f * (s + high), high < DEVIATION_MAX);
      continue;
    }
    let now = trial(log_m, s, wanted);
    depth = now.depth;
    if (now.ratio > 1.0f) { high = min(high, s); } else { low = max(low, s); }
    var next = s + depth * (1.0f / now.ratio - 1.0f);
    if (below) {
      let off = log_of(now.ratio);
      let log_now = log_wanted + off;
      next = sqrt(s * s - 2.0f * s * depth * off * log_now / log_wanted);
    }
    if (!(next > low && next < high)) { next = 0.5f * (low + high); }
    step = abs(next - s) / s;
    s = next;
  }
  let holds = s < DEVIATION_MAX * 0.999f && depth > 0.0f && depth <= CONDITION_MAX * s;
  return Deviation(s, select(IMPRECISE, OK, holds && step <= STEP_MOST));
}

fn implied(option: u32, premium: u32) -> Deviation {
  let facts = bits_at(FLAGS, option) >> FACTS;
  let known = (facts >> (4u * premium)) & 15u;
  if (known != OK) { return Deviation(0.0f, known); }
  return deviation_of(log_moneyness(option), input_at(TIME_VALUES + premium, option));
}

fn value_option(option: u32) {
  let flags = bits_at(FLAGS, option);
  let call = (flags & 1u) != 0u;
  let fact = (flags >> (FACTS + 4u * OPTION_FACT)) & 15u;
  let years = input_at(YEARS, option);
  let root_years = sqrt(max(years, 0.0f));
  var status = fact;
  var s = 0.0f;
  var volatility = 0.0f;
  if (status == OK) {
    if (is_nan(bits_at(VOLATILITY, option))) {
      let mark = implied(option, 2u);
      status = select(select(BAD_INPUT, IMPRECISE, mark.status == IMPRECISE), OK, mark.status == OK);
      s = mark.value;
      volatility = s / root_years;
    } else {
      volatility = input_at(VOLATILITY, option);
      s = max(volatility, 0.0f) * root_years;
      if (s > DEVIATION_MAX) { status = IMPRECISE; }
    }
  }
  if (status != OK) {
    for (var column = 0u; column < VALUES; column += 1u) { put_nan(column, option); }
    put_status(0u, option, status);
    return;
  }
  let forward = input_at(FORWARD, option);
  let strike = input_at(STRIKE, option);
  let ratio = input_at(RATIO, option);
  let intrinsic = max(select(-ratio, ratio, call) * strike, 0.0f);
  let log_m = log_moneyness(option);
  let t = 0.5f * s;
  let d1 = select(0.0f, log_m / max(s, 1.0e-30f) + t, s > 0.0f);
  let d2 = d1 - s;
  let at_d1 = density(clamp(d1, -FARTHEST, FARTHEST));
  let tail = at_d1 * positive_mills(min(abs(d1), FARTHEST));
  let vega = forward * at_d1 * root_years;
  let gamma = select(0.0f, at_d1 / (forward * s), forward * s > 1.0e-30f);
  let time_value = forward * at_d1 * over_density(abs(log_m) / max(s, 1.0e-30f), t);
  // Without time or volatility the option is at its limit; so it is where f32 cannot hold what it lacks to it.
  if (s <= 0.0f || abs(d1) > FARTHEST || min(min(vega, gamma), time_value) < SINGLE_MIN) {
    let side = select(sign(ratio), sign(d1), s > 0.0f);
    let call_delta = 0.5f + 0.5f * side;
    put(0u, option, intrinsic);
    put(1u, option, select(call_delta - 1.0f, call_delta, call));
    for (var column = 2u; column < VALUES; column += 1u) { put(column, option, 0.0f); }
    put_status(0u, option, select(IMPRECISE, LIMIT, s <= 0.0f));
    return;
  }
  let call_delta = select(1.0f - tail, tail, d1 <= 0.0f);
  let put_delta = select(-tail, tail - 1.0f, d1 <= 0.0f);
  let price = time_value + intrinsic;
  let theta = -0.5f * vega * volatility / years;
  let vanna = -at_d1 * d2 / volatility;
  let volga = vega * d1 * d2 / volatility;
  let finite = is_finite(price) && is_finite(gamma) && is_finite(theta) && is_finite(vanna) && is_finite(volga);
  if (!finite) {
    for (var column = 0u; column < VALUES; column += 1u) { put_nan(column, option); }
    put_status(0u, option, IMPRECISE);
    return;
  }
  put(0u, option, price);
  put(1u, option, select(put_delta, call_delta, call));
  put(2u, option, gamma);
  put(3u, option, vega);
  put(4u, option, theta);
  put(5u, option, vanna);
  put(6u, option, volga);
  put_status(0u, option, OK);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let option = id.x;
  if (option >= chain.count) { return; }
  if (id.y == 0u) {
    value_option(option);
    return;
  }
  let found = implied(option, id.y - 1u);
  let column = VALUES + id.y - 1u;
  if (found.status == OK) {
    put(column, option, found.value / sqrt(input_at(YEARS, option)));
  } else {
    put_nan(column, option);
  }
  put_status(id.y, option, found.status);
}
