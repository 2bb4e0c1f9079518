// What it is: what follows a product: a tile of sums plus bias, through the activation, plus residual, into C.
// Where it stands: src/kernels; the last step of every *gemm*.inl.
// Usage: `const Epilogue e = epilogue_of(block, r0, rows, column, tile);  fetch(e);  ...  finish(block.activation, e);`
#pragma once

#include "kernels/math.inl"
#include "kernels/micro.inl"

namespace transformers {
namespace TCPP_KERNELS {
namespace {

struct Epilogue {
  const float* tile;
  int64_t rows;
  int64_t columns;  // at most kPanel
  const float* bias;
  const float* resid;
  int64_t ldr;
  float* c;
  int64_t ldc;
};

// The part of a block that stands in `tile`: rows r0 ... r0 + rows - 1, and up to kPanel columns from `column` on.
inline Epilogue epilogue_of(const GemmBlock& g, int64_t r0, int64_t rows, int64_t column, const float* tile) {
  return {.tile = tile,
          .rows = rows,
          .columns = g.columns - column < kPanel ? g.columns - column : kPanel,
          .bias = g.bias ? g.bias + column : nullptr,
          .resid = g.resid ? g.resid + r0 * g.ldr + column : nullptr,
          .ldr = g.ldr,
          .c = g.c + r0 * g.ldc + column,
          .ldc = g.ldc};
}

// Brings C and the residual into the cache while the product of the tile is computed: both lie row by row far apart,
// where no processor expects them.
inline void fetch(const Epilogue& e) {
  constexpr int64_t kLine = 16;  // floats
  for (int64_t r = 0; r < e.rows; ++r) {
    for (int64_t i = 0; i < e.columns; i += kLine) {
      V::prefetch_near(e.c + r * e.ldc + i);
      if (e.resid) V::prefetch_near(e.resid + r * e.ldr + i);
    }
  }
}

template <int kActivation>
void finish([[maybe_unused]] int act, const Epilogue& e) {
  using Reg = V::Reg;
  for (int v = 0; v < kTileVectors; ++v) {
    const int64_t column = v * V::kWidth, left = e.columns - column;
    if (left >= V::kWidth) {
      const Reg bias = e.bias ? V::load(e.bias + column) : V::zero();
      for (int64_t r = 0; r < e.rows; ++r) {
        Reg x = V::load(e.tile + r * kPanel + column);
        if (e.bias) x = V::add(x, bias);
        x = activation<kActivation>(x, act);
        if (e.resid) x = V::add(x, V::load(e.resid + r * e.ldr + column));
        V::store(e.c + r * e.ldc + column, x);
      }
    } else if (left > 0) {
      const Reg bias = e.bias ? V::load_partial(e.bias + column, left) : V::zero();
      for (int64_t r = 0; r < e.rows; ++r) {
        Reg x = V::load(e.tile + r * kPanel + column);
        if (e.bias) x = V::add(x, bias);
        x = activation<kActivation>(x, act);
        if (e.resid) x = V::add(x, V::load_partial(e.resid + r * e.ldr + column, left));
        V::store_partial(e.c + r * e.ldc + column, left, x);
      }
    }
  }
}

void finish(int act, const Epilogue& e) {
  with_activation(act, [&](auto tag) { finish<decltype(tag)::value>(act, e); });
}

}  // namespace
}  // namespace TCPP_KERNELS
}  // namespace transformers
