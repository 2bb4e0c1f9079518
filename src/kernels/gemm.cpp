// Implements packing and gemm() of kernels/kernels.hpp: checks, the cut into blocks, threads, scratch.
// The arithmetic is in gemm.inl, once per ISA.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <string>

#include "kernels/kernel_table.hpp"
#include "kernels/work.hpp"
#include "transformers/base/error.hpp"
#include "transformers/kernels/kernels.hpp"

namespace transformers {

static_assert(int(Activation::none) == kActNone && int(Activation::relu) == kActRelu &&
              int(Activation::gelu) == kActGelu && int(Activation::gelu_new) == kActGeluNew &&
              int(Activation::silu) == kActSilu && int(Activation::tanh) == kActTanh &&
              int(Activation::sigmoid) == kActSigmoid);
static_assert(int(DType::f32) == kWeightF32 && int(DType::f16) == kWeightF16 && int(DType::bf16) == kWeightBf16);

namespace {

void check_weight(DType dtype, int64_t n, int64_t k) {
  if (dtype != DType::f32 && dtype != DType::f16 && dtype != DType::bf16) {
    throw Error(ErrorCode::unsupported, "weight of dtype " + std::string(to_string(dtype)) + " (f32, f16 or bf16)");
  }
  constexpr int64_t kMost = int64_t{1} << 56;  // of elements; keeps every size below in 64 bits
  check_argument(n >= 0 && k >= 0, "weight with a negative size");
  if (k > 0 && n > kMost / k) {
    throw Error(ErrorCode::limit, "weight of " + std::to_string(n) + " x " + std::to_string(k) + " elements");
  }
}

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Writes panels [k][nr] from rows of k elements. Sixteen steps of k at a time: whole cache lines of the source.
template <class Element>
void pack(const char* source, int64_t stride, int64_t rows, int64_t k, int64_t nr, char* packed) {
  constexpr int64_t kStep = 64 / sizeof(Element);
  for (int64_t row = 0; row < rows; row += nr) {
    const int64_t columns = std::min(nr, rows - row);
    char* panel = packed + row * k * static_cast<int64_t>(sizeof(Element));
    if (columns < nr) std::memset(panel, 0, static_cast<std::size_t>(nr * k) * sizeof(Element));
    Element* to = reinterpret_cast<Element*>(panel);
    for (int64_t k0 = 0; k0 < k; k0 += kStep) {
      const int64_t steps = std::min(kStep, k - k0);
      for (int64_t j = 0; j < columns; ++j) {
        Element line[kStep];
        std::memcpy(line, source + ((row + j) * stride + k0) * static_cast<int64_t>(sizeof(Element)),
                    static_cast<std::size_t>(steps) * sizeof(Element));
        for (int64_t i = 0; i < steps; ++i) to[(k0 + i) * nr + j] = line[i];
      }
    }
  }
}

}  // namespace

std::size_t packed_bytes(DType dtype, int64_t n, int64_t k) {
  check_weight(dtype, n, k);
  const int64_t nr = kernels().nr;
  const std::size_t bytes = static_cast<std::size_t>(ceil_div(n, nr) * nr * k) * dtype_size(dtype);
  return (bytes + 63) / 64 * 64;
}

int64_t panel_rows(DType dtype) {
  check_weight(dtype, 0, 0);
  return kernels().nr;
}

void pack_rows(DType dtype, const void* source, int64_t source_stride, int64_t row_begin, int64_t rows, int64_t n,
               int64_t k, void* packed) {
  check_weight(dtype, n, k);
  const int64_t nr = kernels().nr;
  check_argument(row_begin >= 0 && rows >= 0 && row_begin <= n && rows <= n - row_begin, "pack_rows: rows beyond n");
  check_argument(row_begin % nr == 0 && (rows % nr == 0 || row_begin + rows == n),
                 "pack_rows: a range that cuts a panel");
  check_argument(source_stride >= k || rows <= 1, "pack_rows: source_stride less than k");
  const char* from = static_cast<const char*>(source);
  char* to = static_cast<char*>(packed) + row_begin * k * static_cast<int64_t>(dtype_size(dtype));
  if (dtype == DType::f32) {
    pack<uint32_t>(from, source_stride, rows, k, nr, to);
  } else {
    pack<uint16_t>(from, source_stride, rows, k, nr, to);
  }
}

void gemm(const GemmArgs& args) {
  const int64_t m = args.m, n = args.b.n, k = args.b.k;
  check_weight(args.b.dtype, n, k);
  check_argument(m >= 0, "gemm: negative number of rows");
  if (m == 0 || n == 0) return;
  check_argument(args.c != nullptr && (k == 0 || (args.a != nullptr && args.b.data != nullptr)), "gemm: null operand");
  check_argument(m == 1 || (args.lda >= k && args.ldc >= n && (args.residual == nullptr || args.ldr >= n)),
                 "gemm: row stride less than the row");

  const KernelTable& table = kernels();
  const int64_t element = static_cast<int64_t>(dtype_size(args.b.dtype));
  const int64_t panels = ceil_div(n, table.nr), row_blocks = ceil_div(m, table.mr);
  const int weight = static_cast<int>(args.b.dtype);

  // Rows are grouped so that a group's copy of A stays in the second-level cache while all panels pass. When even few
  // rows of a long k do not, a task takes several panels, so that all of them use a piece of A while it is there.
  constexpr int64_t kCachedFloats = 768 * 1024 / 4, kMostBlocks = 12;
  const int64_t groups = ceil_div(row_blocks, kMostBlocks), most_rows = ceil_div(row_blocks, groups) * table.mr;
  const int64_t tasks_wanted = int64_t{num_threads()} * 6;
  const int64_t chunk = most_rows * k <= kCachedFloats ? 1 : std::clamp<int64_t>(groups * panels / tasks_wanted, 1, 8);
  const int64_t chunks = ceil_div(panels, chunk);
  check_argument(groups <= TaskList::kMaxTasks / chunks, "gemm: too many rows");
  const int64_t copy_at = ceil_div(table.gemm_scratch(most_rows, chunk, k, weight), 16) * 16;
  const int64_t scratch_floats = copy_at + table.gemm_copy_floats(most_rows, k);

  for_each_task(groups * chunks, [&](auto& next) {
    int64_t copied = -1;
    float* const scratch = thread_scratch(scratch_floats);
    for (int64_t task; (task = next()) >= 0;) {
      const int64_t group = task / chunks, p0 = task % chunks * chunk, p1 = std::min(p0 + chunk, panels);
      // Blocks of rows, and groups of blocks, as even as can be: no short block at the end runs at half speed.
      const auto row_at = [&](int64_t block) { return block * m / row_blocks; };
      const int64_t r0 = row_at(group * row_blocks / groups), r1 = row_at((group + 1) * row_blocks / groups);
      const int64_t rows = r1 - r0, column = p0 * table.nr;
      const float* a = args.a + r0 * args.lda;
      if (table.gemm_copy_floats(rows, k) > 0) {
        if (copied != group) table.gemm_copy(a, args.lda, rows, k, scratch + copy_at);
        copied = group;
        a = scratch + copy_at;
      }
      table.gemm_block({.a = a,
                        .lda = args.lda,
                        .rows = rows,
                        .b = static_cast<const char*>(args.b.data) + column * k * element,
                        .weight = weight,
                        .panels = p1 - p0,
                        .columns = std::min(n, p1 * table.nr) - column,
                        .k = k,
                        .bias = args.bias ? args.bias + column : nullptr,
                        .resid = args.residual ? args.residual + r0 * args.ldr + column : nullptr,
                        .ldr = args.ldr,
                        .c = args.c + r0 * args.ldc + column,
                        .ldc = args.ldc,
                        .activation = static_cast<int>(args.activation),
                        .scratch = scratch});
    }
  });
}

double measure_peak_gflops(double seconds) {
  using Clock = std::chrono::steady_clock;
  const KernelTable& table = kernels();
  const int threads = num_threads();
  constexpr int64_t kSteps = 200000;
  double best = 0.0;
  const Clock::time_point start = Clock::now();
  const ParallelScope scope;
  do {
    std::atomic<int64_t> operations{0};
    const Clock::time_point begin = Clock::now();
    parallel_for(threads, [&](int64_t) {
      float sink = 0.0f;
      operations += table.peak(kSteps, &sink);
    });
    const double elapsed = std::chrono::duration<double>(Clock::now() - begin).count();
    best = std::max(best, static_cast<double>(operations.load()) / elapsed * 1e-9);
  } while (std::chrono::duration<double>(Clock::now() - start).count() < seconds);
  return best;
}

}  // namespace transformers
