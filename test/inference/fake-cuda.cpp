/* A CUDA driver that fails as FAKE_CUDA says: `init`, `old` or `none`; without it there is one device, on which nothing works. */
#include <cstdlib>
#include <cstring>

#include "../../ffi/tensorrt_driver.h"

static bool fails(const char *how) {
  const char *asked = getenv("FAKE_CUDA");
  return asked != nullptr && strcmp(asked, how) == 0;
}

static int answer(const char *name, void *first, void *second) {
  if (strncmp(name, "cuInit", 6) == 0) return fails("init") ? CUDA_ERROR_NO_DEVICE : CUDA_SUCCESS;
  if (strncmp(name, "cuDriverGetVersion", 18) == 0) *static_cast<int *>(first) = fails("old") ? 9000 : CUDA_VERSION;
  else if (strncmp(name, "cuDeviceGetCount", 16) == 0) *static_cast<int *>(first) = fails("none") ? 0 : 1;
  else if (strncmp(name, "cuGetErrorName", 14) == 0) *static_cast<const char **>(second) = "CUDA_ERROR_NO_DEVICE";
  else if (strncmp(name, "cuGetErrorString", 16) == 0) *static_cast<const char **>(second) = "no CUDA-capable device is detected";
  else if (strncmp(name, "cuDeviceGetName", 15) == 0) memcpy(first, "Fake", 5);
  return CUDA_SUCCESS;
}

#define FAKE(name)                                                                                                      \
  extern "C" __attribute__((visibility("default"))) int fake_##name(void *first, void *second) __asm__(KEEL_DRIVER_NAME(name)); \
  extern "C" int fake_##name(void *first, void *second) { return answer(KEEL_DRIVER_NAME(name), first, second); }
KEEL_DRIVER_FUNCTIONS(FAKE)
