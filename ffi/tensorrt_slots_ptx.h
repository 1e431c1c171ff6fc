/* Kernels that move states between slots and batch rows, in PTX for the driver's compiler: A100 (sm_80) and newer. */
#ifndef KEEL_TENSORRT_SLOTS_PTX_H
#define KEEL_TENSORRT_SLOTS_PTX_H

/*
 * Both take (rows, source, destination, size): gather copies held[slot] to input[row], or zeros where the row is fresh; scatter
 * copies output[row] to held[slot]. grid.y is the batch; the threads of grid.x walk one state.
 */
static const char KEEL_TRT_SLOTS_PTX[] = R"ptx(
.version 7.0
.target sm_80
.address_size 64

.visible .entry keel_gather(
  .param .u64 p_rows, .param .u64 p_source, .param .u64 p_destination, .param .u32 p_size
) {
  .reg .pred %idle, %fresh, %past;
  .reg .b32 %row, %entry, %slot, %size, %i, %stride, %width, %thread;
  .reg .b64 %rows, %source, %destination, %from, %to, %offset;
  .reg .f32 %value;
  ld.param.u64 %rows, [p_rows];
  ld.param.u64 %source, [p_source];
  ld.param.u64 %destination, [p_destination];
  ld.param.u32 %size, [p_size];
  cvta.to.global.u64 %rows, %rows;
  cvta.to.global.u64 %source, %source;
  cvta.to.global.u64 %destination, %destination;
  mov.u32 %row, %ctaid.y;
  mul.wide.u32 %offset, %row, 4;
  add.s64 %from, %rows, %offset;
  ld.global.u32 %entry, [%from];
  setp.eq.u32 %idle, %entry, 0xffffffff;
  @%idle bra GATHERED;
  setp.ge.u32 %fresh, %entry, 0x80000000;
  and.b32 %slot, %entry, 0x7fffffff;
  mul.wide.u32 %offset, %slot, %size;
  shl.b64 %offset, %offset, 2;
  add.s64 %source, %source, %offset;
  mul.wide.u32 %offset, %row, %size;
  shl.b64 %offset, %offset, 2;
  add.s64 %destination, %destination, %offset;
  mov.u32 %i, %ctaid.x;
  mov.u32 %width, %ntid.x;
  mov.u32 %thread, %tid.x;
  mad.lo.u32 %i, %i, %width, %thread;
  mov.u32 %stride, %nctaid.x;
  mul.lo.u32 %stride, %stride, %width;
GATHERING:
  setp.ge.u32 %past, %i, %size;
  @%past bra GATHERED;
  mul.wide.u32 %offset, %i, 4;
  add.s64 %from, %source, %offset;
  add.s64 %to, %destination, %offset;
  mov.f32 %value, 0f00000000;
  @!%fresh ld.global.f32 %value, [%from];
  st.global.f32 [%to], %value;
  add.u32 %i, %i, %stride;
  bra GATHERING;
GATHERED:
  ret;
}

.visible .entry keel_scatter(
  .param .u64 p_rows, .param .u64 p_source, .param .u64 p_destination, .param .u32 p_size
) {
  .reg .pred %idle, %past;
  .reg .b32 %row, %entry, %slot, %size, %i, %stride, %width, %thread;
  .reg .b64 %rows, %source, %destination, %from, %to, %offset;
  .reg .f32 %value;
  ld.param.u64 %rows, [p_rows];
  ld.param.u64 %source, [p_source];
  ld.param.u64 %destination, [p_destination];
  ld.param.u32 %size, [p_size];
  cvta.to.global.u64 %rows, %rows;
  cvta.to.global.u64 %source, %source;
  cvta.to.global.u64 %destination, %destination;
  mov.u32 %row, %ctaid.y;
  mul.wide.u32 %offset, %row, 4;
  add.s64 %from, %rows, %offset;
  ld.global.u32 %entry, [%from];
  setp.eq.u32 %idle, %entry, 0xffffffff;
  @%idle bra SCATTERED;
  and.b32 %slot, %entry, 0x7fffffff;
  mul.wide.u32 %offset, %row, %size;
  shl.b64 %offset, %offset, 2;
  add.s64 %source, %source, %offset;
  mul.wide.u32 %offset, %slot, %size;
  shl.b64 %offset, %offset, 2;
  add.s64 %destination, %destination, %offset;
  mov.u32 %i, %ctaid.x;
  mov.u32 %width, %ntid.x;
  mov.u32 %thread, %tid.x;
  mad.lo.u32 %i, %i, %width, %thread;
  mov.u32 %stride, %nctaid.x;
  mul.lo.u32 %stride, %stride, %width;
SCATTERING:
  setp.ge.u32 %past, %i, %size;
  @%past bra SCATTERED;
  mul.wide.u32 %offset, %i, 4;
  add.s64 %from, %source, %offset;
  add.s64 %to, %destination, %offset;
  ld.global.f32 %value, [%from];
  st.global.f32 [%to], %value;
  add.u32 %i, %i, %stride;
  bra SCATTERING;
SCATTERED:
  ret;
}
)ptx";

#endif
