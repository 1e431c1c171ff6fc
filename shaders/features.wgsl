// The feature sweep: one thread for each instrument that saw events since the last sweep. It applies them in order to the
// instrument's windowed state, lets the windows forget up to the time of the row, and writes the row where the model reads it.
// The definitions are those of src/feature/schema.ts; src/feature/sweep-upload.ts writes the upload.
// What is compiled is this file with feature-windows.wgsl, feature-events.wgsl and feature-row.wgsl behind it.
// schema 1a5fa72d96d78548
//
// How f32 keeps up with the double-precision tick path:
// - Times come as quarters of a µs since the instrument's last event, which is all that a double holds of a wall clock in µs.
//   Ages are whole quarters too, and saturate after 18 minutes.
// - A window multiplies by exp(-x), x = Δt/w. For small x it is 1-exp(-x) that must be exact: it is summed as a series.
// - Sums and means are pairs (high, low) of floats, added without loss (Knuth's two-sum).
// - Where a feature is the difference of a value and its mean, that difference is the state, not the mean: on a change of the
//   value by δ it grows by δ, and it fades like a sum. Nothing cancels.
// - Prices are whole ticks: each is subtracted from its like as an integer, and only differences become floats.

override WORKGROUP: u32 = 64u;

const FEATURES: u32 = 96u;
const NONE: u32 = 0xffffffffu;
const FRESH: u32 = 0x80000000u;
const QUARTER_US: f32 = 0.25;
const FOREVER: u32 = 0xffffffffu;

const TOP: u32 = 0u;
const BOOK: u32 = 1u;
const TRADE: u32 = 2u;
const TICKER: u32 = 3u;
const VOLATILITY: u32 = 4u;

const HAS_INDEX: u32 = 1u;
const HAS_FUNDING: u32 = 2u;

const RATE_MOVE_BP: f32 = 0.5;
const RATE_DEPTH_FRACTION: f32 = 0.8;
const INTERVAL_WEIGHT: f32 = 0.1;
// A sum that was ever positive stays so: ratios to it must not become 0/0 when f32 runs out of exponents.
const LEAST: f32 = 1e-30;

// [0] entries, [1] zero, [2..4] signals, [5] first word of the entries; then records and entries.
@group(0) @binding(0) var<storage, read> upload: array<u32>;
// [word][slot]: first INTS words of integers, then FLOATS floats, all as bits.
@group(0) @binding(1) var<storage, read_write> held: array<u32>;
// [row][FEATURES]
@group(0) @binding(2) var<storage, read_write> features: array<f32>;

// Integers of a slot.
const FLAGS: u32 = 0u;
const BID: u32 = 1u;
const ASK: u32 = 2u;
const MID_BID: u32 = 3u;
const MID_ASK: u32 = 4u;
const DOCUMENT_BID: u32 = 5u;
const DOCUMENT_ASK: u32 = 6u;
const INDEX_TICKS: u32 = 7u;
const AGE_TRADE: u32 = 8u;
const AGE_DIFF: u32 = 9u;
const AGE_MOVE: u32 = 10u;
const INTS: u32 = 11u;

// Bits of FLAGS.
const SEEN_BOOK: u32 = 1u;
const MID_KNOWN: u32 = 2u;
const BASIS_KNOWN: u32 = 4u;
const IV_KNOWN: u32 = 8u;
const INDEX_KNOWN: u32 = 16u;
const MOVED: u32 = 32u;
const WITHDRAWN: u32 = 128u;

// Floats of a slot; what has two sides holds the bid's first.
const QUEUE: u32 = 0u;
const DEPTH: u32 = 2u;
const STALE: u32 = 4u;
const TRADED: u32 = 6u;
const TRADE_SIDE: u32 = 8u;
const MOVE_SIDE: u32 = 9u;
const DIFF_INTERVAL: u32 = 10u;
const FUNDING: u32 = 11u;
const IV: u32 = 12u;
const BASIS: u32 = 13u;
const INDEX: u32 = 14u;
const INDEX_FRACTION: u32 = 15u;
// As DEPTH_METRIC of src/feature/depth.ts, ten a side.
const METRICS: u32 = 16u;
const SCALARS: u32 = 36u;

// Pairs of a slot, two floats each.
const QUEUE_MEAN: u32 = 0u;
const DEPTH_MEAN: u32 = 2u;
const DEPTH_MEAN_50: u32 = 4u;
const DEPTH_MEAN_500: u32 = 6u;
const DEPTH_LOW: u32 = 8u;
const DEPTH_HIGH: u32 = 10u;
const MOVE_RATE: u32 = 12u;
const WITHDRAW_RATE: u32 = 14u;
const AWAY_10: u32 = 16u;
const AWAY_50: u32 = 17u;
const AWAY_200: u32 = 18u;
const AWAY_1000: u32 = 19u;
const BASIS_AWAY: u32 = 20u;
const IV_AWAY: u32 = 21u;
const FLOW_50: u32 = 22u;
const FLOW_100: u32 = 23u;
const FLOW_500: u32 = 24u;
const FLOW_2000: u32 = 25u;
const NET_100: u32 = 26u;
const NET_1000: u32 = 28u;
const CANCEL_100: u32 = 30u;
const CANCEL_1000: u32 = 32u;
const TAKEN_50: u32 = 34u;
const TAKEN_200: u32 = 36u;
const TAKEN_1000: u32 = 38u;
const TRADES_1000: u32 = 40u;
const COUNT_50: u32 = 41u;
const COUNT_500: u32 = 42u;
const COUNT_10000: u32 = 43u;
const VARIANCE_100: u32 = 44u;
const VARIANCE_1000: u32 = 45u;
const VARIANCE_10000: u32 = 46u;
const PAIRS: u32 = 47u;

const WORDS: u32 = INTS + SCALARS + 2u * PAIRS;

var<private> ints: array<u32, INTS>;
var<private> s: array<f32, SCALARS>;
var<private> p: array<vec2f, PAIRS>;
// Zero, which the compiler cannot know.
var<private> zero: u32;
// Where the row in work begins.
var<private> out: u32;

fn start_afresh() {
  for (var i = 0u; i < INTS; i += 1u) {
    ints[i] = 0u;
  }
  for (var i = 0u; i < SCALARS; i += 1u) {
    s[i] = 0.0;
  }
  for (var i = 0u; i < PAIRS; i += 1u) {
    p[i] = vec2f(0.0);
  }
  ints[BID] = bitcast<u32>(-1i);
  ints[ASK] = bitcast<u32>(-1i);
  ints[DOCUMENT_BID] = bitcast<u32>(-1i);
  ints[DOCUMENT_ASK] = bitcast<u32>(-1i);
  ints[AGE_TRADE] = FOREVER;
  ints[AGE_DIFF] = FOREVER;
  ints[AGE_MOVE] = FOREVER;
}

@compute @workgroup_size(WORKGROUP)
fn sweep(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= upload[0]) {
    return;
  }
  zero = upload[1];
  let entry = upload[5] + 4u * id.x;
  let slot = upload[entry] & ~FRESH;
  let slots = arrayLength(&held) / WORDS;
  if ((upload[entry] & FRESH) != 0u) {
    start_afresh();
  } else {
    for (var i = 0u; i < INTS; i += 1u) {
      ints[i] = held[i * slots + slot];
    }
    for (var i = 0u; i < SCALARS; i += 1u) {
      s[i] = bitcast<f32>(held[(INTS + i) * slots + slot]);
    }
    for (var i = 0u; i < PAIRS; i += 1u) {
      let at = (INTS + SCALARS + 2u * i) * slots + slot;
      p[i] = vec2f(bitcast<f32>(held[at]), bitcast<f32>(held[at + slots]));
    }
  }
  // Each record: where the slot's next one is (0 = no more), its kind, quarters of a µs since the one before, its values.
  for (var record = upload[entry + 1u]; record != 0u; record = upload[record]) {
    let kind = upload[record + 1u];
    advance(upload[record + 2u]);
    let at = record + 3u;
    if (kind <= TRADE) {
      count_event();
    }
    switch (kind) {
      case TOP: {
        take_top(at);
      }
      case BOOK: {
        take_book(at);
      }
      case TRADE: {
        take_trade(at);
      }
      case TICKER: {
        take_ticker(at);
      }
      default: {
        take_volatility(at);
      }
    }
  }
  advance(upload[entry + 2u]);
  for (var i = 0u; i < INTS; i += 1u) {
    held[i * slots + slot] = ints[i];
  }
  for (var i = 0u; i < SCALARS; i += 1u) {
    held[(INTS + i) * slots + slot] = bitcast<u32>(s[i]);
  }
  for (var i = 0u; i < PAIRS; i += 1u) {
    let at = (INTS + SCALARS + 2u * i) * slots + slot;
    held[at] = bitcast<u32>(p[i].x);
    held[at + slots] = bitcast<u32>(p[i].y);
  }
  let row = upload[entry + 3u];
  if (row != NONE) {
    out = row * FEATURES;
    put_row();
  }
}
