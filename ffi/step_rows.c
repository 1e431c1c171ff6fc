/* Runs a step program over a block of rows. Compiled once for each instruction set, which KEEL_ISA names. */
#include <math.h>

#include "step.h"
#include "step_dense.h"

/* Where each kind of reference points to, for one row. */
typedef struct {
  float *base[4];
} row_bases;

INLINE float *at(const row_bases *row, int32_t reference) { return row->base[reference & 3] + (reference >> 2); }

INLINE const float *at_or_none(const row_bases *row, int32_t reference) {
  return reference == KEEL_NONE ? 0 : at(row, reference);
}

INLINE float as_float(int32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

INLINE lanes unary(int32_t kind, lanes x, float p, float q) {
  switch (kind) {
    case KEEL_UNARY_SIGMOID: return sigmoid(x);
    case KEEL_UNARY_TANH: return hyperbolic_tangent(x);
    case KEEL_UNARY_RELU: return select_lanes(x < 0.0f, splat(0), x);
    case KEEL_UNARY_CLIP: return clamp(x, splat(p), splat(q));
    case KEEL_UNARY_EXP: return exponential(x);
    case KEEL_UNARY_GELU: return 0.5f * x * (1.0f + error_function(x * 0.70710678118654752f));
    case KEEL_UNARY_GELU_TANH:
      return 0.5f * x * (1.0f + hyperbolic_tangent(0.79788456080286536f * (x + 0.044715f * x * x * x)));
    case KEEL_UNARY_NEG: return -x;
    case KEEL_UNARY_ABS: return magnitude(x);
    case KEEL_UNARY_ERF: return error_function(x);
    case KEEL_UNARY_ROUND: return select_lanes(magnitude(x) < 4194304.0f, nearest(x), x);
    case KEEL_UNARY_LEAKY: return select_lanes(x < 0.0f, p * x, x);
    case KEEL_UNARY_AFFINE: return x * p + q;
    case KEEL_UNARY_KNOWN: return select_lanes(x == x, x, splat(p));
    case KEEL_UNARY_SQRT: {
      for (int i = 0; i < LANES; i += 1) x[i] = sqrtf(x[i]);
      return x;
    }
    default: {
      for (int i = 0; i < LANES; i += 1) x[i] = logf(x[i]);
      return x;
    }
  }
}

INLINE lanes binary(int32_t kind, lanes a, lanes b) {
  switch (kind) {
    case KEEL_BINARY_ADD: return a + b;
    case KEEL_BINARY_SUB: return a - b;
    case KEEL_BINARY_MUL: return a * b;
    case KEEL_BINARY_DIV: return a / b;
    case KEEL_BINARY_MIN: return least(a, b);
    case KEEL_BINARY_MAX: return greatest(a, b);
    case KEEL_BINARY_EQUAL: return select_lanes(a == b, splat(1), splat(0));
    case KEEL_BINARY_LESS: return select_lanes(a < b, splat(1), splat(0));
    default: return select_lanes(a > b, splat(1), splat(0));
  }
}

/* One loop for each kind, so that the switch stands outside of it. */
#define UNARY_LOOP(kind_) \
  case kind_: \
    for (int32_t i = 0; i < n; i += LANES) store_some(to + i, unary(kind_, load(from + i), p, q), n - i); \
    break

static void run_unary(float *to, const float *from, int32_t n, int32_t kind, float p, float q) {
  switch (kind) {
    UNARY_LOOP(KEEL_UNARY_SIGMOID);
    UNARY_LOOP(KEEL_UNARY_TANH);
    UNARY_LOOP(KEEL_UNARY_RELU);
    UNARY_LOOP(KEEL_UNARY_CLIP);
    UNARY_LOOP(KEEL_UNARY_EXP);
    UNARY_LOOP(KEEL_UNARY_GELU);
    UNARY_LOOP(KEEL_UNARY_GELU_TANH);
    UNARY_LOOP(KEEL_UNARY_NEG);
    UNARY_LOOP(KEEL_UNARY_ABS);
    UNARY_LOOP(KEEL_UNARY_ERF);
    UNARY_LOOP(KEEL_UNARY_ROUND);
    UNARY_LOOP(KEEL_UNARY_LEAKY);
    UNARY_LOOP(KEEL_UNARY_AFFINE);
    UNARY_LOOP(KEEL_UNARY_KNOWN);
    UNARY_LOOP(KEEL_UNARY_SQRT);
    UNARY_LOOP(KEEL_UNARY_LOG);
  }
}

#define BINARY_LOOP(kind_) \
  case kind_: \
    for (int32_t i = 0; i < n; i += LANES) { \
      const lanes left = mode == 1 ? splat(a[0]) : load(a + i); \
      const lanes right = mode == 2 ? splat(b[0]) : load(b + i); \
      store_some(to + i, binary(kind_, left, right), n - i); \
    } \
    break

static void run_binary(float *to, const float *a, const float *b, int32_t n, int32_t kind, int32_t mode) {
  switch (kind) {
    BINARY_LOOP(KEEL_BINARY_ADD);
    BINARY_LOOP(KEEL_BINARY_SUB);
    BINARY_LOOP(KEEL_BINARY_MUL);
    BINARY_LOOP(KEEL_BINARY_DIV);
    BINARY_LOOP(KEEL_BINARY_MIN);
    BINARY_LOOP(KEEL_BINARY_MAX);
    BINARY_LOOP(KEEL_BINARY_EQUAL);
    BINARY_LOOP(KEEL_BINARY_LESS);
    BINARY_LOOP(KEEL_BINARY_GREATER);
  }
}

/* Copies between strided places; `table` is [rank, dims, dst strides, src strides] with 1 to 6 dimensions, inner one last. */
static void run_strided(float *to, const float *from, const int32_t *table) {
  const int32_t rank = table[0];
  const int32_t *dims = table + 1;
  const int32_t *to_strides = dims + rank;
  const int32_t *from_strides = to_strides + rank;
  const int32_t inner = rank - 1;
  const int32_t length = dims[inner];
  int32_t index[6] = {0};
  for (;;) {
    if (to_strides[inner] == 1 && from_strides[inner] == 1) {
      memcpy(to, from, (size_t)length * sizeof(float));
    } else {
      for (int32_t i = 0; i < length; i += 1) to[i * to_strides[inner]] = from[i * from_strides[inner]];
    }
    int32_t axis = inner - 1;
    for (; axis >= 0; axis -= 1) {
      to += to_strides[axis];
      from += from_strides[axis];
      index[axis] += 1;
      if (index[axis] < dims[axis]) break;
      index[axis] = 0;
      to -= to_strides[axis] * dims[axis];
      from -= from_strides[axis] * dims[axis];
    }
    if (axis < 0) return;
  }
}

static void run_gather(float *to, const float *from, const int32_t *indices, const int32_t *p) {
  const int32_t count = p[1], inner = p[2];
  for (int32_t o = 0; o < p[0]; o += 1, from += (int64_t)p[3] * inner) {
    if (inner == 1) {
      for (int32_t i = 0; i < count; i += 1) to[i] = from[indices[i]];
    } else {
      for (int32_t i = 0; i < count; i += 1) memcpy(to + i * inner, from + indices[i] * inner, (size_t)inner * sizeof(float));
    }
    to += count * inner;
  }
}

static void run_select(float *to, const float *condition, const float *yes, const float *no, int32_t n) {
  for (int32_t i = 0; i < n; i += LANES) {
    store_some(to + i, select_lanes(load(condition + i) != 0.0f, load(yes + i), load(no + i)), n - i);
  }
}

static void run_scale(float *to, const float *from, const float *factors, const float *offsets, int32_t n, float low, float high) {
  const lanes least_value = splat(low), most_value = splat(high);
  for (int32_t i = 0; i < n; i += LANES) {
    store_some(to + i, clamp(load(from + i) * load(factors + i) + load(offsets + i), least_value, most_value), n - i);
  }
}

static void run_lstm(float *h, float *c_next, const float *gates, const float *c, const int32_t *p) {
  const int32_t n = p[0];
  for (int32_t i = 0; i < n; i += LANES) {
    const lanes in = sigmoid(load(gates + p[1] + i));
    const lanes forget = sigmoid(load(gates + p[2] + i));
    const lanes cell = hyperbolic_tangent(load(gates + p[3] + i));
    const lanes out = sigmoid(load(gates + p[4] + i));
    const lanes next = forget * load(c + i) + in * cell;
    store_some(c_next + i, next, n - i);
    store_some(h + i, out * hyperbolic_tangent(next), n - i);
  }
}

static void softmax_contiguous(float *to, const float *from, int32_t n) {
  lanes top = splat(-INFINITY);
  for (int32_t i = 0; i < n; i += LANES) top = greatest(top, load_some(from + i, n - i, -INFINITY));
  float most = top[0];
  for (int i = 1; i < LANES; i += 1) most = top[i] > most ? top[i] : most;
  float sum = 0;
  for (int32_t i = 0; i < n; i += LANES) {
    const lanes value = exponential(load(from + i) - most);
    store_some(to + i, value, n - i);
    sum += sum_of(load_some((const float *)&value, n - i, 0));
  }
  for (int32_t i = 0; i < n; i += LANES) store_some(to + i, load(to + i) / sum, n - i);
}

static void softmax_strided(float *to, const float *from, int32_t n, int32_t stride) {
  float most = from[0];
  for (int32_t i = 1; i < n; i += 1) most = from[i * stride] > most ? from[i * stride] : most;
  float sum = 0;
  for (int32_t i = 0; i < n; i += 1) {
    const float value = expf(from[i * stride] - most);
    to[i * stride] = value;
    sum += value;
  }
  for (int32_t i = 0; i < n; i += 1) to[i * stride] /= sum;
}

static void run_softmax(float *to, const float *from, int32_t outer, int32_t n, int32_t inner) {
  for (int32_t o = 0; o < outer; o += 1) {
    for (int32_t i = 0; i < inner; i += 1) {
      const int32_t start = o * n * inner + i;
      if (inner == 1) softmax_contiguous(to + start, from + start, n);
      else softmax_strided(to + start, from + start, n, inner);
    }
  }
}

static float sum_contiguous(const float *from, int32_t n) {
  lanes sum = splat(0);
  for (int32_t i = 0; i < n; i += LANES) sum += load_some(from + i, n - i, 0);
  return sum_of(sum);
}

static void run_norm(float *to, const float *from, const float *scale, const float *bias, int32_t outer, int32_t n, float epsilon) {
  for (int32_t o = 0; o < outer; o += 1, to += n, from += n) {
    const float mean = sum_contiguous(from, n) / (float)n;
    lanes squares = splat(0);
    for (int32_t i = 0; i < n; i += LANES) {
      const lanes centred = load_some(from + i, n - i, mean) - mean;
      squares += centred * centred;
    }
    const float factor = 1.0f / sqrtf(sum_of(squares) / (float)n + epsilon);
    for (int32_t i = 0; i < n; i += LANES) {
      lanes value = (load(from + i) - mean) * factor;
      if (scale) value *= load(scale + i);
      if (bias) value += load(bias + i);
      store_some(to + i, value, n - i);
    }
  }
}

static void run_reduce(float *to, const float *from, int32_t outer, int32_t n, int32_t inner, int32_t kind) {
  for (int32_t o = 0; o < outer; o += 1) {
    for (int32_t i = 0; i < inner; i += 1) {
      const float *column = from + o * n * inner + i;
      float value = column[0];
      if (kind == KEEL_REDUCE_MAX) {
        for (int32_t j = 1; j < n; j += 1) value = column[j * inner] > value ? column[j * inner] : value;
      } else if (inner == 1) {
        value = sum_contiguous(column, n);
      } else {
        for (int32_t j = 1; j < n; j += 1) value += column[j * inner];
      }
      to[o * inner + i] = kind == KEEL_REDUCE_MEAN ? value / (float)n : value;
    }
  }
}

static float dot(const float *a, const float *b, int32_t k) {
  lanes sum = splat(0);
  int32_t i = 0;
  for (; i + LANES <= k; i += LANES) sum += load(a + i) * load(b + i);
  if (i < k) sum += load_some(a + i, k - i, 0) * load_some(b + i, k - i, 0);
  return sum_of(sum);
}

static void run_matmul(float *to, const float *a, const float *b, const int32_t *p) {
  const int32_t batch = p[0], m = p[1], k = p[2], n = p[3];
  for (int32_t s = 0; s < batch; s += 1, a += p[4], b += p[5]) {
    for (int32_t row = 0; row < m; row += 1, to += n) {
      const float *left = a + row * k;
      if (p[6]) {
        for (int32_t j = 0; j < n; j += 1) to[j] = dot(left, b + j * k, k);
        continue;
      }
      for (int32_t j = 0; j < n; j += LANES) {
        lanes sum = splat(0);
        for (int32_t i = 0; i < k; i += 1) sum += left[i] * load(b + i * n + j);
        store_some(to + j, sum, n - j);
      }
    }
  }
}

static void run_quantise(uint8_t *to, const float *from, const int32_t *p) {
  const int32_t n = p[0];
  const float scale = as_float(p[1]);
  const float zero = (float)p[2];
  const lanes low = splat((float)p[3] - zero), high = splat((float)p[4] - zero);
  const int32_t padded = (n + 3) & ~3;
  for (int32_t row = 0; row < p[5]; row += 1, to += padded, from += n) {
    for (int32_t i = 0; i < n; i += LANES) {
      const lanes level = nearest(clamp(load(from + i) / scale, low, high)) + zero;
      const ints whole = __builtin_convertvector(level, ints);
      uint8_t bytes[LANES];
      for (int j = 0; j < LANES; j += 1) bytes[j] = (uint8_t)whole[j];
      const int32_t left = n - i;
      memcpy(to + i, bytes, (size_t)(left < LANES ? left : LANES));
    }
    for (int32_t i = n; i < padded; i += 1) to[i] = 0;
  }
}

static void activate(float *values, int32_t n, int32_t activation) {
  if (activation != KEEL_NONE) run_unary(values, values, n, activation, 0, 0);
}

/* Dense layers go over all rows of the block at once, so that the weights are read once for several rows. */
static void run_dense(const row_bases *rows, int32_t row_count, const int32_t *word) {
  const int32_t *p = word + 5;
  const int32_t k = p[0], n = p[1], inner = p[2];
  const float *inputs[KEEL_STEP_BLOCK];
  const float *addends[KEEL_STEP_BLOCK];
  float *outputs[KEEL_STEP_BLOCK];
  for (int32_t t = 0; t < inner; t += 1) {
    for (int32_t r = 0; r < row_count; r += 1) {
      outputs[r] = at(&rows[r], word[1]) + t * n;
      inputs[r] = at(&rows[r], word[2]) + t * k;
      const float *addend = at_or_none(&rows[r], word[3]);
      addends[r] = addend ? addend + t * p[4] : 0;
    }
    dense(outputs, inputs, addends, row_count, at(&rows[0], word[4]), k, n);
    for (int32_t r = 0; r < row_count; r += 1) activate(outputs[r], n, p[3]);
  }
}

static void run_dense_i8(const row_bases *rows, int32_t row_count, const int32_t *word) {
  const int32_t *p = word + 5;
  const int32_t k = (p[0] + 3) & ~3, n = p[1], inner = p[2];
  const uint8_t *inputs[KEEL_STEP_BLOCK];
  const float *addends[KEEL_STEP_BLOCK];
  float *outputs[KEEL_STEP_BLOCK];
  const float *scales = rows[0].base[KEEL_IN_CONSTANTS] + p[5];
  const int32_t *starts = (const int32_t *)(const void *)(rows[0].base[KEEL_IN_CONSTANTS] + p[6]);
  const int8_t *weights = (const int8_t *)at(&rows[0], word[4]);
  for (int32_t t = 0; t < inner; t += 1) {
    for (int32_t r = 0; r < row_count; r += 1) {
      outputs[r] = at(&rows[r], word[1]) + t * n;
      inputs[r] = (const uint8_t *)at(&rows[r], word[2]) + t * k;
      const float *addend = at_or_none(&rows[r], word[3]);
      addends[r] = addend ? addend + t * p[4] : 0;
    }
    dense_i8(outputs, inputs, addends, row_count, weights, scales, starts, k, n);
    for (int32_t r = 0; r < row_count; r += 1) activate(outputs[r], n, p[3]);
  }
}

static void run_one(const row_bases *row, const int32_t *word) {
  const int32_t *p = word + 5;
  float *to = at(row, word[1]);
  switch (word[0]) {
    case KEEL_OP_COPY: memcpy(to, at(row, word[2]), (size_t)p[0] * sizeof(float)); break;
    case KEEL_OP_STRIDED:
      run_strided(to, at(row, word[2]), (const int32_t *)(const void *)(row->base[KEEL_IN_CONSTANTS] + p[0]));
      break;
    case KEEL_OP_FILL:
      for (int32_t i = 0; i < p[0]; i += 1) to[i] = as_float(p[1]);
      break;
    case KEEL_OP_UNARY: run_unary(to, at(row, word[2]), p[0], p[1], as_float(p[2]), as_float(p[3])); break;
    case KEEL_OP_BINARY: run_binary(to, at(row, word[2]), at(row, word[3]), p[0], p[1], p[2]); break;
    case KEEL_OP_QUANTISE: run_quantise((uint8_t *)to, at(row, word[2]), p); break;
    case KEEL_OP_LSTM: run_lstm(to, at(row, word[4]), at(row, word[2]), at(row, word[3]), p); break;
    case KEEL_OP_SOFTMAX: run_softmax(to, at(row, word[2]), p[0], p[1], p[2]); break;
    case KEEL_OP_NORM:
      run_norm(to, at(row, word[2]), at_or_none(row, word[3]), at_or_none(row, word[4]), p[0], p[1], as_float(p[2]));
      break;
    case KEEL_OP_REDUCE: run_reduce(to, at(row, word[2]), p[0], p[1], p[2], p[3]); break;
    case KEEL_OP_GATHER:
      run_gather(to, at(row, word[2]), (const int32_t *)(const void *)(row->base[KEEL_IN_CONSTANTS] + p[4]), p);
      break;
    case KEEL_OP_SELECT: run_select(to, at(row, word[2]), at(row, word[3]), at(row, word[4]), p[0]); break;
    case KEEL_OP_SCALE:
      run_scale(to, at(row, word[2]), at(row, word[3]), at(row, word[4]), p[0], as_float(p[1]), as_float(p[2]));
      break;
    case KEEL_OP_MATMUL: run_matmul(to, at(row, word[2]), at(row, word[3]), p); break;
  }
}

void FOR_ISA(keel_step_rows)(const keel_step *step, int32_t first, int32_t row_count);

void FOR_ISA(keel_step_rows)(const keel_step *step, int32_t first, int32_t row_count) {
  row_bases rows[KEEL_STEP_BLOCK];
  for (int32_t r = 0; r < row_count; r += 1) {
    const int64_t slot = step->slots[first + r];
    rows[r].base[KEEL_IN_ARENA] = step->arena + (int64_t)r * step->row_floats;
    rows[r].base[KEEL_IN_CONSTANTS] = (float *)step->constants;
    rows[r].base[KEEL_IN_STATE] = step->states + slot * step->slot_floats;
    rows[r].base[KEEL_IN_FEATURES] = (float *)step->features + (int64_t)(first + r) * step->feature_count;
  }
  const int32_t *word = step->program;
  for (int32_t i = 0; i < step->instruction_count; i += 1, word += KEEL_STEP_WORDS) {
    if (word[0] == KEEL_OP_DENSE) run_dense(rows, row_count, word);
    else if (word[0] == KEEL_OP_DENSE_I8) run_dense_i8(rows, row_count, word);
    else
      for (int32_t r = 0; r < row_count; r += 1) run_one(&rows[r], word);
  }
  for (int32_t r = 0; r < row_count; r += 1) {
    memcpy(step->probabilities + (int64_t)(first + r) * step->head_count, at(&rows[r], step->probabilities_at),
           (size_t)step->head_count * sizeof(float));
    const int32_t *move = step->state_moves;
    for (int32_t i = 0; i < step->move_count; i += 1, move += 3) {
      memmove(rows[r].base[KEEL_IN_STATE] + move[1], at(&rows[r], move[0]), (size_t)move[2] * sizeof(float));
    }
  }
}
