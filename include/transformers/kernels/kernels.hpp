// What it is: the compute kernels, chosen at run time for the processor: packed-weight GEMM, attention, norms,
// activations. Where it stands: kernels; nn/ calls the functions here, which split the work over threads and call the
// table of the
//   active ISA (src/kernels/). No intrinsics here.
// Usage: `gemm({.a = x, .lda = k, .m = rows, .b = weight, .bias = bias, .c = y, .ldc = n});`
// Numerics: for one ISA and weight format, each output is one FMA chain over k = 0 ... K-1 (over groups of k where the
//   weights are integers) in float32, whatever m, the number of threads or the other rows are: the bits of a row do not
//   depend on its batch mates.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "transformers/base/export.hpp"
#include "transformers/tensor/dtype.hpp"

namespace transformers {

// Hugging Face's hidden_act names: "gelu" is x * Phi(x) by erf; "gelu_new" and "gelu_pytorch_tanh" are the tanh form.
// Those of the second line are rare: each vector of them costs a branch more.
enum class Activation : uint8_t {
  none,
  relu,
  gelu,
  gelu_new,
  silu,
  tanh,
  sigmoid,
  gelu_10,
  quick_gelu,
  relu2,
  relu6,
  leaky_relu,
  hardswish,
  mish,
  laplace
};

// ---- the active ISA -------------------------------------------------------------------------------------------------

// Names of the kernel tables this processor can run, best last: "portable", "avx2", "avx512" ...
TCPP_API std::vector<std::string_view> supported_isas();
// The active one: the best supported, unless TCPP_ISA in the environment or set_isa() says otherwise.
TCPP_API std::string_view isa();
// Error(unsupported) when this processor cannot run it. Weights packed before keep the layout of the ISA they were
// packed for, so set it before loading a model; not while work is running.
TCPP_API void set_isa(std::string_view name);

// ---- weights --------------------------------------------------------------------------------------------------------

// How the numbers of a packed weight are stored, and the arithmetic it is multiplied in.
//   f32, f16, bf16  at their stored width, widened exactly: float32 arithmetic
//   bf16_dot        bf16, and the activations are rounded to bf16 (to nearest even); products are summed in float32
//   integers        groups of `group` numbers of a row share a scale; the activations of a row are rounded to int8 by
//                   groups of the same size. With q the integers, s and t scales, the sum over the groups of
//                       (sum of q_w q_a) * (s * t) + offset * (t * sum of q_a)
//                   where t = max |a| / 127 and q_a = a * (127 / max |a|) to nearest even. Sums of integers are exact,
//                   so only those over groups round: one chain of multiply-adds in the order of k.
//                   Affine groups: t = (max a - min a) / 255 where 0 counts as one of the numbers, q_a = a / t to
//                   nearest even + z, at most 127, where z puts min a at -128, and the sum over the groups of
//                       (sum of (q_w - zero) (q_a - z)) * (s * t)
struct WeightFormat {
  enum class Kind : uint8_t { f32, f16, bf16, bf16_dot, integers };

  WeightFormat() = default;
  // f32, f16, bf16 and GGUF's block formats, whose blocks become integers without loss. Error(unsupported) for others.
  TCPP_API WeightFormat(DType dtype);
  static TCPP_API WeightFormat bf16_dot();
  // What `dtype` q8 and q4 mean. 8 bits with a scale: by groups of 32, as Q8_0, in models that only decode; elsewhere
  // by affine groups of kAffineGroup, which are faster. 4 bits with scale and offset by groups of 32, as Q4_1.
  static TCPP_API WeightFormat q8();
  static TCPP_API WeightFormat affine_q8();
  static TCPP_API WeightFormat q4();
  bool operator==(const WeightFormat&) const = default;

  Kind kind = Kind::f32;
  // Of integers only:
  uint8_t bits = 0;          // 4 or 8
  uint8_t zero = 0;          // the stored integer that stands for 0, where there are no offsets
  bool offsets = false;      // a number is q * scale + offset, else (q - zero) * scale
  bool half_scales = false;  // scales and offsets are f16, else float32
  bool affine = false;       // activations are rounded by the range of a group, not by the largest
  int64_t group = 0;         // 16 or 32; affine: kAffineGroup

  static constexpr int64_t kAffineGroup = 128;
  // Scales (and offsets) of a row of k numbers.
  int64_t scales_of(int64_t k) const noexcept { return (k + group - 1) / group; }
};
TCPP_API std::string to_string(const WeightFormat& format);

// A weight [n, k] in the panel layout of the active ISA. Borrows its bytes.
struct PackedMatrix {
  const void* data = nullptr;
  WeightFormat format;
  int64_t n = 0;  // out_features
  int64_t k = 0;  // in_features
};

// Bytes that packing fills for a weight [n, k], a multiple of 64.
TCPP_API std::size_t packed_bytes(const WeightFormat& format, int64_t n, int64_t k);
// The number of output rows in one panel: rows are packed in ranges that start on a multiple of it.
TCPP_API int64_t panel_rows(const WeightFormat& format);
// Packs rows [row_begin, row_begin + rows) of a weight [n, k] into `packed` (packed_bytes(format, n, k) long).
// `source` points at row `row_begin`, row-major, `source_stride` elements between rows (in_features when dense), of
// the format's type (not integers), aligned or not. `rows` is a multiple of panel_rows() unless the range ends at n.
// Different ranges may be packed concurrently.
TCPP_API void pack_rows(const WeightFormat& format, const void* source, int64_t source_stride, int64_t row_begin,
                        int64_t rows, int64_t n, int64_t k, void* packed);

// Rows of integers with their scales, as quantize_rows makes them and files keep them.
struct QuantizedRows {
  const uint8_t* q = nullptr;     // [rows, k], one integer a byte whatever the bits
  const void* scales = nullptr;   // [rows, format.scales_of(k)], f16 or float32 as the format says
  const void* offsets = nullptr;  // alike, where the format has them
};
// The same for integers: `source` begins at row `row_begin` and is dense.
TCPP_API void pack_rows(const WeightFormat& format, const QuantizedRows& source, int64_t row_begin, int64_t rows,
                        int64_t n, int64_t k, void* packed);
// Rows `ids` of a packed weight as float32 into out[t * k]; `accumulate` adds to what is there instead. Ids must be in
// range: the caller has checked them.
TCPP_API void gather_rows(const PackedMatrix& weight, std::span<const int32_t> ids, bool accumulate, float* out);

// Rounds rows [rows, k] of float32 to q8, affine_q8 or q4. q8: scale = max |w| / 127 of a group. q4: the scale and
// offset that least squares give the integers of a group, tried from several ranges. The result depends on the row
// alone, and on no ISA. q [rows, k]; scales and offsets [rows, format.scales_of(k)] as the format has them, float32 or
// f16.
TCPP_API void quantize_rows(const WeightFormat& format, const float* source, int64_t rows, int64_t k, uint8_t* q,
                            void* scales, void* offsets);

// Rows [begin, begin + rows) of a packed weight, which shares its bytes; `begin` is a multiple of panel_rows().
TCPP_API PackedMatrix packed_rows(const PackedMatrix& weight, int64_t begin, int64_t rows);

// ---- operations (each splits its work over the thread pool)
// ----------------------------------------------------------

// c = activation(a * b^T + bias) + residual
struct GemmArgs {
  const float* a = nullptr;  // [m, k], `lda` floats between rows
  int64_t lda = 0;
  int64_t m = 0;                // rows (tokens); 0 is allowed
  PackedMatrix b;               // [n, k]
  const float* bias = nullptr;  // [n] or none
  Activation activation = Activation::none;
  const float* residual = nullptr;  // [m, n], `ldr` floats between rows, or none; may be c itself
  int64_t ldr = 0;
  float* c = nullptr;  // [m, n], `ldc` floats between rows; must not overlap a
  int64_t ldc = 0;
};
TCPP_API void gemm(const GemmArgs& args);

// ---- keys and values of a cache -------------------------------------------------------------------------------------

// What a cache holds its numbers as: float32; bf16, to nearest even; q8, 8 bits with a float32 scale for the key, and
// one for the value, of each token and head. Attention over bf16 is that of AttentionArgs::bf16, else in float32.
enum class KVType : uint8_t { f32, bf16, q8 };

// Whether the active ISA multiplies bf16: attention in it, and over caches of it, is faster than in float32 then.
TCPP_API bool multiplies_bf16();

// Tokens in one block of a cache (nn/cache.hpp). A block holds keys and values of one layer, key/value head after
// key/value head, in the layout in which the active ISA multiplies: nothing is rearranged when they are read.
inline constexpr int64_t kKVBlockTokens = 32;
TCPP_API int64_t kv_block_bytes(KVType type, int64_t num_key_value_heads, int64_t head_dim);
// Writes `count` rows of key and value [count, num_key_value_heads, head_dim], `key_stride` and `value_stride` floats
// between rows, to the tokens first ... first + count - 1 of a block, an odd one not before the one that it follows.
// Tokens that were not written are not read. By the calling thread alone.
TCPP_API void store_kv(KVType type, const float* key, int64_t key_stride, const float* value, int64_t value_stride,
                       int64_t count, int64_t num_key_value_heads, int64_t head_dim, int64_t first, void* block);

// Where attention reads the keys and values of a cache's layer: sequence i's token t is token t % kKVBlockTokens of
// blocks[first_block[i] + t / kKVBlockTokens]. Blocks that no query can see (sliding windows) may be null.
struct KVView {
  std::span<const void* const> blocks;
  std::span<const int32_t> first_block;  // [batch + 1]
  KVType type = KVType::f32;
};

// Attention of each query over the keys of its own sequence: softmax(q k^T * scale + biases) v, keys taken in tiles of
// fixed size counted from the sequence's first key, softmax in float32 by running maximum. No [seq, seq] buffer. A
// query that sees no key gives zeros.
//
// Rows: sequence i owns rows [cu_seqlens[i], cu_seqlens[i + 1]) of query and out, and key_lens[i] keys, which are
//   - the first of its own rows in key and value (self-attention; its rows beyond the keys are queries alone), or
//   - the rows from key_cu_seqlens[i] on (cross-attention, or keys that include earlier ones), or
//   - the tokens of a cache (`cache`; key and value are not read).
// Sight: which keys a query sees goes by positions, the indices in the padded row, so that dropped tokens count as they
//   do in Hugging Face: key <= query (causal); query - key < sliding_window; |query - key| <= local_window / 2. Without
//   position spans the n-th row or key of a sequence stands at n; with a cache give both.
// Biases are added to the scaled scores, by distance: key position - query position, clamped to +-max_distance.
// The bits of a query's result depend on its own numbers and on the keys and values it sees, nothing else: neither on
// how many queries come with it, nor on where its keys are stored. Only plain self-attention (none of the fields after
// key_lens) has a path of its own, whose last bits differ.
struct AttentionArgs {
  const float* query = nullptr;  // [tokens, num_attention_heads, head_dim], row stride below
  const float* key = nullptr;    // [keys, num_key_value_heads, head_dim]
  const float* value = nullptr;  // [keys, num_key_value_heads, head_dim]
  int64_t query_stride = 0;      // floats between rows of query; key and value alike
  int64_t key_stride = 0;
  int64_t value_stride = 0;
  int64_t num_attention_heads = 0;
  int64_t num_key_value_heads = 0;  // divides num_attention_heads
  int64_t head_dim = 0;
  float scale = 1.0f;
  // Where the ISA multiplies bf16: both operands of both products are rounded to it, to nearest even, the softmax in
  // float32 between them; products are summed in float32. Over a cache its type decides.
  bool bf16 = false;
  std::span<const int32_t> cu_seqlens = {};  // [batch + 1]
  std::span<const int32_t> key_lens = {};    // [batch]

  // Sequence i's keys begin at row key_cu_seqlens[i] of key, value, key_positions and key_bias. Empty: cu_seqlens.
  std::span<const int32_t> key_cu_seqlens = {};  // [batch + 1]
  const KVView* cache = nullptr;                 // keys and values are read there
  bool causal = false;
  int64_t sliding_window = 0;                     // 0: none
  int64_t local_window = 0;                       // 0: none
  std::span<const int32_t> first_keys = {};       // [batch]: keys before this one are not seen; empty: all are
  std::span<const int32_t> query_positions = {};  // [tokens]
  std::span<const int32_t> key_positions = {};    // by key_cu_seqlens; rising within a sequence
  float softcap = 0.0f;                           // scores become softcap * tanh(score / softcap), before the biases

  int64_t max_distance = 0;
  const float* relative_bias = nullptr;  // [num_attention_heads, 2 * max_distance + 1]
  // Biases that depend on the query (or the key) and on the distance's bucket, bias_buckets[distance + max_distance].
  std::span<const int32_t> bias_buckets = {};  // [2 * max_distance + 1], each in [0, num_buckets)
  int64_t num_buckets = 0;
  const float* query_bias = nullptr;  // [tokens, num_attention_heads, num_buckets], scaled already
  const float* key_bias = nullptr;  // [keys, num_attention_heads, num_buckets], rows by key_cu_seqlens, scaled already

  float* out = nullptr;  // [tokens, num_attention_heads, head_dim]; may be `query` (of the same stride)
  int64_t out_stride = 0;
};
TCPP_API void attention(const AttentionArgs& args);

// out[r] = (x[r] - mean) / sqrt(variance + eps) * weight + bias for each row r of x [rows, n] (dense). out may be x.
TCPP_API void layer_norm(const float* x, int64_t rows, int64_t n, const float* weight, const float* bias, float eps,
                         float* out);

// out[r] = x[r] / sqrt(mean(x[r]^2) + eps) * weight for each row r of x [rows, n], `x_stride` and `out_stride` floats
// between rows. out may be x. weight null: ones.
TCPP_API void rms_norm(const float* x, int64_t x_stride, int64_t rows, int64_t n, const float* weight, float eps,
                       float* out, int64_t out_stride);

// Rotary positions, in place. x [rows, heads, head_dim], `x_stride` floats between rows; the first `rotary_dim` of each
// head are turned: pair i by the angle whose cosine and sine are cos[row][i], sin[row][i], [rows, rotary_dim / 2].
// Pair i is (x[i], x[i + rotary_dim / 2]), or (x[2i], x[2i + 1]) when interleaved.
struct RotaryArgs {
  float* x = nullptr;
  int64_t x_stride = 0;
  int64_t rows = 0;
  int64_t heads = 0;
  int64_t head_dim = 0;
  int64_t rotary_dim = 0;  // even
  const float* cos = nullptr;
  const float* sin = nullptr;
  bool interleaved = false;
};
TCPP_API void rotary(const RotaryArgs& args);

// out[r][i] = activation(gate[r][i]) * up[r][i] for rows of n floats with the strides given. out may be gate or up.
TCPP_API void gated_product(Activation activation, const float* gate, int64_t gate_stride, const float* up,
                            int64_t up_stride, int64_t rows, int64_t n, float* out, int64_t out_stride);

// x[i] = softcap * tanh(x[i] / softcap) for count elements.
TCPP_API void softcap(float cap, float* x, int64_t count);

// x[i] = activation(x[i]) for count elements.
TCPP_API void activate(Activation activation, float* x, int64_t count);

// Rows ids[t] of a row-major table [*, n] (f32, f16, bf16 or a block format; aligned or not) as float32 into out[t *
// n]; `accumulate` adds to what is there instead. Ids must be in range: the caller has checked them.
TCPP_API void gather_rows(DType dtype, const void* table, int64_t n, std::span<const int32_t> ids, bool accumulate,
                          float* out);

// count elements of f32, f16 or bf16 (aligned or not) to float32.
TCPP_API void widen(DType dtype, const void* source, int64_t count, float* out);

// x[i] becomes exp(x[i] - max) / sum over each row of x [rows, n].
TCPP_API void softmax(float* x, int64_t rows, int64_t n);
// x[i] becomes the logarithm of that; `stride` floats between rows.
TCPP_API void log_softmax(float* x, int64_t stride, int64_t rows, int64_t n);

// ---- One row of n scores, a vocabulary wide, by the calling thread --------------------------------------------------

// The index of the largest, of equals the first (0 of none); -1 - i where x[i] is the first NaN.
TCPP_API int64_t argmax(const float* x, int64_t n);
// The sum of e^(x[i] - top), relative error 1e-6; the terms go into `out` [n] if it is given (it may be x).
TCPP_API double sum_exp(const float* x, int64_t n, float top, float* out = nullptr);
// out[i] = log(e^x[i] / sum of all e^x): NaN where no score is finite. `out` [n] may be x.
TCPP_API void log_softmax(const float* x, int64_t n, float* out);
// The same where the largest score is known.
TCPP_API void log_softmax(const float* x, int64_t n, float top, float* out);
// The first i with x[i] + add >= least, or NaN; n where there is none.
TCPP_API int64_t first_not_below(const float* x, int64_t n, float add, float least);

// What the processor can do at most with the active ISA's multiply-adds from registers in the arithmetic of a format,
// in GFLOP/s (1e9 operations a second) on num_threads() threads, measured for about `seconds`. For benchmarks: the
// denominator of "share of peak".
TCPP_API double measure_peak_gflops(double seconds = 0.2, const WeightFormat& format = {});

}  // namespace transformers
