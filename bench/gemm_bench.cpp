// What it is: the speed of gemm() and attention() at the shapes of bert-base and MiniLM, as GFLOP/s and as the share of
// what
//   the processor's multiply-adds reach from registers, measured right beside each. Few rows are bound by memory
//   instead: for them, how fast the weights stream, beside a plain read of as many bytes.
// Usage: gemm_bench [seconds per shape, default 0.5] [threads] [fp32|bf16|q8|q8_0|q4]
//        gemm_bench --check: a few products and attentions; 1 if one of them, at its best, stays below the share of the
//        peak that it must have on any machine. For CI: the bounds are generous, the peak is of the same moment.
//        TCPP_ISA=avx2 gemm_bench ... for another ISA. With the last argument only the products of that type, whose
//        peak is that of its own instruction (vdpbf16ps, vpdpbusd, ...).
// Weights of few-row shapes rotate through 256 MiB, so that they come from memory as in a whole model.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <string>
#include <vector>

#include "small_numbers.hpp"
#include "transformers/base/parallel.hpp"
#include "transformers/base/platform.hpp"
#include "transformers/kernels/kernels.hpp"

namespace {

using namespace transformers;

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

struct Result {
  double best = 0.0, middle = 0.0;
};

// Calls `run` until `seconds` are over; work done per second, best and median call.
template <class Run>
Result measure(double seconds, double work, Run run) {
  std::vector<double> rates;
  const double end = now() + seconds;
  run();
  do {
    const double start = now();
    run();
    rates.push_back(work / (now() - start));
  } while (now() < end);
  return {*std::max_element(rates.begin(), rates.end()), median(rates)};
}

std::atomic<uint64_t> read_sink{0};

// Sums 8-byte words of a buffer on all threads: the fastest that so many bytes can be streamed.
void read_all(const std::byte* bytes, std::size_t count) {
  constexpr std::size_t kPart = std::size_t{128} << 10;
  parallel_for(static_cast<int64_t>((count + kPart - 1) / kPart), [&](int64_t part) {
    const std::size_t begin = static_cast<std::size_t>(part) * kPart, end = std::min(count / 64 * 64, begin + kPart);
    uint64_t sum[8] = {};
    for (std::size_t at = begin; at < end; at += 64) {
      uint64_t words[8];
      std::memcpy(words, bytes + at, 64);
      for (int i = 0; i < 8; ++i) sum[i] += words[i];
    }
    for (const uint64_t s : sum) read_sink += s;
  });
}

// The best call's share of the peak.
double bench_gemm(double seconds, int64_t m, int64_t n, int64_t k, Activation activation, const WeightFormat& format,
                  const char* name) {
  const std::size_t weight_bytes = packed_bytes(format, n, k);
  const bool few = m <= 48;
  const std::size_t copies = few ? std::max<std::size_t>(1, (std::size_t{256} << 20) / weight_bytes) : 1;
  const auto weights = allocate_bytes(weight_bytes * copies);
  pack_small_numbers(format, n, k, weights.get());
  for (std::size_t i = 1; i < copies; ++i) {
    std::memcpy(weights.get() + i * weight_bytes, weights.get(), weight_bytes);
  }
  const auto a = allocate_bytes(static_cast<std::size_t>(m * k) * 4),
             c = allocate_bytes(static_cast<std::size_t>(m * n) * 4);
  for (int64_t i = 0; i < m * k; ++i) reinterpret_cast<float*>(a.get())[i] = static_cast<float>(i % 17) * 0.01f;
  const std::vector<float> bias(static_cast<std::size_t>(n), 0.1f);
  std::size_t turn = 0;
  const auto next_weight = [&] { return weights.get() + (turn++ % copies) * weight_bytes; };
  const double peak = measure_peak_gflops(0.02, format);
  const double flops = 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
  const Result gemm_rate = measure(seconds, flops * 1e-9, [&] {
    gemm({.a = reinterpret_cast<const float*>(a.get()),
          .lda = k,
          .m = m,
          .b = {.data = next_weight(), .format = format, .n = n, .k = k},
          .bias = bias.data(),
          .activation = activation,
          .c = reinterpret_cast<float*>(c.get()),
          .ldc = n});
  });
  const double top = std::max(peak, measure_peak_gflops(0.02, format));
  std::printf("%-5s m %5lld  n %5lld  k %5lld %-5s %8.1f best %8.1f median GFLOP/s %5.1f%% %5.1f%% of %.0f", name,
              static_cast<long long>(m), static_cast<long long>(n), static_cast<long long>(k),
              activation == Activation::gelu ? "gelu" : "", gemm_rate.best, gemm_rate.middle,
              100.0 * gemm_rate.best / top, 100.0 * gemm_rate.middle / top, top);
  if (few) {
    const double gigabytes = static_cast<double>(weight_bytes) * 1e-9;
    const Result read = measure(seconds / 2, gigabytes, [&] { read_all(next_weight(), weight_bytes); });
    std::printf("   weights %5.1f GB/s, plain read %5.1f (medians)", gemm_rate.middle * gigabytes / flops * 1e9,
                read.middle);
  }
  std::printf("\n");
  std::fflush(stdout);
  return gemm_rate.best / top;
}

double bench_attention(double seconds, int64_t batch, int64_t length, int64_t heads, int64_t head_dim, bool bf16) {
  const int64_t hidden = heads * head_dim, tokens = batch * length;
  std::vector<float> qkv(static_cast<std::size_t>(tokens * 3 * hidden)), out(static_cast<std::size_t>(tokens * hidden));
  for (std::size_t i = 0; i < qkv.size(); ++i) qkv[i] = static_cast<float>(i * 7919 % 101) * 0.02f - 1.0f;
  std::vector<int32_t> cu_seqlens{0}, key_lens;
  for (int64_t i = 0; i < batch; ++i) {
    cu_seqlens.push_back(static_cast<int32_t>((i + 1) * length));
    key_lens.push_back(static_cast<int32_t>(length));
  }
  const WeightFormat format = bf16 ? WeightFormat::bf16_dot() : WeightFormat(DType::f32);
  const double peak = measure_peak_gflops(0.02, format);
  const double flops = 4.0 * static_cast<double>(tokens) * static_cast<double>(length) * static_cast<double>(hidden);
  const Result rate = measure(seconds, flops * 1e-9, [&] {
    attention({.query = qkv.data(),
               .key = qkv.data() + hidden,
               .value = qkv.data() + 2 * hidden,
               .query_stride = 3 * hidden,
               .key_stride = 3 * hidden,
               .value_stride = 3 * hidden,
               .num_attention_heads = heads,
               .num_key_value_heads = heads,
               .head_dim = head_dim,
               .scale = 1.0f / std::sqrt(static_cast<float>(head_dim)),
               .bf16 = bf16,
               .cu_seqlens = cu_seqlens,
               .key_lens = key_lens,
               .out = out.data(),
               .out_stride = hidden});
  });
  const double top = std::max(peak, measure_peak_gflops(0.02, format));
  std::printf(
      "%s attention %3lld x %5lld tokens, %2lld heads of %3lld %8.1f best %8.1f median GFLOP/s %5.1f%% %5.1f%% of "
      "%.0f\n",
      bf16 ? "bf16" : "fp32", static_cast<long long>(batch), static_cast<long long>(length),
      static_cast<long long>(heads), static_cast<long long>(head_dim), rate.best, rate.middle, 100.0 * rate.best / top,
      100.0 * rate.middle / top, top);
  std::fflush(stdout);
  return rate.best / top;
}

// The shapes of bert-base, MiniLM and SmolLM2.
void run_products(double seconds, const WeightFormat& format, const char* name) {
  constexpr auto kNone = Activation::none, kGelu = Activation::gelu;
  for (const int64_t m : {1, 16, 21, 37, 128, 340, 483, 1371, 4096}) {
    bench_gemm(seconds, m, 2304, 768, kNone, format, name);
    bench_gemm(seconds, m, 768, 768, kNone, format, name);
    bench_gemm(seconds, m, 3072, 768, kGelu, format, name);
    bench_gemm(seconds, m, 768, 3072, kNone, format, name);
  }
  for (const int64_t m : {16, 128, 340}) {
    bench_gemm(seconds, m, 1152, 384, kNone, format, name);
    bench_gemm(seconds, m, 384, 384, kNone, format, name);
    bench_gemm(seconds, m, 1536, 384, kGelu, format, name);
    bench_gemm(seconds, m, 384, 1536, kNone, format, name);
  }
  for (const int64_t m : {1, 4, 8, 512}) {
    bench_gemm(seconds, m, 3072, 576, kNone, format, name);
    bench_gemm(seconds, m, 576, 1536, kNone, format, name);
  }
}

void run(double seconds, const std::string& only) {
  std::printf("ISA %s, %d threads\n", std::string(isa()).c_str(), num_threads());
  const ParallelScope scope;
  if (only == "bf16") return run_products(seconds, WeightFormat::bf16_dot(), "bf16");
  if (only == "q8") return run_products(seconds, WeightFormat::affine_q8(), "q8");
  if (only == "q8_0") return run_products(seconds, WeightFormat::q8(), "q8_0");
  if (only == "q4") return run_products(seconds, WeightFormat::q4(), "q4");
  run_products(seconds, DType::f32, "fp32");
  if (only == "fp32") return;
  for (const int64_t m : {1, 16, 128}) {  // fp32 arithmetic on weights stored in 16 bits
    bench_gemm(seconds, m, 3072, 768, Activation::none, DType::bf16, "16bit");
    bench_gemm(seconds, m, 3072, 768, Activation::none, DType::f16, "16bit");
  }
  for (const bool bf16 : {false, true}) {
    bench_attention(seconds, 32, 128, 12, 64, bf16);
    bench_attention(seconds, 1, 128, 12, 64, bf16);
    bench_attention(seconds, 32, 20, 12, 64, bf16);
    bench_attention(seconds, 32, 20, 12, 32, bf16);
    bench_attention(seconds, 1, 512, 12, 64, bf16);
    bench_attention(seconds, 1, 4096, 12, 64, bf16);
  }
}

// Whether measure() reaches the bound in one of a few attempts: others may be at work on the machine.
template <class Measure>
bool reaches(double bound, Measure measure) {
  for (int attempt = 0; attempt < 5; ++attempt) {
    if (measure() >= bound) return true;
  }
  std::printf("FAILED: less than %.0f%% of the peak\n", 100.0 * bound);
  return false;
}

bool check() {
  std::printf("ISA %s, %d threads\n", std::string(isa()).c_str(), num_threads());
  if (isa() == "portable") return true;  // what a compiler makes of it
  const ParallelScope scope;
  const auto product = [](double bound, int64_t m, int64_t n, int64_t k, const WeightFormat& format, const char* name) {
    return reaches(bound, [&] { return bench_gemm(0.1, m, n, k, Activation::none, format, name); });
  };
  bool good = true;
  good &= product(0.6, 128, 768, 768, DType::f32, "fp32");
  good &= product(0.6, 128, 768, 3072, DType::f32, "fp32");
  good &= product(0.5, 128, 768, 768, WeightFormat::bf16_dot(), "bf16");
  good &= product(0.4, 128, 768, 768, WeightFormat::affine_q8(), "q8");
  good &= product(0.4, 128, 3072, 576, WeightFormat::q8(), "q8_0");
  good &= product(0.4, 128, 3072, 576, WeightFormat::q4(), "q4");
  good &= reaches(0.3, [] { return bench_attention(0.1, 32, 128, 12, 64, false); });
  good &= reaches(0.15, [] { return bench_attention(0.1, 32, 128, 12, 64, true); });
  return good;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc > 1 && std::string(argv[1]) == "--check") return check() ? 0 : 1;
    if (argc > 2) set_num_threads(std::atoi(argv[2]));
    run(argc > 1 ? std::atof(argv[1]) : 0.5, argc > 3 ? argv[3] : "");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
  return 0;
}
