// The command line: what callers rely on. Exit statuses, one line of error, inputs line by line, JSON shapes, resuming.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "support.hpp"
#include "transformers/base/platform.hpp"
#include "transformers/base/value.hpp"
#include "transformers/generation/generate.hpp"
#include "transformers/io/safetensors.hpp"
#include "transformers/models/pretrained_model.hpp"
#include "transformers/pipelines/pipeline.hpp"

namespace transformers {
namespace {

namespace fs = std::filesystem;

const std::string kClassifier = std::string(TCPP_TEST_DATA) + "/pipelines/textcls-3";
const std::string kSentences = std::string(TCPP_TEST_DATA) + "/pipelines/sentences-mean-normalize";

struct Result {
  int status;
  std::string out, err;
  std::vector<std::string> lines() const {
    std::vector<std::string> all;
    std::istringstream in(out);
    for (std::string line; std::getline(in, line);) all.push_back(line);
    return all;
  }
};

class Cli : public ::testing::Test {
 protected:
  // `words` as a shell would read them, standard input from `input`.
  Result run(const std::string& words, const std::string& input = "") {
    write("stdin", input);
    const std::string command = std::string("'") + TCPP_BINARY + "' " + words + " < " + path("stdin") + " > " +
                                path("stdout") + " 2> " + path("stderr");
    const int status = std::system(command.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_file(path("stdout")), read_file(path("stderr"))};
  }
  std::string path(const std::string& name) const { return (directory_.path() / name).string(); }
  void write(const std::string& name, const std::string& text) { std::ofstream(path(name), std::ios::binary) << text; }

  test::TemporaryDirectory directory_;
};

TEST_F(Cli, TasksWithoutABundledModelNameSomeOfTheHub) {
  for (const TaskInfo& task : tasks()) {
    if (!task.default_model.empty()) {
      EXPECT_TRUE(fs::exists(fs::path(TCPP_MODELS_DIR) / task.default_model / "config.json")) << task.name;
      continue;
    }
    ASSERT_FALSE(task.hub_models.empty()) << task.name;
    const Result r = run("run " + std::string(task.name) + " x");
    EXPECT_EQ(r.status, 1) << task.name;
    EXPECT_NE(r.err.find(task.hub_models), std::string::npos) << r.err;
  }
}

TEST_F(Cli, WrongUsageIsStatus2) {
  for (const char* words : {"", "nonsense", "run", "run text-classification --nonsense x", "tokenize", "forward",
                            "run text-classification --top-k many x", "info sentiment-en -- x"}) {
    const Result r = run(words);
    EXPECT_EQ(r.status, 2) << words;
    EXPECT_EQ(r.out, "") << words;
    EXPECT_EQ(std::count(r.err.begin(), r.err.end(), '\n'), 1) << r.err;
  }
  EXPECT_EQ(run("--help").status, 0);
  EXPECT_NE(run("run text-classification --help").out.find("--function-to-apply"), std::string::npos);
}

TEST_F(Cli, FailedWorkIsStatus1AndOneLine) {
  const Result model = run("run text-classification --model /no/such x");
  EXPECT_EQ(model.status, 1);
  EXPECT_EQ(model.out, "");
  EXPECT_EQ(model.err, "error: no such directory (/no/such)\n");
  std::string text;
  for (int i = 0; i < 100; ++i) text += "a ";
  const Result longer = run("run text-classification --model " + kClassifier + " '" + text + "'");
  EXPECT_EQ(longer.status, 1);
  EXPECT_EQ(longer.err, "error: 102 tokens, model maximum is 48 (pass truncation=true)\n");
  EXPECT_EQ(run("run text-classification --truncation --model " + kClassifier + " '" + text + "'").status, 0);
}

TEST_F(Cli, OneJsonValuePerInput) {
  const Result r = run("run sentiment-analysis --model " + kClassifier + " --json 'a b' '[x,y]' '' -- '-5 degrees'");
  EXPECT_EQ(r.status, 0) << r.err;
  ASSERT_EQ(r.lines().size(), 4u);
  for (const std::string& line : r.lines()) {
    const Value answer = parse_json(line, "line");
    ASSERT_EQ(answer.as_object().size(), 2u);
    EXPECT_EQ(answer.as_object()[0].first, "label");
    EXPECT_EQ(answer.as_object()[1].first, "score");
  }
  const Result all = run("run text-classification --model " + kClassifier + " --json --top-k none x");
  EXPECT_EQ(parse_json(all.out, "line").as_array().size(), 3u);
}

TEST_F(Cli, LinesEndAtNewlineOnly) {
  write("in.txt", std::string("one\r\n\ntwo\0three\nlast", 20));
  const Result r = run("tokenize " + kClassifier + " --input " + path("in.txt"));
  EXPECT_EQ(r.status, 0) << r.err;
  EXPECT_EQ(r.lines().size(), 4u);
  const Result standard = run("run text-classification --json --model " + kClassifier + " -", "a\nb\n");
  EXPECT_EQ(standard.lines().size(), 2u);
}

TEST_F(Cli, ABadLineIsAnsweredInItsPlace) {
  write("in.jsonl", "\"good\"\n{\"text\": \"a\", \"text_pair\": \"b\"}\n{broken\n17\n\"good\"\n");
  const Result r = run("run text-classification --json --model " + kClassifier + " --input " + path("in.jsonl"));
  EXPECT_EQ(r.status, 1);
  const auto lines = r.lines();
  ASSERT_EQ(lines.size(), 5u);
  EXPECT_EQ(lines[0], lines[4]);
  EXPECT_NE(lines[1].find("\"label\""), std::string::npos);
  EXPECT_TRUE(lines[2].starts_with("{\"error\":")) << lines[2];
  EXPECT_TRUE(lines[3].starts_with("{\"error\":")) << lines[3];
}

TEST_F(Cli, ResumeGoesOnBehindTheLastWholeLine) {
  write("in.txt", "one\ntwo\nthree\n");
  const std::string words = "run text-classification --json --model " + kClassifier + " --input " + path("in.txt") +
                            " --output " + path("out.jsonl");
  EXPECT_EQ(run(words).status, 0);
  const std::string whole = read_file(path("out.jsonl"));
  write("out.jsonl", whole.substr(0, whole.find('\n') + 5));  // one line and a torn one
  EXPECT_EQ(run(words + " --resume").status, 0);
  EXPECT_EQ(read_file(path("out.jsonl")), whole);
}

TEST_F(Cli, MembersOfInputsAreFlags) {
  const std::string qa = std::string(TCPP_TEST_DATA) + "/pipelines/qa-bert",
                    run_qa = "run question-answering --json --model " + qa;
  write("in.jsonl", "{\"question\": \"Who, then?\", \"context\": \"Sarah, or Ada.\"}\n");
  const Result file = run(run_qa + " --input " + path("in.jsonl"));
  ASSERT_EQ(file.lines().size(), 1u) << file.err;
  EXPECT_EQ(run(run_qa + " --question 'Who, then?' --context 'Sarah, or Ada.'").out, file.out);
  EXPECT_EQ(run(run_qa + " --context 'Sarah, or Ada.' 'Who, then?'").out, file.out);
  const Result two = run(run_qa + " --question 'Who, then?' --question Why --context 'Sarah, or Ada.'");
  ASSERT_EQ(two.lines().size(), 2u);
  EXPECT_EQ(two.lines()[0] + "\n", file.out);
  EXPECT_EQ(run(run_qa + " --question a --question b --context c --context d --context e").status, 2);
  EXPECT_EQ(run(run_qa + " --question a").status, 1);
  EXPECT_NE(run("run question-answering --help").out.find("--context"), std::string::npos);
  // A pair of texts.
  write("pair.jsonl", "{\"text\": \"a\", \"text_pair\": \"b\"}\n");
  const std::string classify = "run text-classification --json --model " + kClassifier;
  EXPECT_EQ(run(classify + " --text-pair b a").out, run(classify + " --input " + path("pair.jsonl")).out);
}

TEST_F(Cli, BadLinesAreReportedWithTheirNumbersAndTheRestGoesOn) {
  std::string text, too_long;
  for (int i = 0; i < 100; ++i) too_long += "a ";
  for (int i = 1; i <= 3000; ++i) text += i % 1000 == 7 ? too_long + "\n" : "line " + std::to_string(i) + "\n";
  write("in.txt", text);
  const Result r = run("run text-classification --model " + kClassifier + " --input " + path("in.txt") + " --output " +
                       path("out.jsonl"));
  EXPECT_EQ(r.status, 1);
  EXPECT_EQ(r.out, "");
  for (const char* line : {":7)", ":1007)", ":2007)"})
    EXPECT_NE(r.err.find(path("in.txt") + line), std::string::npos) << r.err;
  std::istringstream out(read_file(path("out.jsonl")));
  int n = 0;
  for (std::string line; std::getline(out, line);) {
    const Value answer = parse_json(line, "line");
    EXPECT_EQ(answer.find("error") != nullptr, ++n % 1000 == 7) << n;
  }
  EXPECT_EQ(n, 3000);
}

TEST_F(Cli, AnswersForPeopleKeepTheirLine) {
  write("in.txt", "one\ntwo\n");
  const Result r = run("run text-classification --top-k none --model " + kClassifier + " --input " + path("in.txt") +
                       " --output " + path("out.txt"));
  EXPECT_EQ(r.status, 0) << r.err;
  const std::string text = read_file(path("out.txt"));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2);
}

TEST_F(Cli, ListsAreCommaSeparatedOrRepeated) {
  const std::string ner = "run ner --json --model " + std::string(TCPP_TEST_DATA) + "/pipelines/ner-bert Sarah ";
  const std::string all = run(ner + "--ignore-labels ''").out;
  EXPECT_NE(all, run(ner + "--ignore-labels 'O, I-PER'").out);
  EXPECT_EQ(run(ner + "--ignore-labels 'O, I-PER'").out, run(ner + "--ignore-labels O --ignore-labels I-PER").out);
}

TEST_F(Cli, KilledAndResumedNothingIsMissingOrThereTwice) {
  std::string text;
  for (int i = 0; i < 30000; ++i) text += "line " + std::to_string(i) + " is this\n";
  write("in.txt", text);
  const std::string words =
      "run text-classification --json --model " + kClassifier + " --input " + path("in.txt") + " --output ";
  ASSERT_EQ(run(words + path("straight.jsonl")).status, 0);
  for (int i = 0; i < 4; ++i) {
    const std::string killed = std::string("timeout -s KILL 0.") + std::to_string(2 + i) + " '" + TCPP_BINARY + "' " +
                               words + path("out.jsonl") + " --resume 2> " + path("stderr");
    static_cast<void>(std::system(killed.c_str()));
  }
  EXPECT_EQ(run(words + path("out.jsonl") + " --resume").status, 0);
  EXPECT_TRUE(read_file(path("out.jsonl")) == read_file(path("straight.jsonl")));
}

TEST_F(Cli, TokenizeAndBack) {
  const Result r = run("tokenize " + kClassifier + " 'Hello world' --pair 'a b'");
  EXPECT_EQ(r.status, 0) << r.err;
  const Value encoding = parse_json(r.out, "line");
  std::vector<std::string> keys;
  for (const auto& member : encoding.as_object()) keys.push_back(member.first);
  EXPECT_EQ(keys, (std::vector<std::string>{"ids", "tokens", "offsets", "type_ids", "special_tokens_mask"}));
  std::string ids;
  for (const Value& id : encoding.at("ids").as_array()) ids += std::to_string(id.as_integer()) + " ";
  EXPECT_EQ(run("detokenize " + kClassifier + " " + ids).out, "\"hello world a b\"\n");
  EXPECT_NE(run("detokenize " + kClassifier + " --keep-special-tokens " + ids).out.find("[SEP]"), std::string::npos);
  EXPECT_EQ(run("detokenize " + kClassifier + " 99999999").status, 1);
}

TEST_F(Cli, ForwardWritesHuggingFacesNames) {
  const fs::path models = fs::path(TCPP_TEST_DATA) / "models", model = models / "bert" / "model-left";
  // An encoder, and an encoder-decoder with embeddings for both halves.
  for (const fs::path& directory : {model, models / "mbart" / "lm-embeds"}) {
    const Result r = run("forward " + directory.string() + " --inputs " + (directory / "inputs.safetensors").string() +
                         " --output " + path("out.safetensors") + " --dtype fp32 --output-hidden-states");
    ASSERT_EQ(r.status, 0) << r.err;
    const auto got = SafetensorsFile::open(path("out.safetensors"));
    const auto want = SafetensorsFile::open(directory / "expected.safetensors");
    EXPECT_EQ(got->names().size(), want->names().size());
    for (const std::string& name : want->names()) {
      EXPECT_TRUE(got->contains(name)) << name;
      EXPECT_EQ(got->tensor(name).shape(), want->tensor(name).shape());
    }
  }
  EXPECT_EQ(run("forward " + model.string() + " --inputs " + (model / "inputs.safetensors").string() + " --output " +
                path("out.safetensors") + " --dtype q3")
                .status,
            1);
}

TEST_F(Cli, EmbeddingsKeepTheBatchDimension) {
  const Result r = run("run feature-extraction --json --pooling automatic --model " + kSentences + " 'hello'");
  ASSERT_EQ(r.status, 0) << r.err;
  const Value embedding = parse_json(r.out, "line");
  ASSERT_EQ(embedding.as_array().size(), 1u);
  double sum = 0;
  for (const Value& x : embedding.as_array()[0].as_array()) sum += x.as_number() * x.as_number();
  EXPECT_NEAR(sum, 1, 1e-5);
}

TEST_F(Cli, BenchAndInfoAreOneJsonLine) {
  write("lengths", "3\n5\n");
  const Result forward =
      run("bench forward " + kClassifier + " --batch 2 --seq 5 --lengths " + path("lengths") + " --runs 2 --threads 1");
  ASSERT_EQ(forward.status, 0) << forward.err;
  const Value figures = parse_json(forward.out, "line");
  for (const char* name : {"tokens_per_s", "sequences_per_s", "latency_ms_median", "peak_rss_mb", "load_ms"}) {
    EXPECT_GT(figures.at(name).as_number(), 0) << name;
  }
  EXPECT_EQ(figures.at("threads").as_integer(), 1);
  EXPECT_EQ(figures.at("dtype").as_string(), "fp32");
  write("text", "hello world\nagain\n");
  const Result tokenize = run("bench tokenize " + kClassifier + " --input " + path("text") + " --runs 1");
  EXPECT_GT(parse_json(tokenize.out, "line").at("tokens").as_integer(), 4);
  const Value info = parse_json(run("info --json " + kClassifier).out, "line");
  EXPECT_EQ(info.at("architecture").as_string(), "BertForSequenceClassification");
  EXPECT_EQ(info.at("tasks").as_array().front(), Value("text-classification"));
  const Value of_integers = parse_json(run("info --json " + std::string(TCPP_MODELS_DIR) + "/nli-en").out, "line");
  EXPECT_EQ(of_integers.at("parameters"), Value(14449923));  // as Hugging Face counts those of its configuration
  EXPECT_EQ(of_integers.at("dtype").as_string(), "fp16, q4");
  EXPECT_GT(of_integers.at("memory_bytes").as_integer(), 9345366);
}

// ---- Generation -----------------------------------------------------------------------------------------------------

const std::string kDecoder = std::string(TCPP_TEST_DATA) + "/models/gpt2/lm";

// [rows, length] token ids as an input of generate.
void write_ids(const std::string& path, const std::vector<std::vector<int64_t>>& rows, const char* name = "input_ids") {
  Tensor ids = Tensor::zeros(DType::i64, {static_cast<int64_t>(rows.size()), static_cast<int64_t>(rows[0].size())});
  int64_t* to = ids.mutable_data<int64_t>();
  for (const auto& row : rows) to = std::copy(row.begin(), row.end(), to);
  const std::vector<std::pair<std::string, Tensor>> tensors{{name, ids}};
  save_safetensors(path, tensors);
}

TEST_F(Cli, GenerateWritesWhatGenerateGives) {
  write_ids(path("in"), {{3, 4, 5}, {7, 8, 7}});
  const std::string common =
      "generate " + kDecoder + " --inputs " + path("in") + " --output " + path("out") + " --eos-token-id none ";
  const auto sequences = [&](const std::string& options) {
    const Result r = run(common + options);
    EXPECT_EQ(r.status, 0) << r.err;
    EXPECT_EQ(r.out, "");
    const Tensor t = SafetensorsFile::open(path("out"))->tensor("sequences");
    EXPECT_EQ(t.dim(0), 2);
    const std::span<const int64_t> all = t.span<int64_t>();
    return std::vector<int64_t>(all.begin(), all.end());
  };
  const auto model = PretrainedModel::from_pretrained(kDecoder);
  const Tensor ids = SafetensorsFile::open(path("in"))->tensor("input_ids");
  const Value options = Value::Object{{"max_new_tokens", 9}, {"eos_token_id", nullptr}};
  const GenerateOutput expected =
      generate(*model, {.input_ids = ids}, GenerationConfig::from_pretrained(kDecoder).with(options));
  const std::span<const int64_t> want = expected.sequences.span<int64_t>();
  const std::vector<int64_t> plain(want.begin(), want.end());
  EXPECT_EQ(sequences("--max-new-tokens 9 --output-scores --output-logits"), plain);
  const auto file = SafetensorsFile::open(path("out"));
  EXPECT_EQ(file->tensor("transition_scores").shape(), (Shape{2, 9}));
  EXPECT_EQ(file->tensor("logprobs").shape(), (Shape{2, 9}));
  EXPECT_EQ(file->tensor("logits").shape(), (Shape{2, 9, 67}));
  // What changes no token.
  EXPECT_EQ(sequences("--max-new-tokens 9 --prompt-lookup-num-tokens 4"), plain);
  EXPECT_EQ(sequences("--max-new-tokens 9 --assistant-model " + kDecoder), plain);
  EXPECT_EQ(sequences("--max-new-tokens 9 --prefill-chunk-size 1 --threads 1"), plain);
  EXPECT_EQ(sequences("--max-new-tokens 9 --cache-dtype bf16").size(), plain.size());
  EXPECT_EQ(sequences("--max-new-tokens 9 --do-sample --seed 5 --temperature 3"),
            sequences("--max-new-tokens 9 --do-sample --seed 5 --temperature 3 --prompt-lookup-num-tokens 4"));
  EXPECT_EQ(sequences("--max-new-tokens 9 --num-beams 3 --output-scores").size(), plain.size());
  EXPECT_EQ(SafetensorsFile::open(path("out"))->tensor("sequences_scores").shape(), (Shape{2}));
}

TEST_F(Cli, GenerateSaysWhatIsWrong) {
  write_ids(path("in"), {{3, 4, 5}});
  const auto error_of = [&](const std::string& options, const std::string& input) {
    const Result r = run("generate " + kDecoder + " --inputs " + input + " --output " + path("out") + " " + options);
    EXPECT_EQ(r.status, 1) << options;
    EXPECT_EQ(std::count(r.err.begin(), r.err.end(), '\n'), 1) << r.err;
    return r.err;
  };
  EXPECT_NE(error_of("--max-new-tokens 0", path("in")).find("max_new_tokens"), std::string::npos);
  EXPECT_NE(error_of("--num-return-sequences 2", path("in")).find("num_return_sequences"), std::string::npos);
  EXPECT_NE(error_of("--regex '[ab'", path("in")).find("tokenizer"), std::string::npos);  // the directory has none
  EXPECT_NE(error_of("--max-new-tokens 60 --eos-token-id none", path("in")).find("41 tokens, model maximum is 40"),
            std::string::npos);
  write_ids(path("wrong"), {{3}}, "inputs");
  EXPECT_NE(error_of("", path("wrong")).find("generate takes no input \"inputs\""), std::string::npos);
  EXPECT_NE(error_of("", path("missing")).find("missing"), std::string::npos);
  EXPECT_EQ(run("generate " + kDecoder).status, 2);
  EXPECT_EQ(run("generate " + kDecoder + " --inputs x --output y --cache-dtype q3").status, 2);
}

TEST_F(Cli, BenchGenerateIsOneJsonLine) {
  for (const std::string options : {"--batch 1", "--batch 3 --cache-dtype q8", "--num-beams 2"}) {
    const Result r = run("bench generate " + kDecoder + " --prompt 5 --new 6 --runs 1 --threads 1 " + options);
    ASSERT_EQ(r.status, 0) << r.err;
    ASSERT_EQ(r.lines().size(), 1u);
    const Value figures = parse_json(r.out, "line");
    for (const char* name :
         {"prompt_tokens_per_s", "new_tokens_per_s", "time_to_first_token_ms", "peak_rss_mb", "load_ms"}) {
      EXPECT_GT(figures.at(name).as_number(), 0) << name;
    }
    EXPECT_EQ(figures.at("threads").as_integer(), 1);
  }
  EXPECT_EQ(run("bench generate " + kDecoder + " --prompt 0").status, 2);
  EXPECT_EQ(run("bench generate " + kDecoder + " --prompt 38 --new 9 --runs 1").status, 1);
}

// A tiny Llama with a tokenizer of words, w0 ... w66, and a chat template.
class Chat : public Cli {
 protected:
  void SetUp() override {
    fs::create_directories(path("model"));
    const fs::path from = fs::path(TCPP_TEST_DATA) / "models/llama/lm";
    for (const char* name : {"config.json", "model.safetensors"}) fs::copy_file(from / name, path("model/") + name);
    std::string vocab;
    for (int i = 0; i < 67; ++i) vocab += (i == 0 ? "\"w" : ",\"w") + std::to_string(i) + "\":" + std::to_string(i);
    write("model/generation_config.json", R"({"do_sample":false,"max_new_tokens":4})");
    write("model/tokenizer.json",
          R"({"version":"1.0","truncation":null,"padding":null,"added_tokens":[],)"
          R"("normalizer":null,"pre_tokenizer":{"type":"WhitespaceSplit"},"post_processor":null,)"
          R"("decoder":null,"model":{"type":"WordLevel","unk_token":"w0","vocab":{)" +
              vocab + "}}}");
    write("model/tokenizer_config.json",
          R"({"tokenizer_class":"PreTrainedTokenizerFast","unk_token":"w0","chat_template":)"
          R"("{% for m in messages %}{{ m.role == 'system' and 'w1' or 'w2' }} {{ m.content }} {% endfor %}w7"})");
  }
  Result chat(const std::string& options, const std::string& input) {
    return run("chat " + path("model") + " " + options, input);
  }
};

TEST_F(Chat, BenchPerplexityPredictsTheSecondHalfOfEachPiece) {
  const std::vector<int64_t> ids{3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19};  // two pieces and a rest
  std::string text;
  for (const int64_t id : ids) text += "w" + std::to_string(id) + " ";
  write("text", text);
  const auto model = PretrainedModel::from_pretrained(path("model"));
  double loss = 0;
  for (std::size_t first = 0; first < 16; first += 8) {
    BatchBuilder builder(model->batch_rules());
    builder.add({.input_ids = std::span(ids).subspan(first, 8)});
    Workspace workspace;
    const ModelOutput out = model->forward(builder.finish(), workspace);
    for (std::size_t row = 4; row < 7; ++row) {
      const auto logits = out.logits->row(static_cast<int64_t>(row));
      double sum = 0;
      for (const float x : logits) sum += std::exp(static_cast<double>(x));
      loss += std::log(sum) - static_cast<double>(logits[static_cast<std::size_t>(ids[first + row + 1])]);
    }
  }
  const std::string command = "bench perplexity " + path("model") + " --input " + path("text");
  const Result r = run(command + " --context 8");
  ASSERT_EQ(r.status, 0) << r.err;
  const Value figures = parse_json(r.out, "line");
  EXPECT_EQ(figures.at("tokens").as_integer(), 6);
  EXPECT_NEAR(figures.at("perplexity").as_number(), std::exp(loss / 6), 1e-3);
  EXPECT_NE(run(command + " --context 32").err.find("17 tokens, fewer than --context 32"), std::string::npos);
}

TEST_F(Chat, AnswersLinesAndKeepsTheConversation) {
  const Result once = chat("--eos-token-id none", "w3 w4\n");
  ASSERT_EQ(once.status, 0) << once.err;
  ASSERT_EQ(once.lines().size(), 1u);
  EXPECT_EQ(std::count(once.out.begin(), once.out.end(), 'w'), 4);
  const Result r =
      chat("--eos-token-id none --system w9",
           "w3 w4\n\nw5\n/save " + path("saved") + "\n/undo\nw5\n/clear\nw3 w4\n/system\nw3 w4\n/exit\nw6\n");
  ASSERT_EQ(r.status, 0) << r.err;
  const std::vector<std::string> answers = r.lines();
  ASSERT_EQ(answers.size(), 5u) << r.out;
  EXPECT_EQ(answers[2], answers[1]);  // the same conversation once more
  EXPECT_EQ(answers[3], answers[0]);
  EXPECT_EQ(answers[4], once.lines()[0]);  // without the system prompt
  const Value saved = parse_json(read_file(path("saved")), "saved");
  ASSERT_EQ(saved.as_array().size(), 5u);
  EXPECT_EQ(saved.as_array()[0].at("role"), Value("system"));
  EXPECT_EQ(saved.as_array()[0].at("content"), Value("w9"));
  EXPECT_EQ(saved.as_array()[3].at("content"), Value("w5"));
  EXPECT_EQ(saved.as_array()[4].at("role"), Value("assistant"));
  EXPECT_EQ(saved.as_array()[4].at("content"), Value(answers[1]));
}

TEST_F(Chat, HelpAndErrors) {
  const Result help = chat("", "/help\n");
  EXPECT_EQ(help.status, 0);
  for (const char* command : {"/help", "/clear", "/system", "/undo", "/save", "/exit", "Ctrl-C"}) {
    EXPECT_NE(help.out.find(command), std::string::npos) << command;
  }
  const Result unknown = chat("", "/nonsense\nw3\n");
  EXPECT_EQ(unknown.status, 1);
  EXPECT_EQ(unknown.out, "");
  EXPECT_NE(unknown.err.find("there is no command \"/nonsense\""), std::string::npos) << unknown.err;
  EXPECT_EQ(chat("--nonsense", "").status, 2);
  EXPECT_EQ(chat("--num-beams 2", "w3\n").status, 1);
  EXPECT_NE(chat("--max-new-tokens none --max-length 3", "w3 w4 w5\n").err.find("max_length"), std::string::npos);
  write("model/tokenizer_config.json", R"({"tokenizer_class":"PreTrainedTokenizerFast","unk_token":"w0"})");
  EXPECT_NE(chat("", "w3\n").err.find("the model has no chat template"), std::string::npos);
}

TEST_F(Chat, AnInterruptEndsTheAnswerAndNotTheProgram) {
  write("input", "w3\n/save " + path("saved") + "\n");
  const std::string script = "'" + std::string(TCPP_BINARY) + "' chat " + path("model") +
                             " --eos-token-id none --max-new-tokens 1000000 < " + path("input") + " > " + path("out") +
                             " 2> " + path("err") + " & pid=$!; while kill -0 $pid && [ ! -s " + path("out") +
                             " ]; do sleep 0.05; done; kill -INT $pid; wait $pid";
  const int status = std::system(script.c_str());
  EXPECT_EQ(WEXITSTATUS(status), 0) << read_file(path("err"));
  const Value saved = parse_json(read_file(path("saved")), "saved");
  ASSERT_EQ(saved.as_array().size(), 2u);
  EXPECT_EQ(saved.as_array()[1].at("content").as_string() + "\n", read_file(path("out")));
}

// The bundled model's promise: its weights once, and 40 MB for all else, activations of 4,096 tokens included.
// (Sanitizers have memory of their own.)
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST_F(Cli, TheBundledModelRunsInLittleMemory) {
  const std::string model = std::string(TCPP_MODELS_DIR) + "/sentiment-en";
  const auto weights = static_cast<double>(std::filesystem::file_size(model + "/model.safetensors"));
  const Result result = run("bench forward " + model + " --batch 32 --seq 128 --runs 1 --threads 2");
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_LE(parse_json(result.out, "line").at("peak_rss_mb").as_number(), weights / 1e6 + 40);
}
#endif

}  // namespace
}  // namespace transformers
