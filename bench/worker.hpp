// What it is: our side of a comparison: the line protocol of bench/README.md around what a Worker computes.
// Where it stands: bench; encoder_worker and seq2seq_worker are made of it.
// Usage: `int main(int argc, char** argv) { return serve<MyWorker>(argc, argv); }`, MyWorker made of a WorkerOptions.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iostream>
#include <optional>
#include <sstream>
#include <string>

#include "transformers/base/error.hpp"
#include "transformers/base/parallel.hpp"
#include "transformers/kernels/kernels.hpp"
#include "transformers/models/pretrained_model.hpp"

namespace transformers {

inline double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

struct WorkerOptions {
  std::string model_directory, inputs;
  WeightType dtype = WeightType::fp32;

  LoadOptions load() const { return {.dtype = dtype}; }
  // What an encoder or encoder-decoder is multiplied in.
  WeightFormat format() const {
    return dtype == WeightType::bf16 ? WeightFormat::bf16_dot()
           : dtype == WeightType::q8 ? WeightFormat::affine_q8()
           : dtype == WeightType::q4 ? WeightFormat::q4()
                                     : WeightFormat(DType::f32);
  }
};

// Takes the numbers that a workload gives, one piece after the other, and writes them to a file if there is one.
class Numbers {
 public:
  explicit Numbers(std::ostream* out) : out_(out) {}
  template <class T>
  void put(const T* data, int64_t count) {
    count_ += count;
    if (out_) out_->write(reinterpret_cast<const char*>(data), count * static_cast<int64_t>(sizeof(T)));
  }
  int64_t count() const noexcept { return count_; }

 private:
  std::ostream* out_;
  int64_t count_ = 0;
};

class Worker {
 public:
  virtual ~Worker() = default;
  // Reads what the workload needs: outside the time that counts.
  virtual void prepare(const std::string& workload) = 0;
  // Computes the workload that was prepared last.
  virtual void compute(Numbers& numbers) = 0;
  // The answer to a command that is not in the protocol; empty: unknown.
  virtual std::string answer(const std::string& command) = 0;
};

template <class MyWorker>
int serve(int argc, char** argv) try {
  const std::optional<WeightType> dtype = argc == 5 ? weight_type_from(argv[4]) : std::nullopt;
  if (!dtype) {
    std::fprintf(stderr, "usage: %s MODEL_DIR INPUTS_DIR THREADS fp32|bf16|q8|q4\n", argv[0]);
    return 2;
  }
  set_num_threads(std::atoi(argv[3]));
  const WorkerOptions options{.model_directory = argv[1], .inputs = argv[2], .dtype = *dtype};
  MyWorker worker(options);
  std::printf("ready {\"engine\": \"transformers.cpp %s (%s)\"}\n", std::string(version()).c_str(),
              std::string(isa()).c_str());
  std::fflush(stdout);
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string command, workload, file;
    words >> command >> workload >> file;
    try {
      if (command == "quit") return 0;
      if (command == "run") {
        worker.prepare(workload);
        Numbers none(nullptr);
        const double start = now_seconds();
        worker.compute(none);
        std::printf("time %.9f\n", now_seconds() - start);
      } else if (command == "dump") {
        worker.prepare(workload);
        std::ofstream out(file, std::ios::binary);
        Numbers numbers(&out);
        worker.compute(numbers);
        std::printf("dumped %lld\n", static_cast<long long>(numbers.count()));
      } else if (command == "peak") {
        double peak = 0;
        for (int i = 0; i < 3; ++i) peak = std::max(peak, measure_peak_gflops(0.2, options.format()));
        std::printf("peak {\"gflops\": %.2f}\n", peak);
      } else {
        const std::string answer = worker.answer(command);
        std::printf("%s\n", answer.empty() ? ("error unknown command " + command).c_str() : answer.c_str());
      }
    } catch (const Error& error) {
      std::printf("error %s\n", error.what());
    }
    std::fflush(stdout);
  }
  return 0;
} catch (const std::exception& e) {
  std::fprintf(stderr, "error: %s\n", e.what());
  return 1;
}

}  // namespace transformers
