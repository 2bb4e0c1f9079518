// What it is: the one exception type of the library, and the checks that throw it.
// Where it stands: base; everything above reports bad input through it. The library never prints, aborts or exits.
// Usage: `throw Error(ErrorCode::corrupt_file, "header length 9 exceeds the file", "model.safetensors");`
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include "transformers/base/export.hpp"

namespace transformers {

enum class ErrorCode {
  invalid_argument,  // the caller's value is wrong
  not_found,         // a file, tensor, key or name is absent
  unsupported,       // well-formed, but nothing here handles it
  corrupt_file,      // a file contradicts its format or itself
  security,          // refused because it could do harm (path leaving the model directory, ...)
  limit,             // larger than what is allowed or what the model can take
  io,                // the operating system failed to read or write
  out_of_memory,
  cancelled,  // a cancel token was set
  internal,   // a fault of the library itself
};

// The name of a code as written above, e.g. "corrupt_file".
TCPP_API std::string_view to_string(ErrorCode code) noexcept;

// what() is "<message> (<where>)", or "<message>" when `where` is empty: what was expected and what was found, then the
// file, tensor, key or option concerned. The command line prints it after "error: ".
class TCPP_API Error : public std::runtime_error {
 public:
  Error(ErrorCode code, std::string message, std::string where = {});
  ~Error() override;

  ErrorCode code() const noexcept { return code_; }
  const std::string& message() const noexcept { return message_; }
  const std::string& where() const noexcept { return where_; }

 private:
  ErrorCode code_;
  std::string message_;
  std::string where_;
};

// Throws Error(invalid_argument) unless `ok`. For messages that need formatting, test and throw by hand.
inline void check_argument(bool ok, const char* message, std::string_view where = {}) {
  if (!ok) throw Error(ErrorCode::invalid_argument, message, std::string(where));
}

}  // namespace transformers
