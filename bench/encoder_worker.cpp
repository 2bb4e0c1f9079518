// Our side of compare_encoders.py: loads a model, then answers "run", "dump", "peak" and "gemm" on standard input, one
// line each (the protocol is in bench/README.md). Usage: encoder_worker MODEL_DIR INPUTS_DIR THREADS [DTYPE]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>

#include "small_numbers.hpp"
#include "transformers/base/error.hpp"
#include "transformers/base/parallel.hpp"
#include "transformers/base/platform.hpp"
#include "transformers/io/safetensors.hpp"
#include "transformers/kernels/kernels.hpp"
#include "transformers/models/pretrained_model.hpp"

namespace {

using namespace transformers;

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Sentences as the pipelines pack them: as many as fit into a batch of this many tokens.
constexpr int64_t kTokensPerBatch = 4096;

struct Workload {
  std::vector<int64_t> ids;
  std::vector<int64_t> lengths;
};

Workload read_workload(const std::string& path) {
  const auto file = SafetensorsFile::open(path);
  const Tensor ids = file->tensor("input_ids"), lengths = file->tensor("lengths");
  const auto a = ids.span<int64_t>(), b = lengths.span<int64_t>();
  return {{a.begin(), a.end()}, {b.begin(), b.end()}};
}

// Calls consume(rows, floats) for each packed batch, in the order of the sentences.
template <class Consume>
void compute(const PretrainedModel& model, const Workload& work, Workspace& workspace, Consume consume) {
  const int64_t* ids = work.ids.data();
  for (std::size_t first = 0; first < work.lengths.size();) {
    BatchBuilder builder({});
    int64_t tokens = 0;
    do {
      const int64_t length = work.lengths[first++];
      builder.add({.input_ids = {ids, static_cast<std::size_t>(length)}});
      ids += length;
      tokens += length;
    } while (first < work.lengths.size() && tokens + work.lengths[first] <= kTokensPerBatch);
    const Batch batch = builder.finish();
    const ModelOutput output = model.forward(batch, workspace);
    consume(output.last_hidden_state->data, output.last_hidden_state->count * output.last_hidden_state->width);
  }
}

// GFLOP/s of the packed GEMM at the model's layer shapes, as a JSON list: m tokens, weight [n, k], bias and gelu
// included.
std::string gemm_shapes(const WeightFormat& format, int64_t hidden, int64_t inner) {
  struct Layer {
    int64_t n, k;
    Activation activation;
  };
  const Layer layers[] = {{3 * hidden, hidden, Activation::none},
                          {hidden, hidden, Activation::none},
                          {inner, hidden, Activation::gelu},
                          {hidden, inner, Activation::none}};
  Value::Array shapes;
  const ParallelScope scope;
  for (const int64_t m : {4096, 16}) {
    for (const Layer& layer : layers) {
      const std::vector<float> bias(static_cast<std::size_t>(layer.n), 0.1f);
      const auto packed = allocate_bytes(packed_bytes(format, layer.n, layer.k));
      pack_small_numbers(format, layer.n, layer.k, packed.get());
      std::vector<float> a(static_cast<std::size_t>(m * layer.k), 0.5f), c(static_cast<std::size_t>(m * layer.n));
      std::vector<double> times;
      for (int run = 0; run < 6; ++run) {
        const double start = now_seconds();
        gemm({.a = a.data(),
              .lda = layer.k,
              .m = m,
              .b = {packed.get(), format, layer.n, layer.k},
              .bias = bias.data(),
              .activation = layer.activation,
              .c = c.data(),
              .ldc = layer.n});
        if (run > 0) times.push_back(now_seconds() - start);
      }
      std::sort(times.begin(), times.end());
      const double flops = 2.0 * static_cast<double>(layer.n * layer.k * m);
      shapes.emplace_back(
          Value::Object{{"m", m}, {"n", layer.n}, {"k", layer.k}, {"gflops", flops / times[times.size() / 2] / 1e9}});
    }
  }
  return to_json(Value::Object{{"shapes", std::move(shapes)}});
}

WeightFormat format_of(WeightType type) {
  return type == WeightType::bf16 ? WeightFormat::bf16_dot()
         : type == WeightType::q8 ? WeightFormat::affine_q8()
         : type == WeightType::q4 ? WeightFormat::q4()
                                  : WeightFormat(DType::f32);
}

int serve(const std::string& model_directory, const std::string& inputs, WeightType dtype) {
  LoadOptions options;
  options.dtype = dtype;
  const auto model = PretrainedModel::from_pretrained(model_directory, options);
  Workspace workspace;
  std::map<std::string, Workload> workloads;
  const auto workload = [&](const std::string& name) -> const Workload& {
    auto it = workloads.find(name);
    if (it == workloads.end()) it = workloads.emplace(name, read_workload(inputs + "/" + name + ".safetensors")).first;
    return it->second;
  };
  std::cout << "ready {\"engine\": \"transformers.cpp " << version() << " (" << isa() << ")\"}" << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string command, name, file;
    words >> command >> name >> file;
    if (command == "run") {
      const Workload& work = workload(name);
      const double start = now_seconds();
      compute(*model, work, workspace, [](const float*, int64_t) {});
      std::printf("time %.9f\n", now_seconds() - start);
    } else if (command == "dump") {
      std::ofstream out(file, std::ios::binary);
      int64_t count = 0;
      compute(*model, workload(name), workspace, [&](const float* data, int64_t n) {
        out.write(reinterpret_cast<const char*>(data), n * static_cast<int64_t>(sizeof(float)));
        count += n;
      });
      std::printf("dumped %lld\n", static_cast<long long>(count));
    } else if (command == "peak") {
      double peak = 0;
      for (int i = 0; i < 3; ++i) peak = std::max(peak, measure_peak_gflops(0.2, format_of(dtype)));
      std::printf("peak {\"gflops\": %.2f}\n", peak);
    } else if (command == "gemm") {
      const Value config = parse_json(read_file(model_directory + "/config.json"), "config.json");
      std::printf("gemm %s\n", gemm_shapes(format_of(dtype), config.at("hidden_size").as_integer(),
                                           config.at("intermediate_size").as_integer())
                                   .c_str());
    } else if (command == "quit") {
      return 0;
    } else {
      std::printf("error unknown command %s\n", command.c_str());
    }
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::optional<WeightType> dtype = argc == 5 ? weight_type_from(argv[4]) : WeightType::fp32;
  if (argc < 4 || argc > 5 || !dtype) {
    std::fprintf(stderr, "usage: encoder_worker MODEL_DIR INPUTS_DIR THREADS [fp32|bf16|q8|q4]\n");
    return 2;
  }
  try {
    set_num_threads(std::atoi(argv[3]));
    return serve(argv[1], argv[2], *dtype);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "error: %s\n", e.what());
    return 1;
  }
}
