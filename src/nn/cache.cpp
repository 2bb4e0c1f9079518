// Implements nn/cache.hpp.
#include "transformers/nn/cache.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "kernels/work.hpp"
#include "transformers/base/error.hpp"
#include "transformers/base/parallel.hpp"
#include "transformers/base/platform.hpp"

namespace transformers {
namespace {

// Tokens that a sliding window keeps beyond what it sees, so that crop() can take back a draft.
constexpr int64_t kDraft = 2 * kKVBlockTokens;

int64_t blocks_of(int64_t tokens) { return (tokens + kKVBlockTokens - 1) / kKVBlockTokens; }

std::string where(std::size_t sequence) { return "sequence " + std::to_string(sequence); }

}  // namespace

// What a cache and its clones hold together. Blocks are pieces of slabs, which are kept for as long as any of the
// caches lives: beams that part take and leave blocks with every token.
struct Cache::Memory {
  int64_t max_bytes = 0;
  std::optional<KVType> type;
  std::atomic<int64_t> used{0};

  std::byte* take(std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    std::vector<std::byte*>& free = free_[bytes];
    if (free.empty()) {
      // A cache line more than a block from one to the next: at a power of two all would crowd into the same few sets
      // of the cache. Each slab is twice as large as the one before, so that a short text takes little.
      const std::size_t stride = (bytes + 63) / 64 * 64 + 64;
      slab_bytes_ = std::max(stride, std::min(2 * slab_bytes_, kMostSlab));
      slabs_.push_back(scratch_bytes(slab_bytes_));
      for (std::size_t i = slab_bytes_ / stride; i-- > 0;) free.push_back(slabs_.back().get() + i * stride);
    }
    std::byte* const data = free.back();
    free.pop_back();
    used += static_cast<int64_t>(bytes);
    return data;
  }
  void give_back(std::byte* data, std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    free_[bytes].push_back(data);
    used -= static_cast<int64_t>(bytes);
  }

 private:
  static constexpr std::size_t kMostSlab = std::size_t{4} << 20;
  std::mutex mutex_;
  std::vector<std::shared_ptr<std::byte>> slabs_;
  std::size_t slab_bytes_ = 0;
  std::map<std::size_t, std::vector<std::byte*>> free_;  // by their size
};

struct Cache::Write {
  int64_t row = 0, first = 0, count = 0;  // of the batch, -1 for the memory; token within the block
  Block* block = nullptr;
  std::shared_ptr<Block> source;  // what the block is to begin as, or null
};

struct Cache::Block {
  Block(std::shared_ptr<Memory> memory_, std::size_t bytes_)
      : memory(std::move(memory_)), bytes(bytes_), data(memory->take(bytes_)) {}
  ~Block() { memory->give_back(data, bytes); }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  std::shared_ptr<Memory> memory;
  std::size_t bytes;
  std::byte* data;  // what no token has been written to is not read
};

Cache::Cache(CacheOptions options) : memory_(std::make_shared<Memory>()) {
  memory_->max_bytes = options.max_bytes;
  memory_->type = options.type;
}
Cache::~Cache() = default;
Cache::Cache(Cache&&) noexcept = default;
Cache& Cache::operator=(Cache&&) noexcept = default;

int64_t Cache::get_seq_length(int64_t i) const {
  if (sequences_.empty()) return 0;
  check_argument(i >= 0 && i < batch_size(), "get_seq_length: no such sequence");
  const Sequence& sequence = sequences_[static_cast<std::size_t>(i)];
  return static_cast<int64_t>(sequence.columns.size()) - sequence.memory;
}

int64_t Cache::next_column(int64_t i) const {
  if (sequences_.empty()) return 0;
  check_argument(i >= 0 && i < batch_size(), "next_column: no such sequence");
  return sequences_[static_cast<std::size_t>(i)].next_column;
}

int64_t Cache::next_position(int64_t i) const {
  if (sequences_.empty()) return 0;
  return sequences_.at(static_cast<std::size_t>(i)).next_position;
}

int64_t Cache::bytes() const noexcept { return memory_->used; }

void Cache::reorder_cache(std::span<const int64_t> beam_idx) {
  for (const int64_t from : beam_idx) {
    check_argument(from >= 0 && from < batch_size(), "reorder_cache: an index beyond the batch", "beam_idx");
  }
  const auto reorder = [&](auto& list) {
    std::remove_reference_t<decltype(list)> chosen;
    chosen.reserve(beam_idx.size());
    for (const int64_t from : beam_idx) chosen.push_back(list[static_cast<std::size_t>(from)]);
    list = std::move(chosen);
  };
  reorder(sequences_);
  for (Layer& layer : layers_) {
    if (layer.tables.empty()) continue;
    reorder(layer.tables);
    list_blocks(layer);
  }
  list_keys(sequences_);
}

void Cache::list_keys(const std::vector<Sequence>& sequences) {
  key_lens_.clear(), key_cu_seqlens_.assign(1, 0), key_positions_.clear();
  for (const Sequence& s : sequences) {
    key_lens_.push_back(static_cast<int32_t>(s.columns.size()));
    key_positions_.insert(key_positions_.end(), s.columns.begin(), s.columns.end());
    key_cu_seqlens_.push_back(static_cast<int32_t>(key_positions_.size()));
  }
}

void Cache::crop(int64_t length) {
  for (int64_t i = 0; i < batch_size(); ++i) crop(i, length);
}

void Cache::crop(int64_t i, int64_t length) {
  check_argument(i >= 0 && i < batch_size(), "crop: no such sequence");
  const std::size_t s = static_cast<std::size_t>(i);
  Sequence& sequence = sequences_[s];
  const int64_t now = get_seq_length(i);
  if (length < 0) length = std::max<int64_t>(0, now + length);
  if (length >= now) return;
  if (sequence.memory > 0) throw Error(ErrorCode::unsupported, "crop: of a model with a memory", where(s));
  const int64_t next_column = length == 0 ? 0 : int64_t{sequence.columns[static_cast<std::size_t>(length - 1)]} + 1;
  for (const Layer& layer : layers_) {
    if (layer.sliding_window == 0 || layer.tables.empty()) continue;
    // The first token that the next query sees must still be there.
    const auto first = std::upper_bound(sequence.columns.begin(), sequence.columns.begin() + length,
                                        next_column - layer.sliding_window);
    const std::size_t block = static_cast<std::size_t>((first - sequence.columns.begin()) / kKVBlockTokens);
    if (length > 0 && block < layer.tables[s].size() && layer.tables[s][block] == nullptr) {
      throw Error(ErrorCode::invalid_argument,
                  "crop to " + std::to_string(length) + " of " + std::to_string(now) +
                      " tokens: a sliding window has let go of tokens that would be seen again",
                  where(s));
    }
  }
  sequence.columns.resize(static_cast<std::size_t>(length));
  sequence.positions.resize(static_cast<std::size_t>(length));
  sequence.next_column = next_column;
  sequence.next_position = length == 0 ? 0 : sequence.positions.back();
  for (Layer& layer : layers_) {
    if (layer.tables.empty()) continue;
    layer.tables[s].resize(std::min(layer.tables[s].size(), static_cast<std::size_t>(blocks_of(length))));
    list_blocks(layer);
  }
  list_keys(sequences_);
}

Cache Cache::clone() const {
  Cache copy;
  copy.memory_ = memory_;
  copy.sequences_ = sequences_;
  copy.layers_ = layers_;
  copy.key_lens_ = key_lens_;
  copy.key_cu_seqlens_ = key_cu_seqlens_;
  copy.key_positions_ = key_positions_;
  return copy;
}

Cache Cache::fresh() const {
  Cache empty;
  empty.memory_ = memory_;
  return empty;
}

void Cache::append(const Cache& other) {
  if (other.sequences_.empty()) return;
  if (sequences_.empty()) layers_.clear();
  const bool bare = layers_.empty();  // no sequence has tokens
  check_argument(bare || layers_.size() == other.layers_.size(), "append: caches of different models");
  layers_.resize(other.layers_.size());
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    Layer& layer = layers_[i];
    const Layer& more = other.layers_[i];
    check_argument(bare || (layer.num_key_value_heads == more.num_key_value_heads && layer.head_dim == more.head_dim &&
                            layer.type == more.type),
                   "append: caches of different models");
    layer.num_key_value_heads = more.num_key_value_heads, layer.head_dim = more.head_dim, layer.type = more.type;
    layer.sliding_window = more.sliding_window;
    layer.tables.resize(sequences_.size());
    layer.tables.insert(layer.tables.end(), more.tables.begin(), more.tables.end());
    list_blocks(layer);
  }
  sequences_.insert(sequences_.end(), other.sequences_.begin(), other.sequences_.end());
  list_keys(sequences_);
}

void Cache::append_empty() {
  sequences_.emplace_back();
  for (Layer& layer : layers_) {
    layer.tables.resize(sequences_.size());
    list_blocks(layer);
  }
  list_keys(sequences_);
}

bool Cache::can_crop() const noexcept {
  return std::all_of(sequences_.begin(), sequences_.end(), [](const Sequence& s) { return s.memory == 0; });
}

void Cache::begin(const Batch& batch, int64_t memory) {
  if (!sequences_.empty() && batch.batch_size() != batch_size()) {
    throw Error(ErrorCode::invalid_argument, "past_key_values holds " + std::to_string(batch_size()) +
                                                 " sequences, the batch has " + std::to_string(batch.batch_size()));
  }
  // Of what was there before the last pass the memory is used again.
  pending_.resize(static_cast<std::size_t>(batch.batch_size()));
  begun_ = true;
  for (std::size_t s = 0; s < pending_.size(); ++s) {
    Sequence& sequence = pending_[s];
    if (sequences_.empty()) {
      sequence = Sequence();
    } else {
      sequence = sequences_[s];
    }
    if (sequence.columns.empty()) {
      sequence.memory = memory;
      for (int64_t i = -memory; i < 0; ++i) sequence.columns.push_back(static_cast<int32_t>(i));
    }
    const auto first = batch.columns.begin() + batch.cu_seqlens[s];
    sequence.columns.insert(sequence.columns.end(), first, first + batch.key_lens[s]);
    for (int32_t row = batch.cu_seqlens[s]; row < batch.cu_seqlens[s] + batch.key_lens[s]; ++row) {
      const int32_t before = sequence.positions.empty() ? 0 : sequence.positions.back();
      const int32_t position = batch.position_ids[static_cast<std::size_t>(row)] + 1 - batch.first_position;
      sequence.positions.push_back(std::max(before, position));  // a token may take none
    }
    sequence.next_column += batch.lengths[s];
    sequence.next_position += batch.position_lengths[s];
  }
  list_keys(pending_);
}

std::shared_ptr<Cache::Block> Cache::new_block(std::size_t bytes, std::size_t sequence) const {
  if (memory_->max_bytes > 0 && memory_->used + static_cast<int64_t>(bytes) > memory_->max_bytes) {
    throw Error(ErrorCode::limit,
                "past_key_values would take more than the " + std::to_string(memory_->max_bytes) + " bytes allowed",
                where(sequence));
  }
  return std::make_shared<Block>(memory_, bytes);
}

KVView Cache::update(int64_t layer_index, const Batch& batch, const AttentionArgs& args, const float* memory_key,
                     const float* memory_value) {
  const int64_t num_key_value_heads = args.num_key_value_heads, head_dim = args.head_dim;
  const int64_t sliding_window = args.sliding_window;
  check_argument(layer_index >= 0 && layer_index < (int64_t{1} << 20), "Cache::update: no such layer");
  check_argument(begun_ && pending_.size() == static_cast<std::size_t>(batch.batch_size()),
                 "Cache::update without begin");
  if (layers_.size() <= static_cast<std::size_t>(layer_index))
    layers_.resize(static_cast<std::size_t>(layer_index) + 1);
  Layer& layer = layers_[static_cast<std::size_t>(layer_index)];
  if (layer.head_dim != 0 && (layer.head_dim != head_dim || layer.num_key_value_heads != num_key_value_heads)) {
    throw Error(ErrorCode::invalid_argument, "past_key_values belongs to another model",
                "layer " + std::to_string(layer_index));
  }
  if (layer.head_dim == 0) {
    layer.type = memory_->type.value_or(args.bf16 && multiplies_bf16() ? KVType::bf16 : KVType::f32);
  }
  layer.num_key_value_heads = num_key_value_heads, layer.head_dim = head_dim, layer.sliding_window = sliding_window;
  layer.tables.resize(pending_.size());
  const KVType type = layer.type;
  const std::size_t bytes = static_cast<std::size_t>(kv_block_bytes(type, num_key_value_heads, head_dim));

  Reused<std::vector<Write>> reused;
  std::vector<Write>& writes = *reused;
  writes.clear();
  std::shared_ptr<Block> memory_block;
  const auto copy = [&](const Write& w) {
    if (w.source != nullptr) std::memcpy(w.block->data, w.source->data, bytes);
  };
  try {
    for (std::size_t s = 0; s < pending_.size(); ++s) {
      const int64_t added = batch.key_lens[s];
      const int64_t all = static_cast<int64_t>(pending_[s].columns.size()), given = all - added;
      // A sequence without any tokens begins with its memory.
      const bool begins = sequences_.empty() || sequences_[s].columns.empty();
      const int64_t past = begins ? 0 : given;
      std::vector<std::shared_ptr<Block>>& table = layer.tables[s];
      table.resize(static_cast<std::size_t>(blocks_of(past)));  // what a pass without commit() left
      table.resize(static_cast<std::size_t>(blocks_of(all)));
      for (int64_t token = past; token < all;) {
        std::shared_ptr<Block>& block = table[static_cast<std::size_t>(token / kKVBlockTokens)];
        const int64_t first = token % kKVBlockTokens;
        const int64_t count = std::min(kKVBlockTokens - first, (token < given ? given : all) - token);
        if (token < given && count == kKVBlockTokens && memory_block != nullptr) {
          block = memory_block;  // whole blocks of the memory are all the same
          token += count;
          continue;
        }
        Write& w = writes.emplace_back();
        if (block == nullptr || block.use_count() > 1) w.source = std::exchange(block, new_block(bytes, s));
        if (token < given && count == kKVBlockTokens) memory_block = block;
        w.row = token < given ? -1 : batch.cu_seqlens[s] + token - given;
        w.first = first, w.count = count, w.block = block.get();
        token += count;
      }
      if (sliding_window > 0 && added > 0) {
        // The first new query sees no key at or before this column.
        const int64_t hidden = int64_t{pending_[s].columns[static_cast<std::size_t>(given)]} - sliding_window - kDraft;
        for (int64_t b = 0; (b + 1) * kKVBlockTokens <= given; ++b) {
          if (pending_[s].columns[static_cast<std::size_t>((b + 1) * kKVBlockTokens - 1)] > hidden) break;
          table[static_cast<std::size_t>(b)] = nullptr;
        }
      }
    }
  } catch (...) {
    for (const Write& w : writes) copy(w);  // what was there before the pass stays
    writes.clear();
    throw;
  }
  const auto write = [&](int64_t i) {
    const Write& w = writes[static_cast<std::size_t>(i)];
    copy(w);
    if (w.row < 0) {
      store_kv(type, memory_key, 0, memory_value, 0, w.count, num_key_value_heads, head_dim, w.first, w.block->data);
      return;
    }
    store_kv(type, args.key + w.row * args.key_stride, args.key_stride, args.value + w.row * args.value_stride,
             args.value_stride, w.count, num_key_value_heads, head_dim, w.first, w.block->data);
  };
  if (writes.size() < 8) {
    for (std::size_t i = 0; i < writes.size(); ++i) write(static_cast<int64_t>(i));
  } else {
    parallel_for(static_cast<int64_t>(writes.size()), write);
  }
  writes.clear();  // sources are given back
  list_blocks(layer);
  return {layer.blocks, layer.first_block, type};
}

void Cache::list_blocks(Layer& layer) const {
  layer.blocks.clear(), layer.first_block.assign(1, 0);
  for (const auto& table : layer.tables) {
    for (const auto& block : table) layer.blocks.push_back(block == nullptr ? nullptr : block->data);
    layer.first_block.push_back(static_cast<int32_t>(layer.blocks.size()));
  }
}

bool Cache::has_layer(int64_t layer) const noexcept {
  return layer >= 0 && static_cast<std::size_t>(layer) < layers_.size() &&
         layers_[static_cast<std::size_t>(layer)].head_dim != 0;
}

KVView Cache::view(int64_t layer) const {
  check_argument(has_layer(layer), "Cache::view: a layer without keys");
  const Layer& l = layers_[static_cast<std::size_t>(layer)];
  return {l.blocks, l.first_block, l.type};
}

void Cache::commit() {
  std::swap(sequences_, pending_);
  begun_ = false;
}

}  // namespace transformers
