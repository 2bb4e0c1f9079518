// Tests pytorch_model.bin (open_torch_file of io/weight_file.hpp): what torch wrote, in each of its forms, and rows
// P1-P5 of the hostile inputs.
#include <gtest/gtest.h>

#include <cstring>
#include <map>

#include "support.hpp"
#include "transformers/base/value.hpp"
#include "transformers/io/safetensors.hpp"
#include "transformers/io/weight_file.hpp"
#include "transformers/io/weights.hpp"
#include "weight_files.hpp"

namespace transformers {
namespace {

namespace fs = std::filesystem;
using namespace test::torch;
using test::number;
using test::TemporaryDirectory;
using namespace std::string_literals;

const fs::path kData = fs::path(TCPP_TEST_DATA) / "io";

std::shared_ptr<const WeightFile> load(std::string content) {
  const auto owner = std::make_shared<const std::string>(std::move(content));
  return open_torch_file(MappedFile::from_memory(std::as_bytes(std::span<const char>(*owner)), owner), "x.bin");
}

// 4 floats: 0 1 2 3
std::string four() {
  std::string out;
  for (const float f : {0.f, 1.f, 2.f, 3.f}) out.append(reinterpret_cast<const char*>(&f), 4);
  return out;
}
std::string archive(const std::string& pickle, const std::string& data = four()) {
  return zip({{"a/data.pkl", pickle}, {"a/data/0", data}, {"a/version", "3\n"}});
}

void refused(ErrorCode code, const std::string& message, std::string content) {
  EXPECT_ERROR(code, message, load(std::move(content)));
}
void refused_pickle(ErrorCode code, const std::string& message, const std::string& pickle) {
  refused(code, message + " (x.bin, data.pkl)", archive(pickle));
}

const std::string kPlain = dict("t", rebuild(storage("0", 4), 0, {2, 2}, {2, 1}));

TEST(TorchFileReference, ReadsWhatTorchWrote) {
  const auto values = SafetensorsFile::open(kData / "torch.safetensors");
  for (const char* name : {"torch-zip.bin", "torch-stream.bin", "torch-unchecked.bin", "torch-protocol-4.bin"}) {
    const auto file = open_torch_file(MappedFile::open(kData / name), name);
    EXPECT_EQ(file->entries().size(), values->entries().size()) << name;
    for (std::size_t i = 0; i < file->entries().size(); ++i) {
      const auto& entry = file->entries()[i];
      const Tensor tensor = file->tensor(i), expected = values->tensor(entry.name);
      EXPECT_EQ(tensor.dtype(), expected.dtype()) << name << " " << entry.name;
      EXPECT_EQ(entry.dtype, expected.dtype());
      ASSERT_EQ(tensor.shape(), expected.shape()) << name << " " << entry.name;
      EXPECT_EQ(entry.shape, expected.shape());
      EXPECT_EQ(std::memcmp(tensor.raw(), expected.raw(), expected.bytes()), 0) << name << " " << entry.name;
      // Only what lies in another order is copied.
      const auto bytes = file->file().bytes();
      const bool inside = tensor.raw() >= bytes.data() && tensor.raw() < bytes.data() + bytes.size();
      const bool strided =
          entry.name == "transposed" || entry.name == "permuted" || entry.name == "columns" || entry.name == "repeated";
      EXPECT_TRUE(tensor.empty() || inside != strided) << name << " " << entry.name;
    }
  }
}

TEST(TorchFile, ReadsAnArchiveWrittenByHand) {
  const auto file = load(archive(kPlain));
  ASSERT_EQ(file->entries().size(), 1u);
  EXPECT_EQ(file->entries()[0].name, "t");
  EXPECT_EQ(file->tensor(0).shape(), (Shape{2, 2}));
  EXPECT_EQ(file->tensor(0).to_float32().data<float>()[3], 3.0f);
  // Sizes and offsets in zip64 fields; what is no tensor is passed over; Python 2's OrderedDict and strings.
  const auto wide = load(
      zip({{.name = "a/data.pkl", .data = kPlain, .wide = true}, {.name = "a/data/0", .data = four(), .wide = true}}));
  EXPECT_EQ(wide->tensor(0).to_float32().data<float>()[2], 2.0f);
  const std::string pair = "](U\1t"s + rebuild(storage("0", 4), 1, {3}, {1}) + "e";
  const auto old = load(archive(kProto + global("collections", "OrderedDict") + "](" + pair + "e\x85R."));
  EXPECT_EQ(old->tensor(0).to_float32().data<float>()[0], 1.0f);
  EXPECT_TRUE(load(archive(kProto + "}(" + text("epoch") + small(3) + text("list") + "]u."))->entries().empty());
}

TEST(TorchFile, WeightSourceReadsItsDirectoryAndShards) {
  const TemporaryDirectory directory;
  directory.write("pytorch_model.bin", archive(kPlain));
  directory.write("model.safetensors.index.json", "{}");
  // Hugging Face looks for safetensors first, shards included.
  EXPECT_EQ(test::error_of([&] { WeightSource::open(*ModelFiles::from_directory(directory.string())); }).code(),
            ErrorCode::corrupt_file);
  fs::remove(directory / "model.safetensors.index.json");
  const auto source = WeightSource::open(*ModelFiles::from_directory(directory.string()));
  EXPECT_EQ(source->files(), (std::vector<std::string>{"pytorch_model.bin"}));
  EXPECT_EQ(source->where("t"), directory.string() + "/pytorch_model.bin: t");
  EXPECT_EQ(source->find("t")->to_float32().data<float>()[1], 1.0f);
  EXPECT_EQ(source->total_bytes(), 16);

  const TemporaryDirectory sharded;
  sharded.write("pytorch_model-00001-of-00002.bin", archive(kPlain));
  sharded.write("pytorch_model-00002-of-00002.bin", archive(dict("u", rebuild(storage("0", 4), 3, {1}, {1}))));
  sharded.write("pytorch_model.bin.index.json",
                R"({"weight_map":{"t":"pytorch_model-00001-of-00002.bin","u":"pytorch_model-00002-of-00002.bin"}})");
  const auto shards = WeightSource::open(*ModelFiles::from_directory(sharded.string()));
  EXPECT_EQ(shards->names(), (std::vector<std::string>{"t", "u"}));
  EXPECT_EQ(shards->find("u")->to_float32().data<float>()[0], 3.0f);
}

TEST(TorchFile, P1_WhatRunsCodeIsRefused) {
  const auto security = [](const std::string& message, const std::string& pickle) {
    refused_pickle(ErrorCode::security, message, pickle);
  };
  const std::string call = "(" + text("echo") + "tR.";
  security("the pickle uses \"posix.system\", refused", kProto + global("posix", "system") + call);
  security("the pickle uses \"os.system\", refused", kProto + global("os", "system") + call);
  security("the pickle uses \"builtins.eval\", refused", kProto + global("builtins", "eval") + call);
  security("the pickle uses \"torch.load\", refused", kProto + global("torch", "load") + call);
  security("the pickle uses \"torch._utils._rebuild_qtensor\", refused",
           kProto + global("torch._utils", "_rebuild_qtensor") + call);
  security("the pickle uses \"collections.OrderedDict.update\", refused",
           kProto + global("collections", "OrderedDict.update") + call);
  security("the pickle uses \"posix.system\", refused", kProto + text("posix") + text("system") + "\x93.");
  security("the pickle calls what is no function known here, refused", kProto + text("system") + call);
  security("the pickle calls what is no function known here, refused", kProto + global("torch", "FloatStorage") + call);
  for (const auto& [opcode, name] : std::map<std::string, std::string>{{"\x81", "NEWOBJ"},
                                                                       {"\x92", "NEWOBJ_EX"},
                                                                       {"iposix\nsystem\n", "INST"},
                                                                       {"o", "OBJ"},
                                                                       {"\x82\x01", "EXT"},
                                                                       {"\x83\x01\x01", "EXT"},
                                                                       {"\x84\x01\x01\x01\x01", "EXT"},
                                                                       {"Px\n", "PERSID"}}) {
    security("the pickle makes objects with the opcode " + name + ", refused",
             kProto + global("collections", "OrderedDict") + ")" + opcode + ".");
  }
  security("the pickle sets the state of an object that is no dict, refused", kProto + "]}b.");
  security("the pickle sets the state of an object that is no dict, refused",
           kProto + rebuild(storage("0", 4), 0, {4}, {1}) + "}b.");
  const std::string no_storage = "the pickle has a persistent id that is no storage, refused";
  security(no_storage, kProto + text("0") + "Q.");
  security(no_storage, kProto + "(" + text("module") + global("torch", "FloatStorage") + text("0") + text("cpu") +
                           small(4) + "tQ.");
  security(no_storage,
           kProto + "(" + text("storage") + text("FloatStorage") + text("0") + text("cpu") + small(4) + "tQ.");
  security(no_storage, kProto + "(" + text("storage") + "tQ.");
}

TEST(TorchFile, P2_PicklesThatBreakTheFormat) {
  const auto corrupt = [](int at, const std::string& message, const std::string& pickle) {
    refused_pickle(ErrorCode::corrupt_file, "pickle, byte " + std::to_string(at) + ": " + message, pickle);
  };
  refused(ErrorCode::corrupt_file, "data.pkl: 1 bytes follow its end (x.bin)", archive(kPlain + "N"));
  corrupt(2, "takes an object from an empty stack", kProto + ".");
  corrupt(2, "takes an object from an empty stack", kProto + "R.");
  corrupt(2, "takes an object from an empty stack", kProto + "s.");
  corrupt(4, "takes an object from an empty stack", kProto + "}(a.");  // a mark is the floor
  corrupt(2, "takes an object from an empty stack", kProto + "q\1.");
  corrupt(2, "no mark on the stack", kProto + "u.");
  corrupt(2, "no mark on the stack", kProto + "t.");
  corrupt(4, "objects are left on the stack", kProto + "}}.");
  corrupt(5, "objects are left on the stack", kProto + "}(N.");
  corrupt(2, "nothing is kept under 7", kProto + "h\7.");
  corrupt(2, "nothing is kept under 4294967295", kProto + "j\xFF\xFF\xFF\xFF.");
  corrupt(2, "needs 2147483647 bytes, 1 are left", kProto + "\x8B\xFF\xFF\xFF\x7F.");
  corrupt(2, "an integer of negative length", kProto + "\x8B\xFF\xFF\xFF\xFF.");
  corrupt(2, "needs 18446744073709551615 bytes, 1 are left", kProto + "\x8D" + std::string(8, '\xFF') + ".");
  corrupt(2, "needs 4294967295 bytes, 1 are left", kProto + "X\xFF\xFF\xFF\xFF.");
  corrupt(2, "needs 1 bytes, 0 are left", kProto);
  corrupt(2, "a name without an end", kProto + "cposix");
  corrupt(4, "sets items of what is no dict", kProto + "](u.");  // CVE-2026-24747
  corrupt(5, "sets items of what is no dict", kProto + "NNNs.");
  corrupt(8, "sets items of what is no dict", kProto + ")(NNNNu.");
  corrupt(5, "a key without its value", kProto + "}(Nu.");
  corrupt(4, "appends to what is no list", kProto + "}Na.");
  corrupt(0, "protocol 0, expected 2 to 5", "\x80\0."s);
  corrupt(0, "protocol 6, expected 2 to 5", "\x80\6.");
  corrupt(2, "opcode 1 has no place in a checkpoint", kProto + "\1.");
  corrupt(2, "opcode 48 has no place in a checkpoint", kProto + "0.");  // POP
  corrupt(3, "expected a dict of tensors", kProto + "].");
  corrupt(3, "expected a dict of tensors", kProto + "N.");
  const std::string tensor = rebuild(storage("0", 4), 0, {4}, {1});
  refused(ErrorCode::corrupt_file, "duplicate tensor \"t\" (x.bin)",
          archive(kProto + "}(" + text("t") + tensor + text("t") + tensor + "u."));
  // A list that holds itself, and one tuple used over and over, cost nothing.
  EXPECT_TRUE(load(archive(kProto + "}(" + text("a") + "]q\1h\1au."))->entries().empty());
  // One list of pairs made into a dict too many times.
  std::string bomb = kProto + "](";
  for (int i = 0; i < 20000; ++i) bomb += "NN\x86";
  bomb += "eq\1" + global("collections", "OrderedDict") + "q\2";
  for (int i = 0; i < 20000; ++i) bomb += "h\2h\1\x85R";
  refused_pickle(ErrorCode::limit, "a pickle that copies the same lists too often", bomb + ".");
  refused_pickle(ErrorCode::limit, "pickle of more than 4194304 objects", kProto + std::string(4194305, 'N'));
}

TEST(TorchFile, P3_ZipArchivesThatBreakTheFormat) {
  const auto entries = [](ZipEntry changed) {
    return zip({{"a/data.pkl", kPlain}, std::move(changed), {"a/version", "3\n"}});
  };
  const auto corrupt = [](const std::string& message, std::string content) {
    refused(ErrorCode::corrupt_file, message + " (x.bin)", std::move(content));
  };
  const ZipEntry good{"a/data/0", four()};
  EXPECT_NO_THROW(load(entries(good)));
  ZipEntry bad = good;
  bad.method = 8;
  corrupt("zip entry \"a/data/0\": compressed by method 8, expected the bytes as they are", entries(bad));
  bad = good;
  bad.flags = 1;
  refused(ErrorCode::unsupported, "zip entry \"a/data/0\" is encrypted (x.bin)", entries(bad));
  bad = good;
  bad.local_name = "a/data/1";
  corrupt("zip entry \"a/data/0\": its own header has another name", entries(bad));
  for (const char* name : {"../x", "a/../../x", "/x", "a\\x", "C:x"}) {
    bad = good;
    bad.name = name;
    corrupt("zip entry " + quote(name) + ": the name leaves the archive", entries(bad));
  }
  corrupt("zip archive: two entries are called \"a/data/0\"", zip({{"a/data.pkl", kPlain}, good, good}));
  corrupt("zip archive: two entries \"data.pkl\"", zip({{"a/data.pkl", kPlain}, {"b/data.pkl", kPlain}, good}));
  corrupt("zip archive without a \"data.pkl\": not what torch.save writes", zip({{"a/other.pkl", kPlain}, good}));
  // The checksum counts when a tensor is asked for.
  bad = good;
  bad.crc_change = 1;
  const auto file = load(entries(bad));
  EXPECT_ERROR(ErrorCode::corrupt_file, "the checksum of its storage does not match (x.bin: t)", file->tensor(0));
  bad = {"a/data.pkl", kPlain};
  bad.crc_change = 1;
  corrupt("the checksum of \"data.pkl\" does not match", zip({bad, good}));
  // Bytes that reach into the directory or into another entry.
  bad = good;
  bad.size_change = 1000000;
  corrupt("zip entry \"a/data/0\": its 1000016 bytes reach into the directory", entries(bad));
  bad = good;
  bad.size_change = 20;
  corrupt("zip entry \"a/version\": its bytes belong to another entry too", entries(bad));
  // Zip64.
  bad = good;
  bad.wide = true;
  bad.extra = number(uint16_t{1}) + number(uint16_t{8}) + number(uint64_t{16});
  corrupt("zip entry \"a/data/0\": the zip64 field is cut short", entries(bad));
  bad.extra = number(uint16_t{1}) + number(uint16_t{200}) + number(uint64_t{16});
  corrupt("zip entry \"a/data/0\": an extra field is cut short", entries(bad));
  bad.extra = number(uint16_t{1}) + number(uint16_t{24}) + number(uint64_t{16}) + number(uint64_t{16}) +
              number(~uint64_t{0} - 5);
  corrupt("zip entry \"a/data/0\": no header at byte 18446744073709551610", entries(bad));
  bad.extra =
      number(uint16_t{1}) + number(uint16_t{24}) + number(~uint64_t{0}) + number(~uint64_t{0}) + number(uint64_t{0});
  corrupt("zip entry \"a/data/0\": its 18446744073709551615 bytes reach into the directory", entries(bad));
  const auto end = [](uint16_t count, uint32_t size, uint32_t offset) {
    return "PK\5\6" + std::string(4, '\0') + number(count) + number(count) + number(size) + number(offset) +
           std::string(2, '\0');
  };
  corrupt("zip archive: the zip64 end record is missing", zip({good}, end(0xFFFF, 0, 0)));
  corrupt("zip archive: the directory [5, +7) does not end where the end record begins, at 108",
          zip({good}, end(1, 7, 5)));
  corrupt("zip archive: 2 entries do not fit in a directory of 54 bytes", zip({good}, end(2, 54, 54)));
  corrupt("zip archive: 54 bytes follow the last entry of the directory", zip({good}, end(0, 54, 54)));
  corrupt("zip archive: entry 0 of the directory is cut short", zip({good}, end(1, 53, 55)));
  std::string many = zip({good});
  many[many.size() - 18] = 1;
  refused(ErrorCode::unsupported, "a zip archive in several files (x.bin)", many);
  // Cut short anywhere, and with any byte of it changed: an error or the file, nothing worse.
  const std::string whole = archive(kPlain);
  for (std::size_t length = 4; length < whole.size(); ++length) {
    EXPECT_EQ(test::error_of([&] { load(whole.substr(0, length)); }).code(), ErrorCode::corrupt_file) << length;
  }
}

TEST(TorchFile, P4_TensorsOutsideTheirStorage) {
  const auto outside = [](int offset, const std::vector<int>& size, const std::vector<int>& stride) {
    const auto shown = [](const std::vector<int>& v) { return to_string(Shape(v.begin(), v.end())); };
    refused_pickle(ErrorCode::corrupt_file,
                   "tensor \"t\": shape " + shown(size) + ", strides " + shown(stride) + " from element " +
                       std::to_string(offset) + " lie outside its storage of 4 elements",
                   dict("t", rebuild(storage("0", 4), offset, size, stride)));
  };
  outside(0, {5}, {1});
  outside(1, {4}, {1});
  outside(5, {0}, {1});
  outside(0, {2, 2}, {3, 1});
  outside(3, {2, 2}, {0, 1});
  outside(0, {2}, {-1});
  outside(0, {-2}, {1});
  outside(0, {2000000000, 2000000000, 2000000000}, {2000000000, 2000000000, 2000000000});
  refused_pickle(ErrorCode::corrupt_file, "pickle, byte 146: a tensor with a negative offset",
                 dict("t", rebuild(storage("0", 4), -1, {2}, {1})));
  EXPECT_EQ(load(archive(dict("t", rebuild(storage("0", 4), 4, {0, 7}, {1, 1}))))->tensor(0).size(), 0);
  EXPECT_EQ(load(archive(dict("t", rebuild(storage("0", 4), 3, {2, 2}, {0, 0}))))->tensor(0).data<float>()[3], 3.0f);
  refused(ErrorCode::limit,
          "tensor \"t\" of shape [30000, 30000] repeats its elements beyond the size of the file (x.bin)",
          archive(dict("t", rebuild(storage("0", 4), 0, {30000, 30000}, {0, 0}))));
  refused(ErrorCode::corrupt_file,
          "the size of tensor \"t\" overflows: shape [2000000000, 2000000000, 2000000000] (x.bin)",
          archive(dict("t", rebuild(storage("0", 4), 0, {2000000000, 2000000000, 2000000000}, {0, 0, 0}))));
  refused(ErrorCode::corrupt_file, "storage \"0\" of 5 elements of F32 has 16 bytes (x.bin)",
          archive(dict("t", rebuild(storage("0", 5), 0, {4}, {1}))));
  refused(ErrorCode::corrupt_file, "storage \"0\" of 3 elements of F32 has 13 bytes (x.bin)",
          archive(dict("t", rebuild(storage("0", 3), 0, {3}, {1})), std::string(13, 'x')));
  refused(ErrorCode::corrupt_file, "storage \"1\" is not in the archive (x.bin)",
          archive(dict("t", rebuild(storage("1", 4), 0, {4}, {1}))));
  refused(ErrorCode::corrupt_file, "storage \"../0\" is not in the archive (x.bin)",
          archive(dict("t", rebuild(storage("../0", 4), 0, {4}, {1}))));
  refused_pickle(ErrorCode::unsupported, "tensors kept in a torch.ComplexFloatStorage",
                 dict("t", rebuild(storage("0", 4, "ComplexFloatStorage"), 0, {4}, {1})));
  const std::string two = kProto + "}(" + text("t") + rebuild(storage("0", 4), 0, {4}, {1}) + text("u") +
                          rebuild(storage("0", 8, "HalfStorage"), 0, {4}, {1}) + "u.";
  EXPECT_NE(
      std::string(test::error_of([&] { load(archive(two)); }).what()).find("storage \"0\" is described in two ways"),
      std::string::npos);
  refused(ErrorCode::unsupported, "weights in big-endian byte order (x.bin)",
          zip({{"a/data.pkl", kPlain}, {"a/data/0", four()}, {"a/byteorder", "big"}}));
  refused(ErrorCode::corrupt_file, "byteorder \"middle\", expected little or big (x.bin)",
          zip({{"a/data.pkl", kPlain}, {"a/data/0", four()}, {"a/byteorder", "middle"}}));
  refused(ErrorCode::unsupported, "a TorchScript archive: save the model's state_dict instead (x.bin)",
          zip({{"a/data.pkl", kPlain}, {"a/data/0", four()}, {"a/constants.pkl", "x"}}));
}

TEST(TorchFile, P5_TheStreamForm) {
  const std::string magic = kProto + "\x8A\x0A\x6C\xFC\x9C\x46\xF9\x20\x6A\xA8\x50\x19.";
  const std::string version = kProto + "M\xE9\x03.";
  const auto system = [](bool little) {
    return kProto + "}(" + text("little_endian") + (little ? "\x88" : "\x89") + "u.";
  };
  const auto stream_storage = [](const std::string& view) {
    return "(" + text("storage") + global("torch", "FloatStorage") + text("7") + text("cpu") + small(4) + view + "tQ";
  };
  const std::string keys = kProto + "](" + text("7") + "e.";
  const std::string head = magic + version + system(true);
  const std::string state = dict("t", rebuild(stream_storage("N"), 1, {3}, {1}));
  const std::string data = number(uint64_t{4}) + four();
  const auto file = load(head + state + keys + data);
  EXPECT_EQ(file->tensor(0).to_float32().data<float>()[0], 1.0f);
  // A view of a storage, as before 0.4: its own offset counts too.
  const std::string view = "(" + text("8") + small(1) + small(3) + "t";
  const auto viewed = load(head + dict("t", rebuild(stream_storage(view), 1, {2}, {1})) + keys + data);
  EXPECT_EQ(viewed->tensor(0).to_float32().data<float>()[0], 2.0f);
  const auto corrupt = [&](const std::string& message, const std::string& content) {
    refused(ErrorCode::corrupt_file, message + " (x.bin)", content);
  };
  corrupt("storage \"7\" is cut short (incomplete download?)", head + state + keys + data.substr(0, 23));
  corrupt("storage \"7\" is cut short (incomplete download?)", head + state + keys + "1234567");
  corrupt("storage \"7\" is cut short (incomplete download?)", head + state + keys + number(~uint64_t{0}) + four());
  corrupt("storage \"7\" of 4 elements of F32 has 12 bytes", head + state + keys + number(uint64_t{3}) + four());
  corrupt("1 bytes follow the last storage", head + state + keys + data + "x");
  corrupt("1 storages are not in the file", head + state + kProto + "].");
  corrupt("storage \"8\" belongs to no tensor", head + state + kProto + "](" + text("8") + "e." + data);
  corrupt("storage \"7\" comes twice", head + state + kProto + "](" + text("7") + text("7") + "e." + data + data);
  // A storage among the keys: each pickle starts afresh.
  const Error stale = test::error_of([&] { load(head + state + kProto + "](" + stream_storage("N") + "e." + data); });
  EXPECT_NE(std::string(stale.what()).find("an entry of the list is no string"), std::string::npos) << stale.what();
  const std::string outside = "(" + text("8") + small(3) + small(3) + "t";
  EXPECT_NE(std::string(test::error_of([&] {
                          load(head + dict("t", rebuild(stream_storage(outside), 0, {1}, {1})) + keys + data);
                        }).what())
                .find("a view outside of storage \"7\""),
            std::string::npos);
  refused(ErrorCode::unsupported, "weights in big-endian byte order (x.bin)", magic + version + system(false) + state);
  refused(ErrorCode::unsupported, "protocol version 1000, expected 1001 (x.bin)", magic + kProto + "M\xE8\x03.");
  refused(ErrorCode::security, "the pickle uses \"posix.system\", refused (x.bin)",
          head + kProto + global("posix", "system") + "(" + text("x") + "tR.");
  // A tar archive and what is none of all these.
  std::string tar(1024, '\0');
  tar.replace(0, 8, "sys_info");
  tar.replace(257, 5, "ustar");
  refused(ErrorCode::unsupported,
          "the tar form of PyTorch before 0.1.10: load it with PyTorch and save it as safetensors (x.bin)", tar);
  const std::string neither = "neither a zip archive nor a stream of pickles, as PyTorch writes";
  corrupt(neither, "");
  corrupt(neither, "PK");
  corrupt(neither, kPlain);
  corrupt("this is a Git LFS pointer, the file itself was not downloaded (run \"git lfs pull\")",
          "version https://git-lfs.github.com/spec/v1\noid sha256:0\n");
}

// Every byte of real files changed, in every form: an error or tensors inside the file.
TEST(TorchFile, P2_P3_ChangedBytes) {
  for (const std::string& whole : {archive(kPlain), TemporaryDirectory().read((kData / "torch-stream.bin").string())}) {
    for (std::size_t at = 0; at < std::min<std::size_t>(whole.size(), 3000); ++at) {
      for (const char value : {'\0', '\x7F', '\xFF', '('}) {
        std::string changed = whole;
        changed[at] = value;
        try {
          const auto file = load(changed);
          for (std::size_t i = 0; i < file->entries().size(); ++i) file->tensor(i).to_float32();
        } catch (const Error& error) {
          ASSERT_NE(error.code(), ErrorCode::internal) << at;
          ASSERT_NE(error.where().find("x.bin"), std::string::npos) << at << error.what();
        }
      }
    }
  }
}

}  // namespace
}  // namespace transformers
