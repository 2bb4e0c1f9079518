// Tests io/safetensors.hpp: what is read and written, and rows S1-S14 of the hostile inputs: each is refused with one
// error that names file and tensor, and nothing worse happens.
#include "transformers/io/safetensors.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cstring>

#include "support.hpp"
#include "transformers/base/value.hpp"

namespace transformers {
namespace {

using test::TemporaryDirectory;
namespace fs = std::filesystem;

// A file with this header and this many bytes of data: 0, 1, 2 ...
std::string file_with(const std::string& header, std::size_t data_bytes = 0) {
  std::string file(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) file[i] = static_cast<char>(header.size() >> (8 * i));
  file += header;
  for (std::size_t i = 0; i < data_bytes; ++i) file += static_cast<char>(i);
  return file;
}

std::string tensor_json(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return "{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":" + offsets + "}";
}

std::shared_ptr<const SafetensorsFile> load(std::string content) {
  const auto owner = std::make_shared<const std::string>(std::move(content));
  return SafetensorsFile::from_buffer(std::as_bytes(std::span<const char>(*owner)), owner, "x.safetensors");
}

// The file `header` + data is refused with this message.
void refused(const std::string& header, std::size_t data_bytes, const std::string& message,
             ErrorCode code = ErrorCode::corrupt_file) {
  EXPECT_ERROR(code, message + " (x.safetensors)", load(file_with(header, data_bytes)));
}

// The one tensor "t" is refused.
void refused_tensor(const std::string& dtype, const std::string& shape, const std::string& offsets,
                    std::size_t data_bytes, const std::string& message, ErrorCode code = ErrorCode::corrupt_file) {
  refused("{\"t\":" + tensor_json(dtype, shape, offsets) + "}", data_bytes, message, code);
}

const std::string kSmall = "{\"__metadata__\":{\"format\":\"pt\"},\"b\":" + tensor_json("F32", "[2,2]", "[0,16]") +
                           ",\"a\":" + tensor_json("I8", "[3]", "[16,19]") + "}";

TEST(Safetensors, ReadsTensorsAndMetadata) {
  const TemporaryDirectory directory;
  const fs::path path = directory.write("model.safetensors", file_with(kSmall, 19));
  for (const MapMode mode : {MapMode::automatic, MapMode::read}) {
    const auto file = SafetensorsFile::open(path, mode);
    EXPECT_EQ(file->names(), (std::vector<std::string>{"b", "a"}));
    EXPECT_TRUE(file->contains("a"));
    EXPECT_FALSE(file->contains("c"));
    EXPECT_EQ(file->metadata(), (std::map<std::string, std::string>{{"format", "pt"}}));
    EXPECT_EQ(file->name(), path.string());
    const Tensor b = file->tensor("b");
    EXPECT_EQ(b.dtype(), DType::f32);
    EXPECT_EQ(b.shape(), (Shape{2, 2}));
    // The bytes of the file itself, not a copy.
    EXPECT_EQ(b.raw(), file->file().bytes().data() + 8 + kSmall.size());
    EXPECT_EQ(file->tensor("a").data<int8_t>()[2], 18);
    EXPECT_ERROR(ErrorCode::not_found, "no tensor \"c\" (" + path.string() + ")", file->tensor("c"));
  }
}

TEST(Safetensors, TensorsKeepTheFileAlive) {
  const TemporaryDirectory directory;
  const fs::path path = directory.write("model.safetensors", file_with(kSmall, 19));
  Tensor tensor;
  {
    const auto file = SafetensorsFile::open(path);
    tensor = file->tensor("a");
  }
  fs::remove(path);
  EXPECT_EQ(tensor.data<int8_t>()[0], 16);
}

TEST(Safetensors, ReadsAFileWithoutTensors) {
  EXPECT_TRUE(load(file_with("{}"))->names().empty());
  EXPECT_TRUE(load(file_with("{\"__metadata__\":null}"))->metadata().empty());
  EXPECT_TRUE(load(file_with("{\"__metadata__\":{}}"))->metadata().empty());
}

TEST(Safetensors, S1_ShorterThanTheHeaderLength) {
  EXPECT_ERROR(ErrorCode::corrupt_file, "0 bytes, shorter than the 8-byte header length (x.safetensors)", load(""));
  EXPECT_ERROR(ErrorCode::corrupt_file, "5 bytes, shorter than the 8-byte header length (x.safetensors)",
               load("12345"));
}

TEST(Safetensors, S2_HeaderOverTheLimit) {
  const TemporaryDirectory directory;
  const std::size_t length = 100'000'001;
  std::string start(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) start[i] = static_cast<char>(length >> (8 * i));
  const fs::path path = directory.write("x", start);
  fs::resize_file(path, length + 8);  // a hole: takes no room on the disk
  EXPECT_ERROR(ErrorCode::limit, "header length 100000001 exceeds the limit of 100000000 (" + path.string() + ")",
               SafetensorsFile::open(path));
}

TEST(Safetensors, S3_HeaderBeyondTheFile) {
  EXPECT_ERROR(ErrorCode::corrupt_file,
               "the header needs 18446744073709551615 bytes, the file has 2 (incomplete download?) (x.safetensors)",
               load(std::string(8, '\xFF') + "{}"));
  EXPECT_ERROR(ErrorCode::corrupt_file,
               "the header needs 3 bytes, the file has 2 (incomplete download?) (x.safetensors)",
               load(std::string("\x03\0\0\0\0\0\0\0{}", 10)));
}

TEST(Safetensors, S4_HeaderIsNotJson) {
  const auto refused_json = [](const std::string& header, const std::string& message) {
    EXPECT_ERROR(ErrorCode::corrupt_file, "not valid JSON at byte " + message + " (x.safetensors, header)",
                 load(file_with(header)));
  };
  refused_json("", "0: unexpected end of input");
  refused_json("{\"a", "3: invalid string: missing closing quote");
  refused_json("{\"\xFF\":1}", "2: invalid string: ill-formed UTF-8 byte");
  refused_json("{} x", "3: invalid literal");
  refused_json(std::string("{}\0", 3), "2: a NUL byte");
  refused("[]", 0, "the header must be a JSON object");
  refused("null", 0, "the header must be a JSON object");
  refused("3", 0, "the header must be a JSON object");
  // Spaces around it are fine, as to the reference implementation.
  EXPECT_EQ(load(file_with(" \n{\"t\":" + tensor_json("I8", "[1]", "[0,1]") + "}\t  ", 1))->names().size(), 1u);
}

TEST(Safetensors, S5_SizesThatAreNoNaturalNumbers) {
  const std::string expected = "tensor \"t\": shape[1] must be a non-negative integer";
  for (const char* number :
       {"-1", "1.0", "1e2", "9223372036854775808", "1e300", "\"2\"", "null", "true", "[1]", "{}"}) {
    refused_tensor("I8", "[2," + std::string(number) + "]", "[0,2]", 2, expected);
  }
  refused_tensor("I8", "[" + std::string(300, '9') + "]", "[0,2]", 2,
                 "tensor \"t\": shape[0] must be a non-negative integer");
  EXPECT_ERROR(ErrorCode::corrupt_file, "not valid JSON at byte 10027: number out of range (x.safetensors, header)",
               load(file_with("{\"t\":" + tensor_json("I8", "[" + std::string(10000, '9') + "]", "[0,2]") + "}", 2)));
  refused_tensor("I8", "[2]", "[0,2.0]", 2, "tensor \"t\": data_offsets[1] must be a non-negative integer");
  refused_tensor("I8", "[2]", "[0]", 2, "tensor \"t\": data_offsets must be two numbers, found 1");
  refused_tensor("I8", "[2]", "[0,1,2]", 2, "tensor \"t\": data_offsets must be two numbers, found 3");
  refused_tensor("I8", "2", "[0,2]", 2, "tensor \"t\": shape must be a list of numbers");
  refused_tensor("I8", "[2]", "{}", 2, "tensor \"t\": data_offsets must be a list of numbers");
  refused("{\"t\":{\"dtype\":[],\"shape\":[],\"data_offsets\":[0,0]}}", 0, "tensor \"t\": dtype must be a string");
  refused("{\"t\":[]}", 0, "tensor \"t\" must be an object");
  refused("{\"t\":null}", 0, "tensor \"t\" must be an object");
  refused("{\"t\":{}}", 0, "tensor \"t\" has no dtype");
  refused("{\"t\":{\"dtype\":\"F32\",\"shape\":[]}}", 4, "tensor \"t\" has no data_offsets");
  // Unknown members are passed over, however deep, up to the limit of all JSON.
  const auto with_member = [](const std::string& member) {
    return file_with("{\"t\":{\"x\":" + member + ",\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1);
  };
  for (const char* member : {"1", "-1.5", "null", "true", "\"s\"", "[1,[{\"dtype\":3}]]", "{\"shape\":{\"x\":[]}}"}) {
    EXPECT_EQ(load(with_member(member))->tensor("t").size(), 1) << member;
  }
  EXPECT_ERROR(ErrorCode::corrupt_file, "not valid JSON at byte 136: more than 128 levels (x.safetensors, header)",
               load(with_member(std::string(200, '[') + std::string(200, ']'))));
}

TEST(Safetensors, S6_DuplicateTensors) {
  const std::string t = "\"t\":" + tensor_json("I8", "[1]", "[0,1]");
  const std::string u = "\"t\":" + tensor_json("I8", "[1]", "[1,2]");
  refused("{" + t + "," + u + "}", 2, "duplicate tensor \"t\"");
  refused("{\"t\":{\"dtype\":\"I8\",\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
          "tensor \"t\" has the key \"dtype\" twice");
}

TEST(Safetensors, S7_UnknownTypes) {
  refused_tensor("F4X", "[1]", "[0,1]", 1, "dtype \"F4X\" of tensor \"t\"", ErrorCode::unsupported);
  refused_tensor("", "[1]", "[0,1]", 1, "dtype \"\" of tensor \"t\"", ErrorCode::unsupported);
}

TEST(Safetensors, S8_SizesThatOverflow) {
  refused_tensor("I8", "[4294967296,4294967296]", "[0,0]", 0,
                 "the size of tensor \"t\" overflows: shape [4294967296, 4294967296]");
  refused_tensor("F32", "[4611686018427387904]", "[0,0]", 0,
                 "the size of tensor \"t\" overflows: shape [4611686018427387904]");
  refused_tensor("F32", "[4294967296,4294967296,0]", "[0,0]", 0,
                 "the size of tensor \"t\" overflows: shape [4294967296, 4294967296, 0]");
  refused_tensor("I8", "[9223372036854775807]", "[0,9223372036854775807]", 0,
                 "tensor \"t\": data_offsets [0, 9223372036854775807] reach beyond the 0 bytes of data "
                 "(incomplete download?)");
}

TEST(Safetensors, S9_OffsetsThatDoNotFillTheData) {
  const std::string tensor = "tensor \"t\": data_offsets ";
  refused_tensor("I8", "[1]", "[2,1]", 2, tensor + "[2, 1] end before they begin");
  refused_tensor("I8", "[3]", "[0,3]", 2, tensor + "[0, 3] reach beyond the 2 bytes of data (incomplete download?)");
  refused_tensor("I8", "[1]", "[1,2]", 2, tensor + "[1, 2] leave a hole of 1 bytes before them");
  refused_tensor("I8", "[1]", "[0,1]", 4, "3 bytes follow the last tensor");
  refused("{}", 1, "1 bytes follow the last tensor");
  const auto two = [](const std::string& first, const std::string& second) {
    return "{\"b\":" + tensor_json("I8", "[2]", first) + ",\"a\":" + tensor_json("I8", "[2]", second) + "}";
  };
  refused(two("[0,2]", "[1,3]"), 3, "tensor \"a\": data_offsets [1, 3] overlap those of tensor \"b\"");
  refused(two("[0,2]", "[0,2]"), 2, "tensor \"a\": data_offsets [0, 2] overlap those of tensor \"b\"");
  refused(two("[3,5]", "[0,2]"), 5, "tensor \"b\": data_offsets [3, 5] leave a hole of 1 bytes before them");
  EXPECT_EQ(load(file_with(two("[2,4]", "[0,2]"), 4))->names(), (std::vector<std::string>{"a", "b"}));
}

TEST(Safetensors, S10_SizeThatContradictsTheShape) {
  refused_tensor("F16", "[2,3]", "[0,10]", 10, "tensor \"t\": shape [2, 3] F16 needs 12 bytes, data_offsets give 10");
  refused_tensor("I64", "[]", "[0,4]", 4, "tensor \"t\": shape [] I64 needs 8 bytes, data_offsets give 4");
  refused_tensor("I64", "[0]", "[0,8]", 8, "tensor \"t\": shape [0] I64 needs 0 bytes, data_offsets give 8");
}

TEST(Safetensors, S11_MetadataThatIsNoStringMap) {
  for (const char* metadata : {"[]", "3", "\"x\"", "true", "{\"a\":1}", "{\"a\":null}", "{\"a\":[]}", "{\"a\":{}}"}) {
    refused("{\"__metadata__\":" + std::string(metadata) + "}", 0, "__metadata__ must be an object of strings");
  }
  refused("{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}", 0, "duplicate key \"a\" in __metadata__");
  refused("{\"__metadata__\":{},\"__metadata__\":{}}", 0, "duplicate key \"__metadata__\"");
}

TEST(Safetensors, S12_RanksAndAlignment) {
  EXPECT_EQ(load(file_with("{\"t\":" + tensor_json("F32", "[]", "[0,4]") + "}", 4))->tensor("t").size(), 1);
  const Tensor empty = load(file_with("{\"t\":" + tensor_json("F32", "[3,0]", "[0,0]") + "}"))->tensor("t");
  EXPECT_TRUE(empty.empty());
  EXPECT_TRUE(empty.defined());
  const auto ones = [](int rank) {
    std::string shape = "[1";
    for (int i = 1; i < rank; ++i) shape += ",1";
    return shape + "]";
  };
  EXPECT_EQ(load(file_with("{\"t\":" + tensor_json("I8", ones(64), "[0,1]") + "}", 1))->tensor("t").rank(), 64u);
  refused_tensor("I8", ones(65), "[0,1]", 1, "tensor \"t\" has more than 64 dimensions");
  // An odd header length and an odd offset: read through a copy, whatever the buffer's own address.
  const std::string odd =
      "{\"a\":" + tensor_json("I8", "[1]", "[0,1]") + ",\"b\":" + tensor_json("I64", "[1]", "[1,9]") + "}";
  int unaligned = 0;
  for (int spaces = 0; spaces < 8; ++spaces) {
    const auto file = load(file_with(odd + std::string(static_cast<std::size_t>(spaces), ' '), 9));
    const Tensor b = file->tensor("b");
    unaligned += b.aligned() ? 0 : 1;
    EXPECT_EQ(b.to_aligned().data<int64_t>()[0], 0x0807060504030201);
  }
  EXPECT_EQ(unaligned, 7);
}

TEST(Safetensors, S13_FilesThatShrinkCanBeReadInstead) {
  const TemporaryDirectory directory;
  const fs::path path = directory.write("x", file_with(kSmall, 19));
  const auto file = SafetensorsFile::open(path, MapMode::read);
  EXPECT_FALSE(file->file().is_mapped());
  fs::resize_file(path, 0);
  EXPECT_EQ(file->tensor("a").data<int8_t>()[2], 18);
}

TEST(Safetensors, S14_FilesThatWereNeverDownloaded) {
  EXPECT_ERROR(ErrorCode::corrupt_file,
               "this is a Git LFS pointer, the file itself was not downloaded (run \"git lfs pull\") (x.safetensors)",
               load("version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 90868376\n"));
  EXPECT_ERROR(ErrorCode::corrupt_file, "this is an HTML page, the file itself was not downloaded (x.safetensors)",
               load("<!DOCTYPE html>\n<html><head><title>401</title></head></html>"));
  EXPECT_ERROR(ErrorCode::corrupt_file,
               "this is a zip archive, as PyTorch writes, and no safetensors file (x.safetensors)",
               load(std::string("PK\x03\x04\0\0\x08\x08", 8)));
}

// Reads every byte of every tensor; returns how many there are.
std::size_t touch(const SafetensorsFile& file) {
  std::size_t bytes = 0;
  for (const auto& entry : file.entries()) {
    const Tensor values = file.tensor(entry).to_float32();
    bytes += static_cast<std::size_t>(values.size()) * dtype_size(entry.dtype);
  }
  return bytes;
}

// Every prefix is refused, every change of a byte of the header refused or read: run under the sanitizers.
TEST(Safetensors, EveryTruncationAndFlipIsAnErrorOrARead) {
  const std::string valid = file_with(kSmall, 19);
  ASSERT_EQ(touch(*load(valid)), 19u);
  for (std::size_t length = 0; length < valid.size(); ++length) {
    EXPECT_EQ(test::error_of([&] { load(valid.substr(0, length)); }).code(), ErrorCode::corrupt_file) << length;
  }
  int read = 0;
  for (std::size_t i = 0; i < 8 + kSmall.size(); ++i) {
    for (int value = 0; value < 256; ++value) {
      std::string changed = valid;
      changed[i] = static_cast<char>(value);
      try {
        EXPECT_EQ(touch(*load(std::move(changed))), 19u);
        ++read;
      } catch (const Error& error) {
        EXPECT_NE(error.code(), ErrorCode::internal);
        EXPECT_TRUE(std::string_view(error.what()).find("x.safetensors") != std::string_view::npos) << error.what();
      }
    }
  }
  EXPECT_GT(read, static_cast<int>(kSmall.size()));  // names and metadata may change
}

// 10^5 tensors, in reverse order of their offsets.
TEST(Safetensors, ReadsManyTensorsQuickly) {
  constexpr std::size_t kCount = 100000;
  std::string header = "{";
  for (std::size_t i = kCount; i-- > 0;) {
    const std::string begin = std::to_string(i), end = std::to_string(i + 1);
    header.append("\"layer.").append(begin).append(".weight\":{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[");
    header.append(begin).append(",").append(end).append(i > 0 ? "]}," : "]}}");
  }
  const auto start = std::chrono::steady_clock::now();
  const auto file = load(file_with(header, kCount));
  EXPECT_EQ(file->tensor("layer.777.weight").data<int8_t>()[0], static_cast<int8_t>(777));
  EXPECT_EQ(file->names()[1], "layer.1.weight");
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));  // a quadratic check takes minutes
}

TEST(SaveSafetensors, WritesTheReferencesOrder) {
  const TemporaryDirectory directory;
  const int8_t bytes[] = {1, 2, 3};
  const float floats[] = {1.0f, 2.0f};
  const std::vector<std::pair<std::string, Tensor>> tensors = {
      {"z", Tensor::from<int8_t>(DType::i8, {3}, bytes)},
      {"a\"", Tensor::from<int8_t>(DType::i8, {1, 3}, bytes)},
      {"f", Tensor::from<float>(DType::f32, {2}, floats)},
      {"e", Tensor::zeros(DType::i64, {0, 7})},
      {"s", Tensor::zeros(DType::boolean, {})},
  };
  save_safetensors(directory / "x", tensors, {{"format", "pt"}});
  const std::string header =
      "{\"__metadata__\":{\"format\":\"pt\"},\"e\":" + tensor_json("I64", "[0,7]", "[0,0]") +
      ",\"f\":" + tensor_json("F32", "[2]", "[0,8]") + ",\"a\\\"\":" + tensor_json("I8", "[1,3]", "[8,11]") +
      ",\"z\":" + tensor_json("I8", "[3]", "[11,14]") + ",\"s\":" + tensor_json("BOOL", "[]", "[14,15]") + "}";
  const std::string padded = header + std::string((8 - header.size() % 8) % 8, ' ');
  const std::string file = directory.read("x");
  EXPECT_EQ(file.substr(0, 8 + padded.size()), file_with(padded));
  EXPECT_EQ(file.substr(8 + padded.size() + 8), std::string("\1\2\3\1\2\3\0", 7));
  const auto read = SafetensorsFile::open(directory / "x");
  EXPECT_EQ(read->names(), (std::vector<std::string>{"e", "f", "a\"", "z", "s"}));
  EXPECT_EQ(read->tensor("f").data<float>()[1], 2.0f);
  save_safetensors(directory / "none", {});
  EXPECT_EQ(directory.read("none"), file_with("{}      "));
}

TEST(SaveSafetensors, RefusesNamesThatCouldNotBeRead) {
  const TemporaryDirectory directory;
  const auto save = [&](const std::vector<std::pair<std::string, Tensor>>& tensors) {
    save_safetensors(directory / "x", tensors);
  };
  const Tensor t = Tensor::zeros(DType::f32, {1});
  const std::string where = " (" + (directory / "x").string() + ")";
  EXPECT_ERROR(ErrorCode::invalid_argument, "tensor \"a\" is given twice" + where,
               save({{"a", t}, {"b", t}, {"a", t}}));
  EXPECT_ERROR(ErrorCode::invalid_argument, "tensor \"__metadata__\": the name is reserved" + where,
               save({{"__metadata__", t}}));
  EXPECT_ERROR(ErrorCode::invalid_argument, "tensor \"a\" is undefined" + where, save({{"a", Tensor()}}));
  EXPECT_ERROR(ErrorCode::invalid_argument, "tensor \"a\": safetensors files have no block formats" + where,
               save({{"a", Tensor::zeros(DType::q4_0, {32})}}));
  EXPECT_EQ(test::error_of([&] { save({{"\xFF", t}}); }).code(), ErrorCode::invalid_argument);
  EXPECT_TRUE(fs::is_empty(directory.path()));
}

// Files that Hugging Face's library wrote come out the same, byte for byte.
TEST(SafetensorsReference, RewritesHuggingFacesFilesToTheByte) {
  int files = 0;
  for (const auto& item : fs::recursive_directory_iterator(fs::path(TCPP_TEST_DATA) / "models")) {
    if (item.path().extension() != ".safetensors") continue;
    const auto file = SafetensorsFile::open(item.path());
    std::vector<std::pair<std::string, Tensor>> tensors;
    for (const auto& entry : file->entries()) tensors.emplace_back(entry.name, file->tensor(entry));
    const TemporaryDirectory directory;
    save_safetensors(directory / "copy", tensors, file->metadata());
    EXPECT_EQ(directory.read("copy"), file->file().text()) << item.path();
    ++files;
  }
  EXPECT_GT(files, 10);
}

}  // namespace
}  // namespace transformers
