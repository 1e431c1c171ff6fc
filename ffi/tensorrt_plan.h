/* Building a plan from ONNX, keeping it in a folder, and reading it again. */
#ifndef KEEL_TENSORRT_PLAN_H
#define KEEL_TENSORRT_PLAN_H

#include <NvInfer.h>
#include <NvOnnxParser.h>
#include <dlfcn.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "tensorrt_driver.h"

namespace keel {

constexpr int32_t HEADERS_VERSION = NV_TENSORRT_MAJOR * 10000 + NV_TENSORRT_MINOR * 100 + NV_TENSORRT_PATCH;

inline std::string dotted_version(int32_t version) {
  return std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." + std::to_string(version % 100);
}

/* Keeps the last errors, which say more than TensorRT's return values. */
class Logger : public nvinfer1::ILogger {
 public:
  void log(Severity severity, const nvinfer1::AsciiChar *text) noexcept override {
    if (severity > Severity::kERROR || text == nullptr) return;
    const size_t room = LIMIT - length_;
    const int written = snprintf(text_ + length_, room, "%s%s", length_ == 0 ? "" : "; ", text);
    if (written > 0) length_ += static_cast<size_t>(written) < room ? static_cast<size_t>(written) : room - 1;
  }
  void clear() { length_ = 0, text_[0] = 0; }
  std::string text() const { return length_ == 0 ? "TensorRT gives no reason" : text_; }

 private:
  static constexpr size_t LIMIT = 2048;
  char text_[LIMIT] = {};
  size_t length_ = 0;
};

/* TensorRT's libraries of the major version that the headers have. */
class TensorRt {
 public:
  TensorRt() : library_(open("libnvinfer")) {
    const auto version = symbol<int32_t (*)()>(library_, "getInferLibVersion");
    version_ = version();
    if (version_ / 100 < HEADERS_VERSION / 100) {
      throw Failure{KEEL_TRT_UNAVAILABLE, "TensorRT " + dotted_version(version_) + " is installed, this shim was built with " +
                                              dotted_version(HEADERS_VERSION) +
                                              ": install that version or a newer one of the same major, or build keel with "
                                              "the headers of the installed one"};
    }
  }

  int32_t version() const { return version_; }

  nvinfer1::IRuntime *runtime(Logger &logger) const {
    const auto create = symbol<void *(*)(void *, int32_t)>(library_, "createInferRuntime_INTERNAL");
    return made(static_cast<nvinfer1::IRuntime *>(create(&logger, NV_TENSORRT_VERSION)), "runtime", logger);
  }

  nvinfer1::IBuilder *builder(Logger &logger) const {
    const auto create = symbol<void *(*)(void *, int32_t)>(library_, "createInferBuilder_INTERNAL");
    return made(static_cast<nvinfer1::IBuilder *>(create(&logger, NV_TENSORRT_VERSION)), "builder", logger);
  }

  /* The parser is needed only where a plan is built. */
  nvonnxparser::IParser *parser(nvinfer1::INetworkDefinition &network, Logger &logger) const {
    void *library = open("libnvonnxparser");
    const auto create = symbol<void *(*)(void *, void *, int)>(library, "createNvOnnxParser_INTERNAL");
    return made(static_cast<nvonnxparser::IParser *>(create(&network, &logger, NV_ONNX_PARSER_VERSION)), "ONNX parser", logger);
  }

 private:
  static void *open(const char *stem) {
    const std::string name = std::string(stem) + ".so." + std::to_string(NV_TENSORRT_MAJOR);
    void *library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library != nullptr) return library;
    const char *reason = dlerror();
    throw Failure{KEEL_TRT_UNAVAILABLE, "no " + name + " (" + (reason == nullptr ? "not found" : reason) +
                                            "): install TensorRT " + std::to_string(NV_TENSORRT_MAJOR) +
                                            " and put its lib folder in LD_LIBRARY_PATH or ld.so.conf"};
  }

  template <typename Function>
  static Function symbol(void *library, const char *name) {
    void *address = dlsym(library, name);
    if (address != nullptr) return reinterpret_cast<Function>(address);
    throw Failure{KEEL_TRT_UNAVAILABLE, std::string("the TensorRT library has no ") + name + ": its installation is broken"};
  }

  template <typename Object>
  static Object *made(Object *object, const char *what, const Logger &logger) {
    if (object != nullptr) return object;
    throw Failure{KEEL_TRT_UNAVAILABLE, std::string("TensorRT makes no ") + what + ": " + logger.text()};
  }

  void *library_;
  int32_t version_ = 0;
};

/* Puts every product of matrices into half precision; what feeds it and what it feeds stay in single precision. */
inline void halve_products(nvinfer1::INetworkDefinition &network) {
  using namespace nvinfer1;
  const int32_t count = network.getNbLayers();
  for (int32_t i = 0; i < count; i += 1) {
    ILayer *product = network.getLayer(i);
    if (product->getType() != LayerType::kMATRIX_MULTIPLY) continue;
    ITensor *result = product->getOutput(0);
    if (result->getType() != DataType::kFLOAT || result->isNetworkOutput()) continue;
    for (int32_t input = 0; input < product->getNbInputs(); input += 1) {
      ICastLayer *half = network.addCast(*product->getInput(input), DataType::kHALF);
      if (half == nullptr) throw Failure{KEEL_TRT_REFUSED, "an input of a product cannot be put into half precision"};
      product->setInput(input, *half->getOutput(0));
    }
    ICastLayer *single = network.addCast(*result, DataType::kFLOAT);
    if (single == nullptr) throw Failure{KEEL_TRT_REFUSED, "a product cannot be put into half precision"};
    for (int32_t k = 0; k < network.getNbLayers(); k += 1) {
      ILayer *user = network.getLayer(k);
      if (user == single) continue;
      for (int32_t input = 0; input < user->getNbInputs(); input += 1) {
        if (user->getInput(input) == result) user->setInput(input, *single->getOutput(0));
      }
    }
  }
}

inline bool is_quantised(const nvinfer1::INetworkDefinition &network) {
  for (int32_t i = 0; i < network.getNbLayers(); i += 1) {
    if (network.getLayer(i)->getType() == nvinfer1::LayerType::kDEQUANTIZE) return true;
  }
  return false;
}

inline void parse(nvonnxparser::IParser &parser, const keel_trt_options &options) {
  if (parser.parse(options.onnx, options.onnx_bytes)) return;
  std::string reasons;
  for (int32_t i = 0; i < parser.getNbErrors() && i < 8; i += 1) {
    const nvonnxparser::IParserError *error = parser.getError(i);
    const char *name = error->nodeName();
    const char *type = error->nodeOperator();
    reasons += reasons.empty() ? "" : "; ";
    if (error->node() >= 0) {
      reasons += "node " + std::to_string(error->node()) + " " + (name == nullptr ? "" : name) + " (" +
                 (type == nullptr ? "?" : type) + "): ";
    }
    reasons += error->desc() == nullptr ? "no reason given" : error->desc();
  }
  throw Failure{KEEL_TRT_REFUSED, "TensorRT's parser does not take the ONNX file (" + reasons +
                                      "): use the cpu or webgpu engine, or export without these operators"};
}

/* One profile for single rows and one for full batches, each of one fixed shape. */
inline void add_profiles(nvinfer1::IBuilder &builder, nvinfer1::IBuilderConfig &config,
                         const nvinfer1::INetworkDefinition &network, int32_t max_batch) {
  using namespace nvinfer1;
  for (int32_t batch = 1;; batch = max_batch) {
    IOptimizationProfile *profile = builder.createOptimizationProfile();
    for (int32_t i = 0; i < network.getNbInputs(); i += 1) {
      const ITensor *input = network.getInput(i);
      Dims dims = input->getDimensions();
      if (dims.nbDims < 1) throw Failure{KEEL_TRT_REFUSED, std::string("input ") + input->getName() + " has no batch dimension"};
      dims.d[0] = batch;
      for (int32_t k = 1; k < dims.nbDims; k += 1) {
        if (dims.d[k] < 0) throw Failure{KEEL_TRT_REFUSED, std::string("input ") + input->getName() + " has an open dimension beside the batch"};
      }
      for (const auto which : {OptProfileSelector::kMIN, OptProfileSelector::kOPT, OptProfileSelector::kMAX}) {
        profile->setDimensions(input->getName(), which, dims);
      }
    }
    if (config.addOptimizationProfile(profile) < 0) throw Failure{KEEL_TRT_REFUSED, "TensorRT takes no such batch size"};
    if (batch == max_batch) return;
  }
}

inline std::unique_ptr<nvinfer1::IHostMemory> build_plan(const TensorRt &tensorrt, const keel_trt_options &options, Logger &logger) {
  using namespace nvinfer1;
  const std::unique_ptr<IBuilder> builder(tensorrt.builder(logger));
#if NV_TENSORRT_MAJOR >= 11
  const NetworkDefinitionCreationFlags flags = 0;
#else
  const NetworkDefinitionCreationFlags flags = 1u << static_cast<uint32_t>(NetworkDefinitionCreationFlag::kSTRONGLY_TYPED);
#endif
  const std::unique_ptr<INetworkDefinition> network(builder->createNetworkV2(flags));
  const std::unique_ptr<IBuilderConfig> config(builder->createBuilderConfig());
  if (!network || !config) throw Failure{KEEL_TRT_UNAVAILABLE, "TensorRT makes no network: " + logger.text()};
  const std::unique_ptr<nvonnxparser::IParser> parser(tensorrt.parser(*network, logger));
  parse(*parser, options);
  if (options.precision == KEEL_TRT_INT8 && !is_quantised(*network)) {
    throw Failure{KEEL_TRT_REFUSED, "the ONNX file is not quantised (no DequantizeLinear): export it with QuantizeLinear and "
                                    "DequantizeLinear, or set KEEL_TENSORRT_PRECISION to model or fp16"};
  }
  if (options.precision == KEEL_TRT_FP16) halve_products(*network);
  add_profiles(*builder, *config, *network, static_cast<int32_t>(options.max_batch));
  config->clearFlag(BuilderFlag::kTF32);
  std::unique_ptr<IHostMemory> plan(builder->buildSerializedNetwork(*network, *config));
  if (!plan) {
    throw Failure{KEEL_TRT_REFUSED, "TensorRT builds no plan (" + logger.text() +
                                        "): if memory is named, free the GPU; if a layer is, use the cpu or webgpu engine"};
  }
  return plan;
}

/* A file of at most 4 GiB; empty when it cannot be read. */
inline std::vector<char> read_file(const std::string &path) {
  std::vector<char> bytes;
  FILE *file = fopen(path.c_str(), "rb");
  if (file == nullptr) return bytes;
  if (fseek(file, 0, SEEK_END) == 0) {
    const long size = ftell(file);
    if (size > 0 && size <= 0xffffffffL && fseek(file, 0, SEEK_SET) == 0) {
      bytes.resize(static_cast<size_t>(size));
      if (fread(bytes.data(), 1, bytes.size(), file) != bytes.size()) bytes.clear();
    }
  }
  fclose(file);
  return bytes;
}

/* Appears under its name only when it is whole; a folder that cannot be written to costs only the next start. */
inline void write_file(const std::string &path, const void *bytes, size_t size) {
  const std::string partial = path + "." + std::to_string(getpid());
  FILE *file = fopen(partial.c_str(), "wb");
  if (file == nullptr) return;
  const bool whole = fwrite(bytes, 1, size, file) == size;
  const bool closed = fclose(file) == 0;
  if (!whole || !closed || rename(partial.c_str(), path.c_str()) != 0) remove(partial.c_str());
}

}  // namespace keel

#endif
