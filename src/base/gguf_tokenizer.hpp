// What it is: the tokenizer in a GGUF file's metadata, written out as tokenizer.json and tokenizer_config.json.
// Where it stands: src/base; gguf_files.cpp hands both out as files of the model.
// Usage: `std::string json = gguf_tokenizer_json(*file);`
// Source: transformers 5.23 integrations/gguf/gguf_tokenizer_mapping.py.
#pragma once

#include <string>

#include "transformers/base/gguf.hpp"

namespace transformers {

// Whether the file has a vocabulary of a kind that is read: byte-level BPE ("gpt2") or SentencePiece's BPE ("llama").
bool has_gguf_tokenizer(const GgufFile& file);
// Error(corrupt_file) for lists of different lengths, ids outside the vocabulary and tokens that are not UTF-8.
std::string gguf_tokenizer_json(const GgufFile& file);
std::string gguf_tokenizer_config(const GgufFile& file);

}  // namespace transformers
