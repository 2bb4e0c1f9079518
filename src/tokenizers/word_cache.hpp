// What it is: the ids of words seen before, as fast as two loads and a multiplication.
// Where it stands: tokenizers; the compiled paths keep one for each thread that encodes.
// Usage: `cache.look_up(WordCache::Key(word, text_end), ids, [&] { merge(word, ids); });`
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace transformers {

class WordCache {
 public:
  static constexpr std::size_t kLongestWord = 16, kMostIds = 11;

  // The bytes of a word of at most kLongestWord bytes, zeros behind them. Bits of `size` from 8 on may tell apart what
  // is spelled alike.
  struct Key {
    uint64_t low = 0, high = 0;
    uint32_t size = 0;
    Key() = default;
    // `readable`: the end of the memory that the word lies in.
    Key(std::string_view word, const char* readable) : size(static_cast<uint32_t>(word.size())) {
      if (readable - word.data() >= 16) {
        std::memcpy(&low, word.data(), 8);
        std::memcpy(&high, word.data() + 8, 8);
        if (size < 8) low &= (uint64_t{1} << (8 * size)) - 1;
        if (size <= 8) high = 0;
        if (size > 8 && size < 16) high &= (uint64_t{1} << (8 * (size - 8))) - 1;
      } else {
        std::memcpy(&low, word.data(), size < 8 ? size : 8);
        if (size > 8) std::memcpy(&high, word.data() + 8, size - 8);
      }
    }
  };
  struct Entry {
    uint64_t low = 0, high = 0;
    uint16_t size = 0;  // 0: nothing here
    uint16_t count = 0;
    int32_t ids[kMostIds] = {};
  };
  static_assert(sizeof(Entry) == 64);

  WordCache() : entries_(kEntries) {}
  const Entry* find(const Key& key) const noexcept {
    const Entry& e = entries_[place(key)];
    return e.low == key.low && e.high == key.high && e.size == key.size ? &e : nullptr;
  }
  // In place of what was there. `ids` of more than kMostIds are not kept.
  void put(const Key& key, std::span<const int32_t> ids) noexcept {
    if (ids.size() > kMostIds) return;
    Entry& e = entries_[place(key)];
    e.low = key.low;
    e.high = key.high;
    e.size = static_cast<uint16_t>(key.size);
    e.count = static_cast<uint16_t>(ids.size());
    std::memcpy(e.ids, ids.data(), ids.size() * sizeof(int32_t));
  }

  // Appends the ids of a word: those kept, else those that make() appends, which are kept.
  template <class F>
  void look_up(const Key& key, std::vector<int32_t>& ids, F make) {
    if (const Entry* e = find(key)) {
      if (e->count == 1) {
        ids.push_back(e->ids[0]);
      } else {
        ids.insert(ids.end(), e->ids, e->ids + e->count);
      }
      return;
    }
    const std::size_t before = ids.size();
    make();
    put(key, {ids.data() + before, ids.size() - before});
  }

 private:
  static constexpr std::size_t kEntries = 1 << 15;  // 2 MB
  static std::size_t place(const Key& key) noexcept {
    const uint64_t mixed = (key.low ^ (key.high * 0x9FB21C651E98DF25u) ^ key.size) * 0x9E3779B97F4A7C15u;
    return mixed >> 49;
  }
  std::vector<Entry> entries_;
};

// Caches that wait for the next thread which encodes: one for each thread as long as there are few, so that threads
// share no cache line. A lease is taken for every text.
class WordCaches {
 public:
  class Lease {
   public:
    explicit Lease(WordCaches& home) : place_(home.places_[number_of_thread() % kPlaces].cache) {
      cache_.reset(place_.exchange(nullptr, std::memory_order_acquire));
    }
    ~Lease() {
      // Of two threads with one place the later one's cache stays.
      if (cache_) delete place_.exchange(cache_.release(), std::memory_order_acq_rel);
    }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    WordCache& operator*() {
      if (!cache_) cache_ = std::make_unique<WordCache>();
      return *cache_;
    }

   private:
    std::atomic<WordCache*>& place_;
    std::unique_ptr<WordCache> cache_;
  };

  WordCaches() = default;
  ~WordCaches() {
    for (Place& place : places_) delete place.cache.load();
  }
  WordCaches(const WordCaches&) = delete;
  WordCaches& operator=(const WordCaches&) = delete;

 private:
  static constexpr std::size_t kPlaces = 64;
  struct alignas(64) Place {
    std::atomic<WordCache*> cache = nullptr;
  };
  static std::size_t number_of_thread() noexcept {
    static std::atomic<std::size_t> threads = 0;
    thread_local const std::size_t number = threads++;
    return number;
  }
  std::array<Place, kPlaces> places_;
};

}  // namespace transformers
