// Implements sentencepiece.hpp.
#include "sentencepiece.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "transformers/base/error.hpp"
#include "transformers/base/value.hpp"
#include "transformers/tokenizers/unicode.hpp"

namespace transformers {
namespace {

// One message of the protocol buffers encoding, field by field.
class ProtoMessage {
 public:
  // `offset` is where the message stands in the file.
  ProtoMessage(std::string_view bytes, std::size_t offset, const std::string& where)
      : bytes_(bytes), offset_(offset), where_(where) {}

  enum Wire : uint32_t { varint = 0, fixed64 = 1, length = 2, fixed32 = 5 };
  uint32_t field = 0, wire = 0;
  uint64_t number = 0;    // of a varint, fixed64 or fixed32
  std::string_view data;  // of a field with a length

  bool next() {
    if (at_ == bytes_.size()) return false;
    const uint64_t key = read_varint();
    if (key >> 3 == 0 || key >> 3 > 0x1FFFFFFF) fail("a field number out of range");
    field = static_cast<uint32_t>(key >> 3);
    wire = static_cast<uint32_t>(key & 7);
    switch (wire) {
      case varint:
        number = read_varint();
        break;
      case fixed64:
        number = read_fixed(8);
        break;
      case fixed32:
        number = read_fixed(4);
        break;
      case length: {
        const uint64_t size = read_varint();
        if (size > bytes_.size() - at_) {
          fail("a field of " + std::to_string(size) + " bytes where " + std::to_string(bytes_.size() - at_) +
               " are left");
        }
        data = bytes_.substr(at_, static_cast<std::size_t>(size));
        at_ += data.size();
        break;
      }
      default:
        fail("wire type " + std::to_string(wire));
    }
    return true;
  }

  ProtoMessage message() {
    expect(length);
    return {data, offset_ + at_ - data.size(), where_};
  }
  std::string_view text() {
    expect(length);
    if (unicode::well_formed_prefix(data) != data.size()) fail("a text that is not UTF-8");
    return data;
  }
  std::string_view raw() {
    expect(length);
    return data;
  }
  int32_t integer() {
    expect(varint);
    return static_cast<int32_t>(static_cast<uint32_t>(number));
  }
  float real() {
    expect(fixed32);
    return std::bit_cast<float>(static_cast<uint32_t>(number));
  }
  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ErrorCode::corrupt_file,
                "no SentencePiece model: " + what + " at byte " + std::to_string(offset_ + at_), where_);
  }

 private:
  void expect(Wire wanted) const {
    if (wire != wanted) fail("field " + std::to_string(field) + " has wire type " + std::to_string(wire));
  }
  uint64_t read_varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 70; shift += 7) {
      if (at_ == bytes_.size()) fail("the file ends within a number");
      const auto b = static_cast<unsigned char>(bytes_[at_++]);
      if (shift == 63 && b > 1) fail("a number beyond 64 bits");
      value |= static_cast<uint64_t>(b & 0x7F) << shift;
      if (b < 0x80) return value;
    }
    fail("a number of more than 10 bytes");
  }
  uint64_t read_fixed(std::size_t size) {
    if (size > bytes_.size() - at_) fail("the file ends within a number");
    uint64_t value = 0;
    for (std::size_t i = 0; i < size; ++i) {
      value |= static_cast<uint64_t>(static_cast<unsigned char>(bytes_[at_++])) << (8 * i);
    }
    return value;
  }

  std::string_view bytes_;
  std::size_t at_ = 0, offset_;
  const std::string& where_;
};

void read_trainer(ProtoMessage m, SentencePieceModel& out) {
  while (m.next()) {
    if (m.field == 3) {
      const int32_t kind = m.integer();
      if (kind < 1 || kind > 4) m.fail("model type " + std::to_string(kind));
      out.kind = static_cast<SentencePieceModel::Kind>(kind);
    }
    if (m.field == 24) out.treat_whitespace_as_suffix = m.integer() != 0;
    if (m.field == 35) out.byte_fallback = m.integer() != 0;
    if (m.field == 40) out.unk_id = m.integer();
    if (m.field == 44) out.unk_surface = m.text();
  }
}

}  // namespace

SentencePieceModel read_sentencepiece(std::string_view bytes, const std::string& where) {
  SentencePieceModel out;
  ProtoMessage m(bytes, 0, where);
  std::unordered_map<std::string_view, std::size_t> seen;
  while (m.next()) {
    if (m.field == 1) {
      SentencePieceModel::Piece piece;
      ProtoMessage p = m.message();
      std::string_view text;
      while (p.next()) {
        if (p.field == 1) text = p.text();
        if (p.field == 2) piece.score = p.real();
        if (p.field == 3) piece.type = p.integer();
      }
      if (!std::isfinite(piece.score)) p.fail("a score that is not finite");
      if (!seen.emplace(text, out.pieces.size()).second) {
        p.fail("piece " + std::to_string(out.pieces.size()) + ", " + quote(text) + ", stands twice");
      }
      piece.text = text;
      out.pieces.push_back(std::move(piece));
    } else if (m.field == 2) {
      read_trainer(m.message(), out);
    } else if (m.field == 3) {
      ProtoMessage n = m.message();
      while (n.next()) {
        if (n.field == 2) out.precompiled_charsmap = n.raw();
        if (n.field == 3) out.add_dummy_prefix = n.integer() != 0;
        if (n.field == 4) out.remove_extra_whitespaces = n.integer() != 0;
        if (n.field == 5) out.escape_whitespaces = n.integer() != 0;
      }
    }
  }
  if (out.pieces.empty()) throw Error(ErrorCode::corrupt_file, "no SentencePiece model: it has no pieces", where);
  return out;
}

void take_pieces(const std::vector<SentencePieceModel::Piece>& pieces, Unigram& unigram) {
  for (const auto& piece : pieces) unigram.add(piece.text, static_cast<double>(piece.score));
}

void take_pieces(const std::vector<SentencePieceModel::Piece>& pieces, BPE& bpe, Vocab& vocab,
                 const std::string& where) {
  for (const auto& piece : pieces) {
    if (!vocab.add(piece.text, static_cast<int32_t>(vocab.size()))) {
      throw Error(ErrorCode::corrupt_file, "the token " + quote(piece.text) + " stands twice", where);
    }
  }
  vocab.finish(where);
  // Every way to cut a token into two others is a merge; they are ordered by the token's id, then by the lengths of the
  // halves, then by the halves' ids.
  struct Merge {
    std::string_view left, right;
    std::size_t left_length, right_length;
    int32_t left_id, right_id;
  };
  std::vector<Merge> local;
  for (const auto& piece : pieces) {
    const std::string_view token = piece.text;
    local.clear();
    const std::size_t length = unicode::count(token);
    std::size_t at = 0;
    uint64_t hash = Vocab::kHashStart;  // of the left half: however long the token, each is looked up at once
    for (std::size_t cut = 1; cut < length; ++cut) {
      const std::size_t before = at;
      unicode::next(token, at);
      for (std::size_t i = before; i < at; ++i) hash = Vocab::hash_step(hash, token[i]);
      const std::string_view left = token.substr(0, at), right = token.substr(at);
      const int32_t left_id = vocab.find(left, hash);
      const int32_t right_id = left_id < 0 ? -1 : vocab.find(right);
      if (right_id >= 0) local.push_back({left, right, cut, length - cut, left_id, right_id});
    }
    std::sort(local.begin(), local.end(), [](const Merge& a, const Merge& b) {
      return std::tie(a.left_length, a.right_length, a.left_id, a.right_id) <
             std::tie(b.left_length, b.right_length, b.left_id, b.right_id);
    });
    for (const Merge& merge : local) bpe.add_merge(merge.left, merge.right);
  }
}

}  // namespace transformers
