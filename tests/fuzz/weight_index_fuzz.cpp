// What it is: fuzzing of model.safetensors.index.json and pytorch_model.bin.index.json: any bytes must give an Error or
// a source whose tensors lie in the shards beside it. Usage: see driver.hpp; the corpus is
// tests/data/models/*/*/model.safetensors.index.json.
#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>

#include "driver.hpp"
#include "transformers/base/error.hpp"
#include "transformers/io/weights.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace transformers;
  const std::string header = R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})";
  std::string shard(8, '\0');
  shard[0] = static_cast<char>(header.size());
  shard += header + "x";
  for (const char* name : {"model.safetensors.index.json", "pytorch_model.bin.index.json"}) {
    std::map<std::string, std::string> files{{name, std::string(reinterpret_cast<const char*>(data), size)},
                                             {"model-00001-of-00003.safetensors", shard},
                                             {"one.safetensors", shard}};
    try {
      const auto source = WeightSource::open(*ModelFiles::from_memory(std::move(files)));
      for (const std::string& tensor : source->names()) {
        if (tensor != "a" || source->find(tensor)->bytes() != 1) std::abort();
      }
    } catch (const Error& error) {
      if (error.code() == ErrorCode::internal || error.where().empty()) std::abort();
    }
  }
  return 0;
}
