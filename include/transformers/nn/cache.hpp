// What it is: Cache (past_key_values), the keys and values of the tokens that a model has seen, for every layer and
// sequence; EncoderDecoderCache, that of a decoder and that of its source.
// Where it stands: nn; an argument of forward, never a member of a model. Attention reads it through a KVView.
// Usage: `Cache past;  model.forward(prompt, ws, {.past_key_values = &past});
//         model.forward(next_token, ws, {.past_key_values = &past});`
// Source: transformers/cache_utils.py (5.23) for the verbs. Difference: padding is not stored, and storage is blocks of
//   kKVBlockTokens tokens, counted by reference and copied on write, so that beams and prefixes share what they have in
//   common.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "transformers/base/export.hpp"
#include "transformers/kernels/kernels.hpp"
#include "transformers/tensor/batch.hpp"

namespace transformers {

struct CacheOptions {
  // Bytes that this cache and all its clones may hold together; 0: no limit. Error(limit) naming the sequence beyond.
  int64_t max_bytes = 0;
  // Of the numbers held. None: bf16 in layers whose projections round what they multiply (weights of `dtype` bf16, q8
  // or q4) if the ISA multiplies bf16, else float32: what attention without a cache would do.
  std::optional<KVType> type = std::nullopt;
};

// One conversation (or batch of them) at a time: not thread-safe, but caches that share blocks may be used by different
// threads. Holds what the active ISA reads: set_isa() ends its life.
class TCPP_API Cache {
 public:
  explicit Cache(CacheOptions options = {});
  ~Cache();
  Cache(Cache&&) noexcept;
  Cache& operator=(Cache&&) noexcept;

  // Sequences; 0 before the first forward, which sets it.
  int64_t batch_size() const noexcept { return static_cast<int64_t>(sequences_.size()); }
  // Tokens of sequence i, padding not counted.
  int64_t get_seq_length(int64_t i = 0) const;
  // Where sequence i goes on in the padded row: Hugging Face's get_seq_length(), padding counted.
  int64_t next_column(int64_t i = 0) const;
  // How many positions sequence i has taken (Batch::position_lengths).
  int64_t next_position(int64_t i = 0) const;
  // Sequence i becomes a copy of what was sequence beam_idx[i]; the batch takes beam_idx's size. Shares, copies
  // nothing.
  void reorder_cache(std::span<const int64_t> beam_idx);
  // Keeps the first `length` tokens of every sequence (of sequence i); a negative length takes that many off the end.
  // Error(invalid_argument) when a sliding window has already let go of tokens that would be seen again.
  void crop(int64_t length);
  void crop(int64_t i, int64_t length);
  // Another cache with the same content: shares all blocks until one of the two writes.
  Cache clone() const;
  // An empty cache that counts against the same limit.
  Cache fresh() const;
  // The sequences of `other`, filled by the same model, come behind this one's. Shares, copies nothing.
  // Error(invalid_argument) when the two are of different models.
  void append(const Cache& other);
  // One more sequence, of no tokens.
  void append_empty();
  // Whether tokens can be taken back: not from a model with a memory.
  bool can_crop() const noexcept;
  // Bytes of blocks held by this cache and its clones.
  int64_t bytes() const noexcept;

  // ---- for models --------------------------------------------------------------------------------------------------
  // A forward pass is begin(batch), update() once for each layer, commit(). Without commit() the cache stays as it was.

  // Announces the tokens of `batch`, whose columns count on from next_column(). Error(invalid_argument) when the number
  // of sequences differs. From here on the three below describe past and new keys together.
  // `memory` rows stand before every sequence's first token (Transformer-XL's, which begins with a memory of zeros), at
  // the columns -memory ... -1; get_seq_length() and next_column() do not count them.
  void begin(const Batch& batch, int64_t memory = 0);
  std::span<const int32_t> key_lens() const noexcept { return key_lens_; }              // [batch]
  std::span<const int32_t> key_cu_seqlens() const noexcept { return key_cu_seqlens_; }  // [batch + 1]
  std::span<const int32_t> key_positions() const noexcept { return key_positions_; }    // [keys], the columns
  // Stores the keys and values of `batch` (of those in `args` the first key_lens[i] rows of each sequence) and gives
  // all of the layer's. Whole blocks that no query to come can see in args.sliding_window are let go. The view is valid
  // until the layer's next update.
  // memory_key and memory_value, one row each, are what stands before a sequence's first token.
  KVView update(int64_t layer, const Batch& batch, const AttentionArgs& args, const float* memory_key = nullptr,
                const float* memory_value = nullptr);
  // The layer's keys and values as they are (cross-attention, whose keys are computed once).
  bool has_layer(int64_t layer) const noexcept;
  KVView view(int64_t layer) const;
  void commit();

 private:
  struct Memory;
  struct Block;
  struct Write;
  struct Sequence {
    std::vector<int32_t> columns;  // of each token, those of the memory first
    // After each token: how many positions have been taken.
    std::vector<int32_t> positions;
    int64_t next_column = 0, next_position = 0, memory = 0;
  };
  struct Layer {
    int64_t num_key_value_heads = 0, head_dim = 0, sliding_window = 0;
    KVType type = KVType::f32;
    std::vector<std::vector<std::shared_ptr<Block>>> tables;  // [batch], a block for every kKVBlockTokens tokens
    std::vector<const void*> blocks;                          // the tables one after another, as a KVView has them
    std::vector<int32_t> first_block;
  };
  std::shared_ptr<Block> new_block(std::size_t bytes, std::size_t sequence) const;
  void list_blocks(Layer& layer) const;
  void list_keys(const std::vector<Sequence>& sequences);

  std::shared_ptr<Memory> memory_;
  std::vector<Sequence> sequences_;
  std::vector<Layer> layers_;
  // The forward pass under way.
  bool begun_ = false;
  std::vector<Sequence> pending_;
  std::vector<int32_t> key_lens_, key_cu_seqlens_, key_positions_;
};

// Adds the keys and values of `args` to a layer and lets the attention read all of the layer's. `view` is theirs and
// must live until the attention has run.
inline void through_cache(Cache& past, int64_t layer, const Batch& batch, AttentionArgs& args, KVView& view,
                          const float* memory_key = nullptr, const float* memory_value = nullptr) {
  view = past.update(layer, batch, args, memory_key, memory_value);
  args.cache = &view;
  args.key_lens = past.key_lens();
  args.key_cu_seqlens = past.key_cu_seqlens();
  args.key_positions = past.key_positions();
}

// The decoder's own keys and values, and those of the source, which are computed once and shared by all its beams.
struct EncoderDecoderCache {
  Cache self_attention_cache, cross_attention_cache;

  int64_t get_seq_length(int64_t i = 0) const { return self_attention_cache.get_seq_length(i); }
  void reorder_cache(std::span<const int64_t> beam_idx) {
    self_attention_cache.reorder_cache(beam_idx);
    cross_attention_cache.reorder_cache(beam_idx);
  }
  void crop(int64_t length) { self_attention_cache.crop(length); }
  EncoderDecoderCache clone() const { return {self_attention_cache.clone(), cross_attention_cache.clone()}; }
};

}  // namespace transformers
