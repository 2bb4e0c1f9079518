#!/usr/bin/env python3
"""Compares the tokenizers with Hugging Face's on ones put together at random: every normalizer, pre-tokenizer, model,
post-processor and decoder with random options, random added tokens, trained on the corpus of the fixtures, on texts put
together from it and mutated: alone, in pairs, in words, truncated, padded, decoded. Each is a case as make_tokenizers.py
makes them, and test_tokenizers compares.

    python compare_random_tokenizers.py build/bin/test_tokenizers [--seed 1] [--count 50] [--keep DIRECTORY]
"""
import argparse
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
import transformers
from make_tokenizers import OUT, attempt, charsmap, encode, view
from corpus import texts
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

TEXTS = [t for t in texts() if len(t) < 2000]
FITS = [t for t in TEXTS if len(t) < 400 and all(32 <= ord(c) < 0x2000 for c in t)]
BEHAVIORS = ["removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"]
PATTERNS = [Regex(" {2,}"), Regex(r"\s+"), Regex(r"\p{N}"), Regex(r"\w+|[^\w\s]+"), Regex(r"[^\s\p{L}]"), " ", "e", "''",
            Regex(r"(?i:'s|'t)|\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"), "\u2581"]
EMPTY = [Regex(r"\b"), Regex(r"(?=[A-Z])"), Regex("[aeiou]*")]  # not for Replace: the crate may double what stands before the first character
ODD = ["\u0301", "\u0323", "\u1100\u1161\u11a8", "\u200d", "\ufe0f", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\u0e33", "\u0915\u094d\u0937", "\r\n", "\n", "\t", "\u00a0", "\u3000", "\u2581",
       "\u0120", "\u200b", "\ufeff", "\ufffd", "\x00", "\x01", "\x7f", "\x85", "\u2028", "\ufb01", "\u00bd", "\u0130", "\u1e9e", "\u03a3", "\u2126", "\uac01", "\u4e2d", "\U00020000", "\u05d0", "\u0661",
       "  ", "   ", " ", "'s", "##", "</w>", "<0x41>", "<unk>", "\U0001f1eb\U0001f1f7", "\u0378", "\U000e0067", "\uffff", "\u1680", "\u0344", "\u0958", "\u0f73", "\u1d160"]
CHARSMAPS = []


def flip(rng, probability=0.5):
    return rng.random() < probability


def charsmaps():
    """Rules of its own, and those that SentencePiece carries: nmt_nfkc, nfkc, nmt_nfkc_cf, nfkc_cf."""
    if CHARSMAPS:
        return CHARSMAPS
    import base64
    import io
    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2
    CHARSMAPS.append(base64.b64decode(charsmap()["precompiled_charsmap"]))
    for name in ("nmt_nfkc", "nfkc", "nmt_nfkc_cf", "nfkc_cf"):
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(["a b c d e f g h"] * 20), model_writer=model, vocab_size=12, hard_vocab_limit=False,
                                                 normalization_rule_name=name, minloglevel=2)
        proto = sentencepiece_model_pb2.ModelProto.FromString(model.getvalue())
        CHARSMAPS.append(proto.normalizer_spec.precompiled_charsmap)
    return CHARSMAPS


def one_or_sequence(chosen, sequence):
    return None if not chosen else chosen[0] if len(chosen) == 1 else sequence(chosen)


def normalizer(rng):
    one = [lambda: normalizers.NFC(), lambda: normalizers.NFD(), lambda: normalizers.NFKC(), lambda: normalizers.NFKD(),
           lambda: normalizers.Lowercase(), lambda: normalizers.StripAccents(), lambda: normalizers.Nmt(),
           lambda: normalizers.Strip(flip(rng), flip(rng)), lambda: normalizers.Prepend(rng.choice(["\u2581", " ", "ab"])),
           lambda: normalizers.Replace(rng.choice(PATTERNS), rng.choice([" ", "\u2581", "", "xy"])), lambda: normalizers.ByteLevel(),
           lambda: normalizers.BertNormalizer(flip(rng), flip(rng), rng.choice([None, True, False]), flip(rng))]
    precompiled = [lambda: normalizers.Precompiled(rng.choice(charsmaps()))] * 3
    return one_or_sequence([rng.choice(one + precompiled)() for _ in range(rng.choice([0, 0, 1, 1, 2, 3]))], normalizers.Sequence)


def pre_tokenizer(rng):
    one = [lambda: pre_tokenizers.BertPreTokenizer(), lambda: pre_tokenizers.Whitespace(),
           lambda: pre_tokenizers.WhitespaceSplit(), lambda: pre_tokenizers.Punctuation(rng.choice(BEHAVIORS)),
           lambda: pre_tokenizers.Digits(flip(rng)), lambda: pre_tokenizers.CharDelimiterSplit(rng.choice(["e", "\u2581", " "])),
           lambda: pre_tokenizers.Split(rng.choice(PATTERNS + EMPTY), rng.choice(BEHAVIORS), flip(rng)),
           lambda: pre_tokenizers.ByteLevel(flip(rng), use_regex=flip(rng)), lambda: pre_tokenizers.UnicodeScripts(),
           lambda: pre_tokenizers.Metaspace(rng.choice(["\u2581", "\u2581", "_"]), rng.choice(["always", "first", "never"]), flip(rng)),
           lambda: pre_tokenizers.FixedLength(rng.randrange(1, 9))]
    if flip(rng, 0.15):
        return pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), one[9]()])
    return one_or_sequence([rng.choice(one)() for _ in range(rng.choice([0, 1, 1, 1, 2, 2, 3]))], pre_tokenizers.Sequence)


def model(rng):
    specials = ["<unk>", "<s>", "</s>", "<pad>"] + ["<0x%02X>" % b for b in range(256)] * flip(rng)
    kind = rng.choice(["BPE", "BPE", "BPE", "Unigram", "Unigram", "WordPiece", "WordLevel"])
    size = rng.randrange(350, 700) + len(specials)
    alphabet = pre_tokenizers.ByteLevel.alphabet() if flip(rng, 0.3) else []
    if kind == "BPE":
        affixes = {"continuing_subword_prefix": rng.choice([None, None, None, "##", "@"]), "end_of_word_suffix": rng.choice([None, None, None, "</w>"])}
        affixes = {k: v for k, v in affixes.items() if v}
        made = models.BPE(**rng.choice([{}, {"unk_token": "<unk>"}]), fuse_unk=flip(rng), byte_fallback=flip(rng), ignore_merges=flip(rng), **affixes)
        return made, trainers.BpeTrainer(vocab_size=size + len(alphabet), special_tokens=specials, show_progress=False, limit_alphabet=120 + len(alphabet), initial_alphabet=alphabet, **affixes)
    if kind == "Unigram":
        return models.Unigram(), trainers.UnigramTrainer(vocab_size=size + len(alphabet), special_tokens=specials, unk_token="<unk>", show_progress=False, initial_alphabet=alphabet)
    if kind == "WordPiece":
        prefix = rng.choice(["##", "##", "", "\u2581"])
        return (models.WordPiece(unk_token="<unk>", max_input_chars_per_word=rng.choice([5, 100]), continuing_subword_prefix=prefix),
                trainers.WordPieceTrainer(vocab_size=size, special_tokens=specials, show_progress=False, limit_alphabet=120, continuing_subword_prefix=prefix))
    return models.WordLevel(unk_token="<unk>"), trainers.WordLevelTrainer(vocab_size=size, special_tokens=specials, show_progress=False)


def pattern_json(rng):
    pattern = rng.choice(["\u2581", " ", "e", Regex(r"\s+"), Regex("[aeiou]"), Regex(r"\b")])
    return {"String": pattern} if isinstance(pattern, str) else {"Regex": rng.choice([r"\s+", "[aeiou]", r"a+|\z"])}


def decoder(rng):
    one = [lambda: {"type": "ByteLevel", "add_prefix_space": flip(rng), "trim_offsets": flip(rng), "use_regex": flip(rng)},
           lambda: {"type": "Metaspace", "replacement": rng.choice(["\u2581", "_"]), "prepend_scheme": rng.choice(["always", "first", "never"]), "split": flip(rng)},
           lambda: {"type": "WordPiece", "prefix": rng.choice(["##", "", "@"]), "cleanup": flip(rng)}, lambda: {"type": "BPEDecoder", "suffix": rng.choice(["</w>", "", "e"])},
           lambda: {"type": "CTC", "pad_token": rng.choice(["<pad>", "e"]), "word_delimiter_token": rng.choice(["|", "a", "\u2581"]), "cleanup": flip(rng)},
           lambda: {"type": "Replace", "pattern": pattern_json(rng), "content": rng.choice([" ", "", "xy"])}, lambda: {"type": "ByteFallback"}, lambda: {"type": "Fuse"},
           lambda: {"type": "Strip", "content": rng.choice([" ", "e", "\u2581"]), "start": rng.randrange(4), "stop": rng.randrange(3)}]
    usual = {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}
    chosen = [rng.choice(one)() for _ in range(rng.choice([0, 1, 1, 1, 2, 3, 4]))]
    if flip(rng, 0.2):
        return usual
    return one_or_sequence(chosen, lambda d: {"type": "Sequence", "decoders": d})


def template(rng):
    """Any order, any type ids, special tokens of several ids; a text may come twice."""
    specials = {"<s>": ([1], ["<s>"]), "</s>": ([2], ["</s>"]), "many": ([1, 3, 2], ["<s>", "<pad>", "</s>"])}
    def piece(name):
        kind = "Sequence" if name in "AB" else "SpecialToken"
        return {kind: {"id": name, "type_id": rng.choice([0, 0, 0, 1, 2])}}
    def around(sequences):
        out = []
        for s in sequences:
            out += [rng.choice(list(specials))] * flip(rng, 0.6) + [s]
        return [piece(name) for name in out + [rng.choice(list(specials))] * flip(rng, 0.6)]
    two = ["A", "B"] if flip(rng, 0.8) else ["B", "A"]
    return {"type": "TemplateProcessing", "single": around(["A"] if flip(rng, 0.95) else ["A", "A"]), "pair": around(two if flip(rng, 0.95) else two + ["A"]),
            "special_tokens": {name: {"id": name, "ids": ids, "tokens": tokens} for name, (ids, tokens) in specials.items()}}


def post_processor(rng):
    byte_level = lambda: {"type": "ByteLevel", "add_prefix_space": flip(rng), "trim_offsets": flip(rng), "use_regex": flip(rng)}
    one = [lambda: template(rng), lambda: template(rng), byte_level, lambda: {"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 1], "trim_offsets": flip(rng), "add_prefix_space": flip(rng)},
           lambda: {"type": "BertProcessing", "sep": ["</s>", 2], "cls": ["<s>", 1]}]
    kind = rng.randrange(8)
    if kind == 0:
        return None
    if kind == 1:
        return {"type": "Sequence", "processors": [byte_level(), rng.choice(one)()]}
    return rng.choice(one)()


def build(rng):
    """A tokenizer.json: trained, with the parts that need no training, and the flags that trainers do not set."""
    made, trainer = model(rng)
    tokenizer = Tokenizer(made)
    for part, value in (("normalizer", normalizer(rng)), ("pre_tokenizer", pre_tokenizer(rng))):
        if value is not None:
            setattr(tokenizer, part, value)
    tokenizer.train_from_iterator(rng.sample(FITS, 40), trainer)
    known = []
    for content in rng.sample(["<a>", "the", " x", "\u00e9", "<|end|>", "HELLO", "[X]", "e", "  ", "<a><a>", "\u0301", "of the", "\n", "\u2581", "a\u0301"], rng.choice([0, 1, 2, 3, 5])):
        token = AddedToken(content, single_word=flip(rng), lstrip=flip(rng), rstrip=flip(rng), normalized=flip(rng))
        found_as = tokenizer.normalizer.normalize_str(content) if token.normalized and tokenizer.normalizer else content
        # The crate finds an empty text between the bytes of characters, and panics; of two alike it finds any.
        if found_as and found_as not in known:
            known.append(found_as)
            (tokenizer.add_special_tokens if flip(rng) else tokenizer.add_tokens)([token])
    out = json.loads(tokenizer.to_str())
    out.update(decoder=decoder(rng), post_processor=post_processor(rng))
    if out["model"]["type"] == "Unigram":
        out["model"]["byte_fallback"] = flip(rng)
        if flip(rng, 0.1):
            out["model"]["unk_id"] = None
        if flip(rng, 0.3):  # ties
            for piece in out["model"]["vocab"]:
                piece[1] = round(piece[1])
    return out


def text(rng, added):
    parts = [rng.choice(TEXTS)[:rng.choice([8, 30, 80])] for _ in range(rng.randrange(1, 4))] + [rng.choice(added + ODD) for _ in range(rng.randrange(0, 4))]
    rng.shuffle(parts)
    out = list(rng.choice(["", " ", "  "]).join(parts))
    for _ in range(rng.choice([0, 0, 1, 3])):
        at = rng.randrange(len(out) + 1)
        if flip(rng):
            out.insert(at, rng.choice(ODD + [chr(rng.randrange(0x20, 0xD800)), chr(rng.randrange(0xE000, 0x20000))]))
        elif out:
            del out[min(at, len(out) - 1)]
    return "".join(out)


def options_of(rng):
    out = {}
    if flip(rng, 0.7):
        out.update(truncation=rng.choice(["longest_first", "longest_first", "only_first", "only_second"]), max_length=rng.choice([1, 2, 3, *range(4, 24)]), truncation_side=rng.choice(["left", "right"]))
        if flip(rng):
            out["stride"] = rng.randrange(4)
    if flip(rng, 0.4):
        out.update(padding=rng.choice([True, "max_length"]), padding_side=rng.choice(["left", "right"]))
        out.setdefault("max_length", rng.randrange(1, 24))
        if flip(rng, 0.3):
            out["pad_to_multiple_of"] = rng.randrange(1, 9)
    if flip(rng, 0.3):
        out["add_special_tokens"] = False
    return out


def everything(e):
    return {**view(e, mask=True), "word_ids": e.word_ids, "sequence_ids": e.sequence_ids}


def rows(tokenizer, rng, count):
    added = [t.content for t in tokenizer.added_tokens_decoder.values()]
    ids = []
    for _ in range(count):
        given = text(rng, added)
        row = attempt({"op": rng.choice(["encode", "encode", "encode_plain"]), "text": given}, dict)
        yield (row := attempt(row, lambda: {"want": everything(encode(tokenizer, given, add_special_tokens=row["op"] == "encode")[0])}))
        if "want" in row and row["want"]["ids"]:
            ids.append(row["want"]["ids"])
    for _ in range(count // 3):
        a, b = text(rng, added), text(rng, added) if flip(rng, 0.9) else ""
        yield attempt({"op": "pair", "text": a, "pair": b}, lambda: {"want": everything(encode(tokenizer, a, b)[0])})
        words = [text(rng, added)[:rng.choice([0, 5, 12, 30])] for _ in range(rng.randrange(1, 5))]
        yield attempt({"op": "encode", "words": words}, lambda: {"want": everything(tokenizer(words, is_split_into_words=True).encodings[0])})
    for _ in range(count // 2):
        row = {"op": "truncate", "text": text(rng, added), **({"pair": text(rng, added) or "x"} if flip(rng) else {}), "options": options_of(rng)}
        yield attempt(row, lambda: {"want": [everything(e) for e in encode(tokenizer, row["text"], row.get("pair"), return_overflowing_tokens=True, **row["options"])]})
    for _ in range(count // 10):
        row = {"op": "batch", "texts": [text(rng, added) for _ in range(rng.randrange(1, 4))], "options": {k: v for k, v in options_of(rng).items() if k != "truncation_side"}}
        yield attempt(row, lambda: {"want": [everything(e) for e in tokenizer(row["texts"], **row["options"]).encodings]})
    known = sorted(tokenizer.get_vocab().values())
    for _ in range(count // 2):
        chosen = rng.choice(ids) if ids and flip(rng) else [rng.choice(known) for _ in range(rng.randrange(30))]
        options = rng.choice([{}, {}, {"clean_up_tokenization_spaces": True}, {"clean_up_tokenization_spaces": False}])
        yield attempt({"op": "decode", "ids": chosen, **({"options": options} if options else {})},
                      lambda: {"keep": tokenizer.decode(chosen, **options), "skip": tokenizer.decode(chosen, skip_special_tokens=True, **options)})


def make(directory, seed, count):
    rng = random.Random(seed)
    spec = build(rng)
    os.makedirs(directory)
    for name, content in (("tokenizer.json", spec), ("tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "<unk>", "pad_token": "<pad>"})):
        with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
            json.dump(content, file, ensure_ascii=flip(rng), indent=rng.choice([None, 1]))
    tokenizer = transformers.AutoTokenizer.from_pretrained(directory)
    with open(os.path.join(directory, "expected.jsonl"), "w", encoding="utf-8") as file:
        for row in rows(tokenizer, rng, count):
            if not any(text in row.get("error", "") for text in ("char boundary", "bad split", "index out of bounds", "unwrap", "slice index", "MemoryError")):  # panics
                file.write(json.dumps(row) + "\n")


def make_apart(directory, seed, count):
    """In a process of its own: the crate runs out of memory, or never ends, on some combinations."""
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
        signal.alarm(60)
        try:
            make(directory, seed, count)
            os._exit(0)
        except BaseException as error:  # combinations that the trainers refuse; some panic
            print(f"{directory}: not made: {str(error)[:100]}", flush=True)
            os._exit(1)
    made = os.waitpid(child, 0)[1] == 0
    if not made:
        shutil.rmtree(directory, ignore_errors=True)
    return made


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--rows", type=int, default=60)
    parser.add_argument("--keep", help="where the tokenizers are left")
    args = parser.parse_args()
    transformers.utils.logging.set_verbosity_error()
    charsmaps()
    transformers.AutoTokenizer.from_pretrained(os.path.join(OUT, "bpe-gpt2"))  # imports what else each process would
    made = 0
    with tempfile.TemporaryDirectory() as scratch:
        scratch = args.keep or scratch
        for seed in range(args.seed, args.seed + args.count):
            directory = os.path.join(scratch, f"random-{seed}")
            shutil.rmtree(directory, ignore_errors=True)
            made += make_apart(directory, seed, args.rows)
        print(f"{made} tokenizers", flush=True)
        sys.exit(subprocess.run([args.program, "--gtest_brief=1", "--gtest_filter=*ReferenceParity.EveryRow*"], env={**os.environ, "TCPP_TOKENIZER_CASES": scratch}).returncode)


if __name__ == "__main__":
    main()
