#!/usr/bin/env python3
"""Compares example_tokenize with Hugging Face on tokenizers put together at random: every normalizer, pre-tokenizer, model
and decoder with random options, random added tokens, trained on the corpus of the fixtures, on texts put together from it.

    python compare_random_tokenizers.py build/bin/example_tokenize [--seed 1] [--count 50] [--keep DIRECTORY]
"""
import argparse
import os
import random
import sys
import tempfile

from compare_tokenizers import compare
from corpus import texts
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

TEXTS = [t.replace("\n", " ").replace("\r", " ") for t in texts() if len(t) < 2000]
BEHAVIORS = ["removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"]
PATTERNS = [Regex(" {2,}"), Regex(r"\s+"), Regex(r"\p{N}"), Regex(r"\w+|[^\w\s]+"), Regex(r"[^\s\p{L}]"), " ", "e", "''"]


def flip(rng):
    return rng.random() < 0.5


def normalizer(rng):
    one = [lambda: normalizers.NFC(), lambda: normalizers.NFD(), lambda: normalizers.NFKC(), lambda: normalizers.NFKD(),
           lambda: normalizers.Lowercase(), lambda: normalizers.StripAccents(), lambda: normalizers.Nmt(),
           lambda: normalizers.Strip(flip(rng), flip(rng)), lambda: normalizers.Prepend("\u2581"),
           lambda: normalizers.Replace(rng.choice(PATTERNS), rng.choice([" ", "\u2581", "", "xy"])),
           lambda: normalizers.BertNormalizer(flip(rng), flip(rng), rng.choice([None, True, False]), flip(rng))]
    count = rng.choice([0, 0, 1, 1, 2, 3])
    chosen = [rng.choice(one)() for _ in range(count)]
    return None if count == 0 else chosen[0] if count == 1 else normalizers.Sequence(chosen)


def pre_tokenizer(rng):
    one = [lambda: pre_tokenizers.BertPreTokenizer(), lambda: pre_tokenizers.Whitespace(),
           lambda: pre_tokenizers.WhitespaceSplit(), lambda: pre_tokenizers.Punctuation(rng.choice(BEHAVIORS)),
           lambda: pre_tokenizers.Digits(flip(rng)), lambda: pre_tokenizers.CharDelimiterSplit("e"),
           lambda: pre_tokenizers.Split(rng.choice(PATTERNS), rng.choice(BEHAVIORS), flip(rng)),
           lambda: pre_tokenizers.ByteLevel(flip(rng), use_regex=flip(rng)), lambda: pre_tokenizers.UnicodeScripts(),
           lambda: pre_tokenizers.Metaspace("\u2581", rng.choice(["always", "first", "never"]), flip(rng)),
           lambda: pre_tokenizers.FixedLength(rng.randrange(1, 9))]
    metaspace = [pre_tokenizers.WhitespaceSplit(), one[9]()]
    count = rng.choice([0, 1, 1, 1, 2, 2])
    if rng.random() < 0.15:
        return pre_tokenizers.Sequence(metaspace)
    chosen = [rng.choice(one)() for _ in range(count)]
    return None if count == 0 else chosen[0] if count == 1 else pre_tokenizers.Sequence(chosen)


def model(rng):
    specials = ["<unk>", "<s>", "</s>", "<pad>"] + ["<0x%02X>" % b for b in range(256)] * flip(rng)
    kind = rng.choice(["BPE", "BPE", "BPE", "Unigram", "Unigram", "WordPiece", "WordLevel"])
    size = rng.randrange(350, 700) + len(specials)
    if kind == "BPE":
        suffix, prefix = rng.choice([None, None, None, "</w>"]), rng.choice([None, None, None, "##"])
        affixes = {"continuing_subword_prefix": prefix, "end_of_word_suffix": suffix}
        made = models.BPE(**rng.choice([{}, {"unk_token": "<unk>"}]), fuse_unk=flip(rng), byte_fallback=flip(rng),
                          ignore_merges=flip(rng), **{k: v for k, v in affixes.items() if v})
        return made, trainers.BpeTrainer(vocab_size=size, special_tokens=specials, show_progress=False, limit_alphabet=120,
                                         **{k: v for k, v in affixes.items() if v})
    if kind == "Unigram":
        return models.Unigram(), trainers.UnigramTrainer(vocab_size=size, special_tokens=specials, unk_token="<unk>", show_progress=False)
    if kind == "WordPiece":
        return (models.WordPiece(unk_token="<unk>", max_input_chars_per_word=rng.choice([5, 100])),
                trainers.WordPieceTrainer(vocab_size=size, special_tokens=specials, show_progress=False, limit_alphabet=120))
    return models.WordLevel(unk_token="<unk>"), trainers.WordLevelTrainer(vocab_size=size, special_tokens=specials, show_progress=False)


def decoder(rng):
    return rng.choice([lambda: None, decoders.ByteLevel, decoders.Metaspace, decoders.WordPiece, decoders.BPEDecoder,
                       lambda: decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])])()


def build(rng):
    made, trainer = model(rng)
    tokenizer = Tokenizer(made)
    for part, value in (("normalizer", normalizer(rng)), ("pre_tokenizer", pre_tokenizer(rng)), ("decoder", decoder(rng))):
        if value is not None:
            setattr(tokenizer, part, value)
    fits = [t for t in TEXTS if len(t) < 400 and all(32 <= ord(c) < 0x2000 for c in t)]
    tokenizer.train_from_iterator(fits, trainer)
    for content in rng.sample(["<a>", "the", " x", "\u00e9", "<|end|>", "HELLO", "[X]"], rng.randrange(4)):
        token = AddedToken(content, single_word=flip(rng), lstrip=flip(rng), rstrip=flip(rng), normalized=flip(rng))
        (tokenizer.add_special_tokens if flip(rng) else tokenizer.add_tokens)([token])
    if flip(rng):
        tokenizer.post_processor = rng.choice([
            processors.TemplateProcessing(single="<s> $A </s>", pair="<s> $A </s> $B:1 </s>:1", special_tokens=[("<s>", 1), ("</s>", 2)]),
            processors.ByteLevel(trim_offsets=flip(rng)), processors.RobertaProcessing(("</s>", 2), ("<s>", 1), flip(rng), flip(rng))])
    return tokenizer


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--keep", help="where the tokenizers are left")
    args = parser.parse_args()
    wrong = 0
    with tempfile.TemporaryDirectory() as scratch:
        for seed in range(args.seed, args.seed + args.count):
            rng = random.Random(seed)
            directory = os.path.join(args.keep or scratch, f"random-{seed}")
            os.makedirs(directory, exist_ok=True)
            try:
                tokenizer = build(rng)
            except BaseException as error:  # combinations that the trainers refuse; some panic
                print(f"{directory}: not trained: {str(error)[:100]}")
                continue
            tokenizer.save(os.path.join(directory, "tokenizer.json"))
            with open(os.path.join(directory, "tokenizer_config.json"), "w") as file:
                file.write('{"tokenizer_class": "PreTrainedTokenizerFast"}\n')
            path = os.path.join(directory, "texts.txt")
            added = [t.content for t in tokenizer.get_added_tokens_decoder().values()]
            with open(path, "w", encoding="utf-8", newline="\n") as file:
                for _ in range(300):
                    parts = [rng.choice(TEXTS + added * 10)[:80] for _ in range(rng.randrange(1, 4))]
                    file.write(rng.choice(["", " ", "  "]).join(parts) + "\n")
            try:
                wrong += compare(args.program, directory, path, 300)
            except (Exception, SystemExit) as error:
                wrong += 1
                print(f"{directory}: {error}")
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
