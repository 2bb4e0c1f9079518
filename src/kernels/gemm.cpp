// Implements packing and gemm() of kernels/kernels.hpp: checks, the cut into blocks, threads, scratch.
// The arithmetic is in gemm.inl, once per ISA.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <string>

#include "kernels/kernel_table.hpp"
#include "kernels/unpack.hpp"
#include "kernels/work.hpp"
#include "transformers/base/error.hpp"
#include "transformers/kernels/kernels.hpp"
#include "transformers/tensor/blocks.hpp"

namespace transformers {

static_assert(int(Activation::none) == kActNone && int(Activation::relu) == kActRelu &&
              int(Activation::gelu) == kActGelu && int(Activation::gelu_new) == kActGeluNew &&
              int(Activation::silu) == kActSilu && int(Activation::tanh) == kActTanh &&
              int(Activation::sigmoid) == kActSigmoid && int(Activation::gelu_10) == kActGelu10 &&
              int(Activation::quick_gelu) == kActQuickGelu && int(Activation::relu2) == kActRelu2 &&
              int(Activation::relu6) == kActRelu6 && int(Activation::leaky_relu) == kActLeakyRelu &&
              int(Activation::hardswish) == kActHardswish && int(Activation::mish) == kActMish &&
              int(Activation::laplace) == kActLaplace);
static_assert(int(WeightFormat::Kind::f32) == kWeightF32 && int(WeightFormat::Kind::f16) == kWeightF16 &&
              int(WeightFormat::Kind::bf16) == kWeightBf16 && int(WeightFormat::Kind::bf16_dot) == kWeightBf16Dot &&
              int(WeightFormat::Kind::integers) == kWeightIntegers);

namespace {

// Elements of a weight, so that every size below fits 64 bits.
void check_size(int64_t n, int64_t k) {
  constexpr int64_t kMost = int64_t{1} << 56;
  check_argument(n >= 0 && k >= 0, "weight with a negative size");
  if (k > 0 && n > kMost / k) {
    throw Error(ErrorCode::limit, "weight of " + std::to_string(n) + " x " + std::to_string(k) + " elements");
  }
}

GemmWeight plain(const WeightFormat& format) {
  return {.kind = static_cast<int>(format.kind),
          .bits = format.bits,
          .zero = format.zero,
          .offsets = format.offsets,
          .half_scales = format.half_scales,
          .affine = format.affine,
          .group = format.group};
}

bool is_integers(const WeightFormat& format) { return format.kind == WeightFormat::Kind::integers; }

const GemmKernels& kernels_for(const WeightFormat& format) {
  using Kind = WeightFormat::Kind;
  if (is_integers(format)) return kernels().gemm[format.affine ? kAffineIntegers : kIntegers];
  return kernels().gemm[format.kind == Kind::bf16_dot ? kBf16s : kFloats];
}

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Writes panels of units: `step` neighbouring k of each of nr rows, unit after unit, zeros beyond k. Sixteen steps of k
// at a time: whole cache lines of the source.
template <class Element>
void pack(const char* source, int64_t stride, int64_t rows, int64_t k, int64_t nr, int64_t step, int64_t panel_bytes,
          char* packed) {
  constexpr int64_t kStep = 64 / sizeof(Element);
  for (int64_t row = 0; row < rows; row += nr) {
    const int64_t columns = std::min(nr, rows - row);
    char* panel = packed + row / nr * panel_bytes;
    if (columns < nr || k % step != 0) std::memset(panel, 0, static_cast<std::size_t>(panel_bytes));
    Element* to = reinterpret_cast<Element*>(panel);
    for (int64_t k0 = 0; k0 < k; k0 += kStep) {
      const int64_t steps = std::min(kStep, k - k0);
      for (int64_t j = 0; j < columns; ++j) {
        Element line[kStep];
        std::memcpy(line, source + ((row + j) * stride + k0) * static_cast<int64_t>(sizeof(Element)),
                    static_cast<std::size_t>(steps) * sizeof(Element));
        if (step == 1) {
          for (int64_t i = 0; i < steps; ++i) to[(k0 + i) * nr + j] = line[i];
        } else {
          for (int64_t i = 0; i < steps; ++i) to[((k0 + i) / step * nr + j) * step + (k0 + i) % step] = line[i];
        }
      }
    }
  }
}

// Where packing of rows [row_begin, row_begin + rows) begins in `packed`.
char* check_range(const GemmKernels& table, const WeightFormat& format, int64_t row_begin, int64_t rows, int64_t n,
                  int64_t k, void* packed) {
  check_size(n, k);
  check_argument(row_begin >= 0 && rows >= 0 && row_begin <= n && rows <= n - row_begin, "pack_rows: rows beyond n");
  check_argument(row_begin % table.nr == 0 && (rows % table.nr == 0 || row_begin + rows == n),
                 "pack_rows: a range that cuts a panel");
  return static_cast<char*>(packed) + row_begin / table.nr * table.panel_bytes(k, plain(format));
}

}  // namespace

WeightFormat::WeightFormat(DType dtype) {
  const auto floats = [&](Kind of) { kind = of; };
  const auto blocks = [&](int stored_bits, int stands_for_0, bool half) {
    kind = Kind::integers;
    bits = static_cast<uint8_t>(stored_bits);
    zero = static_cast<uint8_t>(stands_for_0);
    offsets = block_has_offset(dtype);
    half_scales = half;
    group = block_group(dtype);
  };
  switch (dtype) {
    case DType::f32:
      floats(Kind::f32);
      break;
    case DType::f16:
      floats(Kind::f16);
      break;
    case DType::bf16:
      floats(Kind::bf16);
      break;
    case DType::q4_0:
      blocks(4, 8, true);
      break;
    case DType::q4_1:
      blocks(4, 0, true);
      break;
    case DType::q5_0:
      blocks(8, 16, true);
      break;
    case DType::q5_1:
      blocks(8, 0, true);
      break;
    case DType::q8_0:
      blocks(8, 128, true);
      break;
    case DType::q4_k:
      blocks(4, 0, false);
      break;
    case DType::q5_k:
      blocks(8, 0, false);
      break;
    case DType::q6_k:
      blocks(8, 32, false);
      break;
    default:
      throw Error(ErrorCode::unsupported,
                  "weight of dtype " + std::string(transformers::to_string(dtype)) + " (f32, f16 or bf16)");
  }
}

WeightFormat WeightFormat::bf16_dot() {
  WeightFormat format;
  format.kind = Kind::bf16_dot;
  return format;
}

WeightFormat WeightFormat::q8() { return DType::q8_0; }

WeightFormat WeightFormat::affine_q8() {
  WeightFormat format = DType::q8_0;
  format.half_scales = false;
  format.affine = true;
  format.group = kAffineGroup;
  return format;
}

WeightFormat WeightFormat::q4() { return DType::q4_1; }

std::size_t packed_bytes(const WeightFormat& format, int64_t n, int64_t k) {
  check_size(n, k);
  const GemmKernels& table = kernels_for(format);
  const std::size_t bytes = static_cast<std::size_t>(ceil_div(n, table.nr) * table.panel_bytes(k, plain(format)));
  return (bytes + 63) / 64 * 64;
}

int64_t panel_rows(const WeightFormat& format) { return kernels_for(format).nr; }

void pack_rows(const WeightFormat& format, const void* source, int64_t source_stride, int64_t row_begin, int64_t rows,
               int64_t n, int64_t k, void* packed) {
  const GemmKernels& table = kernels_for(format);
  check_argument(!is_integers(format), "pack_rows: integers without scales");
  check_argument(source_stride >= k || rows <= 1, "pack_rows: source_stride less than k");
  char* to = check_range(table, format, row_begin, rows, n, k, packed);
  const char* from = static_cast<const char*>(source);
  const int64_t panel_bytes = table.panel_bytes(k, plain(format));
  if (format.kind == WeightFormat::Kind::f32) {
    pack<uint32_t>(from, source_stride, rows, k, table.nr, table.step, panel_bytes, to);
  } else {
    pack<uint16_t>(from, source_stride, rows, k, table.nr, table.step, panel_bytes, to);
  }
}

void pack_rows(const WeightFormat& format, const QuantizedRows& source, int64_t row_begin, int64_t rows, int64_t n,
               int64_t k, void* packed) {
  const GemmKernels& table = kernels_for(format);
  check_argument(is_integers(format), "pack_rows: a format without integers");
  check_argument(!format.offsets || rows == 0 || k == 0 || source.offsets != nullptr,
                 "pack_rows: a format with offsets, no offsets");
  char* to = check_range(table, format, row_begin, rows, n, k, packed);
  const GemmWeight weight = plain(format);
  const int64_t panel_bytes = table.panel_bytes(k, weight);
  const int64_t scales_row = format.scales_of(k) * (format.half_scales ? 2 : 4);
  for (int64_t row = 0; row < rows; row += table.nr, to += panel_bytes) {
    const char* offsets = format.offsets ? static_cast<const char*>(source.offsets) + row * scales_row : nullptr;
    table.pack({.q = source.q + row * k,
                .scales = static_cast<const char*>(source.scales) + row * scales_row,
                .offsets = offsets},
               std::min(table.nr, rows - row), k, weight, to);
  }
}

void gather_rows(const PackedMatrix& weight, std::span<const int32_t> ids, bool accumulate, float* out) {
  const GemmKernels& table = kernels_for(weight.format);
  check_argument(is_integers(weight.format), "gather_rows: a format without integers");
  const GemmWeight format = plain(weight.format);
  const int64_t panel_bytes = table.panel_bytes(weight.k, format);
  parallel_for(ceil_div(static_cast<int64_t>(ids.size()), 16), [&](int64_t task) {
    const int64_t begin = task * 16, end = std::min<int64_t>(begin + 16, static_cast<int64_t>(ids.size()));
    for (int64_t t = begin; t < end; ++t) {
      const int64_t id = ids[static_cast<std::size_t>(t)];
      table.unpack(static_cast<const char*>(weight.data) + id / table.nr * panel_bytes, id % table.nr, weight.k, format,
                   accumulate, out + t * weight.k);
    }
  });
}

PackedMatrix packed_rows(const PackedMatrix& weight, int64_t begin, int64_t rows) {
  const GemmKernels& table = kernels_for(weight.format);
  check_argument(begin >= 0 && rows >= 0 && begin <= weight.n && rows <= weight.n - begin, "packed_rows: beyond n");
  check_argument(begin % table.nr == 0, "packed_rows: a range that cuts a panel");
  const int64_t offset = begin / table.nr * table.panel_bytes(weight.k, plain(weight.format));
  return {static_cast<const std::byte*>(weight.data) + offset, weight.format, rows, weight.k};
}

void unpack_rows(const PackedMatrix& weight, int64_t row_begin, int64_t rows, void* out) {
  const int64_t n = weight.n, k = weight.k;
  check_argument(row_begin >= 0 && rows >= 0 && row_begin <= n && rows <= n - row_begin, "unpack_rows: rows beyond n");
  if (is_integers(weight.format)) {
    std::vector<int32_t> ids(static_cast<std::size_t>(rows));
    for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>(row_begin + static_cast<int64_t>(i));
    return gather_rows(weight, ids, false, static_cast<float*>(out));
  }
  const GemmKernels& table = kernels_for(weight.format);
  const int64_t panel_bytes = table.panel_bytes(k, plain(weight.format));
  const std::size_t element = weight.format.kind == WeightFormat::Kind::f32 ? 4 : 2;
  char* to = static_cast<char*>(out);
  for (int64_t row = row_begin; row < row_begin + rows; ++row) {
    const char* panel = static_cast<const char*>(weight.data) + row / table.nr * panel_bytes;
    for (int64_t i = 0; i < k; ++i, to += element) {
      const int64_t at = (i / table.step * table.nr + row % table.nr) * table.step + i % table.step;
      std::memcpy(to, panel + static_cast<std::size_t>(at) * element, element);
    }
  }
}

namespace {

// The product, checked. `copy`: of all rows of A, where one serves all threads.
void product(const GemmKernels& table, const GemmWeight& weight, const GemmArgs& args, const float* copy) {
  const int64_t m = args.m, n = args.b.n, k = args.b.k;
  const int64_t panel_bytes = table.panel_bytes(k, weight);
  const int64_t panels = ceil_div(n, table.nr), row_blocks = ceil_div(m, table.mr);

  // Rows are grouped so that a group's copy of A stays in the second-level cache while all panels pass. When even few
  // rows of a long k do not, a task takes several panels, so that all of them use a piece of A while it is there.
  constexpr int64_t kCachedFloats = 768 * 1024 / 4, kMostBlocks = 12;
  int64_t blocks_of_group = kMostBlocks;
  if (table.most_copied > 0) {
    const int64_t block_floats = std::max<int64_t>(table.copy_floats(table.mr, k, weight), 1);
    blocks_of_group = std::clamp<int64_t>(table.most_copied / block_floats, 3, 2 * kMostBlocks);
  }
  const int64_t groups = ceil_div(row_blocks, blocks_of_group);
  const int64_t most_rows = ceil_div(row_blocks, groups) * table.mr;
  const int64_t tasks_wanted = int64_t{num_threads()} * 6;
  const bool cached = table.most_copied > 0 || most_rows * k <= kCachedFloats;
  const int64_t chunk = cached ? 1 : std::clamp<int64_t>(groups * panels / tasks_wanted, 1, 8);
  const int64_t chunks = ceil_div(panels, chunk);
  check_argument(groups <= TaskList::kMaxTasks / chunks, "gemm: too many rows");
  const int64_t copy_at = ceil_div(table.scratch(most_rows, chunk, k, weight), 16) * 16;
  const int64_t copied_row = copy ? table.copy_floats(1, k, weight) : 0;
  const int64_t scratch_floats = copy_at + (copy ? 0 : table.copy_floats(most_rows, k, weight));

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
      if (copy != nullptr) {
        a = copy + r0 * copied_row;
      } else if (table.copy_floats(rows, k, weight) > 0) {
        if (copied != group) table.copy(a, args.lda, rows, k, weight, scratch + copy_at);
        copied = group;
        a = scratch + copy_at;
      }
      table.block({.a = a,
                   .lda = args.lda,
                   .rows = rows,
                   .b = static_cast<const char*>(args.b.data) + p0 * panel_bytes,
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

}  // namespace

void gemm(const GemmArgs& args) {
  const int64_t m = args.m, n = args.b.n, k = args.b.k;
  check_size(n, k);
  check_argument(m >= 0, "gemm: negative number of rows");
  if (m == 0 || n == 0) return;
  check_argument(args.c != nullptr && (k == 0 || (args.a != nullptr && args.b.data != nullptr)), "gemm: null operand");
  check_argument(m == 1 || (args.lda >= k && args.ldc >= n && (args.residual == nullptr || args.ldr >= n)),
                 "gemm: row stride less than the row");

  const GemmKernels& table = kernels_for(args.b.format);
  const GemmWeight weight = plain(args.b.format);
  if (!table.copied_once) return product(table, weight, args, nullptr);

  // So many rows at a time that their copy stays in the cache that the threads share.
  constexpr int64_t kCopyFloats = int64_t{1} << 20, kElementsPerTask = 16384;
  const int64_t row_floats = table.copy_floats(1, k, weight);
  const int64_t most = std::clamp<int64_t>(kCopyFloats / std::max<int64_t>(row_floats, 1), table.mr, m);
  const int64_t step = std::max<int64_t>(1, kElementsPerTask / std::max<int64_t>(k, 1));
  Reused<Scratch> memory;
  float* const copy = (*memory).floats(most * row_floats);
  const ParallelScope scope;
  for (int64_t first = 0; first < m; first += most) {
    GemmArgs some = args;
    some.m = std::min(most, m - first);
    some.a = args.a + first * args.lda;
    some.c = args.c + first * args.ldc;
    if (args.residual != nullptr) some.residual = args.residual + first * args.ldr;
    const auto copy_rows = [&](int64_t begin, int64_t end) {
      table.copy(some.a + begin * args.lda, args.lda, end - begin, k, weight, copy + begin * row_floats);
    };
    if (some.m <= step) {
      copy_rows(0, some.m);
    } else {
      parallel_for(ceil_div(some.m, step),
                   [&](int64_t task) { copy_rows(task * step, std::min(some.m, (task + 1) * step)); });
    }
    product(table, weight, some, copy);
  }
}

double measure_peak_gflops(double seconds, const WeightFormat& format) {
  using Clock = std::chrono::steady_clock;
  const GemmKernels& table = kernels_for(format);
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
