// Implements io/weights.hpp.
#include "transformers/io/weights.hpp"

#include <algorithm>
#include <filesystem>
#include <map>
#include <numeric>
#include <unordered_map>

#include "transformers/base/error.hpp"
#include "transformers/base/value.hpp"

namespace transformers {
namespace {

namespace fs = std::filesystem;

// In the order of preference. An index names shards of the same format.
constexpr std::string_view kSafetensors = "model.safetensors", kTorch = "pytorch_model.bin";
constexpr std::string_view kNames[] = {kSafetensors, kTorch};
constexpr std::string_view kIndexEnding = ".index.json";

// Throws the error for a model without weights that are read: those in another format are named.
[[noreturn]] void no_weights(const ModelFiles& files, const std::string& where) {
  constexpr std::string_view kOthers[] = {"tf_model.h5", "flax_model.msgpack", "model.onnx"};
  for (const std::string_view name : kOthers) {
    if (!files.has(name)) continue;
    throw Error(ErrorCode::unsupported,
                "the weights are in " + quote(name) + ", a format that is not read: expected " +
                    std::string(kSafetensors) + " (Hugging Face's save_pretrained writes it)",
                where);
  }
  throw Error(ErrorCode::not_found,
              "no weights: looked for " + std::string(kSafetensors) + ", " + std::string(kTorch) + " and their " +
                  std::string(kIndexEnding),
              where);
}

// The Levenshtein distance of two names, or `limit` when it is not below that.
std::size_t edit_distance(std::string_view a, std::string_view b, std::size_t limit) {
  if (std::max(a.size(), b.size()) - std::min(a.size(), b.size()) >= limit) return limit;
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] != b[j]);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, diagonal + 1, row[j] + 1});
    }
    if (*std::ranges::min_element(row) >= limit) return limit;
  }
  return std::min(row.back(), limit);
}

}  // namespace

std::shared_ptr<const WeightSource> WeightSource::open(const ModelFiles& files) {
  std::shared_ptr<WeightSource> source(new WeightSource);
  source->where_ = files.directory().empty() ? "files in memory" : files.directory();
  const auto add_whole = [&](const std::string& name) {
    source->add_file(files, name);
    const WeightFile* file = source->shards_.back().get();
    for (std::size_t i = 0; i < file->entries().size(); ++i) source->weights_.push_back({file, i});
  };
  const std::string gguf = fs::path(source->where_).filename().string();
  if (gguf.ends_with(".gguf") && files.has(gguf)) {  // the model is that file
    add_whole(gguf);
  } else {
    const auto indexed = [](std::string_view name) { return std::string(name) + std::string(kIndexEnding); };
    const auto* name =
        std::ranges::find_if(kNames, [&](std::string_view n) { return files.has(n) || files.has(indexed(n)); });
    if (name == std::end(kNames)) no_weights(files, source->where_);
    if (files.has(*name)) {
      add_whole(std::string(*name));
    } else {
      source->add_shards(files, indexed(*name));
    }
  }
  std::ranges::sort(source->weights_, {}, [](const Weight& w) -> const std::string& { return w.entry().name; });
  for (const Weight& w : source->weights_) {
    source->total_bytes_ += static_cast<int64_t>(dtype_bytes(w.entry().dtype, element_count(w.entry().shape)));
  }
  return source;
}

void WeightSource::add_file(const ModelFiles& files, const std::string& name) {
  const auto open_file = name.ends_with(".bin")    ? open_torch_file
                         : name.ends_with(".gguf") ? open_gguf_file
                                                   : open_safetensors_file;
  shards_.push_back(open_file(files.open(name), files.where(name)));
  files_.push_back(name);
}

// The index reads {"metadata": ..., "weight_map": {"tensor name": "file name", ...}}. It decides: a tensor that a shard
// holds beyond it is passed over.
void WeightSource::add_shards(const ModelFiles& files, const std::string& index_name) {
  const std::string where = files.where(index_name);
  const Value index = parse_json(files.read_text(index_name), where);
  const Value* map = index.find("weight_map");
  if (!map || !map->is_object() || map->as_object().empty()) {
    throw Error(ErrorCode::corrupt_file, "expected an object \"weight_map\" with the shard of each tensor", where);
  }
  struct Shard {
    const WeightFile* file = nullptr;
    std::unordered_map<std::string_view, std::size_t> index_of;  // by the names of its tensors
  };
  std::map<std::string, Shard, std::less<>> shards;
  for (const auto& [tensor, shard] : map->as_object()) {
    if (!shard.is_string()) {
      throw Error(ErrorCode::corrupt_file, "weight_map: the shard of " + quote(tensor) + " must be a string", where);
    }
    shards.try_emplace(shard.as_string());
  }
  std::string absent;
  for (const auto& [name, unused] : shards) {
    try {
      if (name.find('/') != name.npos) {
        throw Error(ErrorCode::security, "shard " + quote(name) + " is not in the model directory itself");
      }
      files.check_inside(name);
    } catch (const Error& error) {
      throw Error(error.code(), "weight_map: " + error.message(), where);
    }
    if (!files.has(name)) absent += (absent.empty() ? "" : ", ") + name;
  }
  if (!absent.empty()) {
    throw Error(ErrorCode::not_found, "shards [" + absent + "] named in the index are absent (incomplete download?)",
                where);
  }
  for (auto& [name, shard] : shards) {
    add_file(files, name);
    shard.file = shards_.back().get();
    for (std::size_t i = 0; i < shard.file->entries().size(); ++i) {
      shard.index_of.emplace(shard.file->entries()[i].name, i);
    }
  }
  for (const auto& [tensor, shard_name] : map->as_object()) {
    const Shard& shard = shards.find(shard_name.as_string())->second;
    const auto found = shard.index_of.find(tensor);
    if (found == shard.index_of.end()) {
      throw Error(ErrorCode::corrupt_file,
                  "tensor " + quote(tensor) + " is not in " + shard_name.as_string() + " as the index says", where);
    }
    weights_.push_back({shard.file, found->second});
  }
}

const WeightSource::Weight* WeightSource::locate(std::string_view name) const noexcept {
  const auto found = std::lower_bound(weights_.begin(), weights_.end(), name,
                                      [](const Weight& w, std::string_view n) { return w.entry().name < n; });
  return found != weights_.end() && found->entry().name == name ? &*found : nullptr;
}

std::optional<Tensor> WeightSource::find(std::string_view name) const {
  const Weight* weight = locate(name);
  if (!weight) return std::nullopt;
  return weight->file->tensor(weight->index);
}

const WeightFile::Entry* WeightSource::entry(std::string_view name) const noexcept {
  const Weight* weight = locate(name);
  return weight ? &weight->entry() : nullptr;
}

std::vector<std::string> WeightSource::names() const {
  std::vector<std::string> names;
  names.reserve(weights_.size());
  for (const Weight& weight : weights_) names.push_back(weight.entry().name);
  return names;
}

std::string WeightSource::where(std::string_view name) const {
  const Weight* weight = locate(name);
  return weight ? weight->file->name() + ": " + std::string(name) : where_;
}

std::string WeightSource::nearest(std::string_view name) const {
  constexpr std::size_t kMaxNames = 20'000, kMaxLength = 200;
  if (name.size() > kMaxLength) return {};
  // Closer than half of the name, else the suggestion helps nobody.
  std::size_t best = name.size() / 2 + 1;
  std::string_view found;
  for (std::size_t i = 0; i < std::min(weights_.size(), kMaxNames); ++i) {
    const std::string& candidate = weights_[i].entry().name;
    const std::size_t distance = edit_distance(name, candidate, best);
    if (distance < best) {
      best = distance;
      found = candidate;
    }
  }
  return std::string(found);
}

void WeightSource::release(const Tensor& tensor) const noexcept {
  const std::span<const std::byte> part(static_cast<const std::byte*>(tensor.raw()), tensor.bytes());
  // Each file lets go of what lies within its own mapping.
  for (const auto& shard : shards_) shard->file().release(part);
}

}  // namespace transformers
