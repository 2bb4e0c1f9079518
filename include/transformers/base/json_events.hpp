// What it is: reading JSON as a stream of events, for files too large to build as a Value first.
// Where it stands: base; parse_json, safetensors headers and tokenizer.json are read through it.
// Usage: `struct Counter : JsonEvents { ... }; Counter counter; read_json(text, "tokenizer.json", counter);`
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "transformers/base/export.hpp"

namespace transformers {

// Receives the parts of one JSON text in order. A handler stops the reading by throwing Error. The strings may be moved
// from.
class TCPP_API JsonEvents {
 public:
  virtual ~JsonEvents();
  virtual void null() = 0;
  virtual void boolean(bool value) = 0;
  virtual void integer(int64_t value) = 0;
  // Any other number, with how it is written; integers beyond 64 bits too.
  virtual void number(double value, std::string_view text) = 0;
  virtual void string(std::string& value) = 0;
  virtual void start_array() = 0;
  virtual void end_array() = 0;
  virtual void start_object() = 0;
  virtual void key(std::string& name) = 0;
  virtual void end_object() = 0;

  // Bytes read so far: just behind the part being reported (behind the character after it, for numbers).
  std::size_t offset = 0;
};

// Refused, with Error(corrupt_file) giving the byte offset and `where`: anything but one JSON text, NaN and Infinity
// literals, numbers beyond float64, invalid UTF-8, more than 128 levels. Duplicate keys are for the handler to refuse.
TCPP_API void read_json(std::string_view text, std::string_view where, JsonEvents& events);

}  // namespace transformers
