// Our side of compare_seq2seq.py: loads an encoder-decoder, then answers "run", "dump" and "peak" on standard input,
// one line each (the protocol is in bench/README.md). Usage: seq2seq_worker MODEL_DIR INPUTS_DIR THREADS DTYPE
#include "transformers/generation/generate.hpp"
#include "transformers/io/safetensors.hpp"
#include "worker.hpp"

namespace {

using namespace transformers;

constexpr int64_t kNewTokens = 24;

// "greedy-64" and "beam4-64": all sentences at once; "greedy-1" and "beam4-1": the first eight, one after the other.
std::vector<std::vector<GenerationRequest>> read_workload(const std::string& model_directory, const std::string& inputs,
                                                          const std::string& name) {
  const std::size_t dash = name.find('-');
  const bool beams = name.substr(0, dash) == "beam4", together = name.substr(dash + 1) == "64";
  const GenerationConfig config = GenerationConfig::from_pretrained(model_directory)
                                      .with({.max_new_tokens = kNewTokens,
                                             .min_new_tokens = kNewTokens,
                                             .do_sample = false,
                                             .num_beams = beams ? 4 : 1});
  const auto file = SafetensorsFile::open(inputs + "/sentences.safetensors");
  const Tensor ids = file->tensor("input_ids"), lengths = file->tensor("lengths");
  const int64_t* from = ids.span<int64_t>().data();
  std::vector<std::vector<GenerationRequest>> calls;
  for (const int64_t length : lengths.span<int64_t>()) {
    GenerationRequest request;
    request.input_ids.assign(from, from + length);
    request.config = config;
    from += length;
    if (calls.empty() || !together) calls.emplace_back();
    if (!together && calls.size() > 8) {
      calls.pop_back();
      break;
    }
    calls.back().push_back(std::move(request));
  }
  return calls;
}

class Seq2SeqWorker : public Worker {
 public:
  explicit Seq2SeqWorker(const WorkerOptions& options)
      : options_(options), model_(PretrainedModel::from_pretrained(options.model_directory, options.load())) {}

  void prepare(const std::string& workload) override {
    calls_ = read_workload(options_.model_directory, options_.inputs, workload);
  }

  void compute(Numbers& numbers) override {
    for (const std::vector<GenerationRequest>& call : calls_) {
      for (const GenerationResult& result : generate(*model_, call)) {
        if (result.error) throw *result.error;
        const std::vector<int64_t>& ids = result.sequences.front().ids;
        numbers.put(ids.data() + result.prompt_length, static_cast<int64_t>(ids.size()) - result.prompt_length);
      }
    }
  }

  std::string answer(const std::string&) override { return {}; }

 private:
  WorkerOptions options_;
  std::unique_ptr<PretrainedModel> model_;
  std::vector<std::vector<GenerationRequest>> calls_;
};

}  // namespace

int main(int argc, char** argv) { return serve<Seq2SeqWorker>(argc, argv); }
