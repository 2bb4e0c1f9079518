// What it is: the operations that exist once per instruction set, as a table of function pointers.
// Where it stands: src/kernels, between the drivers (gemm.cpp, attention.cpp, rowwise.cpp: arguments, threads, scratch)
//   and the code per ISA (*.inl over vec_<isa>.hpp). Plain data only: translation units with ISA flags include it.
// Usage: `kernels().layer_norm(x, rows, n, weight, bias, eps, out);`
#pragma once

#include <cstddef>
#include <cstdint>

namespace transformers {

// Kinds of stored weight and of activation, as plain numbers: DType and Activation live in headers that ISA code may
// not include. gemm.cpp asserts that they agree.
enum : int { kWeightF32, kWeightF16, kWeightBf16, kWeightBf16Dot, kWeightIntegers };
// KVType of kernels.hpp.
enum : int { kKVF32, kKVBf16, kKVQ8 };
// The arithmetics there are: a product is one of float32, of bf16, of integers, of integers in affine groups.
enum : int { kFloats, kBf16s, kIntegers, kAffineIntegers, kArithmetics };
enum : int {
  kActNone,
  kActRelu,
  kActGelu,
  kActGeluNew,
  kActSilu,
  kActTanh,
  kActSigmoid,
  kActRare,  // from here on: those that rare_activation() computes
  kActGelu10 = kActRare,
  kActQuickGelu,
  kActRelu2,
  kActRelu6,
  kActLeakyRelu,
  kActHardswish,
  kActMish,
  kActLaplace
};

// WeightFormat of kernels.hpp.
struct GemmWeight {
  int kind;  // kWeight...
  // Of integers:
  int bits;
  int zero;
  bool offsets;
  bool half_scales;
  bool affine;
  int64_t group;
};

// Some rows times some panels of a packed weight, all of k. Pointers to rows are to row 0 of the block.
struct GemmBlock {
  const float* a;  // [rows, k], or what copy() made of it when copy_floats() is not 0
  int64_t lda;
  int64_t rows;
  const void* b;  // the first panel of the block
  GemmWeight weight;
  int64_t panels;
  int64_t columns;  // of C in this block: panels * nr, less in the last panel
  int64_t k;
  const float* bias;   // [columns] or null
  const float* resid;  // [rows, columns] or null
  int64_t ldr;
  float* c;  // [rows, columns]
  int64_t ldc;
  int activation;
  float* scratch;  // scratch() floats
};

// Rows of integers to be packed; see QuantizedRows.
struct IntegerRows {
  const uint8_t* q;     // [rows, k]
  const char* scales;   // [rows, groups]
  const char* offsets;  // [rows, groups] or null
};

// The products of one arithmetic.
struct GemmKernels {
  int64_t mr, nr;  // the micro-kernel's tile of C; nr is the number of weight rows in a panel
  int64_t step;    // neighbouring k that a panel keeps together for each of its rows
  int64_t (*panel_bytes)(int64_t k, const GemmWeight& weight) noexcept;
  // Rows that share a copy of A should not take more floats than this.
  int64_t most_copied;
  // The copy of a row depends on no other, and one copy serves all threads.
  bool copied_once;
  int64_t (*scratch)(int64_t rows, int64_t panels, int64_t k, const GemmWeight& weight) noexcept;
  int64_t (*copy_floats)(int64_t rows, int64_t k, const GemmWeight& weight) noexcept;
  void (*copy)(const float* a, int64_t lda, int64_t rows, int64_t k, const GemmWeight& weight, float* to) noexcept;
  void (*block)(const GemmBlock& block) noexcept;
  // Of integers only: fills a panel from up to nr rows; one row of a panel as float32.
  void (*pack)(const IntegerRows& rows, int64_t count, int64_t k, const GemmWeight& weight, void* panel) noexcept;
  void (*unpack)(const void* panel, int64_t row, int64_t k, const GemmWeight& weight, bool accumulate,
                 float* out) noexcept;
  // `steps` rounds of multiply-adds from registers; returns the operations done and leaves a value that depends on all
  // of them in *sink.
  int64_t (*peak)(int64_t steps, float* sink) noexcept;
};

// One sequence, one key/value head, a run of its queries, all query heads that share that key/value head.
struct AttentionBlock {
  const float* query;  // first query row of the run, first query head of the group
  int64_t query_stride;
  int64_t queries;
  int64_t group;     // query heads per key/value head, head_dim floats apart in query and out
  const float* key;  // row 0 of the sequence, this key/value head
  int64_t key_stride;
  const float* value;
  int64_t value_stride;
  int64_t keys;  // 0 gives zeros
  int64_t head_dim;
  float scale;
  bool prefetch_next;  // the next key/value head of the same rows will be asked for soon
  float* out;
  int64_t out_stride;
  float* scratch;  // scratch() floats
};

// The same with everything else attention() can do. A row of work is a query under one head of the group.
struct SightedAttentionBlock {
  const float* query;  // first query row of the run, first query head of the group
  int64_t query_stride;
  int64_t queries;
  int64_t group;
  int64_t head_dim;
  // Keys and values: rows (key not null), or blocks of a cache.
  const float* key;
  int64_t key_stride;
  const float* value;
  int64_t value_stride;
  const void* const* blocks;
  int kv_type;               // of the numbers in blocks
  int64_t block_offset;      // bytes from the start of a block to this key/value head
  const int32_t* key_begin;  // [queries]: query q sees the keys [key_begin[q], key_end[q])
  const int32_t* key_end;    // [queries]
  float scale;
  float softcap;
  const int32_t* query_positions;  // [queries], with any bias
  const int32_t* key_positions;    // [keys], with any bias
  int64_t max_distance;
  const float* relative_bias;  // [group, 2 * max_distance + 1]
  const int32_t* bias_buckets;
  int64_t num_buckets;
  const float* query_bias;  // of the first query, the first head of the group; heads num_buckets apart
  int64_t query_bias_stride;
  const float* key_bias;  // of key 0
  int64_t key_bias_stride;
  float* out;
  int64_t out_stride;
  float* scratch;  // sighted_scratch() floats
};

struct AttentionKernels {
  int64_t (*scratch)(int64_t queries, int64_t group, int64_t keys, int64_t head_dim) noexcept;  // floats
  void (*block)(const AttentionBlock& block) noexcept;
  int64_t (*sighted_scratch)(int64_t queries, int64_t group, int64_t head_dim) noexcept;
  void (*sighted_block)(const SightedAttentionBlock& block) noexcept;
};

// One key/value head in a block of a cache.
struct KVKernels {
  int64_t (*head_bytes)(int64_t head_dim) noexcept;
  void (*store_head)(const float* key, int64_t key_stride, const float* value, int64_t value_stride, int64_t count,
                     int64_t head_dim, int64_t first, void* to) noexcept;
};

struct KernelTable {
  const char* name;

  GemmKernels gemm[kArithmetics];

  AttentionKernels attention[2];  // kFloats, kBf16s: that of the latter may read caches of bf16 alone
  KVKernels kv[3];                // by the type of a cache

  void (*layer_norm)(const float* x, int64_t rows, int64_t n, const float* weight, const float* bias, float eps,
                     float* out) noexcept;
  void (*rms_norm)(const float* x, int64_t x_stride, int64_t rows, int64_t n, const float* weight, float eps,
                   float* out, int64_t out_stride) noexcept;
  void (*rotary)(float* x, int64_t x_stride, int64_t rows, int64_t heads, int64_t head_dim, int64_t rotary_dim,
                 const float* cos, const float* sin, bool interleaved) noexcept;
  void (*gated_product)(int activation, const float* gate, int64_t gate_stride, const float* up, int64_t up_stride,
                        int64_t rows, int64_t n, float* out, int64_t out_stride) noexcept;
  void (*softcap)(float cap, float* x, int64_t count) noexcept;
  void (*softmax)(float* x, int64_t rows, int64_t n) noexcept;
  int64_t (*argmax)(const float* x, int64_t n) noexcept;
  double (*sum_exp)(const float* x, int64_t n, float top, float* out) noexcept;
  void (*subtract_twice)(const float* x, int64_t n, float a, float b, float* out) noexcept;  // (x - a) - b
  int64_t (*first_not_below)(const float* x, int64_t n, float add, float least) noexcept;
  void (*activate)(int activation, float* x, int64_t count) noexcept;
  void (*widen)(int weight, const void* source, int64_t count, bool accumulate, float* out) noexcept;
};

// The table of the active ISA. Error(unsupported) when TCPP_ISA names one that this processor cannot run.
const KernelTable& kernels();

}  // namespace transformers
