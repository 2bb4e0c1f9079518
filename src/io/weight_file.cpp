// Implements io/weight_file.hpp but for the formats that have a file of their own.
#include "transformers/io/weight_file.hpp"

#include <algorithm>
#include <string_view>

#include "transformers/base/error.hpp"
#include "transformers/base/value.hpp"
#include "transformers/io/safetensors.hpp"

namespace transformers {
namespace {

class SafetensorsWeights final : public WeightFile {
 public:
  SafetensorsWeights(const std::shared_ptr<const MappedFile>& file, const std::string& name)
      : WeightFile(file, name), safetensors_(SafetensorsFile::from_file(file, name)) {
    for (const auto& entry : safetensors_->entries()) entries_.push_back({entry.name, entry.dtype, entry.shape});
  }
  Tensor tensor(std::size_t index) const override { return safetensors_->tensor(safetensors_->entries()[index]); }

 private:
  std::shared_ptr<const SafetensorsFile> safetensors_;
};

}  // namespace

WeightFile::~WeightFile() = default;

void WeightFile::check_names() const {
  std::vector<std::string_view> names;
  for (const Entry& entry : entries_) names.push_back(entry.name);
  std::ranges::sort(names);
  const auto twice = std::ranges::adjacent_find(names);
  if (twice != names.end()) throw Error(ErrorCode::corrupt_file, "duplicate tensor " + quote(*twice), name_);
}

std::shared_ptr<const WeightFile> open_safetensors_file(std::shared_ptr<const MappedFile> file, std::string name) {
  return std::make_shared<SafetensorsWeights>(file, name);
}

}  // namespace transformers
