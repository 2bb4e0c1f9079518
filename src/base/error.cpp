// Implements base/error.hpp and base/export.hpp. Out of line so that the vtable and type_info of Error exist once,
// which catching it across a shared library's border needs.
#include "transformers/base/error.hpp"

#include <utility>

namespace transformers {
namespace {

std::string join(const std::string& message, const std::string& where) {
  return where.empty() ? message : message + " (" + where + ")";
}

}  // namespace

const char* version() noexcept { return TCPP_VERSION_STRING; }

std::string_view to_string(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::invalid_argument:
      return "invalid_argument";
    case ErrorCode::not_found:
      return "not_found";
    case ErrorCode::unsupported:
      return "unsupported";
    case ErrorCode::corrupt_file:
      return "corrupt_file";
    case ErrorCode::security:
      return "security";
    case ErrorCode::limit:
      return "limit";
    case ErrorCode::io:
      return "io";
    case ErrorCode::out_of_memory:
      return "out_of_memory";
    case ErrorCode::cancelled:
      return "cancelled";
    case ErrorCode::internal:
      return "internal";
  }
  return "unknown";
}

Error::Error(ErrorCode code, std::string message, std::string where)
    : std::runtime_error(join(message, where)), code_(code), message_(std::move(message)), where_(std::move(where)) {}

Error::~Error() = default;

}  // namespace transformers
