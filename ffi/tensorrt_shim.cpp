/*
 * The engine: one CUDA graph for a single row and one for a full batch, each of upload, gather, inference, scatter and download.
 */
#include "tensorrt_shim.h"

#include <time.h>

#include "tensorrt_plan.h"
#include "tensorrt_slots_ptx.h"

namespace keel {
namespace {

/* A step that takes longer than this has hung. */
constexpr double STEP_LIMIT_SECONDS = 2;
constexpr unsigned THREADS = 128;
constexpr uint64_t ALIGNMENT = 256;
constexpr int64_t STATES_LIMIT = 64;

double now_seconds() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

struct State {
  uint32_t size;
  CUdeviceptr held;
  CUdeviceptr input;
  CUdeviceptr output;
};

/* What is fixed for one batch size. */
struct Lane {
  unsigned batch = 0;
  std::unique_ptr<nvinfer1::IExecutionContext> context;
  CUgraphExec graph = nullptr;
};

/* Keeps the device's primary context while it lives. */
class Context {
 public:
  Context(const Driver &driver, int64_t number) : driver_(driver) {
    int count = 0;
    driver.check(driver.cuDeviceGetCount_(&count), "counting GPUs", KEEL_TRT_UNAVAILABLE);
    if (number >= count) {
      throw Failure{KEEL_TRT_UNAVAILABLE, "no CUDA device " + std::to_string(number) + ", this process sees " +
                                              std::to_string(count) + ": set KEEL_CUDA_DEVICE, or make more visible"};
    }
    driver.check(driver.cuDeviceGet_(&device_, static_cast<int>(number)), "opening the GPU", KEEL_TRT_UNAVAILABLE);
    driver.check(driver.cuDeviceGetName_(name_, sizeof name_, device_), "naming the GPU", KEEL_TRT_UNAVAILABLE);
    driver.cuDeviceGetAttribute_(&major_, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, device_);
    driver.cuDeviceGetAttribute_(&minor_, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, device_);
    if (major_ < 8) {
      throw Failure{KEEL_TRT_UNAVAILABLE, std::string(name_) + " has compute capability " + capability() +
                                              ", at least 8.0 (A100) is needed"};
    }
    driver.check(driver.cuDevicePrimaryCtxRetain_(&context_, device_), "using the GPU (is it in exclusive mode, and taken?)",
                 KEEL_TRT_UNAVAILABLE);
    enter(KEEL_TRT_UNAVAILABLE);
  }
  Context(const Context &) = delete;
  Context &operator=(const Context &) = delete;
  ~Context() {
    if (context_ != nullptr) driver_.cuDevicePrimaryCtxRelease_(device_);
  }

  void enter(int32_t code) const { driver_.check(driver_.cuCtxSetCurrent_(context_), "entering the GPU's context", code); }
  std::string name() const { return name_; }
  std::string capability() const { return std::to_string(major_) + "." + std::to_string(minor_); }

 private:
  const Driver &driver_;
  CUdevice device_ = 0;
  CUcontext context_ = nullptr;
  char name_[256] = {};
  int major_ = 0;
  int minor_ = 0;
};

/* Stream, event and kernels. */
class Queue {
 public:
  Queue(const Driver &driver, bool spin) : driver_(driver) {
    const unsigned blocking = spin ? 0u : static_cast<unsigned>(CU_EVENT_BLOCKING_SYNC);
    driver.check(driver.cuStreamCreate_(&stream, CU_STREAM_NON_BLOCKING), "making a stream", KEEL_TRT_UNAVAILABLE);
    driver.check(driver.cuEventCreate_(&done, blocking | CU_EVENT_DISABLE_TIMING), "making an event", KEEL_TRT_UNAVAILABLE);
    driver.check(driver.cuModuleLoadData_(&module_, KEEL_TRT_SLOTS_PTX), "compiling the slot kernels", KEEL_TRT_UNAVAILABLE);
    driver.check(driver.cuModuleGetFunction_(&gather, module_, "keel_gather"), "the gather kernel", KEEL_TRT_UNAVAILABLE);
    driver.check(driver.cuModuleGetFunction_(&scatter, module_, "keel_scatter"), "the scatter kernel", KEEL_TRT_UNAVAILABLE);
  }
  Queue(const Queue &) = delete;
  Queue &operator=(const Queue &) = delete;
  ~Queue() {
    if (module_ != nullptr) driver_.cuModuleUnload_(module_);
    if (done != nullptr) driver_.cuEventDestroy_(done);
    if (stream != nullptr) driver_.cuStreamDestroy_(stream);
  }

  CUstream stream = nullptr;
  CUevent done = nullptr;
  CUfunction gather = nullptr;
  CUfunction scatter = nullptr;

 private:
  const Driver &driver_;
  CUmodule module_ = nullptr;
};

uint64_t aligned(uint64_t bytes) { return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; }

class Engine {
 public:
  explicit Engine(const keel_trt_options &options)
      : context_(driver_, options.device),
        queue_(driver_, options.spin != 0),
        memory_(driver_, queue_.stream),
        spin_(options.spin != 0),
        max_batch_(static_cast<unsigned>(options.max_batch)),
        features_(static_cast<uint64_t>(options.feature_count)),
        heads_(static_cast<uint64_t>(options.head_count)) {
    load_plan(options);
    take_memory(options);
    add_lane(options, 0, 1);
    if (max_batch_ > 1) add_lane(options, 1, max_batch_);
  }
  Engine(const Engine &) = delete;
  Engine &operator=(const Engine &) = delete;
  ~Engine() {
    driver_.cuStreamSynchronize_(queue_.stream);
    for (Lane &lane : lanes_) {
      if (lane.graph != nullptr) driver_.cuGraphExecDestroy_(lane.graph);
    }
  }

  void step(int32_t count, const uint32_t *rows, const float *features, float *probabilities) {
    context_.enter(KEEL_TRT_LOST);
    const Lane &lane = lanes_[count == 1 || max_batch_ == 1 ? 0 : 1];
    memcpy(upload_, rows, lane.batch * sizeof(uint32_t));
    memcpy(upload_ + features_at_, features, static_cast<uint64_t>(count) * features_ * sizeof(float));
    driver_.check(driver_.cuGraphLaunch_(lane.graph, queue_.stream), "launching a step", KEEL_TRT_LOST);
    wait();
    memcpy(probabilities, download_, static_cast<uint64_t>(count) * heads_ * sizeof(float));
  }

  const char *description() const { return description_.c_str(); }
  int64_t bytes() const { return static_cast<int64_t>(memory_.bytes() + plan_bytes_); }

  std::string message;

 private:
  void load_plan(const keel_trt_options &options) {
    static const char *const PRECISIONS[] = {"model", "fp16", "int8"};
    const char *precision = PRECISIONS[options.precision];
    std::string path;
    if (options.cache_dir != nullptr) {
      std::string gpu = context_.name();
      for (char &letter : gpu) {
        if (!isalnum(static_cast<unsigned char>(letter))) letter = '-';
      }
      path = std::string(options.cache_dir) + "/" + options.model_key + "-" + gpu + "-" + context_.capability() + "-trt" +
             dotted_version(tensorrt_.version()) + "-" + precision + "-" + std::to_string(max_batch_) + ".plan";
    }
    runtime_.reset(tensorrt_.runtime(logger_));
    const char *source = "built now";
    if (!path.empty()) {
      const std::vector<char> kept = read_file(path);
      if (!kept.empty()) {
        engine_.reset(runtime_->deserializeCudaEngine(kept.data(), kept.size()));
        if (engine_) plan_bytes_ = kept.size();
        if (engine_) source = "from the cache";
      }
    }
    if (!engine_) {
      logger_.clear();
      const std::unique_ptr<nvinfer1::IHostMemory> plan = build_plan(tensorrt_, options, logger_);
      engine_.reset(runtime_->deserializeCudaEngine(plan->data(), plan->size()));
      if (!engine_) throw Failure{KEEL_TRT_UNAVAILABLE, "TensorRT does not load the plan it built: " + logger_.text()};
      plan_bytes_ = plan->size();
      if (!path.empty()) write_file(path, plan->data(), plan->size());
    }
    description_ = context_.name() + ", TensorRT " + dotted_version(tensorrt_.version()) + ", " + precision + ", plan " + source;
  }

  void take_memory(const keel_trt_options &options) {
    const uint64_t batch = max_batch_;
    features_at_ = aligned(batch * sizeof(uint32_t));
    const uint64_t upload_bytes = features_at_ + batch * features_ * sizeof(float);
    upload_ = static_cast<char *>(memory_.host(upload_bytes));
    download_ = static_cast<float *>(memory_.host(batch * heads_ * sizeof(float)));
    input_ = memory_.device(upload_bytes);
    probabilities_ = memory_.device(batch * heads_ * sizeof(float));
    for (int64_t i = 0; i < options.state_count; i += 1) {
      const uint64_t bytes = static_cast<uint64_t>(options.state_sizes[i]) * sizeof(float);
      State state;
      state.size = static_cast<uint32_t>(options.state_sizes[i]);
      state.held = memory_.device(static_cast<uint64_t>(options.slot_count) * bytes);
      state.input = memory_.device(batch * bytes);
      state.output = memory_.device(batch * bytes);
      states_.push_back(state);
    }
    driver_.check(driver_.cuStreamSynchronize_(queue_.stream), "clearing memory", KEEL_TRT_UNAVAILABLE);
  }

  void add_lane(const keel_trt_options &options, int32_t profile, unsigned batch) {
    Lane &lane = lanes_[profile];
    lane.batch = batch;
    lane.context.reset(engine_->createExecutionContext());
    if (!lane.context) {
      throw Failure{KEEL_TRT_UNAVAILABLE, "TensorRT makes no execution context (" + logger_.text() + "): free GPU memory"};
    }
    if (!lane.context->setOptimizationProfileAsync(profile, queue_.stream)) refuse("its profile");
    bind(lane, options.features_name, input_ + features_at_, true);
    bind(lane, options.probabilities_name, probabilities_, false);
    for (size_t i = 0; i < states_.size(); i += 1) {
      bind(lane, options.state_names[i], states_[i].input, true);
      bind(lane, options.next_names[i], states_[i].output, false);
    }
    memset(upload_, 0xff, lane.batch * sizeof(uint32_t));
    memset(upload_ + features_at_, 0, lane.batch * features_ * sizeof(float));
    // TensorRT finishes its own set-up in the first run, which a capture could not hold.
    enqueue(lane);
    driver_.check(driver_.cuStreamSynchronize_(queue_.stream), "the first run", KEEL_TRT_UNAVAILABLE);
    capture(lane);
  }

  void bind(Lane &lane, const char *name, CUdeviceptr address, bool input) {
    if (input) {
      nvinfer1::Dims dims = engine_->getTensorShape(name);
      if (dims.nbDims < 1) refuse(name);
      dims.d[0] = lane.batch;
      if (!lane.context->setInputShape(name, dims)) refuse(name);
    }
    if (engine_->getTensorDataType(name) != nvinfer1::DataType::kFLOAT) {
      throw Failure{KEEL_TRT_REFUSED, std::string("tensor ") + name + " is not float32"};
    }
    if (!lane.context->setTensorAddress(name, reinterpret_cast<void *>(address))) refuse(name);
  }

  [[noreturn]] void refuse(const char *name) const {
    throw Failure{KEEL_TRT_REFUSED, std::string("TensorRT's plan does not take ") + name + ": " + logger_.text()};
  }

  void enqueue(Lane &lane) {
    const uint64_t bytes = features_at_ + lane.batch * features_ * sizeof(float);
    driver_.check(driver_.cuMemcpyHtoDAsync_(input_, upload_, bytes, queue_.stream), "upload", KEEL_TRT_UNAVAILABLE);
    for (State &state : states_) move(queue_.gather, lane, state.held, state.input, state.size);
    if (!lane.context->enqueueV3(reinterpret_cast<cudaStream_t>(queue_.stream))) {
      throw Failure{KEEL_TRT_REFUSED, "TensorRT does not run the model: " + logger_.text()};
    }
    for (State &state : states_) move(queue_.scatter, lane, state.output, state.held, state.size);
    driver_.check(driver_.cuMemcpyDtoHAsync_(download_, probabilities_, lane.batch * heads_ * sizeof(float), queue_.stream),
                  "download", KEEL_TRT_UNAVAILABLE);
  }

  void move(CUfunction kernel, const Lane &lane, CUdeviceptr source, CUdeviceptr destination, uint32_t size) {
    CUdeviceptr rows = input_;
    void *arguments[] = {&rows, &source, &destination, &size};
    const unsigned blocks = size / THREADS + 1 < 1024 ? size / THREADS + 1 : 1024;
    driver_.check(driver_.cuLaunchKernel_(kernel, blocks, lane.batch, 1, THREADS, 1, 1, 0, queue_.stream, arguments, nullptr),
                  "launching a slot kernel", KEEL_TRT_UNAVAILABLE);
  }

  void capture(Lane &lane) {
    driver_.check(driver_.cuStreamBeginCapture_(queue_.stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL), "beginning a capture",
                  KEEL_TRT_UNAVAILABLE);
    CUgraph graph = nullptr;
    try {
      enqueue(lane);
    } catch (const Failure &) {
      driver_.cuStreamEndCapture_(queue_.stream, &graph);
      if (graph != nullptr) driver_.cuGraphDestroy_(graph);
      throw;
    }
    driver_.check(driver_.cuStreamEndCapture_(queue_.stream, &graph), "capturing the step as a CUDA graph", KEEL_TRT_REFUSED);
    const CUresult made = driver_.cuGraphInstantiateWithFlags_(&lane.graph, graph, 0);
    driver_.cuGraphDestroy_(graph);
    driver_.check(made, "making the CUDA graph", KEEL_TRT_UNAVAILABLE);
  }

  void wait() const {
    driver_.check(driver_.cuEventRecord_(queue_.done, queue_.stream), "marking the step's end", KEEL_TRT_LOST);
    if (!spin_) {
      driver_.check(driver_.cuEventSynchronize_(queue_.done), "a step", KEEL_TRT_LOST);
      return;
    }
    CUresult result = driver_.cuEventQuery_(queue_.done);
    if (result == CUDA_ERROR_NOT_READY) {
      const double limit = now_seconds() + STEP_LIMIT_SECONDS;
      do {
        result = driver_.cuEventQuery_(queue_.done);
        if (now_seconds() > limit) throw Failure{KEEL_TRT_LOST, "the GPU has not answered for 2 s"};
      } while (result == CUDA_ERROR_NOT_READY);
    }
    driver_.check(result, "a step", KEEL_TRT_LOST);
  }

  Driver driver_;
  TensorRt tensorrt_;
  Logger logger_;
  Context context_;
  Queue queue_;
  Memory memory_;
  bool spin_;
  unsigned max_batch_;
  uint64_t features_;
  uint64_t heads_;
  uint64_t features_at_ = 0;
  uint64_t plan_bytes_ = 0;
  char *upload_ = nullptr;
  float *download_ = nullptr;
  CUdeviceptr input_ = 0;
  CUdeviceptr probabilities_ = 0;
  std::vector<State> states_;
  std::string description_;
  std::unique_ptr<nvinfer1::IRuntime> runtime_;
  std::unique_ptr<nvinfer1::ICudaEngine> engine_;
  Lane lanes_[2];
};

/* Runs `body` and turns what it throws into a code and a message. */
template <typename Body>
int32_t guarded(std::string &message, Body body) noexcept {
  try {
    body();
    return KEEL_TRT_OK;
  } catch (const Failure &failure) {
    message = failure.message;
    return failure.code;
  } catch (const std::bad_alloc &) {
    message = "out of host memory";
  } catch (const std::exception &error) {
    message = error.what();
  }
  return KEEL_TRT_LOST;
}

void check_options(const keel_trt_options &options) {
  const bool good = options.onnx != nullptr && options.model_key != nullptr && options.features_name != nullptr &&
                    options.probabilities_name != nullptr && options.state_count >= 0 && options.state_count <= STATES_LIMIT &&
                    options.feature_count > 0 && options.head_count > 0 && options.slot_count > 0 && options.max_batch > 0 &&
                    options.max_batch <= options.slot_count && options.max_batch <= 65535 &&
                    options.slot_count < KEEL_TRT_FRESH && options.device >= 0 && options.precision >= KEEL_TRT_MODEL &&
                    options.precision <= KEEL_TRT_INT8;
  if (!good) throw Failure{KEEL_TRT_REFUSED, "sizes out of range (at most 64 states and batches of 65535)"};
}

}  // namespace
}  // namespace keel

struct keel_trt_engine {
  explicit keel_trt_engine(const keel_trt_options &options) : engine(options) {}
  keel::Engine engine;
};

int32_t keel_trt_abi(void) { return KEEL_TRT_ABI; }

int32_t keel_trt_headers(void) { return keel::HEADERS_VERSION; }

int32_t keel_trt_create(const keel_trt_options *options, keel_trt_engine **engine, char *message, uint64_t message_bytes) {
  std::string reason;
  const int32_t code = keel::guarded(reason, [&] {
    keel::check_options(*options);
    *engine = new keel_trt_engine(*options);
  });
  if (message_bytes > 0) snprintf(message, message_bytes, "%s", reason.c_str());
  return code;
}

int32_t keel_trt_step(keel_trt_engine *engine, int32_t count, const uint32_t *rows, const float *features,
                      float *probabilities) {
  return keel::guarded(engine->engine.message, [&] { engine->engine.step(count, rows, features, probabilities); });
}

const char *keel_trt_message(const keel_trt_engine *engine) { return engine->engine.message.c_str(); }

const char *keel_trt_describe(const keel_trt_engine *engine) { return engine->engine.description(); }

int64_t keel_trt_memory(const keel_trt_engine *engine) { return engine->engine.bytes(); }

void keel_trt_destroy(keel_trt_engine *engine) { delete engine; }
