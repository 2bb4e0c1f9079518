// Implements nn/weights.hpp.
#include "transformers/nn/weights.hpp"

namespace transformers {

WeightVisitor::~WeightVisitor() = default;

std::string WeightVisitor::full_name(std::string_view name) const {
  if (name.starts_with('/')) return std::string(name.substr(1));
  return prefix_ + std::string(name);
}

std::size_t WeightVisitor::push(std::string_view name) {
  const std::size_t length = prefix_.size();
  if (!name.empty()) {
    prefix_ += name;
    prefix_ += '.';
  }
  return length;
}

}  // namespace transformers
