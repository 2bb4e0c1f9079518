// Our side of compare_encoders.py: loads a model, then answers "run", "dump", "peak" and "gemm" on standard input, one
// line each (the protocol is in bench/README.md). Usage: encoder_worker MODEL_DIR INPUTS_DIR THREADS DTYPE
#include <algorithm>
#include <map>

#include "small_numbers.hpp"
#include "transformers/base/platform.hpp"
#include "transformers/io/safetensors.hpp"
#include "worker.hpp"

namespace {

using namespace transformers;

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

class EncoderWorker : public Worker {
 public:
  explicit EncoderWorker(const WorkerOptions& options)
      : options_(options), model_(PretrainedModel::from_pretrained(options.model_directory, options.load())) {}

  void prepare(const std::string& workload) override {
    auto it = workloads_.find(workload);
    if (it == workloads_.end()) {
      it = workloads_.emplace(workload, read_workload(options_.inputs + "/" + workload + ".safetensors")).first;
    }
    work_ = &it->second;
  }

  void compute(Numbers& numbers) override {
    const int64_t* ids = work_->ids.data();
    for (std::size_t first = 0; first < work_->lengths.size();) {
      BatchBuilder builder({});
      int64_t tokens = 0;
      do {
        const int64_t length = work_->lengths[first++];
        builder.add({.input_ids = {ids, static_cast<std::size_t>(length)}});
        ids += length;
        tokens += length;
      } while (first < work_->lengths.size() && tokens + work_->lengths[first] <= kTokensPerBatch);
      const Batch batch = builder.finish();
      const ModelOutput output = model_->forward(batch, workspace_);
      numbers.put(output.last_hidden_state->data, output.last_hidden_state->count * output.last_hidden_state->width);
    }
  }

  std::string answer(const std::string& command) override {
    if (command != "gemm") return {};
    const Value config = parse_json(read_file(options_.model_directory + "/config.json"), "config.json");
    return "gemm " + gemm_shapes(options_.format(), config.at("hidden_size").as_integer(),
                                 config.at("intermediate_size").as_integer());
  }

 private:
  WorkerOptions options_;
  std::unique_ptr<PretrainedModel> model_;
  Workspace workspace_;
  std::map<std::string, Workload> workloads_;
  const Workload* work_ = nullptr;
};

}  // namespace

int main(int argc, char** argv) { return serve<EncoderWorker>(argc, argv); }
