// Shows that an adapter computes: integers that wrap around, floats, memory shared by a workgroup, and a barrier.
// Every result is exact, so that the host compares bit by bit; see src/gpu/compute-check.ts.

const WORKGROUP: u32 = 64u;
const ROUNDS: u32 = 32u;

@group(0) @binding(0) var<storage, read> seeds: array<u32>;
// One integer for each seed.
@group(0) @binding(1) var<storage, read_write> hashes: array<u32>;
// One sum for each workgroup.
@group(0) @binding(2) var<storage, read_write> sums: array<f32>;

var<workgroup> parts: array<f32, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(global_invocation_id) global: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3<u32>,
) {
  var state = seeds[global.x];
  for (var round = 0u; round < ROUNDS; round += 1u) {
    state = state * 747796405u + 2891336453u;
    state = state ^ (state >> 15u);
  }
  hashes[global.x] = state;
  // Eighths of at most 512: sums of 64 of them are exact in f32, in any order.
  parts[local] = f32(state & 4095u) * 0.125;
  for (var width = WORKGROUP / 2u; width > 0u; width /= 2u) {
    workgroupBarrier();
    if (local < width) {
      parts[local] += parts[local + width];
    }
  }
  if (local == 0u) {
    sums[workgroup.x] = parts[0];
  }
}
