// Implements generation/streamers.hpp.
#include "transformers/generation/streamers.hpp"

namespace transformers {

BaseStreamer::~BaseStreamer() = default;

void BaseStreamer::end(int64_t) {}

bool TextStreamer::put(int64_t, std::span<const int64_t> ids) {
  if (!started_ && skip_prompt_) {
    started_ = true;
    return true;
  }
  started_ = true;
  for (const int64_t id : ids) {
    ids_.push_back(id);
    if (!flush(false)) return false;
  }
  return true;
}

void TextStreamer::end(int64_t) {
  flush(true);
  ids_.clear(), given_ = 0, started_ = false;
}

// The text of a token depends on what stands before it (spaces), so tokens are decoded together with those of the piece
// before, whose text is then taken off again.
bool TextStreamer::flush(bool all) {
  constexpr std::string_view kIncomplete = "\xEF\xBF\xBD";  // U+FFFD: the bytes of a character have not all come
  const std::string before = decode_(std::span(ids_).first(given_));
  const std::string text = decode_(ids_);
  if (text.size() <= before.size() || (!all && text.ends_with(kIncomplete))) return true;
  const bool go_on = on_text_(std::string_view(text).substr(before.size()));
  ids_.erase(ids_.begin(), ids_.begin() + static_cast<std::ptrdiff_t>(given_));
  given_ = ids_.size();
  return go_on;
}

}  // namespace transformers
