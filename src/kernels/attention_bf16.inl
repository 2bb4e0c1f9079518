// What it is: attention with both operands of its products in bf16, and the blocks of a cache of bf16 that it reads.
// Where it stands: src/kernels; the loops are those of attention_blocks.inl, the products those of pairs.inl.
// Usage: fill_attention_bf16(table) puts it into the table of its ISA.
#include "kernels/attention_blocks.inl"
#include "kernels/pairs.inl"

namespace transformers {
namespace TCPP_KERNELS {
namespace {

// An arithmetic of attention_blocks.inl, which says of Floats what each of these does. A panel of keys holds pairs of
// neighbouring columns, one of values pairs of neighbouring keys.
struct Bf16s {
  static constexpr int64_t kDepth = 2;
  static constexpr int kStored = kKVBf16;
  static void micro(int64_t rows, const MicroArgs& args) { micro_pairs(rows, args); }
  static void copy_row(const float* from, int64_t k, int64_t rows, float* to) { copy_pairs(from, k, rows, to); }
  static TCPP_INLINE void store_weights(float* weights, int64_t j, int64_t rows, int64_t n, V::Reg x) {
    V::store_quads(weights + j / 2 * rows, 4 * rows, quads_of(pairs_of(n)), D::pairs(x, V::zero()));
  }
  static void pack_keys(const float* key, int64_t stride, int64_t keys, int64_t head_dim, float* panels);
  static void pack_values(const float* value, int64_t stride, int64_t keys, int64_t head_dim, int64_t tall,
                          float* panels);
};

void Bf16s::pack_keys(const float* key, int64_t stride, int64_t keys, int64_t head_dim, float* panels) {
  constexpr int64_t kW = V::kWidth;
  alignas(64) float rows[kW * kW], columns[kW * kW];
  for (int64_t j0 = 0; j0 < panels_of(keys) * kPanel; j0 += kW) {
    float* const to = panels + j0 / kPanel * kPanel * pairs_of(head_dim) + j0 % kPanel;
    const int64_t left = keys - j0 < kW ? keys - j0 : kW;
    for (int64_t d = 0; d < head_dim; d += 2 * kW) {
      const int64_t pairs = pairs_of(head_dim - d);
      for (int64_t j = 0; j < left; ++j) V::store(rows + j * kW, load_pairs(key + (j0 + j) * stride + d, head_dim - d));
      if (pairs >= kW) {
        V::transpose(rows, kW, left, to + d / 2 * kPanel, kPanel);
      } else {
        V::transpose(rows, kW, left, columns, kW);
        for (int64_t u = 0; u < pairs; ++u) V::store(to + (d / 2 + u) * kPanel, V::load(columns + u * kW));
      }
    }
  }
}

void Bf16s::pack_values(const float* value, int64_t stride, int64_t keys, int64_t head_dim, int64_t tall,
                        float* panels) {
  constexpr int64_t kW = V::kWidth;
  for (int64_t d0 = 0; d0 < panels_of(head_dim) * kPanel; d0 += kW) {
    float* const to = panels + d0 / kPanel * kPanel * tall + d0 % kPanel;
    const int64_t left = head_dim - d0;
    const auto row = [&](int64_t j) {
      if (j >= keys || left <= 0) return V::zero();
      return left >= kW ? V::load(value + j * stride + d0) : V::load_partial(value + j * stride + d0, left);
    };
    for (int64_t j = 0; j < keys; j += 2) V::store(to + j / 2 * kPanel, D::interleave(row(j), row(j + 1)));
  }
}

int64_t bf16_head_bytes(int64_t head_dim) noexcept { return 4 * kv_head_units<Bf16s>(head_dim); }

void store_bf16_head(const float* key, int64_t key_stride, const float* value, int64_t value_stride, int64_t count,
                     int64_t head_dim, int64_t first, void* to) noexcept {
  constexpr int64_t kW = V::kWidth;
  float* const block = static_cast<float*>(to);
  if (count == kBlock) {
    pack_kv_block<Bf16s>(key, key_stride, value, value_stride, count, head_dim, block);
    return;
  }
  float* const values = block + kBlock * pairs_of(head_dim);
  alignas(64) float pairs[kW];
  for (int64_t i = 0; i < count; ++i, key += key_stride, value += value_stride) {
    const int64_t token = first + i;
    float* const column = block + token / kPanel * kPanel * pairs_of(head_dim) + token % kPanel;
    for (int64_t d = 0; d < head_dim; d += 2 * kW) {
      V::store(pairs, load_pairs(key + d, head_dim - d));
      const int64_t n = pairs_of(head_dim - d) < kW ? pairs_of(head_dim - d) : kW;
      for (int64_t u = 0; u < n; ++u) column[(d / 2 + u) * kPanel] = pairs[u];
    }
    for (int64_t d = 0; d < head_dim; d += kW) {
      const V::Reg x = head_dim - d >= kW ? V::load(value + d) : V::load_partial(value + d, head_dim - d);
      float* const at = values + (d / kPanel * pairs_of(kBlock) + token / 2) * kPanel + d % kPanel;
      // The first of a pair brings a zero for the second: until that comes, attention multiplies it by 0.
      if (token % 2 == 0) {
        V::store(at, D::interleave(x, V::zero()));
      } else {
        D::store_second(at, D::interleave(V::zero(), x));
      }
    }
  }
}

}  // namespace

void fill_attention_bf16(KernelTable& table) noexcept {
  table.attention[kBf16s] = attention_over<Bf16s>();
  table.kv[kKVBf16] = {.head_bytes = bf16_head_bytes, .store_head = store_bf16_head};
}

}  // namespace TCPP_KERNELS
}  // namespace transformers
