// Our side of compare_seq2seq.py: loads an encoder-decoder, then answers "run", "dump" and "peak" on standard input,
// one line each (the protocol is in bench/README.md). Usage: seq2seq_worker MODEL_DIR INPUTS_DIR THREADS DTYPE
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>

#include "transformers/base/error.hpp"
#include "transformers/base/parallel.hpp"
#include "transformers/generation/generate.hpp"
#include "transformers/io/safetensors.hpp"
#include "transformers/kernels/kernels.hpp"
#include "transformers/models/pretrained_model.hpp"

namespace {

using namespace transformers;

constexpr int64_t kNewTokens = 24;

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

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

// Calls consume(new token ids) for each sentence, in their order.
template <class Consume>
void compute(const PretrainedModel& model, const std::vector<std::vector<GenerationRequest>>& calls, Consume consume) {
  for (const std::vector<GenerationRequest>& call : calls) {
    for (const GenerationResult& result : generate(model, call)) {
      if (result.error) throw *result.error;
      const std::vector<int64_t>& ids = result.sequences.front().ids;
      consume(ids.data() + result.prompt_length, static_cast<int64_t>(ids.size()) - result.prompt_length);
    }
  }
}

int serve(const std::string& model_directory, const std::string& inputs, WeightType dtype) {
  LoadOptions options;
  options.dtype = dtype;
  const auto model = PretrainedModel::from_pretrained(model_directory, options);
  std::cout << "ready {\"engine\": \"transformers.cpp " << version() << " (" << isa() << ")\"}" << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string command, name, file;
    words >> command >> name >> file;
    try {
      if (command == "run") {
        const auto calls = read_workload(model_directory, inputs, name);
        const double start = now_seconds();
        compute(*model, calls, [](const int64_t*, int64_t) {});
        std::printf("time %.9f\n", now_seconds() - start);
      } else if (command == "dump") {
        std::ofstream out(file, std::ios::binary);
        int64_t count = 0;
        compute(*model, read_workload(model_directory, inputs, name), [&](const int64_t* ids, int64_t n) {
          out.write(reinterpret_cast<const char*>(ids), n * static_cast<int64_t>(sizeof(int64_t)));
          count += n;
        });
        std::printf("dumped %lld\n", static_cast<long long>(count));
      } else if (command == "peak") {
        const WeightFormat format = dtype == WeightType::q8 ? WeightFormat::affine_q8() : WeightFormat(DType::f32);
        std::printf("peak {\"gflops\": %.2f}\n", measure_peak_gflops(0.4, format));
      } else if (command == "quit") {
        return 0;
      } else {
        std::printf("error unknown command %s\n", command.c_str());
      }
    } catch (const Error& error) {
      std::printf("error %s\n", error.what());
    }
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::optional<WeightType> dtype = argc == 5 ? weight_type_from(argv[4]) : std::nullopt;
  if (!dtype) {
    std::fprintf(stderr, "usage: seq2seq_worker MODEL_DIR INPUTS_DIR THREADS fp32|bf16|q8|q4\n");
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
