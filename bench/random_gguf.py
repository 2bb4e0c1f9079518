#!/usr/bin/env python3
"""Writes a GGUF of random weights in float16: decoders of sizes that nobody has to download to compare.

Where it stands: beside compare_decoders.py, whose --model it makes. The vocabulary is that of another GGUF (llama.cpp's
sources have models/ggml-vocab-gpt-2.gguf).

    bench/random_gguf.py llama-1b VOCABULARY.gguf OUT.gguf
"""

import sys

import gguf
import numpy

# name: (architecture, layers, hidden, inner, heads, key/value heads)
SHAPES = {
    "gpt2": ("gpt2", 12, 768, 3072, 12, 12),
    "llama-1b": ("llama", 16, 2048, 8192, 32, 8),  # Llama 3.2 1B's
}


def vocabulary(path):
    """(model, pre-tokenizer, tokens, types, merges) of a byte-level BPE."""
    fields = gguf.GGUFReader(path).fields
    return [fields[f"tokenizer.ggml.{name}"].contents() for name in ("model", "pre", "tokens", "token_type", "merges")]


def main():
    if len(sys.argv) != 4 or sys.argv[1] not in SHAPES:
        sys.exit(f"usage: random_gguf.py {'|'.join(SHAPES)} VOCABULARY.gguf OUT.gguf")
    architecture, layers, hidden, inner, heads, kv_heads = SHAPES[sys.argv[1]]
    model, pre, tokens, types, merges = vocabulary(sys.argv[2])
    writer = gguf.GGUFWriter(sys.argv[3], architecture)
    writer.add_name(sys.argv[1])
    writer.add_context_length(2048)
    writer.add_embedding_length(hidden)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    if architecture == "llama":
        writer.add_layer_norm_rms_eps(1e-5)
        writer.add_rope_dimension_count(hidden // heads)
        writer.add_rope_freq_base(10000.0)
        writer.add_vocab_size(len(tokens))
    else:
        writer.add_layer_norm_eps(1e-5)
    writer.add_tokenizer_model(model)
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(len(tokens) - 1)
    writer.add_eos_token_id(len(tokens) - 1)

    random = numpy.random.default_rng(20240607)

    def matrix(name, rows, columns):
        numbers = random.standard_normal((rows, columns), dtype=numpy.float32) * 0.02
        writer.add_tensor(name + ".weight", numbers.astype(numpy.float16))

    def vector(name, count, around=0.0):
        writer.add_tensor(name, (around + 0.05 * random.standard_normal(count)).astype(numpy.float32))

    matrix("token_embd", len(tokens), hidden)
    if architecture == "gpt2":
        matrix("position_embd", 2048, hidden)
        vector("output_norm.bias", hidden)
        matrix("output", len(tokens), hidden)
    vector("output_norm.weight", hidden, 1.0)
    keys = hidden // heads * kv_heads
    for i in range(layers):
        at = f"blk.{i}."
        vector(at + "attn_norm.weight", hidden, 1.0)
        vector(at + "ffn_norm.weight", hidden, 1.0)
        if architecture == "gpt2":
            vector(at + "attn_norm.bias", hidden)
            vector(at + "ffn_norm.bias", hidden)
            shapes = {"attn_qkv": (3 * hidden, hidden), "attn_output": (hidden, hidden), "ffn_up": (inner, hidden),
                      "ffn_down": (hidden, inner)}
        else:
            shapes = {"attn_q": (hidden, hidden), "attn_k": (keys, hidden), "attn_v": (keys, hidden),
                      "attn_output": (hidden, hidden), "ffn_gate": (inner, hidden), "ffn_up": (inner, hidden),
                      "ffn_down": (hidden, inner)}
        for name, (rows, columns) in shapes.items():
            matrix(at + name, rows, columns)
            if architecture == "gpt2":
                vector(at + name + ".bias", rows)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()
