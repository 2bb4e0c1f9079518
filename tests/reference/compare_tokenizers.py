#!/usr/bin/env python3
"""Compares example_tokenize with Hugging Face on tokenizers that are too large to commit, line by line of a text: ids by
the compiled path, and of the first lines ids, tokens, offsets, word_ids, type_ids and the decoded text too.

    python compare_tokenizers.py build/bin/example_tokenize TEXTS.txt DIRECTORY...      exit code: 1 if any line differs
    --full N: how many lines are compared in everything (20,000)

Decoded texts are those of decode(ids) with transformers' defaults.
"""
import argparse
import itertools
import json
import os
import subprocess
import sys

os.environ.setdefault("HF_HUB_OFFLINE", "1")
from transformers import AutoTokenizer
from transformers.utils import logging

BLOCK = 2000


def lines_of(path):
    with open(path, encoding="utf-8", errors="replace", newline="\n") as file:
        for line in file:
            yield line.removesuffix("\n")


def ours(program, directory, path, *options):
    with open(path, "rb") as file:
        process = subprocess.Popen([program, directory, *options], stdin=file, stdout=subprocess.PIPE)
        for line in process.stdout:
            yield json.loads(line)
        if process.wait():
            sys.exit(f"{program} fails on {directory}")


def expected(tokenizer, lines, ids_only):
    if not tokenizer.is_fast:
        for line in lines:
            ids = tokenizer(line)["input_ids"]
            yield {"ids": ids} if ids_only else {"ids": ids, "tokens": tokenizer.convert_ids_to_tokens(ids), "text": tokenizer.decode(ids)}
        return
    encode = tokenizer._tokenizer.encode_batch_fast if ids_only else tokenizer._tokenizer.encode_batch
    lines = iter(lines)
    while block := list(itertools.islice(lines, BLOCK)):
        for e in encode(block):
            if ids_only:
                yield {"ids": e.ids}
                continue
            yield {"ids": e.ids, "tokens": e.tokens, "offsets": [list(o) for o in e.offsets],
                   "word_ids": [-1 if w is None else w for w in e.word_ids], "type_ids": e.type_ids,
                   "text": tokenizer.decode(e.ids)}


def compare(program, directory, path, full):
    tokenizer = AutoTokenizer.from_pretrained(directory)
    if tokenizer.is_fast:
        tokenizer._tokenizer.no_truncation()
        tokenizer._tokenizer.no_padding()
    wrong = 0
    for ids_only in (False, True):
        lines = lines_of(path) if ids_only else itertools.islice(lines_of(path), full)
        got = ours(program, directory, path, *(["--ids"] if ids_only else []))
        lines, texts = itertools.tee(lines)
        count = 0
        for text, want, have in zip(texts, expected(tokenizer, lines, ids_only), got):
            count += 1
            different = [key for key in want if want[key] != have[key]]
            if different:
                wrong += 1
                if wrong <= 3:
                    print(f"  {text!r}")
                    for key in different:
                        print(f"    {key}: want {want[key]}\n    {key}: have {have[key]}")
        got.close()
        print(f"{directory} ({type(tokenizer).__name__}): {count} lines, {'ids' if ids_only else 'everything'}: {wrong} differ", flush=True)
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("text")
    parser.add_argument("directories", nargs="+")
    parser.add_argument("--full", type=int, default=20000)
    args = parser.parse_args()
    logging.set_verbosity_error()
    sys.exit(any([compare(args.program, d, args.text, args.full) for d in args.directories]))


if __name__ == "__main__":
    main()
