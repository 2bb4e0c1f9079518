// What it is: what follows a product: a tile of sums plus bias, through the activation, plus residual, into C.
// Where it stands: src/kernels; the last step of every *gemm*.inl.
// Usage: `finish(act, {.tile = tile, .rows = rows, .columns = columns, .bias = bias, ..., .c = c, .ldc = ldc});`
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
