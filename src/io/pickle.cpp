// Implements pickle.hpp. Objects live in one array and refer to each other by index: whatever a file nests or ties in
// circles, nothing here recurses.
#include "io/pickle.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/little_endian.hpp"
#include "transformers/base/error.hpp"
#include "transformers/base/value.hpp"
#include "transformers/io/weight_file.hpp"

namespace transformers {
namespace {

constexpr std::size_t kMaxNodes = std::size_t{1} << 22;  // a checkpoint of 10^5 tensors has about 1.5 million

struct StorageType {
  std::string_view name;
  DType dtype;
};
constexpr StorageType kStorages[] = {
    {"FloatStorage", DType::f32},    {"HalfStorage", DType::f16}, {"BFloat16Storage", DType::bf16},
    {"DoubleStorage", DType::f64},   {"LongStorage", DType::i64}, {"IntStorage", DType::i32},
    {"ShortStorage", DType::i16},    {"CharStorage", DType::i8},  {"ByteStorage", DType::u8},
    {"BoolStorage", DType::boolean},
};

// The opcodes by their letters in pickle.py.
enum Opcode : unsigned char {
  kMark = '(',
  kStop = '.',
  kBinFloat = 'G',
  kBinInt = 'J',
  kBinInt1 = 'K',
  kBinInt2 = 'M',
  kNone = 'N',
  kBinPersId = 'Q',
  kReduce = 'R',
  kBinString = 'T',
  kShortBinString = 'U',
  kBinUnicode = 'X',
  kEmptyList = ']',
  kAppend = 'a',
  kBuild = 'b',
  kGlobal = 'c',
  kAppends = 'e',
  kBinGet = 'h',
  kLongBinGet = 'j',
  kBinPut = 'q',
  kLongBinPut = 'r',
  kSetItem = 's',
  kTuple = 't',
  kEmptyTuple = ')',
  kSetItems = 'u',
  kEmptyDict = '}',
  kProto = 0x80,
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kNewTrue = 0x88,
  kNewFalse = 0x89,
  kLong1 = 0x8A,
  kLong4 = 0x8B,
  kShortBinUnicode = 0x8C,
  kBinUnicode8 = 0x8D,
  kStackGlobal = 0x93,
  kMemoize = 0x94,
  kFrame = 0x95,
  // Refused by name: each makes an object of a class the file chooses.
  kPersId = 'P',
  kInst = 'i',
  kObj = 'o',
  kNewObj = 0x81,
  kExt1 = 0x82,
  kExt2 = 0x83,
  kExt4 = 0x84,
  kNewObjEx = 0x92,
};

std::string_view name_of_refused(unsigned char opcode) {
  switch (opcode) {
    case kPersId:
      return "PERSID";
    case kInst:
      return "INST";
    case kObj:
      return "OBJ";
    case kNewObj:
      return "NEWOBJ";
    case kNewObjEx:
      return "NEWOBJ_EX";
    case kExt1:
    case kExt2:
    case kExt4:
      return "EXT";
    default:
      return {};
  }
}

// Two's complement, little-endian, of up to 8 bytes.
int64_t small_integer(std::string_view bytes) {
  uint64_t value = !bytes.empty() && (bytes.back() & 0x80) != 0 ? ~uint64_t{0} : 0;
  for (std::size_t i = bytes.size(); i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return static_cast<int64_t>(value);
}

// Throws unless the tensor lies inside its storage.
void check_view(const StateDict::Entry& tensor, const StateDict::Storage& storage, const std::string& where) {
  const auto outside = [&] {
    throw Error(ErrorCode::corrupt_file,
                "tensor " + quote(tensor.name) + ": shape " + to_string(tensor.shape) + ", strides " +
                    to_string(tensor.strides) + " from element " + std::to_string(tensor.offset) +
                    " lie outside its storage of " + std::to_string(storage.size) + " elements",
                where);
  };
  if (tensor.offset < 0 || tensor.offset > storage.size) outside();
  int64_t last = tensor.offset;  // the furthest element
  bool empty = false;
  for (std::size_t i = 0; i < tensor.shape.size(); ++i) {
    const int64_t size = tensor.shape[i], stride = tensor.strides[i];
    if (size < 0 || stride < 0) outside();
    empty = empty || size == 0;
    if (size <= 1) continue;
    if (stride > std::numeric_limits<int64_t>::max() / (size - 1)) outside();
    if (last > std::numeric_limits<int64_t>::max() - (size - 1) * stride) outside();
    last += (size - 1) * stride;
  }
  if (!empty && last >= storage.size) outside();
}

}  // namespace

PickleReader::PickleReader(std::span<const std::byte> bytes, std::string where)
    : bytes_(bytes), where_(std::move(where)) {}

void PickleReader::corrupt(const std::string& what) const {
  throw Error(ErrorCode::corrupt_file, "pickle, byte " + std::to_string(opcode_at_) + ": " + what, where_);
}

const std::byte* PickleReader::take(uint64_t bytes) {
  if (bytes > bytes_.size() - at_) {
    corrupt("needs " + std::to_string(bytes) + " bytes, " + std::to_string(bytes_.size() - at_) + " are left");
  }
  const std::byte* from = bytes_.data() + at_;
  at_ += static_cast<std::size_t>(bytes);
  return from;
}

std::string_view PickleReader::take_line() {
  const std::string_view rest(reinterpret_cast<const char*>(bytes_.data() + at_), bytes_.size() - at_);
  const std::size_t end = rest.find('\n');
  if (end == rest.npos) corrupt("a name without an end");
  at_ += end + 1;
  return rest.substr(0, end);
}

PickleReader::Id PickleReader::push(Node node) {
  if (nodes_.size() >= kMaxNodes) {
    throw Error(ErrorCode::limit, "pickle of more than " + std::to_string(kMaxNodes) + " objects", where_);
  }
  nodes_.push_back(std::move(node));
  stack_.push_back(static_cast<Id>(nodes_.size() - 1));
  return stack_.back();
}

// One list may become many dicts.
void PickleReader::count_copied(std::size_t items) {
  copied_ += items;
  if (copied_ > 4 * kMaxNodes) throw Error(ErrorCode::limit, "a pickle that copies the same lists too often", where_);
}

PickleReader::Id& PickleReader::top() {
  if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) corrupt("takes an object from an empty stack");
  return stack_.back();
}

PickleReader::Id PickleReader::pop() {
  const Id id = top();
  stack_.pop_back();
  return id;
}

std::vector<PickleReader::Id> PickleReader::pop_mark() {
  if (marks_.empty()) corrupt("no mark on the stack");
  const auto begin = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
  std::vector<Id> items(begin, stack_.end());
  stack_.erase(begin, stack_.end());
  marks_.pop_back();
  return items;
}

void PickleReader::push_tuple(std::size_t items) {
  std::vector<Id> ids(items);
  for (std::size_t i = items; i-- > 0;) ids[i] = pop();
  push({Kind::tuple, 0, {}, std::move(ids)});
}

void PickleReader::find_global(std::string_view module, std::string_view name) {
  if (module == "collections" && name == "OrderedDict") {
    push(Kind::global, kOrderedDict);
  } else if (module == "torch._utils" && name == "_rebuild_tensor") {
    push(Kind::global, kRebuildTensor);
  } else if (module == "torch._utils" && name == "_rebuild_tensor_v2") {
    push(Kind::global, kRebuildTensorV2);
  } else if (module == "torch._utils" && name == "_rebuild_parameter") {
    push(Kind::global, kRebuildParameter);
  } else {
    const auto* type = std::ranges::find(kStorages, name, &StorageType::name);
    if (module == "torch" && type != std::end(kStorages)) {
      push(Kind::global, kStorageTypes + static_cast<int64_t>(type->dtype));
    } else if (module == "torch" && name.ends_with("Storage")) {
      throw Error(ErrorCode::unsupported, "tensors kept in a torch." + std::string(name.substr(0, 100)), where_);
    } else {
      throw Error(ErrorCode::security,
                  "the pickle uses " + quote(std::string(module) + "." + std::string(name)) + ", refused", where_);
    }
  }
}

// function, arguments -> result
void PickleReader::call() {
  const Id arguments_id = pop();
  const Node& function = node(pop());
  if (function.kind != Kind::global || function.value >= kStorageTypes) {
    throw Error(ErrorCode::security, "the pickle calls what is no function known here, refused", where_);
  }
  if (node(arguments_id).kind != Kind::tuple) corrupt("arguments that are no tuple");
  // Not copied, for a file may use one long tuple many times. What follows adds a node last.
  const std::vector<Id>& arguments = node(arguments_id).items;
  switch (function.value) {
    case kOrderedDict: {
      Node dict{Kind::dict, 0, {}, {}};
      if (!arguments.empty()) {  // Python 2: a list of pairs
        if (arguments.size() != 1 || node(arguments[0]).kind != Kind::list) corrupt("OrderedDict of no list");
        for (const Id pair : node(arguments[0]).items) {
          if (node(pair).items.size() != 2 || (node(pair).kind != Kind::list && node(pair).kind != Kind::tuple)) {
            corrupt("OrderedDict of a list that holds more than pairs");
          }
          dict.items.insert(dict.items.end(), node(pair).items.begin(), node(pair).items.end());
        }
        count_copied(dict.items.size());
      }
      push(std::move(dict));
      return;
    }
    case kRebuildParameter:  // data, requires_grad, hooks
      if (arguments.empty() || node(arguments[0]).kind != Kind::tensor) corrupt("_rebuild_parameter of no tensor");
      stack_.push_back(arguments[0]);
      return;
    default:
      rebuild_tensor(arguments, function.value == kRebuildTensorV2);
  }
}

// ("storage", type, key, location, elements), and in the stream form a view of it: None or (key, offset, elements)
void PickleReader::load_storage() {
  const Node& id = node(pop());
  const auto& items = id.items;
  if (id.kind != Kind::tuple || items.size() < 5 || items.size() > 6 || node(items[0]).kind != Kind::string ||
      node(items[0]).text != "storage" || node(items[1]).kind != Kind::global || node(items[1]).value < kStorageTypes) {
    throw Error(ErrorCode::security, "the pickle has a persistent id that is no storage, refused", where_);
  }
  const StateDict::Storage storage{string(items[2], "the key of a storage"),
                                   static_cast<DType>(node(items[1]).value - kStorageTypes),
                                   integer(items[4], "the size of a storage")};
  if (storage.size < 0) corrupt("a storage of negative size");
  const auto [found, is_new] = storage_of_key_.emplace(storage.key, state_.storages.size());
  if (is_new) {
    state_.storages.push_back(storage);
  } else if (const auto& known = state_.storages[found->second];
             known.dtype != storage.dtype || known.size != storage.size) {
    corrupt("storage " + quote(storage.key) + " is described in two ways");
  }
  Node node_of_storage{Kind::storage, static_cast<int64_t>(found->second), {}, {}};
  if (items.size() == 6 && node(items[5]).kind != Kind::none) {
    const Shape view = [&] {
      const Node& tuple = node(items[5]);
      if (tuple.kind != Kind::tuple || tuple.items.size() != 3) corrupt("a view of a storage that is no triple");
      return Shape{integer(tuple.items[1], "the offset of a view"), integer(tuple.items[2], "the size of a view")};
    }();
    if (view[0] < 0 || view[1] < 0 || view[0] > storage.size || view[1] > storage.size - view[0]) {
      corrupt("a view outside of storage " + quote(storage.key));
    }
    node_of_storage.items = {static_cast<Id>(items[5])};
  }
  push(std::move(node_of_storage));
}

// (storage, offset, size, stride), and in the second version requires_grad, hooks and perhaps metadata
void PickleReader::rebuild_tensor(const std::vector<Id>& arguments, bool second) {
  if (arguments.size() < (second ? 6u : 4u) || arguments.size() > (second ? 7u : 4u) ||
      node(arguments[0]).kind != Kind::storage) {
    corrupt("a tensor without storage, offset, size and stride");
  }
  const Node& storage = node(arguments[0]);
  StateDict::Entry tensor;
  tensor.storage = static_cast<std::size_t>(storage.value);
  tensor.offset = integer(arguments[1], "the offset of a tensor");
  tensor.shape = integers(arguments[2], "the size of a tensor");
  tensor.strides = integers(arguments[3], "the stride of a tensor");
  if (tensor.shape.size() != tensor.strides.size() || tensor.shape.size() > kMaxRank) {
    corrupt("a tensor of size " + to_string(tensor.shape) + " and stride " + to_string(tensor.strides));
  }
  if (tensor.offset < 0) corrupt("a tensor with a negative offset");
  if (!storage.items.empty()) {
    tensor.offset += integer(node(storage.items[0]).items[1], "the offset of a view");  // both below 2^62
    if (tensor.offset < 0) corrupt("a tensor with an offset that overflows");
  }
  state_.tensors.push_back(std::move(tensor));
  push(Kind::tensor, static_cast<int64_t>(state_.tensors.size() - 1));
}

int64_t PickleReader::integer(Id id, const char* what) const {
  if (node(id).kind != Kind::integer || node(id).text.size() > 8)
    corrupt(std::string(what) + " is no integer of 64 bits");
  if (node(id).value > std::numeric_limits<int64_t>::max() / 2) corrupt(std::string(what) + " is too large");
  return node(id).value;
}

Shape PickleReader::integers(Id id, const char* what) const {
  if (node(id).kind != Kind::tuple) corrupt(std::string(what) + " is no tuple");
  Shape out;
  for (const Id item : node(id).items) {
    if (out.size() > kMaxRank) break;  // refused by the caller
    out.push_back(integer(item, what));
  }
  return out;
}

std::string_view PickleReader::string(Id id, const char* what) const {
  if (node(id).kind != Kind::string) corrupt(std::string(what) + " is no string");
  return node(id).text;
}

PickleReader::Id PickleReader::read() {
  nodes_.clear();
  stack_.clear();
  marks_.clear();
  memo_.clear();
  copied_ = 0;
  state_ = {};
  storage_of_key_.clear();
  const auto set_items = [this](const std::vector<Id>& items) {
    Node& dict = nodes_[top()];
    if (dict.kind != Kind::dict) corrupt("sets items of what is no dict");
    if (items.size() % 2 != 0) corrupt("a key without its value");
    dict.items.insert(dict.items.end(), items.begin(), items.end());
  };
  const auto append = [this](const std::vector<Id>& items) {
    Node& list = nodes_[top()];
    if (list.kind != Kind::list) corrupt("appends to what is no list");
    list.items.insert(list.items.end(), items.begin(), items.end());
  };
  const auto get = [this](uint32_t index) {
    const auto found = memo_.find(index);
    if (found == memo_.end()) corrupt("nothing is kept under " + std::to_string(index));
    stack_.push_back(found->second);
  };
  const auto push_integer = [this](std::string_view bytes) {
    push({Kind::integer, bytes.size() > 8 ? 0 : small_integer(bytes), bytes, {}});
  };
  const auto push_string = [this](uint64_t bytes) { push({Kind::string, 0, take_text(bytes), {}}); };

  for (;;) {
    opcode_at_ = at_;
    const auto opcode = little_endian<uint8_t>(take(1));
    switch (opcode) {
      case kProto:
        if (const auto version = little_endian<uint8_t>(take(1)); version < 2 || version > 5) {
          corrupt("protocol " + std::to_string(version) + ", expected 2 to 5");
        }
        break;
      case kFrame:
        take(8);
        break;
      case kStop: {
        const Id root = pop();
        if (!stack_.empty() || !marks_.empty()) corrupt("objects are left on the stack");
        return root;
      }
      case kMark:
        marks_.push_back(stack_.size());
        break;
      case kNone:
        push(Kind::none);
        break;
      case kNewTrue:
      case kNewFalse:
        push(Kind::boolean, opcode == kNewTrue);
        break;
      case kBinInt:
        push_integer(take_text(4));
        break;
      case kBinInt1:  // these two are without sign
        push(Kind::integer, little_endian<uint8_t>(take(1)));
        break;
      case kBinInt2:
        push(Kind::integer, little_endian<uint16_t>(take(2)));
        break;
      case kLong1:
        push_integer(take_text(little_endian<uint8_t>(take(1))));
        break;
      case kLong4: {
        const auto length = little_endian<int32_t>(take(4));
        if (length < 0) corrupt("an integer of negative length");
        push_integer(take_text(static_cast<uint64_t>(length)));
        break;
      }
      case kBinFloat:
        take(8);  // none of the numbers needed is one
        push(Kind::real);
        break;
      case kShortBinString:
      case kShortBinUnicode:
        push_string(little_endian<uint8_t>(take(1)));
        break;
      case kBinString:
      case kBinUnicode:
        push_string(little_endian<uint32_t>(take(4)));
        break;
      case kBinUnicode8:
        push_string(little_endian<uint64_t>(take(8)));
        break;
      case kEmptyTuple:
        push(Kind::tuple);
        break;
      case kEmptyList:
        push(Kind::list);
        break;
      case kEmptyDict:
        push(Kind::dict);
        break;
      case kTuple:
        push({Kind::tuple, 0, {}, pop_mark()});
        break;
      case kTuple1:
      case kTuple2:
      case kTuple3:
        push_tuple(opcode - kTuple1 + 1u);
        break;
      case kAppend:
        append({pop()});
        break;
      case kAppends:
        append(pop_mark());
        break;
      case kSetItem: {
        const Id value = pop(), key = pop();
        set_items({key, value});
        break;
      }
      case kSetItems:
        set_items(pop_mark());
        break;
      case kBinGet:
        get(little_endian<uint8_t>(take(1)));
        break;
      case kLongBinGet:
        get(little_endian<uint32_t>(take(4)));
        break;
      case kBinPut:
        memo_[little_endian<uint8_t>(take(1))] = top();
        break;
      case kLongBinPut:
        memo_[little_endian<uint32_t>(take(4))] = top();
        break;
      case kMemoize:
        memo_[static_cast<uint32_t>(memo_.size())] = top();
        break;
      case kGlobal: {
        const std::string_view module = take_line();
        find_global(module, take_line());
        break;
      }
      case kStackGlobal: {
        const std::string_view name = string(pop(), "a name");
        find_global(string(pop(), "a module"), name);
        break;
      }
      case kReduce:
        call();
        break;
      case kBinPersId:
        load_storage();
        break;
      case kBuild:  // the attributes of a state_dict (_metadata) are passed over
        pop();
        if (node(top()).kind != Kind::dict) {
          throw Error(ErrorCode::security, "the pickle sets the state of an object that is no dict, refused", where_);
        }
        break;
      default:
        if (const std::string_view name = name_of_refused(opcode); !name.empty()) {
          throw Error(ErrorCode::security,
                      "the pickle makes objects with the opcode " + std::string(name) + ", refused", where_);
        }
        corrupt("opcode " + std::to_string(opcode) + " has no place in a checkpoint");
    }
  }
}

StateDict PickleReader::read_state_dict() {
  const Node& root = node(read());
  if (root.kind != Kind::dict) corrupt("expected a dict of tensors");
  StateDict out;
  for (std::size_t i = 0; i < root.items.size(); i += 2) {
    const Node &key = node(root.items[i]), &value = node(root.items[i + 1]);
    if (value.kind != Kind::tensor) continue;
    if (key.kind != Kind::string) corrupt("a tensor whose name is no string");
    out.tensors.push_back(state_.tensors[static_cast<std::size_t>(value.value)]);
    out.tensors.back().name = key.text;
    check_view(out.tensors.back(), state_.storages[out.tensors.back().storage], where_);
  }
  out.storages = std::move(state_.storages);
  return out;
}

std::vector<std::pair<std::string, bool>> PickleReader::read_flags() {
  const Node& root = node(read());
  if (root.kind != Kind::dict) corrupt("expected a dict");
  std::vector<std::pair<std::string, bool>> out;
  for (std::size_t i = 0; i < root.items.size(); i += 2) {
    const Node &key = node(root.items[i]), &value = node(root.items[i + 1]);
    if (key.kind == Kind::string && value.kind == Kind::boolean) out.emplace_back(key.text, value.value != 0);
  }
  return out;
}

std::vector<std::string_view> PickleReader::read_strings() {
  const Node& root = node(read());
  if (root.kind != Kind::list) corrupt("expected a list");
  std::vector<std::string_view> out;
  for (const Id item : root.items) out.push_back(string(item, "an entry of the list"));
  return out;
}

PickleReader::Integer PickleReader::read_integer() {
  const Node& root = node(read());
  if (root.kind != Kind::integer) corrupt("expected an integer");
  return {root.value, root.text};
}

}  // namespace transformers
