// Implements generation/constraint.hpp.
//
// Where a text stands in a grammar is a set of stacks: where each reading of it goes on, and where it returns to after
// the rule it is in. Stacks share their lower parts, a set of stacks is a state with a number, and what a byte makes of
// a state is remembered: reading tokens again and again is then looking numbers up. The tokens are a tree of bytes, and
// a mask is one walk through it that leaves out what is below a byte that does not fit.
#include "transformers/generation/constraint.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "scores.hpp"
#include "transformers/base/error.hpp"

namespace transformers {

using namespace generation;

namespace {

constexpr int32_t kDead = -1, kUnknown = -2;
constexpr int32_t kFar = 1 << 29;  // no way to the end
constexpr std::size_t kMostStates = 40000, kMostFrames = 1000000, kMostItems = 20000;
constexpr std::size_t kMostMaskBytes = std::size_t{64} << 20;

int32_t sum(int32_t a, int32_t b) { return std::min(a + b, kFar); }

// The tokens as a tree of bytes, in the order of a walk that goes down first.
struct TokenTree {
  struct Node {
    uint8_t byte;
    int32_t depth;  // 1: below the root
    int32_t after;  // the node behind all below this one
    int32_t first_token, tokens;
  };
  std::vector<Node> nodes;
  std::vector<int32_t> ids;
  int32_t deepest = 0;

  explicit TokenTree(const std::vector<std::string>& texts) {
    std::vector<int32_t> order;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      if (!texts[i].empty()) order.push_back(static_cast<int32_t>(i));
    }
    const auto text = [&](int32_t id) -> const std::string& { return texts[static_cast<std::size_t>(id)]; };
    std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return text(a) < text(b); });
    std::vector<int32_t> path;  // nodes from the root down
    const auto close = [&](std::size_t depth) {
      for (; path.size() > depth; path.pop_back()) {
        nodes[static_cast<std::size_t>(path.back())].after = static_cast<int32_t>(nodes.size());
      }
    };
    for (std::size_t i = 0; i < order.size(); ++i) {
      const std::string& now = text(order[i]);
      std::size_t same = 0;
      if (i > 0) {
        const std::string& before = text(order[i - 1]);
        while (same < now.size() && same < before.size() && now[same] == before[same]) ++same;
      }
      close(same);
      for (std::size_t d = same; d < now.size(); ++d) {
        path.push_back(static_cast<int32_t>(nodes.size()));
        nodes.push_back({static_cast<uint8_t>(now[d]), static_cast<int32_t>(d + 1), 0, static_cast<int32_t>(i), 0});
      }
      ++nodes[static_cast<std::size_t>(path.back())].tokens;
      deepest = std::max(deepest, static_cast<int32_t>(now.size()));
    }
    close(0);
    ids = std::move(order);
  }
};

}  // namespace

class Constraint::Impl {
 public:
  Impl(Grammar grammar, std::vector<std::string> texts)
      : g_(std::move(grammar)), texts_(std::move(texts)), tree_(texts_) {
    // With the bytes that are tokens by themselves every text can be written token by token: whatever can be completed
    // with them can be completed. Where they do not suffice, all bytes of all tokens are hoped to, and a token counts
    // only if another one can follow it.
    std::bitset<256> single, any;
    for (const std::string& text : texts_) {
      for (const char c : text) any.set(static_cast<unsigned char>(c));
      if (text.size() == 1) single.set(static_cast<unsigned char>(text[0]));
    }
    measure(single);
    if (least_of_rule_[static_cast<std::size_t>(g_.root)] >= kFar) {
      bytes_suffice_ = false;
      measure(any);
    }
    if (least_of_rule_[static_cast<std::size_t>(g_.root)] >= kFar) {
      throw Error(ErrorCode::invalid_argument, "no text satisfies it that the tokens of this model can write",
                  "constraint");
    }
    forget();
  }

  void apply(std::span<const int64_t> ids, int64_t left, std::span<const int64_t> eos, std::span<float> scores) {
    const std::lock_guard lock(mutex_);
    if (states_.size() > kMostStates || frames_.size() > kMostFrames) forget();
    const int32_t state = read(ids, eos);
    const bool complete = state == kDead || states_[static_cast<std::size_t>(state)].accepting;
    std::vector<float> ends;
    for (const int64_t id : eos) {
      const bool known = id >= 0 && static_cast<std::size_t>(id) < scores.size();
      ends.push_back(known && complete ? scores[static_cast<std::size_t>(id)] : kMinusInfinity);
    }
    if (state == kDead) {
      std::fill(scores.begin(), scores.end(), kMinusInfinity);
    } else {
      const Mask* mask = &mask_of(state);
      Mask in_time;
      if (mask->farthest > left - 1) {
        int64_t far = std::max<int64_t>(left - 1, 0);
        if (!complete) far = std::max<int64_t>(far, mask->nearest);
        in_time = walk(state, far);
        mask = &in_time;
      }
      for (std::size_t i = 0; i < scores.size(); ++i) {
        if (i / 64 >= mask->bits.size() || (mask->bits[i / 64] >> (i % 64) & 1) == 0) scores[i] = kMinusInfinity;
      }
    }
    for (std::size_t i = 0; i < eos.size(); ++i) {
      if (eos[i] >= 0 && static_cast<std::size_t>(eos[i]) < scores.size()) {
        scores[static_cast<std::size_t>(eos[i])] = ends[i];
      }
    }
    if (std::all_of(scores.begin(), scores.end(), [](float x) { return x == kMinusInfinity; })) {
      throw Error(ErrorCode::invalid_argument,
                  complete ? "the text is complete, and the model has no token to end it with, or it may not come yet"
                           : "no token of this model goes on with the text",
                  "constraint");
    }
  }

  bool accepts(std::span<const int64_t> ids) {
    const std::lock_guard lock(mutex_);
    const int32_t state = read(ids, {});
    return state != kDead && states_[static_cast<std::size_t>(state)].accepting;
  }

 private:
  // Where a rule returns to: a position and what is below; how many bytes are needed from there to the end.
  struct Frame {
    int32_t position, below, distance;
  };
  struct Item {
    int32_t position, frame;  // frame -1: nothing to return to
    friend auto operator<=>(const Item&, const Item&) = default;
  };
  struct Mask {
    std::vector<uint64_t> bits;
    int32_t nearest = kFar, farthest = 0;  // bytes from behind a token to the end, over all tokens
  };
  struct State {
    std::vector<Item> items;
    bool accepting = false;
    int32_t distance = 0;  // bytes to the nearest end
    std::array<int32_t, 256> next;
    std::unique_ptr<Mask> mask;
    std::optional<bool> goes_on;  // see goes_on()
  };
  struct ItemsHash {
    std::size_t operator()(const std::vector<Item>& items) const noexcept {
      uint64_t h = items.size();
      for (const Item& i : items) {
        h = (h ^ static_cast<uint32_t>(i.position)) * 0x9e3779b97f4a7c15u;
        h = (h ^ static_cast<uint32_t>(i.frame) ^ (h >> 29)) * 0xbf58476d1ce4e5b9u;
      }
      return h ^ (h >> 32);
    }
  };

  const Grammar::Element& at(int32_t position) const { return g_.elements[static_cast<std::size_t>(position)]; }
  int32_t least(int32_t position) const { return least_at_[static_cast<std::size_t>(position)]; }

  // The fewest bytes of `alphabet` from each position to the end of its rule.
  void measure(const std::bitset<256>& alphabet) {
    least_of_rule_.assign(g_.rules.size(), kFar);
    least_at_.assign(g_.elements.size(), 0);
    std::vector<int32_t> rule_of(g_.elements.size(), -1);
    for (std::size_t r = 0; r < g_.rules.size(); ++r) {
      for (const int32_t p : g_.rules[r]) rule_of[static_cast<std::size_t>(p)] = static_cast<int32_t>(r);
    }
    std::vector<bool> reachable;
    for (const auto& set : g_.sets) reachable.push_back((set & alphabet).any());
    for (bool changed = true; changed;) {
      changed = false;
      for (std::size_t p = g_.elements.size(); p-- > 0;) {
        const Grammar::Element& e = g_.elements[p];
        int32_t bytes = 0;
        if (e.kind == Grammar::Element::Kind::bytes) {
          bytes = sum(reachable[static_cast<std::size_t>(e.value)] ? 1 : kFar, least_at_[p + 1]);
        } else if (e.kind == Grammar::Element::Kind::call) {
          bytes = sum(least_of_rule_[static_cast<std::size_t>(e.value)], least_at_[p + 1]);
        }
        least_at_[p] = bytes;
        if (rule_of[p] >= 0 && bytes < least_of_rule_[static_cast<std::size_t>(rule_of[p])]) {
          least_of_rule_[static_cast<std::size_t>(rule_of[p])] = bytes;
          changed = true;
        }
      }
    }
  }

  void forget() {
    states_.clear(), numbers_.clear(), frames_.clear(), frame_numbers_.clear();
    mask_bytes_ = 0;
    closure_.clear(), seen_.clear();
    accepting_ = false;
    for (const int32_t p : g_.rules[static_cast<std::size_t>(g_.root)]) open(p, -1);
    start_ = finish_state();
  }

  int32_t frame(int32_t position, int32_t below) {
    const uint64_t key = static_cast<uint64_t>(static_cast<uint32_t>(position)) << 32 | static_cast<uint32_t>(below);
    const auto [found, is_new] = frame_numbers_.emplace(key, static_cast<int32_t>(frames_.size()));
    if (is_new) frames_.push_back({position, below, sum(least(position), distance_of(below))});
    return found->second;
  }
  int32_t distance_of(int32_t frame) const { return frame < 0 ? 0 : frames_[static_cast<std::size_t>(frame)].distance; }

  // Adds what can be read from a position on to the state that is being made.
  void open(int32_t position, int32_t frame_number) {
    work_.push_back({position, frame_number});
    while (!work_.empty()) {
      const Item item = work_.back();
      work_.pop_back();
      if (sum(least(item.position), distance_of(item.frame)) >= kFar) continue;
      if (!seen_
               .emplace(static_cast<uint64_t>(static_cast<uint32_t>(item.position)) << 32 |
                            static_cast<uint32_t>(item.frame),
                        true)
               .second) {
        continue;
      }
      if (seen_.size() > kMostItems) {
        throw Error(ErrorCode::limit, "the text can be read in too many ways at once", "constraint");
      }
      const Grammar::Element& e = at(item.position);
      switch (e.kind) {
        case Grammar::Element::Kind::bytes:
          closure_.push_back(item);
          break;
        case Grammar::Element::Kind::call: {
          // The last thing of a rule returns to where the rule does.
          const bool last = at(item.position + 1).kind == Grammar::Element::Kind::end;
          const int32_t below = last ? item.frame : frame(item.position + 1, item.frame);
          for (const int32_t p : g_.rules[static_cast<std::size_t>(e.value)]) work_.push_back({p, below});
          break;
        }
        case Grammar::Element::Kind::end:
          if (item.frame < 0) {
            accepting_ = true;
          } else {
            const Frame& f = frames_[static_cast<std::size_t>(item.frame)];
            work_.push_back({f.position, f.below});
          }
          break;
      }
    }
  }

  int32_t finish_state() {
    std::vector<Item> items = std::move(closure_);
    closure_.clear(), seen_.clear();
    const bool accepting = std::exchange(accepting_, false);
    if (items.empty() && !accepting) return kDead;
    std::sort(items.begin(), items.end());
    // One that accepts is another state than one that does not.
    if (accepting) items.push_back({-1, -1});
    const auto found = numbers_.find(items);
    if (found != numbers_.end()) return found->second;
    State state;
    state.accepting = accepting;
    state.distance = accepting ? 0 : kFar;
    state.next.fill(kUnknown);
    for (const Item& i : items) {
      if (i.position >= 0) state.distance = std::min(state.distance, sum(least(i.position), distance_of(i.frame)));
    }
    const auto number = static_cast<int32_t>(states_.size());
    numbers_.emplace(items, number);
    state.items = std::move(items);
    states_.push_back(std::move(state));
    return number;
  }

  int32_t next(int32_t state, uint8_t byte) {
    const int32_t known = states_[static_cast<std::size_t>(state)].next[byte];
    if (known != kUnknown) return known;
    const std::vector<Item>& items = states_[static_cast<std::size_t>(state)].items;
    for (const Item& i : items) {
      if (i.position >= 0 && g_.sets[static_cast<std::size_t>(at(i.position).value)][byte])
        open(i.position + 1, i.frame);
    }
    const int32_t made = finish_state();
    states_[static_cast<std::size_t>(state)].next[byte] = made;
    return made;
  }

  // The state behind ids; dead behind an end.
  int32_t read(std::span<const int64_t> ids, std::span<const int64_t> eos) {
    int32_t state = start_;
    for (const int64_t id : ids) {
      const bool known = id >= 0 && static_cast<std::size_t>(id) < texts_.size();
      if (!known || texts_[static_cast<std::size_t>(id)].empty() ||
          std::find(eos.begin(), eos.end(), id) != eos.end()) {
        return kDead;
      }
      for (const char c : texts_[static_cast<std::size_t>(id)]) {
        state = next(state, static_cast<uint8_t>(c));
        if (state == kDead) return kDead;
      }
    }
    return state;
  }

  // Whether the text may end here, or any token may follow.
  bool goes_on(int32_t state) {
    if (states_[static_cast<std::size_t>(state)].accepting) return true;
    if (const auto known = states_[static_cast<std::size_t>(state)].goes_on; known) return *known;
    std::vector<int32_t> path(static_cast<std::size_t>(tree_.deepest) + 1);
    path[0] = state;
    bool any = false;
    for (std::size_t i = 0; i < tree_.nodes.size() && !any;) {
      const TokenTree::Node& node = tree_.nodes[i];
      const int32_t here = next(path[static_cast<std::size_t>(node.depth) - 1], node.byte);
      path[static_cast<std::size_t>(node.depth)] = here;
      any = here != kDead && node.tokens > 0;
      i = here == kDead ? static_cast<std::size_t>(node.after) : i + 1;
    }
    states_[static_cast<std::size_t>(state)].goes_on = any;
    return any;
  }

  // The tokens behind which the end is at most `far` bytes away.
  Mask walk(int32_t state, int64_t far) {
    Mask mask;
    mask.bits.assign((texts_.size() + 63) / 64, 0);
    path_.resize(static_cast<std::size_t>(tree_.deepest) + 1);
    path_[0] = state;
    const auto count = static_cast<int32_t>(tree_.nodes.size());
    for (int32_t i = 0; i < count;) {
      const TokenTree::Node& node = tree_.nodes[static_cast<std::size_t>(i)];
      const int32_t here = next(path_[static_cast<std::size_t>(node.depth) - 1], node.byte);
      if (here == kDead) {
        i = node.after;
        continue;
      }
      path_[static_cast<std::size_t>(node.depth)] = here;
      if (node.tokens > 0) {
        const int32_t distance = states_[static_cast<std::size_t>(here)].distance;
        if (distance <= far && (bytes_suffice_ || goes_on(here))) {
          mask.nearest = std::min(mask.nearest, distance);
          mask.farthest = std::max(mask.farthest, distance);
          for (int32_t t = 0; t < node.tokens; ++t) {
            const auto id = static_cast<std::size_t>(tree_.ids[static_cast<std::size_t>(node.first_token + t)]);
            mask.bits[id / 64] |= uint64_t{1} << (id % 64);
          }
        }
      }
      ++i;
    }
    return mask;
  }

  const Mask& mask_of(int32_t state) {
    std::unique_ptr<Mask>& known = states_[static_cast<std::size_t>(state)].mask;
    if (known) return *known;
    if (mask_bytes_ > kMostMaskBytes) {
      for (State& s : states_) s.mask.reset();
      mask_bytes_ = 0;
    }
    auto made = std::make_unique<Mask>(walk(state, kFar));
    mask_bytes_ += made->bits.size() * 8;
    // The walk may have moved the states.
    std::unique_ptr<Mask>& place = states_[static_cast<std::size_t>(state)].mask;
    place = std::move(made);
    return *place;
  }

  const Grammar g_;
  const std::vector<std::string> texts_;
  const TokenTree tree_;
  std::vector<int32_t> least_of_rule_, least_at_;
  bool bytes_suffice_ = true;

  std::mutex mutex_;  // guards what follows
  std::vector<State> states_;
  std::unordered_map<std::vector<Item>, int32_t, ItemsHash> numbers_;
  std::vector<Frame> frames_;
  std::unordered_map<uint64_t, int32_t> frame_numbers_;
  std::size_t mask_bytes_ = 0;
  int32_t start_ = 0;
  // The state that is being made.
  std::vector<Item> closure_, work_;
  std::unordered_map<uint64_t, bool> seen_;
  bool accepting_ = false;
  std::vector<int32_t> path_;
};

Constraint::Constraint(Grammar grammar, const std::vector<std::string>& token_texts,
                       std::span<const int32_t> special_ids) {
  std::vector<std::string> texts = token_texts;
  for (const int32_t id : special_ids) {
    if (id >= 0 && static_cast<std::size_t>(id) < texts.size()) texts[static_cast<std::size_t>(id)].clear();
  }
  impl_ = std::make_unique<Impl>(std::move(grammar), std::move(texts));
}

Constraint::~Constraint() = default;

void Constraint::apply(std::span<const int64_t> ids, int64_t left, std::span<const int64_t> eos,
                       std::span<float> scores) const {
  impl_->apply(ids, left, eos, scores);
}

bool Constraint::accepts(std::span<const int64_t> ids) const { return impl_->accepts(ids); }

void ConstraintLogitsProcessor::process(std::span<const int64_t> input_ids, std::span<float> scores) const {
  const std::size_t prompt = std::min(input_ids.size(), static_cast<std::size_t>(prompt_length_));
  constraint_->apply(input_ids.subspan(prompt), max_length_ - static_cast<int64_t>(input_ids.size()), eos_, scores);
}

}  // namespace transformers
