// What it is: streamers, who are told of tokens as they are made, and TextStreamer, which turns them into text.
// Where it stands: generation; a request carries one. Called in the thread that runs the engine.
// Usage: `TextStreamer streamer(decode, [](std::string_view piece) { std::fwrite(piece.data(), 1, piece.size(),
// stdout);
//         return true; });`
// Source: transformers/generation/streamers.py (5.23). Difference: text is given away as soon as it is certain, not at
//   the end of a word.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "transformers/base/export.hpp"
#include "transformers/base/function.hpp"

namespace transformers {

class TCPP_API BaseStreamer {
 public:
  virtual ~BaseStreamer();
  // New tokens of the request's sequence `sequence`, the prompt first. False ends the request as an end of sequence
  // would. What it throws ends the request with that error.
  virtual bool put(int64_t sequence, std::span<const int64_t> ids) = 0;
  // The sequence is complete.
  virtual void end(int64_t sequence);
};

// For requests of one sequence. Pieces are whole characters, and all of them together are the text of all tokens.
class TCPP_API TextStreamer : public BaseStreamer {
 public:
  using Decode = Function<std::string(std::span<const int64_t> ids)>;
  using OnText = Function<bool(std::string_view piece)>;
  TextStreamer(Decode decode, OnText on_text, bool skip_prompt = true)
      : decode_(std::move(decode)), on_text_(std::move(on_text)), skip_prompt_(skip_prompt) {}
  bool put(int64_t sequence, std::span<const int64_t> ids) override;
  void end(int64_t sequence) override;

 private:
  bool flush(bool all);

  Decode decode_;
  OnText on_text_;
  bool skip_prompt_;
  std::vector<int64_t> ids_;  // those whose text may still change, behind some that give it its place
  std::size_t given_ = 0;     // of them, those whose text has been given away
  bool started_ = false;
};

}  // namespace transformers
