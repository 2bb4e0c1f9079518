// What it is: that a saved tokenizer is the same: every committed one, saved and loaded again, answers as before.
// Where it stands: tests of tokenizers.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "support.hpp"
#include "transformers/base/error.hpp"
#include "transformers/base/platform.hpp"
#include "transformers/base/value.hpp"
#include "transformers/tokenizers/tokenizer.hpp"

namespace transformers {
namespace {

namespace fs = std::filesystem;

// The crate does not read every score that it has written as it was: it may be off by a unit in the last place, and a
// text for which two ways of cutting it tie is then cut the other way. Returns whether there are such scores.
bool expect_same(Value after, Value before) {
  std::vector<double> got, want;
  if (before.at("model").at("type").as_string() == "Unigram") {
    const auto take_scores = [](Value& json) {
      std::vector<double> scores;
      Value model = json.at("model"), pieces = model.at("vocab");
      for (Value& piece : pieces.as_array()) scores.push_back(std::exchange(piece.as_array()[1], Value()).as_number());
      model.set("vocab", pieces);
      json.set("model", model);
      return scores;
    };
    got = take_scores(after);
    want = take_scores(before);
  }
  EXPECT_EQ(to_json(after), to_json(before));
  EXPECT_EQ(got.size(), want.size());
  for (std::size_t i = 0; i < got.size() && i < want.size(); ++i) EXPECT_DOUBLE_EQ(got[i], want[i]);
  return got != want;
}

TEST(TokenizerSave, EveryTokenizerIsItselfAgain) {
  const fs::path out = fs::path(::testing::TempDir()) / "saved-tokenizers";
  std::vector<std::string> texts;
  const std::string corpus = read_file(std::string(TCPP_TEST_DATA) + "/tokenizers/corpus.jsonl");
  for (std::size_t begin = 0; begin < corpus.size();) {
    const std::size_t end = std::min(corpus.find('\n', begin), corpus.size());
    const Value line = parse_json(corpus.substr(begin, end - begin), "corpus.jsonl");
    texts.push_back(line.is_string() ? line.as_string() : line.at("text").as_string());
    begin = end + 1;
  }
  ASSERT_GT(texts.size(), 100u);
  texts.insert(texts.end(), {"<s>x<mask> y<unk>", "en_XX a </s>b", " [MASK] x[SEP]"});
  int saved = 0, refused = 0;
  for (const auto& entry : fs::directory_iterator(std::string(TCPP_TEST_DATA) + "/tokenizers")) {
    if (!entry.is_directory()) continue;
    const std::string name = entry.path().filename().string();
    SCOPED_TRACE(name);
    const auto before = AutoTokenizer::from_pretrained(entry.path().string());
    if (name.starts_with("python-")) {
      EXPECT_ERROR(ErrorCode::unsupported, "a tokenizer that Hugging Face runs in Python has no tokenizer.json",
                   before->save_pretrained((out / name).string()));
      ++refused;
      continue;
    }
    before->save_pretrained((out / name).string());
    const auto after = AutoTokenizer::from_pretrained((out / name).string());
    ++saved;
    const bool rounds = expect_same(parse_json(after->to_json(), "after"), parse_json(before->to_json(), "before"));
    EXPECT_EQ(after->size(), before->size());
    EXPECT_EQ(after->model_max_length(), before->model_max_length());
    EXPECT_EQ(after->has_languages(), before->has_languages());
    EXPECT_EQ(std::vector<int32_t>(after->all_special_ids().begin(), after->all_special_ids().end()),
              std::vector<int32_t>(before->all_special_ids().begin(), before->all_special_ids().end()));
    int differences = 0;
    for (const std::string& text : texts) {
      try {
        const Encoding e = before->encode(text);
        differences += after->encode(text) != e || after->encode_pair(text, "b c") != before->encode_pair(text, "b c");
        differences += after->decode(e.ids) != before->decode(e.ids);
        const DecodeOptions skip{.skip_special_tokens = true};
        differences += after->decode(e.ids, skip) != before->decode(e.ids, skip);
      } catch (const Error&) {  // a vocabulary without unknown token
        EXPECT_THROW(after->encode(text), Error);
      }
    }
    EXPECT_LE(differences, rounds ? 2 : 0);
  }
  EXPECT_GT(saved, 50);
  EXPECT_EQ(refused, 7);
  fs::remove_all(out);
}

}  // namespace
}  // namespace transformers
