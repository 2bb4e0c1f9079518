#!/usr/bin/env python3
"""Writes tests/data/tokenizers/<case>/: tokenizers in every spelling and what Hugging Face answers with them.

Usage: python tests/reference/make_tokenizers.py [--only GLOB] [--vocabs DIR]    (environment: tests/reference/README.md;
with transformers 4.57.6 and sacremoses 0.2.0 the classes that 5.x has removed)

A case is a directory that AutoTokenizer.from_pretrained loads (tokenizer.json, or vocab.txt alone), case.json and
expected.jsonl, one JSON object a line:
  {"op": "encode" | "encode_plain", "text", "want": {ids, tokens, offsets, type_ids, special_tokens_mask}}
  {"op": "pair", "text", "pair", "want": ...}                                   offsets count code points of the original
  {"op": "words", "text", "pair"?, "want": {word_ids, sequence_ids}}
  {"op": "truncate", "text", "pair"?, "options", "want": [window, ...]}         the first window, then the overflowing ones
  {"op": "batch", "texts", "options", "want": [{..., attention_mask}, ...]}
  {"op": "decode", "ids", "options"?, "keep", "skip"}                           special tokens kept, and skipped
A row whose call raises holds "error" (what HF said) in place of its answer.
The vocab.txt of bert-base-uncased and -cased are kept as they are; every other vocabulary is counted from the corpus.
"""
import argparse, base64, collections, fnmatch, json, os, shutil, sys, zlib

os.environ["RUST_BACKTRACE"] = "0"  # the errors below include panics

import tokenizers
import transformers
from transformers.convert_slow_tokenizer import bytes_to_unicode
from corpus import PLAIN, PROSE, SPECIALS, texts

TRANSFORMERS = "5.23.0"
OLD = "4.57.6"  # for the classes that 5.x has removed
OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "data", "tokenizers")
CORPUS = texts()
NAMED = {"unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]", "cls_token": "[CLS]", "mask_token": "[MASK]"}
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]

PAIRS = [("Hello, world!", "How are you?"), ("What is the capital of France?", "The capital of France is Paris."), ("", "b"), ("a", ""), ("", ""), (" ", " "),
         ("caf\u00e9 \u4e2d\u6587", "e\u0301\U0001f600 [MASK]"), ("[SEP] x", "y [CLS]"), (PROSE[3], PLAIN[12])]
LONG = "one two three four five six seven eight nine ten"
SHORT = "hello the world"


# ---- tokenizer.json ----------------------------------------------------------------------------------------------

def bert_normalizer(lowercase=True, strip_accents=None, clean_text=True, handle_chinese_chars=True):
    return {"type": "BertNormalizer", "clean_text": clean_text, "handle_chinese_chars": handle_chinese_chars, "strip_accents": strip_accents, "lowercase": lowercase}


def sequence(key, *items):
    return {"type": "Sequence", key: [{"type": i} if isinstance(i, str) else i for i in items]}


def template(single, pair, ids):
    def piece(p):
        name, _, type_id = p.partition(":")
        kind, name = ("Sequence", name[1:]) if name.startswith("$") else ("SpecialToken", name)
        return {kind: {"id": name, "type_id": int(type_id or 0)}}
    return {"type": "TemplateProcessing", "single": [piece(p) for p in single.split()], "pair": [piece(p) for p in pair.split()],
            "special_tokens": {k: {"id": k, "ids": [i for i, _ in v], "tokens": [t for _, t in v]} for k, v in ids.items()}}


BERT_TEMPLATE = template("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", {"[CLS]": [(2, "[CLS]")], "[SEP]": [(3, "[SEP]")]})
ODD_TEMPLATE = template("[CLS]:1 $A:3 [SEP]:2", "[CLS] $B:1 [SEP] $A [SEP]:2", {"[CLS]": [(2, "[CLS]"), (4, "[MASK]")], "[SEP]": [(3, "[SEP]")]})
BERT_PROCESSING = {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]}


def added(content, **flags):
    return {"content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": True, "special": False, **flags}


ADDED = [added("<lstrip>", lstrip=True, normalized=False), added("<rstrip>", rstrip=True, normalized=False), added("<both>", lstrip=True, rstrip=True, special=True, normalized=False),
         added("single", single_word=True), added("newtok"), added("\u00dcn\u00eftok"), added("raw\u00c9", normalized=False), added("two words"), added("<special>", special=True, normalized=False)]


def tokenizer_json(normalizer=bert_normalizer(), pre_tokenizer={"type": "BertPreTokenizer"}, post_processor=BERT_TEMPLATE, decoder={"type": "WordPiece", "prefix": "##", "cleanup": True},
                   prefix="##", max_chars=100, specials=SPECIAL, more=(), truncation=None, padding=None, pieces=400, typed=True, share=3, unk="[UNK]"):
    spec = {"version": "1.0", "truncation": truncation, "padding": padding, "added_tokens": [], "normalizer": normalizer, "pre_tokenizer": pre_tokenizer,
            "post_processor": post_processor, "decoder": decoder,
            "model": {"type": "WordPiece", "unk_token": unk, "continuing_subword_prefix": prefix, "max_input_chars_per_word": max_chars, "vocab": {s: i for i, s in enumerate(specials)}}}
    vocab = spec["model"]["vocab"] = build_vocab(spec, specials, prefix, pieces, share)
    flagged = [added(s, special=True, normalized=False) for s in specials] + list(more)
    size = len(vocab)
    for token in flagged:
        i = vocab.get(token["content"])
        if i is None:
            i, size = size, size + 1
        spec["added_tokens"].append({"id": i, **token})
    spec["added_tokens"].sort(key=lambda t: t["id"])
    if not typed:  # as the oldest files
        del spec["model"]["type"]
    return spec


def keep_char(c, share):
    return c.isascii() or zlib.crc32(c.encode()) % share == 0


def build_vocab(spec, specials, prefix, pieces, share=3):
    """Special tokens, characters (only some of the rare ones, so that unknown words happen), then the substrings that save most."""
    tok = tokenizers.Tokenizer.from_str(json.dumps(spec))
    words = collections.Counter()
    for text in CORPUS:
        if len(text) > 1000 or text in SPECIALS:  # the added tokens must not be in the vocabulary already
            continue
        text = tok.normalizer.normalize_str(text) if tok.normalizer else text
        split = tok.pre_tokenizer.pre_tokenize_str(text) if tok.pre_tokenizer else [(text, None)]
        words.update(w for w, _ in split if 0 < len(w) <= 100 and w not in specials)
    first, rest, subs = set(), set(), collections.Counter()
    for w, n in words.items():
        first.add(w[0])
        rest.update(w[1:])
        for i in range(len(w)):
            for j in range(i + 2, min(len(w), i + 9) + 1):
                if all(c.isalnum() or ord(c) > 0x300 for c in w[i:j]):
                    subs[(prefix if i else "") + w[i:j]] += n * (j - i - 1)
    vocab = dict.fromkeys(specials)
    vocab.update(dict.fromkeys(sorted(c for c in first if keep_char(c, share))))
    vocab.update(dict.fromkeys(prefix + c for c in sorted(rest) if keep_char(c, 2 * share)))
    best = sorted(subs, key=lambda s: (-subs[s], s))
    vocab.update(dict.fromkeys(best[:pieces]))
    return {t: i for i, t in enumerate(vocab)}


def small_vocab_lines():
    """A vocab.txt with both cases, accents and whole CJK words, so that every do_lower_case / strip_accents / tokenize_chinese_chars shows."""
    cased = build_vocab({**tokenizer_json(normalizer=bert_normalizer(lowercase=False, strip_accents=False, handle_chinese_chars=False), pieces=0)}, SPECIAL, "##", 350)
    folded = build_vocab({**tokenizer_json(pieces=0)}, SPECIAL, "##", 350)
    return list(dict.fromkeys([*cased, *folded]))


# ---- cases -------------------------------------------------------------------------------------------------------

CASES = {}


def case(name, make, note="", full=False, subset=4, extra=(), version=TRANSFORMERS):
    """make() -> {file name: dict (written as JSON) or str}. full: every text; else every subset-th, and `extra` always."""
    CASES[name] = dict(make=make, note=note, full=full, subset=subset, extra=list(extra), version=version)


def config(tokenizer_class="BertTokenizer", **more):
    return {"tokenizer_class": tokenizer_class, **NAMED, **more}


def vocab_only(**more):
    return lambda: {"vocab.txt": "\n".join(small_vocab_lines()) + "\n", "tokenizer_config.json": config(**more)}


def json_file(settings=None, **spec):
    return lambda: {"tokenizer.json": tokenizer_json(**spec), "tokenizer_config.json": settings or config("PreTrainedTokenizerFast", model_max_length=512)}


def real_vocab(name, lower):
    return lambda: {"vocab.txt": REAL_VOCAB(name), "tokenizer_config.json": config(do_lower_case=lower, model_max_length=512)}


case("bert-base-uncased", real_vocab("bert-base-uncased", True), "vocab.txt only", full=True)
case("bert-base-cased", real_vocab("bert-base-cased", False), "vocab.txt only", subset=2, extra=PROSE)

case("vocab-defaults", lambda: {"vocab.txt": "\n".join(small_vocab_lines()) + "\n", "config.json": {"model_type": "bert"}}, "no tokenizer_config.json: the model type decides, BertTokenizer's defaults apply")
case("vocab-distilbert", lambda: {"vocab.txt": "\n".join(small_vocab_lines()) + "\n", "config.json": {"model_type": "distilbert"}, "tokenizer_config.json": config("DistilBertTokenizer", do_lower_case=False, model_max_length=512)},
     "DistilBertTokenizer: no token_type_ids among the model's inputs", subset=6)
case("vocab-no-chinese-chars", vocab_only(do_lower_case=True, tokenize_chinese_chars=False))
case("vocab-strip-not-lower", vocab_only(do_lower_case=False, strip_accents=True))
case("vocab-lower-not-strip", vocab_only(do_lower_case=True, strip_accents=False))
case("vocab-null-not-lower", vocab_only(do_lower_case=False, strip_accents=None), subset=6)
case("vocab-crlf", lambda: {"vocab.txt": "\r\n".join(SPECIAL + ["hello", "", "world", "##s", "a ", "b\t", "hello", "\u00e9", "e", "!", "a", "b", "##\u3000", "\u4e2d"]) + "\r\n", "tokenizer_config.json": config()},
     "CRLF line ends, an empty line, trailing blanks, a repeated token", subset=8, extra=["hello world worlds a b \u00e9 e \u4e2d!", "hello  hellos a b"])
case("vocab-other-specials", lambda: {"vocab.txt": "\n".join(["<pad>", "<s>", "</s>", "<unk>", "<mask>", *small_vocab_lines()[5:]]) + "\n",
                                      "tokenizer_config.json": {"tokenizer_class": "BertTokenizer", "unk_token": "<unk>", "sep_token": "</s>", "pad_token": "<pad>", "cls_token": "<s>", "mask_token": "<mask>", "do_lower_case": True}},
     "special tokens under other names", subset=8, extra=SPECIALS)
case("vocab-missing-specials", lambda: {"vocab.txt": "\n".join(["[UNK]", *small_vocab_lines()[5:300]]) + "\n", "tokenizer_config.json": config()},
     "[PAD], [CLS], [SEP], [MASK] are not in vocab.txt: they are appended", subset=8, extra=SPECIALS[:6])
case("vocab-added-tokens", lambda: {"vocab.txt": "\n".join(small_vocab_lines()) + "\n", "tokenizer_config.json": config(do_lower_case=True, additional_special_tokens=["<special>"]),
                                    "special_tokens_map.json": {**NAMED, "mask_token": {"content": "[MASK]", "lstrip": True, "rstrip": False, "normalized": False, "single_word": False}},
                                    "added_tokens.json": {"newtok": len(small_vocab_lines()), "<special>": len(small_vocab_lines()) + 1, "\u00dcn\u00eftok": len(small_vocab_lines()) + 2}},
     "4.x files: special_tokens_map.json and added_tokens.json", subset=8, extra=SPECIALS)
case("vocab-added-decoder", lambda: {"vocab.txt": "\n".join(small_vocab_lines()) + "\n",
                                     "tokenizer_config.json": config(do_lower_case=True, added_tokens_decoder={
                                         **{str(i): {k: v for k, v in added(s, special=True, normalized=False).items()} for i, s in enumerate(SPECIAL)},
                                         **{str(len(small_vocab_lines()) + i): t for i, t in enumerate(ADDED)}})},
     "vocab.txt and added_tokens_decoder in tokenizer_config.json", subset=8, extra=SPECIALS)

case("json-uncased", json_file(settings=config("PreTrainedTokenizerFast", model_max_length=8, clean_up_tokenization_spaces=True)), "model_max_length 8 limits only where truncation is asked for", subset=2)
case("json-added-tokens", json_file(more=ADDED), subset=6, extra=SPECIALS)
case("json-added-cased", json_file(normalizer=bert_normalizer(lowercase=False), post_processor=BERT_PROCESSING, decoder={"type": "WordPiece", "prefix": "##", "cleanup": False},
                                   more=ADDED + [added("the", single_word=True, normalized=False), added("\u4e2d", normalized=False)]), "BertProcessing; two added tokens are vocabulary entries", subset=6, extra=SPECIALS)
case("json-no-normalizer", json_file(normalizer=None, pre_tokenizer={"type": "Whitespace"}))
case("json-nfd-sequence", json_file(normalizer=sequence("normalizers", "NFD", "Lowercase", "StripAccents"), pre_tokenizer=sequence("pretokenizers", "WhitespaceSplit", {"type": "Punctuation", "behavior": "Isolated"})), subset=3)
case("json-nfkc-sequence", json_file(normalizer=sequence("normalizers", "NFKC", {"type": "Replace", "pattern": {"String": "ll"}, "content": "L"}, {"type": "Replace", "pattern": {"String": "\u0301"}, "content": ""}, {"type": "Strip", "strip_left": True, "strip_right": True}, "Lowercase"),
                                     more=ADDED), subset=3, extra=SPECIALS)
case("json-nfc-nfkd", json_file(normalizer=sequence("normalizers", {"type": "Strip", "strip_left": True, "strip_right": False}, "NFC", "NFKD", "NFC"), pre_tokenizer={"type": "WhitespaceSplit"}), subset=3)
case("json-prefix", json_file(prefix="@@", max_chars=12, pre_tokenizer={"type": "Whitespace"}, decoder={"type": "WordPiece", "prefix": "@@", "cleanup": True}), "continuing_subword_prefix @@, max_input_chars_per_word 12")
case("json-empty-prefix", json_file(prefix="", decoder={"type": "WordPiece", "prefix": "", "cleanup": False}), subset=8)
case("json-decoder-null", json_file(decoder=None, post_processor=None), "no decoder, no post-processor", subset=8)
case("json-no-pre-tokenizer", json_file(pre_tokenizer=None, max_chars=40), subset=6)
case("json-punctuation-removed", json_file(pre_tokenizer=sequence("pretokenizers", "BertPreTokenizer", {"type": "Punctuation", "behavior": "Removed"}), pieces=200), subset=8, extra=["a,b--c", "--", "x..."])
case("json-punctuation-previous", json_file(pre_tokenizer=sequence("pretokenizers", "WhitespaceSplit", {"type": "Punctuation", "behavior": "MergedWithPrevious"}), pieces=200), subset=8, extra=["a,b--c", "--", "x..."])
case("json-punctuation-next", json_file(pre_tokenizer=sequence("pretokenizers", "WhitespaceSplit", {"type": "Punctuation", "behavior": "MergedWithNext"}), pieces=200), subset=8, extra=["a,b--c", "--", "x..."])
case("json-punctuation-contiguous", json_file(pre_tokenizer=sequence("pretokenizers", "WhitespaceSplit", {"type": "Punctuation", "behavior": "Contiguous"}, {"type": "Digits", "individual_digits": True}), pieces=200), subset=8, extra=["a,b--c", "--", "x...12.5"])
case("json-split", json_file(pre_tokenizer=sequence("pretokenizers", {"type": "CharDelimiterSplit", "delimiter": "_"}, {"type": "Split", "pattern": {"String": "--"}, "behavior": "Isolated", "invert": False}, {"type": "Digits", "individual_digits": False}, "WhitespaceSplit"), pieces=200), subset=8)
case("json-template", json_file(post_processor=ODD_TEMPLATE), "odd type ids, B before A, one special token that stands for two ids", subset=8)
case("json-stored-settings", json_file(truncation={"direction": "Left", "max_length": 12, "strategy": "LongestFirst", "stride": 3},
                                       padding={"strategy": {"Fixed": 16}, "direction": "Left", "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 1, "pad_token": "[PAD]"},
                                       settings=config("PreTrainedTokenizerFast")), "truncation and padding stored in tokenizer.json, no model_max_length", subset=6)
case("json-no-unk", json_file(specials=["[PAD]", "[CLS]", "[SEP]"], post_processor=None, settings={"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "[PAD]"}), "the vocabulary has no [UNK]: an unknown word is an error", subset=8)
case("json-class-bert", json_file(normalizer=bert_normalizer(lowercase=True), prefix="##", max_chars=12, more=ADDED, post_processor=ODD_TEMPLATE, pre_tokenizer={"type": "WhitespaceSplit"}, decoder=None, settings=config("BertTokenizer", do_lower_case=False)),
     "class BertTokenizer: 5.x takes only vocabulary and added tokens from tokenizer.json and rebuilds the rest from tokenizer_config.json", subset=6, extra=SPECIALS)
case("json-class-distilbert", lambda: {"tokenizer.json": tokenizer_json(normalizer=bert_normalizer(lowercase=False), typed=False), "config.json": {"model_type": "distilbert"}, "tokenizer_config.json": config("DistilBertTokenizerFast", strip_accents=False, model_max_length=512)},
     "class DistilBertTokenizerFast, no \"type\" in the model section; as json-class-bert", subset=6)
case("json-no-config", lambda: {"tokenizer.json": tokenizer_json(normalizer=bert_normalizer(lowercase=False)), "config.json": {"model_type": "bert"}}, "no tokenizer_config.json: the model type's class, with its defaults", subset=6)


# ---- other models, trained on the corpus -------------------------------------------------------------------------

BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
UNDERLINE = "\u2581"
CL100K = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def split(pattern, behavior="Isolated", invert=False):
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": behavior, "invert": invert}


def metaspace(scheme="always", splits=True):
    return {"type": "Metaspace", "replacement": UNDERLINE, "prepend_scheme": scheme, "split": splits}


def trained(kind, normalizer=None, pre_tokenizer=None, decoder=None, post_processor=None, specials=("<unk>", "<s>", "</s>", "<pad>", "<mask>"), size=400, bytes_as="", model=(), more=(), alphabet=(), **train):
    """tokenizer.json of a model trained on the corpus. bytes_as "<0x": the byte tokens of byte_fallback are in the vocabulary."""
    empty = {"BPE": {"vocab": {}, "merges": []}, "Unigram": {"vocab": [["<unk>", 0.0]], "unk_id": 0}, "WordLevel": {"vocab": {"<unk>": 0}, "unk_token": "<unk>"}}[kind]
    keep = {k: v for k, v in dict(model).items() if k in ("continuing_subword_prefix", "end_of_word_suffix", "unk_token") and v}
    spec = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": normalizer, "pre_tokenizer": pre_tokenizer, "post_processor": None, "decoder": None,
            "model": {"type": kind, **empty, **({"unk_token": "<unk>", **keep} if kind == "BPE" else {})}}
    tok = tokenizers.Tokenizer.from_str(json.dumps(spec))
    named = list(specials) + (["<0x%02X>" % b for b in range(256)] if bytes_as else [])
    affixes = {k: v for k, v in keep.items() if k != "unk_token"} if kind == "BPE" else {}
    trainer = {"BPE": tokenizers.trainers.BpeTrainer, "Unigram": tokenizers.trainers.UnigramTrainer, "WordLevel": tokenizers.trainers.WordLevelTrainer}[kind]
    options = dict(vocab_size=size + len(named), special_tokens=named, show_progress=False, **train)
    if kind == "Unigram":
        options.update(unk_token="<unk>")
    if kind != "WordLevel":
        options.update(initial_alphabet=list(alphabet), **affixes)
    if kind == "BPE":
        options.update(limit_alphabet=256 if alphabet else 120)
    # A unigram model must hold every character it was trained on.
    fits = (lambda t: len(t) < 400 and t not in SPECIALS) if kind != "Unigram" else lambda t: len(t) < 2000 and all(32 <= ord(c) < 0x100 for c in t)
    tok.train_from_iterator([t for t in CORPUS if fits(t)], trainer=trainer(**options))
    out = json.loads(tok.to_str())
    out["model"].update(dict(model))
    out.update(decoder=decoder, post_processor=post_processor)
    out["added_tokens"] = [t for t in out["added_tokens"] if t["content"] in specials]
    used = max([t["id"] for t in out["added_tokens"]] + [len(out["model"]["vocab"]) - 1])
    out["added_tokens"] += [{"id": used + 1 + i, **t} for i, t in enumerate(more)]
    return out


ALPHABET = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
SPECIAL_NAMES = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}


def trained_case(name, settings, note="", subset=9, extra=(), config_json=None, **spec):
    def make():
        files = {"tokenizer.json": json.dumps(trained(**spec), ensure_ascii=False, separators=(",", ":")) + "\n", "tokenizer_config.json": settings}
        if config_json:
            files["config.json"] = config_json
        return files
    case(name, make, note, subset=subset, extra=[*extra, "I'LL say it'S 12345 \u017ft  \n\n done ", "def f(x):\n    return x  # \u00bd\r\n\tcaf\u00e9"])


def fast(**more):
    return {"tokenizer_class": "PreTrainedTokenizerFast", **SPECIAL_NAMES, **more}


def bos_eos(**kw):
    return template("<s> $A </s>", "<s> $A </s> $B:1 </s>:1", {"<s>": [(1, "<s>")], "</s>": [(2, "</s>")]})


CHARSMAP = ["61\t62 63", "e9\t65", "65 301\t65", "fb01\t66 69", "bd\t31 2044 32", "3000\t20", "9\t20", "200b\t"]


def charsmap():
    """A small precompiled_charsmap, compiled by SentencePiece from a handful of rules."""
    import base64, io, sentencepiece, tempfile
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as f:
        f.write("".join(rule + "\n" for rule in CHARSMAP))
        f.flush()
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(["a b c d e f g h"] * 20), model_writer=model, vocab_size=12, hard_vocab_limit=False, normalization_rule_tsv=f.name, minloglevel=2)
    from sentencepiece import sentencepiece_model_pb2
    proto = sentencepiece_model_pb2.ModelProto.FromString(model.getvalue())
    return {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(proto.normalizer_spec.precompiled_charsmap).decode()}


UNDERLINES = {"type": "Replace", "pattern": {"String": " "}, "content": UNDERLINE}
LLAMA_DECODER = sequence("decoders", {"type": "Replace", "pattern": {"String": UNDERLINE}, "content": " "}, "ByteFallback", "Fuse", {"type": "Strip", "content": " ", "start": 1, "stop": 0})
LLAMA = dict(kind="BPE", normalizer=sequence("normalizers", {"type": "Prepend", "prepend": UNDERLINE}, UNDERLINES), decoder=LLAMA_DECODER, post_processor=bos_eos(), bytes_as="<0x",
             model={"unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True}, size=250)
GPT2 = dict(kind="BPE", pre_tokenizer=BYTES, decoder=BYTES, alphabet=ALPHABET, size=430, model={"unk_token": None})

trained_case("bpe-gpt2", {"tokenizer_class": "GPT2Tokenizer", **SPECIAL_NAMES}, "class GPT2Tokenizer: the post-processor is rebuilt", subset=5, extra=SPECIALS, post_processor=BYTES, **GPT2)
trained_case("bpe-roberta", {"tokenizer_class": "RobertaTokenizerFast", "add_prefix_space": True}, "class RobertaTokenizer, add_prefix_space", extra=["<s> x </s><mask> y"],
             more=[added("<mask2>", lstrip=True, special=True, normalized=False)], **GPT2)
trained_case("bpe-llama3", fast(), "cl100k's pattern, ignore_merges, post-processors in a row",
             **{**GPT2, "pre_tokenizer": sequence("pretokenizers", split(CL100K), {**BYTES, "use_regex": False}), "post_processor": sequence("processors", BYTES, bos_eos()), "model": {"unk_token": None, "ignore_merges": True}})
trained_case("bpe-qwen2", {"tokenizer_class": "Qwen2Tokenizer"}, "class Qwen2Tokenizer, NFC, single digits", **GPT2)
trained_case("bpe-digits", fast(), **{**GPT2, "pre_tokenizer": sequence("pretokenizers", {"type": "Digits", "individual_digits": True}, BYTES), "post_processor": {**BYTES, "trim_offsets": False}})
trained_case("bpe-clip", {"tokenizer_class": "CLIPTokenizer", "unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}, "class CLIPTokenizer: </w>, lower case", **{**GPT2, "model": {"unk_token": "<unk>", "end_of_word_suffix": "</w>"}, "alphabet": (), "pre_tokenizer": sequence("pretokenizers", split(r"[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+", "Removed", True), BYTES)})
trained_case("bpe-llama", fast(), "as Llama 2 is published: spaces as U+2581, byte fallback", extra=["\u2581a  b", "  a", "\U0001f468\u200d\U0001f469"], **LLAMA)
trained_case("bpe-llama-class", {"tokenizer_class": "LlamaTokenizer", "add_bos_token": True}, "class LlamaTokenizer: Metaspace outside of words, no unknown token", extra=["\u2581a  b", "  a <s>b"], **LLAMA)
trained_case("bpe-gemma", {"tokenizer_class": "GemmaTokenizer", "unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "mask_token": "<mask>"}, "class GemmaTokenizer", **LLAMA)
trained_case("bpe-suffix", {"tokenizer_class": "OpenAIGPTTokenizer", "unk_token": "<unk>"}, "class OpenAIGPTTokenizer: </w>, BertNormalizer", kind="BPE", normalizer=bert_normalizer(), pre_tokenizer={"type": "BertPreTokenizer"}, decoder={"type": "BPEDecoder", "suffix": "</w>"}, model={"unk_token": "<unk>", "end_of_word_suffix": "</w>"}, size=300)
trained_case("bpe-prefix", fast(), "continuing_subword_prefix and both kinds of unknown", kind="BPE", normalizer={"type": "Lowercase"}, pre_tokenizer={"type": "Whitespace"}, decoder={"type": "WordPiece", "prefix": "##", "cleanup": False}, model={"unk_token": "<unk>", "continuing_subword_prefix": "##", "fuse_unk": True}, size=300)
trained_case("bpe-byte-normalizer", fast(), "the normalizer ByteLevel, splits of every behaviour", kind="BPE", normalizer=sequence("normalizers", {"type": "Replace", "pattern": {"Regex": "[0-9]+"}, "content": "0"}, "ByteLevel"),
             pre_tokenizer=sequence("pretokenizers", split("\u0120+", "MergedWithNext"), split("[aeiou]", "MergedWithPrevious"), split("[st]+", "Contiguous"), {"type": "FixedLength", "length": 4}), decoder=BYTES, alphabet=ALPHABET, size=380, model={"unk_token": None})
trained_case("unigram-t5", {"tokenizer_class": "T5Tokenizer", "extra_ids": 5}, "class T5Tokenizer, a charsmap of its own", extra=["\ufb01ne \u00bd e\u0301a\u0301 \u3000 a\u200bb <extra_id_0>x", "fi\tx"],
             kind="Unigram", normalizer=charsmap(), pre_tokenizer=metaspace(), decoder=metaspace(), specials=("<pad>", "</s>", "<unk>", "<s>"), size=300)
trained_case("unigram-xlm-roberta", {"tokenizer_class": "XLMRobertaTokenizerFast"}, "class XLMRobertaTokenizer", kind="Unigram", pre_tokenizer=metaspace(), decoder=metaspace(), specials=("<s>", "<pad>", "</s>", "<unk>", "<mask>"), size=300)
trained_case("unigram-albert", {"tokenizer_class": "AlbertTokenizer"}, "class AlbertTokenizer: quotes, NFKD, accents, case", kind="Unigram", pre_tokenizer=metaspace(), decoder=metaspace(), specials=("<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"), size=300)
trained_case("unigram-bytes", fast(), "byte fallback, prepend_scheme first", kind="Unigram", normalizer=sequence("normalizers", "Nmt", "NFKC", {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}), pre_tokenizer=metaspace("first"), post_processor=bos_eos(),
             decoder=sequence("decoders", "ByteFallback", metaspace("first")), bytes_as="<0x", model={"byte_fallback": True}, size=250, extra=["a<s>b", "\u4e2d\U0001f600"])
trained_case("unigram-scripts", fast(), "UnicodeScripts, the decoder CTC", kind="Unigram", pre_tokenizer={"type": "UnicodeScripts"}, decoder={"type": "CTC", "pad_token": "<pad>", "word_delimiter_token": "t", "cleanup": True}, size=250, extra=["\u3069\u3053\u3067\u30fc Yes  \u0416 a"])
trained_case("wordlevel", fast(), kind="WordLevel", pre_tokenizer=sequence("pretokenizers", "Whitespace"), decoder=None, size=200)


# ---- SentencePiece models, and the tokenizers that run in Python ------------------------------------------------

PLAIN = [t for t in CORPUS if 3 < len(t) < 700 and all(32 <= ord(c) < 0x250 for c in t)]
CODES = [*PAIRS[0], "en_XX a </s>b ro_RO", "  a  b ", "<s>x<mask> y<unk>", "\ufb01ne e\u0301\u3000a\u200bb", "``quoted''", "\u4e2d\u6587 x\u4e2d"]


def spm(kind="unigram", size=240, rules=CHARSMAP, **options):
    """A SentencePiece model trained on the corpus, as bytes."""
    import io, sentencepiece, tempfile
    model = io.BytesIO()
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as f:
        f.write("".join(rule + "\n" for rule in rules))
        f.flush()
        normalization = {"normalization_rule_tsv": f.name} if rules else {"normalization_rule_name": "identity"}
        sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(PLAIN * 2), model_writer=model, vocab_size=size, model_type=kind, character_coverage=1.0, hard_vocab_limit=False, num_threads=1, minloglevel=2, **normalization, **options)
    return model.getvalue()


def spm_pieces(model):
    from sentencepiece import sentencepiece_model_pb2
    return [p.piece for p in sentencepiece_model_pb2.ModelProto.FromString(model).pieces]


def spm_case(name, file, settings, note="", **train):
    case(name, lambda: {file: spm(**train), "tokenizer_config.json": settings}, note or "from a SentencePiece model alone", subset=9, extra=CODES)


spm_case("spm-mbart", "sentencepiece.bpe.model", {"tokenizer_class": "MBartTokenizer", "src_lang": "ro_RO"})
spm_case("spm-mbart50", "sentencepiece.bpe.model", {"tokenizer_class": "MBart50Tokenizer", "src_lang": "fr_XX", "tgt_lang": "en_XX"})
spm_case("spm-nllb", "sentencepiece.bpe.model", {"tokenizer_class": "NllbTokenizer"}, kind="bpe")
spm_case("spm-rembert", "sentencepiece.model", {"tokenizer_class": "RemBertTokenizer"}, pad_id=0, unk_id=1, bos_id=-1, eos_id=-1, control_symbols=["[CLS]", "[SEP]", "[MASK]"], pad_piece="<pad>")
spm_case("spm-big-bird", "spiece.model", {"tokenizer_class": "BigBirdTokenizer"}, pad_id=0, eos_id=1, bos_id=2, unk_id=3, control_symbols=["[CLS]", "[SEP]", "[MASK]"])
spm_case("spm-camembert", "sentencepiece.bpe.model", {"tokenizer_class": "CamembertTokenizer"}, "the unknown piece is not the first", bos_id=0, eos_id=1, unk_id=2)


def with_vocab(settings, first, last=(), name="sentencepiece.bpe.model", more=None, **train):
    def make():
        model = spm(**train)
        vocab = [*first, *(p for p in spm_pieces(model) if p not in ("<unk>", "<s>", "</s>")), *last]
        files = {name: model, "vocab.json": {t: i for i, t in enumerate(vocab)}, "tokenizer_config.json": settings, **(more or {})}
        return {**files, "target.spm": model} if name == "source.spm" else files
    return make


MARIAN = [*CODES, ">>fra<< hello there", ">>xyz<< a", ">>fra<<", ">>", ">>fra", "a >>fra<< b", "</s> >>fra<<x </s>b <pad>"]
case("python-marian", with_vocab({"tokenizer_class": "MarianTokenizer", "model_max_length": 60}, ["</s>", "<unk>"], [">>fra<<", "<pad>"], name="source.spm"), "class MarianTokenizer", subset=7, extra=MARIAN)
case("python-marian-bytes", with_vocab({"tokenizer_class": "MarianTokenizer"}, ["</s>", "<unk>"], ["<pad>"], name="source.spm", size=485, rules=(), byte_fallback=True, user_defined_symbols=["<sep>", "th"], remove_extra_whitespaces=False),
     "class MarianTokenizer on a model with bytes, user-defined pieces and white space as it stands", subset=7, extra=[*MARIAN, "a<sep>the  other  "])
case("python-m2m100", with_vocab({"tokenizer_class": "M2M100Tokenizer", "src_lang": "fr"}, ["<s>", "<pad>", "</s>", "<unk>"], kind="bpe", rules=()), "class M2M100Tokenizer, the languages are in no file", subset=7, extra=[*CODES, "__en__ a", "a__fr__"])
case("python-m2m100-codes", with_vocab({"tokenizer_class": "M2M100Tokenizer", "language_codes": "wmt21"}, ["<s>", "<pad>", "</s>", "<unk>"], kind="bpe",
                                       more={"special_tokens_map.json": {**SPECIAL_NAMES, "additional_special_tokens": ["__en__", "__ha__", "__is__", "__ja__", "__cs__", "__ru__", "__zh__", "__de__"]}}, user_defined_symbols=["th"]), "class M2M100Tokenizer, the languages are special tokens", subset=7, extra=[*CODES, "__en__ a the__de__"])


def ctrl_files():
    spec = trained("BPE", pre_tokenizer=split(r"\S+\n?", "Removed", True), model={"end_of_word_suffix": "</w>"}, size=230, specials=("<unk>",))
    merges = [m if isinstance(m, str) else " ".join(m) for m in spec["model"]["merges"]]
    vocab = [t[:-4] if t.endswith("</w>") else t + "@@" for t in spec["model"]["vocab"] if t != "<unk>"]
    return {"vocab.json": {t: i for i, t in enumerate(dict.fromkeys([*vocab, "<unk>"]))}, "merges.txt": "#version: 0.2\n" + "".join(m + "\n" for m in merges), "tokenizer_config.json": {"tokenizer_class": "CTRLTokenizer"}}


case("python-ctrl", ctrl_files, "class CTRLTokenizer: @@", subset=5, extra=["a\nb \n\n c\n", "Links hello@@ there @@ x", "x\u00a0y\x1cz"])


def transfo_xl_words():
    """The words of the corpus as Moses cuts them, the common ones in front."""
    import sacremoses

    cut, normal = sacremoses.MosesTokenizer("en"), sacremoses.MosesPunctNormalizer("en")
    words = collections.Counter(w for t in [*CORPUS, *MOSES] for w in cut.tokenize(normal.normalize(t), aggressive_dash_splits=True, escape=False))
    return "\n".join(["<eos>", "<unk>", "@,@", "@.@", *(w for w, n in words.most_common(700) if "eos" not in w)]) + "\n"


MOSES = ["Mr. Smith isn't here. He paid $5,000.50, i.e. 3 U.S.A. dollars...", "a-b-c, x--y well-known", "It's 'quoted' \"text, here\". The Jones' house.' ", "<unk> a <EOS> b <eos>x<formula> y", "No. 5 and No. x pp. 3 Art. 4th.",
         "e.g. this.. that... and ....", "DOTMULTI THISISPROTECTED000 <Unk>", "(a) [b] {c} 50 % of n\u00ba\u00a05, 10\u00a0cm ?\u00a0!", "1,2,3, a,b ,c, 4,", " &amp; &lt; ``x'' `y` \u201cz\u201d \u2018w\u2019 \u00ab\u00a0v\u00a0\u00bb \u2026 \u2014 \u2013 \u00b4",
         "don't I'LL '90s 5's x'y'z '' ' a.'", "10 000\u00a0000 1\u00a02\u00a03", "\"a,\" b\".\" \",.\"", "\u4e2d\u6587 , \u65e5 \u672c"]
for name, settings in (("python-transfo-xl", {}), ("python-transfo-xl-lower", {"lower_case": True, "additional_special_tokens": ["<formula>", "<x.y>"]})):
    case(name, lambda settings=settings: {"vocab.txt": transfo_xl_words(), "tokenizer_config.json": {"tokenizer_class": "TransfoXLTokenizer", **settings}, "config.json": {"model_type": "transfo-xl"}},
         "class TransfoXLTokenizer, which 5.x has removed", subset=5, extra=MOSES, version=OLD)


def tiktoken_lines():
    """The ranks of a small byte-level BPE, as tiktoken writes them."""
    spec = trained("BPE", pre_tokenizer={"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}, model={"unk_token": None}, specials=(), size=420, alphabet=ALPHABET)
    byte_of = {c: b for b, c in bytes_to_unicode().items()}
    tokens = sorted(spec["model"]["vocab"].items(), key=lambda item: item[1])
    return "".join(f"{base64.b64encode(bytes(byte_of[c] for c in token)).decode()} {rank}\n" for token, rank in tokens)


case("tiktoken", lambda: {"tiktoken.model": tiktoken_lines(), "tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast"}}, "a tiktoken file", subset=7, extra=["I'LL say it'S 12345"])
case("tiktoken-added", lambda: {"tokenizer.model": tiktoken_lines(), "tokenizer_config.json": {
    "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|begin|>", "extra_special_tokens": ["<|more|>", "<|end|>"],
    "added_tokens_decoder": {"420": {"content": "<|begin|>", "special": True}, "423": {"content": "<|end|>", "special": True}}}},
    "a tiktoken file whose added tokens leave ids between", subset=7, extra=["a<|begin|> b <|reserved_token_421|><|more|>c<|end|>"])


# ---- answers -----------------------------------------------------------------------------------------------------

class Plain:
    """An encoding of a tokenizer that runs in Python, which knows no offsets."""

    def __init__(self, tok, e):
        self.ids, self.attention_mask = list(e["input_ids"]), list(e.get("attention_mask", []))
        self.tokens = tok.convert_ids_to_tokens(self.ids)
        self.special_tokens_mask = list(e.get("special_tokens_mask", []))
        self.type_ids = [0] * len(self.ids)


def view(e, mask=False):
    if isinstance(e, Plain):
        return {"ids": e.ids, "tokens": e.tokens, "special_tokens_mask": e.special_tokens_mask, **({"attention_mask": e.attention_mask} if mask else {})}
    out = {"ids": e.ids, "tokens": e.tokens, "offsets": [list(o) for o in e.offsets], "type_ids": e.type_ids, "special_tokens_mask": e.special_tokens_mask}
    if mask:
        out["attention_mask"] = e.attention_mask
    return out


def attempt(row, answer):
    """The row with HF's answer, or with what it raised (a Rust panic is a BaseException)."""
    try:
        return {**row, **answer()}
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        return {**row, "error": str(error).splitlines()[0] if str(error) else type(error).__name__}


def encode(tok, text, pair=None, **options):
    side = options.pop("truncation_side", None)
    saved, tok.truncation_side = tok.truncation_side, side or tok.truncation_side
    try:
        if not tok.is_fast:
            return [Plain(tok, tok(text, pair, return_special_tokens_mask=True, **options))]
        return tok(text, pair, **options).encodings
    finally:
        tok.truncation_side = saved


def text_rows(tok, c):
    full = c["full"]
    chosen = [t for i, t in enumerate(CORPUS) if full or len(t) < 250 and zlib.crc32(f"{c['name']} {i}".encode()) % c["subset"] == 0]
    chosen = list(dict.fromkeys(chosen + c["extra"]))
    for t in chosen:
        yield attempt({"op": "encode", "text": t}, lambda: {"want": view(encode(tok, t)[0])})
    for t in chosen[::8]:
        yield attempt({"op": "encode_plain", "text": t}, lambda: {"want": view(encode(tok, t, add_special_tokens=False)[0])})
    for a, b in PAIRS if full else PAIRS[1:7]:
        yield attempt({"op": "pair", "text": a, "pair": b}, lambda: {"want": view(encode(tok, a, b)[0])})
    for a, b in [] if not tok.is_fast else [(LONG, None), ("caf\u00e9, \u4e2d\u6587 e\u0301", "well-known don't")] + ([(PROSE[4], None), ("", "x y")] if full else []):
        def words():
            e = encode(tok, a, b)[0]
            return {"want": {"word_ids": e.word_ids, "sequence_ids": e.sequence_ids}}
        yield attempt({"op": "words", "text": a, **({"pair": b} if b else {})}, words)


def truncation_options(full):
    for strategy in ("longest_first", "only_first", "only_second") if full else ("longest_first",):
        for max_length, stride in ((2, 0), (3, 0), (4, 1), (7, 0), (7, 2), (10, 3), (16, 2), (100, 0)) if full else ((9, 1),):
            for side in ("right", "left"):
                yield {"truncation": strategy, "max_length": max_length, "stride": stride, "truncation_side": side}
    yield {"truncation": True}
    if not full:
        return
    for max_length in (0, 1, 2):
        yield {"truncation": True, "max_length": max_length}
    yield {"truncation": True, "max_length": 5, "stride": 5}
    yield {"truncation": True, "max_length": 9, "add_special_tokens": False, "stride": 3}
    yield {"truncation": False, "max_length": 4}
    yield {"max_length": 4}
    yield {"truncation": True, "max_length": 8, "padding": "max_length"}


def windows(encodings):
    """The first window whole, of the overflowing ones enough to tell them apart."""
    return [view(e) if i == 0 else {"ids": e.ids, "offsets": [list(o) for o in e.offsets]} for i, e in enumerate(encodings)]


def truncation_rows(tok, c):
    full = c["name"] == "bert-base-uncased"
    stored = [{"truncation": True}, {"truncation": True, "max_length": 7}, {"truncation": "only_first", "max_length": 9, "stride": 2}, {"padding": "max_length"}]
    for options in stored if c["name"] == "json-stored-settings" else truncation_options(full):
        for text, pair in [(LONG, None), (LONG, SHORT), (SHORT, LONG)] if full else [(SHORT, None), (SHORT, "how are you")]:
            yield attempt({"op": "truncate", "text": text, **({"pair": pair} if pair else {}), "options": options},
                          lambda: {"want": windows(encode(tok, text, pair, return_overflowing_tokens=True, **options))})


def batch_rows(tok, c):
    batch = ["a", "hello world, unaffable", "", SHORT]
    for options in [{"padding": True}, {"padding": "longest", "padding_side": "left"}, {"padding": "max_length", "max_length": 12}, {"padding": True, "pad_to_multiple_of": 8},
                    {"padding": "max_length", "max_length": 5, "truncation": True, "padding_side": "left"}, {"padding": False}, {"padding": "max_length"}][:7 if c["full"] else 2]:
        if options == {"padding": "max_length"} and tok.model_max_length > 100:
            continue
        yield attempt({"op": "batch", "texts": batch, "options": options}, lambda: {"want": [view(e, mask=True) for e in tok(batch, **options).encodings]})


def decode_rows(tok, c, rows):
    sources = [r["want"]["ids"] for r in rows if r["op"] in ("encode", "pair") and "want" in r and 2 < len(r["want"]["ids"]) < 70]
    n = len(tok)
    made = [[], [tok.convert_tokens_to_ids("[SEP]")] if tok.sep_token else [], [n - 1], [n + 5 if tok.is_fast else n - 5, 7], [zlib.crc32(str(i).encode()) % n for i in range(24)], [zlib.crc32(str(i).encode()) % n for i in range(50, 90)]]
    for i, ids in enumerate(sources[:: 5 if c["full"] else 8] + made):
        for options in [{}, {"clean_up_tokenization_spaces": True}, {"clean_up_tokenization_spaces": False}] if i % 3 == 0 else [{}]:
            yield attempt({"op": "decode", "ids": ids, **({"options": options} if options else {})},
                          lambda: {"keep": tok.decode(ids, **options), "skip": tok.decode(ids, skip_special_tokens=True, **options)})


def write(path, text):
    with open(path, "w", encoding="utf-8", newline="") as f:
        f.write(text)


def make_case(name):
    c = dict(CASES[name], name=name)
    directory = os.path.join(OUT, name)
    files = c["make"]()
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)
    for file, content in files.items():
        if isinstance(content, bytes):
            open(os.path.join(directory, file), "wb").write(content)
            continue
        write(os.path.join(directory, file), content if isinstance(content, str) else json.dumps(content, indent=None if file == "vocab.json" else 1, ensure_ascii=False) + "\n")
    tok = transformers.AutoTokenizer.from_pretrained(directory)
    rows = list(text_rows(tok, c))
    if tok.is_fast:
        rows += list(truncation_rows(tok, c)) + list(batch_rows(tok, c))
    rows += list(decode_rows(tok, c, rows))
    write(os.path.join(directory, "expected.jsonl"), "".join(json.dumps(r, ensure_ascii=True, separators=(",", ":")) + "\n" for r in rows))
    meta = {"id": name, "kind": "tokenize", "model_dir": ".", "hf_class": type(tok).__name__,
            "properties": {"vocab_size": tok.vocab_size, "length": len(tok), "model_max_length": tok.model_max_length if tok.model_max_length < 1e9 else None, "model_input_names": tok.model_input_names,
                           "padding_side": tok.padding_side, "truncation_side": tok.truncation_side, "clean_up_tokenization_spaces": tok.clean_up_tokenization_spaces,
                           "special_token_ids": {k: tok.convert_tokens_to_ids(str(v)) for k, v in sorted(tok.special_tokens_map.items()) if isinstance(v, str)},
                           "all_special_ids": sorted(set(tok.all_special_ids))},
            "tolerance": "exact", "made_with": f"transformers {transformers.__version__}, tokenizers {tokenizers.__version__}"}
    if c["note"]:
        meta["note"] = c["note"]
    write(os.path.join(directory, "case.json"), json.dumps(meta, indent=1) + "\n")
    sizes = {f: os.path.getsize(os.path.join(directory, f)) for f in sorted(os.listdir(directory))}
    assert sizes.get("tokenizer.json", 0) < 60_000, (name, sizes)
    errors = sum("error" in r for r in rows)
    unknown = sum(t == tok.unk_token for r in rows if r["op"] == "encode" and "want" in r for t in r["want"]["tokens"])
    print(f"{name:28} {meta['hf_class']:18} {len(tok):6} tokens {len(rows):5} rows {errors:3} errors {unknown:5} unknown {sum(sizes.values()):7} bytes")


TOKEN_TEXTS = ["bpe-gpt2", "bpe-llama", "bpe-gemma", "bpe-qwen2", "unigram-bytes", "unigram-xlm-roberta", "json-template", "vocab-distilbert"]


def make_token_texts():
    """What each token adds to a text, as stop strings see it: {case: hexadecimal bytes by id, null where there is none}."""
    from transformers.generation.stopping_criteria import StopStringCriteria as Criteria

    texts = {}
    for name in TOKEN_TEXTS:
        tok = transformers.AutoTokenizer.from_pretrained(os.path.join(OUT, name))
        try:
            clean = Criteria.clean_tokenizer_vocab(tok, stop_string_matching_mode=Criteria._get_stop_string_matching_mode(tok))
        except ValueError as error:  # its vocabulary cannot spell the text that tokens are put behind
            print(f"{name}: {error}")
            continue
        by_id = {i: (t if isinstance(t, bytes) else t.encode()).hex() for t, i in zip(*clean)}
        texts[name] = [by_id.get(i) for i in range(max(by_id) + 1)]
    write(os.path.join(OUT, "token-texts.json"), "{\n" + ",\n".join(f"{json.dumps(n)}: {json.dumps(t, separators=(',', ':'))}" for n, t in texts.items()) + "\n}\n")


def REAL_VOCAB(name):
    with open(os.path.join(VOCABS, name, "vocab.txt"), encoding="utf-8", newline="") as f:
        return f.read()


def main():
    global VOCABS
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--only", default="*", help="glob over case names")
    ap.add_argument("--vocabs", default=OUT, help="where bert-base-{uncased,cased}/vocab.txt are taken from (default: the committed copies)")
    args = ap.parse_args()
    VOCABS = args.vocabs
    if transformers.__version__ not in (TRANSFORMERS, OLD):
        sys.exit(f"error: transformers {TRANSFORMERS} or {OLD} is pinned, found {transformers.__version__}")
    transformers.logging.set_verbosity_error()
    os.makedirs(OUT, exist_ok=True)
    write(os.path.join(OUT, "corpus.jsonl"), "".join(json.dumps(t) + "\n" for t in CORPUS))
    for name in CASES:
        if fnmatch.fnmatch(name, args.only) and CASES[name]["version"] == transformers.__version__:
            make_case(name)
    if transformers.__version__ == TRANSFORMERS and args.only in ("*", "token-texts"):
        make_token_texts()


if __name__ == "__main__":
    main()
