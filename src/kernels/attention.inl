// What it is: attention in float32, and the cache's blocks of every type that it reads.
// Where it stands: src/kernels; the loops are those of attention_blocks.inl.
// Usage: fill_attention(table) puts it into the table of its ISA.
#include "kernels/attention_blocks.inl"
#include "kernels/widen.inl"

namespace transformers {
namespace TCPP_KERNELS {
namespace {

// An arithmetic of attention_blocks.inl.
struct Floats {
  static constexpr int64_t kDepth = 1;    // numbers in a unit
  static constexpr int kStored = kKVF32;  // what a cache holds that needs no rearranging
  static void micro(int64_t rows, const MicroArgs& args) { TCPP_KERNELS::micro(rows, args); }
  // One row of queries, of a tile of `rows`.
  static void copy_row(const float* from, int64_t k, int64_t rows, float* to) {
    TCPP_KERNELS::copy_row(from, k, rows, to);
  }
  // The first n <= kWidth of a row's numbers j ... j + kWidth - 1, j a multiple of kWidth; zeros beyond n in the last
  // quad.
  static TCPP_INLINE void store_weights(float* weights, int64_t j, int64_t rows, int64_t n, V::Reg x) {
    V::store_quads(weights + j * rows, 4 * rows, quads_of(n), x);
  }
  // keys [keys, head_dim] -> panels [head_dim, kPanel] of kPanel keys each, zeros where keys are missing.
  static void pack_keys(const float* key, int64_t stride, int64_t keys, int64_t head_dim, float* panels);
  // values [keys, head_dim] -> panels [keys, kPanel] of kPanel columns each, zeros beyond head_dim; `tall` keys from
  // one panel to the next.
  static void pack_values(const float* value, int64_t stride, int64_t keys, int64_t head_dim, int64_t tall,
                          float* panels);
  // A head's share of a block of a cache as float32.
  static void widen_kv_head(int type, const void* from, int64_t head_dim, float* to);
};

void Floats::pack_keys(const float* key, int64_t stride, int64_t keys, int64_t head_dim, float* panels) {
  constexpr int64_t kW = V::kWidth;
  for (int64_t j0 = 0; j0 < panels_of(keys) * kPanel; j0 += kW) {
    float* to = panels + j0 / kPanel * kPanel * head_dim + j0 % kPanel;
    const int64_t left = keys - j0 < kW ? keys - j0 : kW;
    int64_t d = 0;
    if (left > 0) {
      for (; d + kW <= head_dim; d += kW) V::transpose(key + j0 * stride + d, stride, left, to + d * kPanel, kPanel);
    }
    for (; d < head_dim; ++d) {
      for (int64_t j = 0; j < kW; ++j) to[d * kPanel + j] = j < left ? key[(j0 + j) * stride + d] : 0.0f;
    }
  }
}

void Floats::pack_values(const float* value, int64_t stride, int64_t keys, int64_t head_dim, int64_t tall,
                         float* panels) {
  constexpr int64_t kW = V::kWidth;
  for (int64_t d0 = 0; d0 < panels_of(head_dim) * kPanel; d0 += kW) {
    float* to = panels + d0 / kPanel * kPanel * tall + d0 % kPanel;
    const float* from = value + d0;
    const int64_t left = head_dim - d0;
    if (left >= kW) {
      for (int64_t j = 0; j < keys; ++j) V::store(to + j * kPanel, V::load(from + j * stride));
    } else if (left > 0) {
      for (int64_t j = 0; j < keys; ++j) V::store(to + j * kPanel, V::load_partial(from + j * stride, left));
    } else {
      for (int64_t j = 0; j < keys; ++j) V::store(to + j * kPanel, V::zero());
    }
  }
}

void Floats::widen_kv_head(int type, const void* from, int64_t head_dim, float* to) {
  const int64_t numbers = kv_head_units<Floats>(head_dim), keys = kBlock * head_dim;
  if (type == kKVBf16) {
    widen_row<kWeightBf16>(from, numbers, false, to);
    return;
  }
  const int8_t* const q = static_cast<const int8_t*>(from);
  const float* const scales = reinterpret_cast<const float*>(q + numbers);
  for (int64_t at = 0; at < keys; at += kPanel) {
    const float* const s = scales + at / (kPanel * head_dim) * kPanel;
    for (int64_t j = 0; j < kPanel; ++j) to[at + j] = static_cast<float>(q[at + j]) * s[j];
  }
  for (int64_t at = keys; at < numbers; at += kPanel) {
    const float s = scales[kBlock + (at - keys) / kPanel % kBlock];
    for (int64_t c = 0; c < kPanel; ++c) to[at + c] = static_cast<float>(q[at + c]) * s;
  }
}

// Calls store(place, number, whether it is a key's) for all numbers of one token.
template <class Store>
TCPP_INLINE void place_kv(const float* key, const float* value, int64_t token, int64_t head_dim, Store store) {
  const int64_t k = token / kPanel * kPanel * head_dim + token % kPanel;
  for (int64_t d = 0; d < head_dim; ++d) store(k + d * kPanel, key[d], true);
  for (int64_t d = 0; d < head_dim; d += kPanel) {
    const int64_t v = kBlock * head_dim + d * kBlock + token * kPanel;
    for (int64_t c = 0; c < kPanel && d + c < head_dim; ++c) store(v + c, value[d + c], false);
  }
}

inline uint16_t to_bf16(float x) {
  uint32_t bits;
  __builtin_memcpy(&bits, &x, 4);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>(bits >> 16 | 0x40);  // NaN stays NaN
  return static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

// The largest magnitude of a row / 127; NaN where a number is none, so that it is not lost.
inline float scale_of(const float* x, int64_t n) {
  float most = 0.0f;
  for (int64_t i = 0; i < n; ++i) {
    const float a = x[i] < 0.0f ? -x[i] : x[i];
    if (!(a <= most)) most = a;
  }
  return most / 127.0f;
}

inline int8_t to_q8(float x, float inverse) {
  const float y = x * inverse + 12582912.0f;  // to nearest even: no room is left for a fraction
  const float rounded = y - 12582912.0f;
  return rounded >= -127.0f && rounded <= 127.0f ? static_cast<int8_t>(static_cast<int>(rounded)) : int8_t{0};
}

// The bytes of a head's share of a block; of q8 the scales of the keys, then those of the values, stand behind.
template <int kType>
int64_t kv_head_bytes(int64_t head_dim) noexcept {
  const int64_t numbers = kv_head_units<Floats>(head_dim);
  return kType == kKVF32 ? 4 * numbers : kType == kKVBf16 ? 2 * numbers : numbers + 2 * kBlock * 4;
}

template <int kType>
void store_kv_head(const float* key, int64_t key_stride, const float* value, int64_t value_stride, int64_t count,
                   int64_t head_dim, int64_t first, void* to) noexcept {
  if (kType == kKVF32 && count == kBlock) {
    pack_kv_block<Floats>(key, key_stride, value, value_stride, count, head_dim, static_cast<float*>(to));
    return;
  }
  for (int64_t i = 0; i < count; ++i, key += key_stride, value += value_stride) {
    const int64_t token = first + i;
    if constexpr (kType == kKVF32) {
      float* const out = static_cast<float*>(to);
      place_kv(key, value, token, head_dim, [&](int64_t at, float x, bool) { out[at] = x; });
    } else if constexpr (kType == kKVBf16) {
      uint16_t* const out = static_cast<uint16_t*>(to);
      place_kv(key, value, token, head_dim, [&](int64_t at, float x, bool) { out[at] = to_bf16(x); });
    } else {
      int8_t* const out = static_cast<int8_t*>(to);
      float* const scales = reinterpret_cast<float*>(out + kv_head_units<Floats>(head_dim));
      const float k = scale_of(key, head_dim), v = scale_of(value, head_dim);
      scales[token] = k, scales[kBlock + token] = v;
      const float of_key = k > 1e-36f ? 1.0f / k : 0.0f, of_value = v > 1e-36f ? 1.0f / v : 0.0f;
      place_kv(key, value, token, head_dim,
               [&](int64_t at, float x, bool is_key) { out[at] = to_q8(x, is_key ? of_key : of_value); });
    }
  }
}

template <int kType>
constexpr KVKernels kv_of() {
  return {.head_bytes = kv_head_bytes<kType>, .store_head = store_kv_head<kType>};
}

}  // namespace

void fill_attention(KernelTable& table) noexcept {
  table.attention[kFloats] = attention_over<Floats>();
  table.attention[kBf16s] = table.attention[kFloats];
  table.kv[kKVF32] = kv_of<kKVF32>();
  table.kv[kKVBf16] = kv_of<kKVBf16>();
  table.kv[kKVQ8] = kv_of<kKVQ8>();
}

}  // namespace TCPP_KERNELS
}  // namespace transformers
