// Implements the norms, softmax, activations, rotary, gather_rows and widen of kernels/kernels.hpp: checks and threads.
// The arithmetic is in rowwise.inl, once per ISA.
#include <algorithm>
#include <cmath>
#include <string>

#include "kernels/kernel_table.hpp"
#include "transformers/base/error.hpp"
#include "transformers/base/parallel.hpp"
#include "transformers/kernels/kernels.hpp"
#include "transformers/tensor/blocks.hpp"

namespace transformers {
namespace {

// Below this many elements a thread more costs more than it saves.
constexpr int64_t kElementsPerTask = 16384;

// f(begin, end) over [0, rows) in runs of about kElementsPerTask elements.
template <class F>
void for_row_runs(int64_t rows, int64_t row_elements, F f) {
  const int64_t run = std::max<int64_t>(1, kElementsPerTask / std::max<int64_t>(1, row_elements));
  const int64_t runs = (rows + run - 1) / run;
  if (runs <= 1) {
    if (rows > 0) f(int64_t{0}, rows);
    return;
  }
  parallel_for(runs, [&](int64_t i) { f(i * run, std::min(rows, (i + 1) * run)); });
}

int weight_kind(DType dtype) {
  if (dtype != DType::f32 && dtype != DType::f16 && dtype != DType::bf16) {
    throw Error(ErrorCode::unsupported, "values of dtype " + std::string(to_string(dtype)) + " (f32, f16 or bf16)");
  }
  return static_cast<int>(dtype);
}

}  // namespace

void layer_norm(const float* x, int64_t rows, int64_t n, const float* weight, const float* bias, float eps,
                float* out) {
  const KernelTable& table = kernels();
  for_row_runs(rows, n, [&](int64_t begin, int64_t end) {
    table.layer_norm(x + begin * n, end - begin, n, weight, bias, eps, out + begin * n);
  });
}

void rms_norm(const float* x, int64_t x_stride, int64_t rows, int64_t n, const float* weight, float eps, float* out,
              int64_t out_stride) {
  const KernelTable& table = kernels();
  for_row_runs(rows, n, [&](int64_t begin, int64_t end) {
    table.rms_norm(x + begin * x_stride, x_stride, end - begin, n, weight, eps, out + begin * out_stride, out_stride);
  });
}

void rotary(const RotaryArgs& args) {
  check_argument(args.rotary_dim >= 0 && args.rotary_dim % 2 == 0 && args.rotary_dim <= args.head_dim,
                 "rotary: rotary_dim must be even and at most head_dim");
  const KernelTable& table = kernels();
  const int64_t half = args.rotary_dim / 2;
  for_row_runs(args.rows, args.heads * args.rotary_dim, [&](int64_t begin, int64_t end) {
    table.rotary(args.x + begin * args.x_stride, args.x_stride, end - begin, args.heads, args.head_dim, args.rotary_dim,
                 args.cos + begin * half, args.sin + begin * half, args.interleaved);
  });
}

void gated_product(Activation activation, const float* gate, int64_t gate_stride, const float* up, int64_t up_stride,
                   int64_t rows, int64_t n, float* out, int64_t out_stride) {
  const KernelTable& table = kernels();
  for_row_runs(rows, n, [&](int64_t begin, int64_t end) {
    table.gated_product(static_cast<int>(activation), gate + begin * gate_stride, gate_stride, up + begin * up_stride,
                        up_stride, end - begin, n, out + begin * out_stride, out_stride);
  });
}

void softcap(float cap, float* x, int64_t count) {
  check_argument(cap > 0.0f, "softcap must be positive");
  const KernelTable& table = kernels();
  for_row_runs(count, 1, [&](int64_t begin, int64_t end) { table.softcap(cap, x + begin, end - begin); });
}

void softmax(float* x, int64_t rows, int64_t n) {
  const KernelTable& table = kernels();
  for_row_runs(rows, n, [&](int64_t begin, int64_t end) { table.softmax(x + begin * n, end - begin, n); });
}

void log_softmax(float* x, int64_t stride, int64_t rows, int64_t n) {
  for_row_runs(rows, n, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) log_softmax(x + r * stride, n, x + r * stride);
  });
}

int64_t argmax(const float* x, int64_t n) { return kernels().argmax(x, n); }

double sum_exp(const float* x, int64_t n, float top, float* out) { return kernels().sum_exp(x, n, top, out); }

void log_softmax(const float* x, int64_t n, float* out) {
  if (n == 0) return;
  const int64_t best = argmax(x, n);
  log_softmax(x, n, x[best < 0 ? -1 - best : best], out);  // a NaN makes NaN of all, as it should
}

void log_softmax(const float* x, int64_t n, float top, float* out) {
  const KernelTable& table = kernels();
  table.subtract_twice(x, n, top, static_cast<float>(std::log(table.sum_exp(x, n, top, nullptr))), out);
}

int64_t first_not_below(const float* x, int64_t n, float add, float least) {
  return kernels().first_not_below(x, n, add, least);
}

void activate(Activation activation, float* x, int64_t count) {
  const KernelTable& table = kernels();
  for_row_runs(count, 1, [&](int64_t begin, int64_t end) {
    table.activate(static_cast<int>(activation), x + begin, end - begin);
  });
}

void gather_rows(DType dtype, const void* table_rows, int64_t n, std::span<const int32_t> ids, bool accumulate,
                 float* out) {
  if (is_block_format(dtype)) {
    const auto* rows = static_cast<const std::byte*>(table_rows);
    return for_row_runs(static_cast<int64_t>(ids.size()), n, [&](int64_t begin, int64_t end) {
      std::vector<float> row(accumulate ? static_cast<std::size_t>(n) : 0);
      for (int64_t t = begin; t < end; ++t) {
        const std::byte* from =
            rows + static_cast<std::size_t>(ids[static_cast<std::size_t>(t)]) * dtype_bytes(dtype, n);
        float* const to = out + t * n;
        dequantize(dtype, from, n, accumulate ? row.data() : to);
        for (std::size_t i = 0; i < row.size(); ++i) to[i] += row[i];
      }
    });
  }
  const KernelTable& table = kernels();
  const int kind = weight_kind(dtype);
  const int64_t row_bytes = n * static_cast<int64_t>(dtype_size(dtype));
  const char* from = static_cast<const char*>(table_rows);
  for_row_runs(static_cast<int64_t>(ids.size()), n, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      table.widen(kind, from + ids[static_cast<std::size_t>(t)] * row_bytes, n, accumulate, out + t * n);
    }
  });
}

void widen(DType dtype, const void* source, int64_t count, float* out) {
  const KernelTable& table = kernels();
  const int kind = weight_kind(dtype);
  const int64_t size = static_cast<int64_t>(dtype_size(dtype));
  const char* from = static_cast<const char*>(source);
  for_row_runs(count, 1, [&](int64_t begin, int64_t end) {
    table.widen(kind, from + begin * size, end - begin, false, out + begin);
  });
}

}  // namespace transformers
