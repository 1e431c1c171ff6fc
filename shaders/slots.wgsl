// Moves recurrent states between the slots, where each instrument's state rests, and the rows of a batch.
// One workgroup row (y) for each batch row; see src/inference/gpu-slots.ts.

const WORKGROUP: u32 = 64u;
// A batch row that moves nothing.
const IDLE: u32 = 0xffffffffu;
// Set in a row whose slot was reset: it starts from zero instead of from what the slot holds.
const FRESH: u32 = 0x80000000u;

struct StateLayout {
  // Floats of one slot's state.
  size: u32,
}

@group(0) @binding(0) var<uniform> state: StateLayout;
// The slot of each batch row, FRESH or IDLE.
@group(0) @binding(1) var<storage, read> rows: array<u32>;
@group(0) @binding(2) var<storage, read> source: array<f32>;
@group(0) @binding(3) var<storage, read_write> destination: array<f32>;

// source: [slots, size] held states; destination: [rows, size] input of the model.
@compute @workgroup_size(WORKGROUP)
fn gather(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let row = rows[id.y];
  if (row == IDLE) {
    return;
  }
  let from_slot = (row & ~FRESH) * state.size;
  let to_row = id.y * state.size;
  for (var i = id.x; i < state.size; i += groups.x * WORKGROUP) {
    destination[to_row + i] = select(source[from_slot + i], 0.0, (row & FRESH) != 0u);
  }
}

// source: [rows, size] output of the model; destination: [slots, size] held states.
@compute @workgroup_size(WORKGROUP)
fn scatter(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let row = rows[id.y];
  if (row == IDLE) {
    return;
  }
  let from_row = id.y * state.size;
  let to_slot = (row & ~FRESH) * state.size;
  for (var i = id.x; i < state.size; i += groups.x * WORKGROUP) {
    destination[to_slot + i] = source[from_row + i];
  }
}
