/* The CUDA driver, opened at run time, with its errors in words. */
#ifndef KEEL_TENSORRT_DRIVER_H
#define KEEL_TENSORRT_DRIVER_H

#include <cuda.h>
#include <dlfcn.h>

#include <cstdint>
#include <string>

#include "tensorrt_shim.h"

namespace keel {

/* Why something failed: a code of the C interface and a sentence for the operator. */
struct Failure {
  int32_t code;
  std::string message;
};

/* cuda.h renames functions to their newest version by macros, so names are taken after expansion. */
#define KEEL_NAME(name) #name
#define KEEL_DRIVER_NAME(name) KEEL_NAME(name)
#define KEEL_DRIVER_FUNCTIONS(each)                                                                                     \
  each(cuInit) each(cuDriverGetVersion) each(cuGetErrorName) each(cuGetErrorString) each(cuDeviceGetCount)              \
  each(cuDeviceGet) each(cuDeviceGetName) each(cuDeviceGetAttribute) each(cuDevicePrimaryCtxRetain)                     \
  each(cuDevicePrimaryCtxRelease) each(cuCtxSetCurrent) each(cuMemGetInfo) each(cuMemAlloc) each(cuMemFree)             \
  each(cuMemHostAlloc) each(cuMemFreeHost) each(cuMemsetD8Async) each(cuMemcpyHtoDAsync) each(cuMemcpyDtoHAsync)        \
  each(cuStreamCreate) each(cuStreamDestroy) each(cuStreamSynchronize) each(cuStreamBeginCapture)                       \
  each(cuStreamEndCapture) each(cuGraphInstantiateWithFlags) each(cuGraphDestroy) each(cuGraphExecDestroy)              \
  each(cuGraphLaunch) each(cuEventCreate) each(cuEventDestroy) each(cuEventRecord) each(cuEventQuery)                   \
  each(cuEventSynchronize) each(cuModuleLoadData) each(cuModuleUnload) each(cuModuleGetFunction) each(cuLaunchKernel)

struct Driver {
#define KEEL_MEMBER(name) decltype(&::name) name##_ = nullptr;
  KEEL_DRIVER_FUNCTIONS(KEEL_MEMBER)
#undef KEEL_MEMBER

  /* Opens libcuda and initialises it. */
  Driver() {
    void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
      throw Failure{KEEL_TRT_UNAVAILABLE, "no CUDA driver (libcuda.so.1): install NVIDIA's driver; in a container, start it "
                                          "with the NVIDIA container toolkit"};
    }
#define KEEL_LOAD(name)                                                                                                 \
  name##_ = reinterpret_cast<decltype(name##_)>(dlsym(library, KEEL_DRIVER_NAME(name)));                                \
  if (name##_ == nullptr) {                                                                                             \
    throw Failure{KEEL_TRT_UNAVAILABLE, std::string("NVIDIA's driver is too old: it has no ") + KEEL_DRIVER_NAME(name) + \
                                            "; install one for CUDA " + std::to_string(CUDA_VERSION / 1000)};           \
  }
    KEEL_DRIVER_FUNCTIONS(KEEL_LOAD)
#undef KEEL_LOAD
    check(cuInit_(0), "NVIDIA's driver does not start (nvidia-smi must show the GPU)", KEEL_TRT_UNAVAILABLE);
    int version = 0;
    check(cuDriverGetVersion_(&version), "version of NVIDIA's driver", KEEL_TRT_UNAVAILABLE);
    if (version < CUDA_VERSION / 1000 * 1000) {
      throw Failure{KEEL_TRT_UNAVAILABLE, "NVIDIA's driver is for CUDA " + dotted(version) + ", this shim was built with CUDA " +
                                              dotted(CUDA_VERSION) + ": install a newer driver"};
    }
  }

  static std::string dotted(int version) {
    return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
  }

  std::string describe(CUresult result) const {
    const char *name = nullptr;
    const char *text = nullptr;
    cuGetErrorName_(result, &name);
    cuGetErrorString_(result, &text);
    return std::string(name == nullptr ? "unknown error" : name) + (text == nullptr ? "" : std::string(", ") + text);
  }

  void check(CUresult result, const char *what, int32_t code) const {
    if (result != CUDA_SUCCESS) throw Failure{code, std::string(what) + ": " + describe(result)};
  }
};

/* Device memory, zeroed, and pinned host memory; freed with the engine. */
class Memory {
 public:
  Memory(const Driver &driver, CUstream stream) : driver_(driver), stream_(stream) {}
  Memory(const Memory &) = delete;
  Memory &operator=(const Memory &) = delete;
  ~Memory() {
    for (int i = 0; i < device_count_; i += 1) driver_.cuMemFree_(device_[i]);
    for (int i = 0; i < host_count_; i += 1) driver_.cuMemFreeHost_(host_[i]);
  }

  CUdeviceptr device(uint64_t bytes) {
    if (device_count_ == LIMIT) throw Failure{KEEL_TRT_REFUSED, "the model has more states than the shim holds"};
    CUdeviceptr address = 0;
    const CUresult result = driver_.cuMemAlloc_(&address, bytes);
    if (result != CUDA_SUCCESS) throw Failure{KEEL_TRT_UNAVAILABLE, full(bytes, result)};
    device_[device_count_++] = address;
    bytes_ += bytes;
    driver_.check(driver_.cuMemsetD8Async_(address, 0, bytes, stream_), "clearing memory", KEEL_TRT_UNAVAILABLE);
    return address;
  }

  void *host(uint64_t bytes) {
    void *address = nullptr;
    driver_.check(driver_.cuMemHostAlloc_(&address, bytes, 0), "pinned host memory (raise the memory lock limit, ulimit -l)",
                  KEEL_TRT_UNAVAILABLE);
    host_[host_count_++] = address;
    bytes_ += bytes;
    return address;
  }

  uint64_t bytes() const { return bytes_; }

 private:
  /* Three buffers for each of at most 64 states, and the inputs and outputs. */
  static constexpr int LIMIT = 200;

  std::string full(uint64_t bytes, CUresult result) const {
    size_t available = 0;
    size_t total = 0;
    driver_.cuMemGetInfo_(&available, &total);
    return "no GPU memory for " + std::to_string(bytes >> 20) + " MiB (" + driver_.describe(result) + "; " +
           std::to_string(available >> 20) + " of " + std::to_string(total >> 20) +
           " MiB are free): end other programs on this GPU, take another by KEEL_CUDA_DEVICE, or use fewer slots";
  }

  const Driver &driver_;
  CUstream stream_;
  CUdeviceptr device_[LIMIT] = {};
  void *host_[4] = {};
  int device_count_ = 0;
  int host_count_ = 0;
  uint64_t bytes_ = 0;
};

}  // namespace keel

#endif
