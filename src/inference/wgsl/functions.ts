import { BINARY, UNARY } from "../cpu/program.ts";

/**
 * What the operations of a step program compute, in WGSL, as `ffi/lanes.h` computes it. The functions of the language are not
 * used where it allows them errors of 1e-5 (tanh) or an overflow on the way (exp); arguments are limited before they can
 * overflow, because a driver may assume that there is no infinity.
 */
export const FUNCTIONS = `
// Not a constant to the compiler, which refuses constants that are no finite numbers.
fn from_bits(bits: u32) -> f32 { return bitcast<f32>(bits); }
fn is_nan(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }
fn at_least(x: f32, low: f32) -> f32 { return select(x, low, x < low); }
fn at_most(x: f32, high: f32) -> f32 { return select(x, high, x > high); }
// e^x by reduction with ln 2 and the polynomial of Cephes' expf; stays where it is beyond -87.3 and 88.
fn exponential(argument: f32) -> f32 {
  let x = at_most(at_least(argument, -87.33654f), 88.0f);
  let n = round(x * 1.4426950408889634f);
  let r = fma(n, 2.12194440e-4f, fma(n, -0.693359375f, x));
  var p = fma(1.9875691500e-4f, r, 1.3981999507e-3f);
  p = fma(p, r, 8.3334519073e-3f);
  p = fma(p, r, 4.1665795894e-2f);
  p = fma(p, r, 1.6666665459e-1f);
  p = fma(p, r, 5.0000001201e-1f);
  return ldexp(fma(p, r * r, r) + 1.0f, i32(n));
}
fn sigmoid(x: f32) -> f32 { return 1.0f / (1.0f + exponential(-x)); }
fn hyperbolic_tangent(x: f32) -> f32 { return 1.0f - 2.0f / (1.0f + exponential(x + x)); }
// Abramowitz and Stegun 7.1.26.
fn error_function(x: f32) -> f32 {
  let a = abs(x);
  let t = 1.0f / (1.0f + 0.3275911f * a);
  var p = fma(1.061405429f, t, -1.453152027f);
  p = fma(p, t, 1.421413741f);
  p = fma(p, t, -0.284496736f);
  p = fma(p, t, 0.254829592f);
  let value = 1.0f - p * t * exponential(-a * a);
  return select(value, -value, x < 0.0f);
}
fn gelu(x: f32) -> f32 { return 0.5f * x * (1.0f + error_function(x * 0.7071067811865475f)); }
fn gelu_tanh(x: f32) -> f32 {
  return 0.5f * x * (1.0f + hyperbolic_tangent(0.7978845608028654f * (x + 0.044715f * x * x * x)));
}
`;

/** Products of packed signed bytes; `dot4` is of one word with another. */
export const PACKED_FUNCTIONS = `
// A level as a byte in the lowest bits. NaN becomes the lowest there is.
fn level_of(x: f32, low: f32, high: f32, zero: i32) -> u32 {
  let level = i32(round(at_most(at_least(x, low), high))) + zero;
  return u32(select(level, -128, is_nan(x))) & 0xffu;
}
fn dots(weights: vec4<u32>, level: u32) -> vec4<i32> {
  return vec4<i32>(dot4(weights.x, level), dot4(weights.y, level), dot4(weights.z, level), dot4(weights.w, level));
}
`;

/** `dot4` by the device's own instruction, or without. */
export const PACKED_DOT = {
  native: "fn dot4(a: u32, b: u32) -> i32 { return dot4I8Packed(a, b); }",
  portable: `fn bytes_of(word: u32) -> vec4<i32> {
  return bitcast<vec4<i32>>(vec4<u32>(word << 24u, word << 16u, word << 8u, word)) >> vec4<u32>(24u);
}
fn dot4(a: u32, b: u32) -> i32 { return dot(bytes_of(a), bytes_of(b)); }`,
} as const;

/** A number as a WGSL expression of type f32. */
export function literal(value: number): string {
  const single = Math.fround(value);
  if (!Number.isFinite(single)) {
    const bits = new Uint32Array(Float32Array.of(single).buffer)[0];
    return `from_bits(0x${bits.toString(16)}u)`;
  }
  const text = String(single);
  return `${/[.e]/.test(text) ? text : `${text}.0`}f`;
}

/** `p` and `q` are the parameters of the operation in `ffi/step.h`. */
export function unaryExpression(kind: number, x: string, p: number, q: number): string {
  switch (kind) {
    case UNARY.sigmoid:
      return `sigmoid(${x})`;
    case UNARY.tanh:
      return `hyperbolic_tangent(${x})`;
    case UNARY.relu:
      return `at_least(${x}, 0.0f)`;
    case UNARY.clip:
      return clip(x, p, q);
    case UNARY.exp:
      return `exponential(${x})`;
    case UNARY.gelu:
      return `gelu(${x})`;
    case UNARY.geluTanh:
      return `gelu_tanh(${x})`;
    case UNARY.neg:
      return `-(${x})`;
    case UNARY.abs:
      return `abs(${x})`;
    case UNARY.sqrt:
      return `sqrt(${x})`;
    case UNARY.erf:
      return `error_function(${x})`;
    case UNARY.round:
      return `round(${x})`;
    case UNARY.log:
      return `log(${x})`;
    case UNARY.leaky:
      return `select(${x}, ${literal(p)} * (${x}), (${x}) < 0.0f)`;
    case UNARY.affine:
      return `fma(${x}, ${literal(p)}, ${literal(q)})`;
    case UNARY.known:
      return `select(${x}, ${literal(p)}, is_nan(${x}))`;
    default:
      throw new RangeError(`no unary operation ${kind}`);
  }
}

export function binaryExpression(kind: number, a: string, b: string): string {
  switch (kind) {
    case BINARY.add:
      return `${a} + ${b}`;
    case BINARY.sub:
      return `${a} - ${b}`;
    case BINARY.mul:
      return `${a} * ${b}`;
    case BINARY.div:
      return `${a} / ${b}`;
    case BINARY.min:
      return `select(${b}, ${a}, ${a} < ${b})`;
    case BINARY.max:
      return `select(${b}, ${a}, ${a} > ${b})`;
    case BINARY.equal:
      return `select(0.0f, 1.0f, ${a} == ${b})`;
    case BINARY.less:
      return `select(0.0f, 1.0f, ${a} < ${b})`;
    case BINARY.greater:
      return `select(0.0f, 1.0f, ${a} > ${b})`;
    default:
      throw new RangeError(`no binary operation ${kind}`);
  }
}

/** Limits a value; NaN stays. A side without a limit costs nothing. */
export function clip(x: string, low: number, high: number): string {
  const above = low > Number.NEGATIVE_INFINITY ? `at_least(${x}, ${literal(low)})` : x;
  return high < Number.POSITIVE_INFINITY ? `at_most(${above}, ${literal(high)})` : above;
}
