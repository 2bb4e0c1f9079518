// What it is: f16 and bf16 to float32, any count, any alignment.
// Where it stands: src/kernels; included by gemm.inl and rowwise.inl.
// Usage: `widen_row<kWeightBf16>(source, count, false, out);`
#pragma once

#include "kernels/micro.inl"

namespace transformers {
namespace TCPP_KERNELS {
namespace {

// The first n elements of kWidth, the rest zero.
template <int kWeight>
TCPP_INLINE V::Reg load_weight_partial(const char* p, int64_t n) {
  alignas(64) char whole[V::kWidth * kWeightBytes<kWeight>] = {};
  for (int64_t i = 0; i < n * kWeightBytes<kWeight>; ++i) whole[i] = p[i];
  return load_weight<kWeight>(whole);
}

template <int kWeight>
void widen_row(const void* source, int64_t count, bool accumulate, float* out) {
  const char* from = static_cast<const char*>(source);
  int64_t i = 0;
  for (; i + V::kWidth <= count; i += V::kWidth) {
    V::Reg x = load_weight<kWeight>(from + i * kWeightBytes<kWeight>);
    if (accumulate) x = V::add(V::load(out + i), x);
    V::store(out + i, x);
  }
  if (i < count) {
    V::Reg x = load_weight_partial<kWeight>(from + i * kWeightBytes<kWeight>, count - i);
    if (accumulate) x = V::add(V::load_partial(out + i, count - i), x);
    V::store_partial(out + i, count - i, x);
  }
}

inline void widen_any(int weight, const void* source, int64_t count, bool accumulate, float* out) {
  switch (weight) {
    case kWeightF32:
      return widen_row<kWeightF32>(source, count, accumulate, out);
    case kWeightF16:
      return widen_row<kWeightF16>(source, count, accumulate, out);
    default:
      return widen_row<kWeightBf16>(source, count, accumulate, out);
  }
}

}  // namespace
}  // namespace TCPP_KERNELS
}  // namespace transformers
