#!/usr/bin/env python3
"""Writes tests/data/seq2seq-pipelines/<case>/: a tiny encoder-decoder with its tokenizer, and calls.json: what the pipelines
text2text-generation, summarization and translation return, which only transformers 4 has.

Usage: python tests/reference/make_seq2seq_pipelines.py [--only GLOB]     (environment of tests/reference/README.md, transformers 4.57.6)

calls.json: {"id", "made_with", "calls": [{"task", "input", "options", "want" | "error"}, ...]}. Tensors are lists in it.
"""
import argparse, fnmatch, io, json, os, shutil, sys, tempfile

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import sentencepiece
import tokenizers
import torch
import transformers
from corpus import texts
from model_cases import SEED, rng, write_json
from safetensors.torch import save_file

TRANSFORMERS = "4.57.6"
OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "data", "seq2seq-pipelines")
PLAIN = [t for t in texts() if 3 < len(t) < 600 and all(32 <= ord(c) < 127 for c in t)]
UNDERLINE = "\u2581"
NAMED = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}
BART = dict(d_model=24, encoder_layers=1, decoder_layers=1, encoder_attention_heads=3, decoder_attention_heads=2, encoder_ffn_dim=31, decoder_ffn_dim=36, max_position_embeddings=90)
T5 = dict(d_model=22, d_kv=7, d_ff=33, num_layers=1, num_decoder_layers=1, num_heads=3, relative_attention_num_buckets=8, relative_attention_max_distance=10, decoder_start_token_id=0)
A, B = "The monster saw the dull moon.", "I had gazed on him while unfinished; he was ugly then, and the rain pattered dismally."


# ---- tokenizers --------------------------------------------------------------------------------------------------

def spm(kind, size, **options):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(PLAIN * 3), model_writer=model, vocab_size=size, model_type=kind, character_coverage=1.0, hard_vocab_limit=False, num_threads=1, minloglevel=2, **options)
    return model.getvalue()


def pieces(model):
    from sentencepiece import sentencepiece_model_pb2
    return [p.piece for p in sentencepiece_model_pb2.ModelProto.FromString(model).pieces]


def fast(kind, specials, size, decoder, pre_tokenizer, processor=None, more=()):
    """tokenizer.json trained on the corpus; `more`: special tokens behind the pieces."""
    model = {"BPE": tokenizers.models.BPE(unk_token="<unk>"), "Unigram": tokenizers.models.Unigram([("<unk>", 0.0)], unk_id=0)}[kind]
    tok = tokenizers.Tokenizer(model)
    tok.pre_tokenizer = pre_tokenizer
    trainer = {"BPE": tokenizers.trainers.BpeTrainer, "Unigram": tokenizers.trainers.UnigramTrainer}[kind]
    tok.train_from_iterator(PLAIN, trainer(vocab_size=size, special_tokens=list(specials), show_progress=False, **({"unk_token": "<unk>"} if kind == "Unigram" else {"initial_alphabet": []})))
    tok.decoder = decoder
    out = json.loads(tok.to_str())
    if kind == "Unigram":
        out["model"]["vocab"] += [[m, 0.0] for m in more]
        out["model"]["unk_id"] = [p for p, _ in out["model"]["vocab"]].index("<unk>")
    else:
        for m in more:
            out["model"]["vocab"][m] = len(out["model"]["vocab"])
    ids = {p: i for i, (p, _) in enumerate(out["model"]["vocab"])} if kind == "Unigram" else out["model"]["vocab"]
    out["added_tokens"] = [dict(id=ids[t], content=t, single_word=False, lstrip=t == "<mask>", rstrip=False, normalized=False, special=True) for t in (*specials, *more)]
    out["added_tokens"].sort(key=lambda t: t["id"])
    out["post_processor"] = processor(ids) if processor else None
    return {"tokenizer.json": out}, len(ids)


def around(*parts):
    def make(ids):
        def piece(p):
            return {"Sequence": {"id": p[1], "type_id": 0}} if p.startswith("$") else {"SpecialToken": {"id": p, "type_id": 0}}
        pair = [*parts[:parts.index("$A") + 1], "$B", *parts[parts.index("$A") + 1:]]
        return {"type": "TemplateProcessing", "single": [piece(p) for p in parts], "pair": [piece(p) for p in pair],
                "special_tokens": {p: {"id": p, "ids": [ids[p]], "tokens": [p]} for p in parts if not p.startswith("$")}}
    return make


METASPACE = dict(decoder=tokenizers.decoders.Metaspace(), pre_tokenizer=tokenizers.pre_tokenizers.Metaspace())
BYTES = dict(decoder=tokenizers.decoders.ByteLevel(), pre_tokenizer=tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False))
MBART = ["ar_AR", "cs_CZ", "de_DE", "en_XX", "es_XX", "et_EE", "fi_FI", "fr_XX", "gu_IN", "hi_IN", "it_IT", "ja_XX", "kk_KZ", "ko_KR", "lt_LT", "lv_LV", "my_MM", "ne_NP", "nl_XX", "ro_RO", "ru_RU", "si_LK", "tr_TR", "vi_VN", "zh_CN"]
FAIRSEQ = ("<s>", "<pad>", "</s>", "<unk>")


def bart_tokenizer():
    files, size = fast("BPE", ("<s>", "<pad>", "</s>", "<unk>", "<mask>"), 190, processor=around("<s>", "$A", "</s>"), **BYTES)
    files["tokenizer.json"]["post_processor"] = {"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0], "trim_offsets": True, "add_prefix_space": False}
    return {**files, "tokenizer_config.json": {"tokenizer_class": "BartTokenizer", "model_max_length": 20}}, size


def t5_tokenizer():
    files, size = fast("Unigram", ("<pad>", "</s>", "<unk>"), 120, processor=around("$A", "</s>"), **METASPACE)
    return {**files, "tokenizer_config.json": {"tokenizer_class": "T5Tokenizer", "extra_ids": 0, "model_max_length": 48}}, size


def marian_tokenizer():
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as rules:
        rules.write("".join(rule + "\n" for rule in ("e9\t65", "65 301\t65", "fb01\t66 69", "9\t20", "ff1c\t3c", "a0\t20")))
        rules.flush()
        source, target = spm("unigram", 120, normalization_rule_tsv=rules.name), spm("unigram", 100, normalization_rule_name="identity")
    vocab = ["</s>", "<unk>"]
    vocab += [p for p in dict.fromkeys(pieces(source) + pieces(target)) if p not in ("<s>", "</s>", "<unk>")] + [">>fra<<", ">>deu<<", "<pad>"]
    files = {"source.spm": source, "target.spm": target, "vocab.json": {t: i for i, t in enumerate(vocab)},
             "tokenizer_config.json": {"tokenizer_class": "MarianTokenizer", "source_lang": "en", "target_lang": "fr", "model_max_length": 512}}
    return files, len(vocab)


def m2m_tokenizer():
    model = spm("bpe", 130, normalization_rule_name="identity")
    vocab = list(FAIRSEQ) + pieces(model)[3:]
    from transformers.models.m2m_100.tokenization_m2m_100 import FAIRSEQ_LANGUAGE_CODES
    codes = [f"__{c}__" for c in FAIRSEQ_LANGUAGE_CODES["m2m100"]]
    files = {"sentencepiece.bpe.model": model, "vocab.json": {t: i for i, t in enumerate(vocab)}, "tokenizer_config.json": {"tokenizer_class": "M2M100Tokenizer", "model_max_length": 1024},
             "special_tokens_map.json": {**NAMED, "sep_token": "</s>", "additional_special_tokens": codes}}
    return files, len(vocab) + len(codes) + 8


def mbart_tokenizer():
    files, size = fast("Unigram", FAIRSEQ, 110, processor=around("$A", "</s>", "en_XX"), more=(*MBART, "<mask>"), **METASPACE)
    return {**files, "tokenizer_config.json": {"tokenizer_class": "MBartTokenizer", "src_lang": "en_XX"}}, size


def nllb_tokenizer():
    codes = ("eng_Latn", "fra_Latn", "deu_Latn")
    files, size = fast("BPE", FAIRSEQ, 140, processor=around("eng_Latn", "$A", "</s>"), more=(*codes, "<mask>"), **METASPACE)
    return {**files, "tokenizer_config.json": {"tokenizer_class": "NllbTokenizer", "additional_special_tokens": list(codes)}}, size


# ---- models ------------------------------------------------------------------------------------------------------

ALL = [dict(task=t, input=i, options=o) for t in ("text2text-generation", "summarization", "translation") for i, o in ((A, {}), (B, {}))]
OPTIONS = [dict(input=A, options=o) for o in (
    dict(max_new_tokens=6), dict(max_new_tokens=5, num_beams=1), dict(num_beams=3, num_return_sequences=3, max_new_tokens=7), dict(min_new_tokens=9, max_new_tokens=12, num_beams=1),
    dict(max_new_tokens=9, no_repeat_ngram_size=2), dict(max_new_tokens=9, repetition_penalty=1.7, num_beams=1), dict(length_penalty=-1.0, max_new_tokens=9, early_stopping=True),
    dict(return_tensors=True, max_new_tokens=5), dict(return_tensors=True, num_return_sequences=2, max_new_tokens=14), dict(return_text=True, max_new_tokens=4), dict(return_tensors=False, max_new_tokens=4),
    dict(clean_up_tokenization_spaces=True, max_new_tokens=20, num_beams=1), dict(stop_sequence="e", max_new_tokens=30, num_beams=1), dict(max_new_tokens=3, min_length=20), dict(do_sample=False, num_beams=2, max_new_tokens=6))]
OPTIONS += [dict(input=[A, B], options=dict(max_new_tokens=6)), dict(input=[A, B], options=dict(max_new_tokens=6, num_return_sequences=2)), dict(input="", options=dict(max_new_tokens=6)),
            dict(input=" ".join([B] * 9), options=dict(truncation=True, max_new_tokens=6))]
T5_TASKS = {"summarization": {"early_stopping": True, "length_penalty": 2.0, "max_length": 30, "min_length": 7, "no_repeat_ngram_size": 3, "num_beams": 4, "prefix": "summarize: "},
            "translation_en_to_de": {"early_stopping": True, "max_length": 25, "num_beams": 4, "prefix": "translate English to German: "},
            "translation_en_to_fr": {"max_new_tokens": 11, "num_beams": 2, "prefix": "translate English to French: "}}
LANGUAGES = [dict(task="translation", input=i, options=dict(max_new_tokens=10, **o)) for i in (A, B) for o in ({"src_lang": "S", "tgt_lang": "T"}, {"src_lang": "S", "tgt_lang": "U"}, {"src_lang": "T", "tgt_lang": "S"})]
LANGUAGES += [dict(task="translation", input=A, options=o) for o in ({}, {"src_lang": "S"}, {"tgt_lang": "T"})] + [dict(task="text2text-generation", input=A, options=dict(max_new_tokens=8)), dict(task="summarization", input=A, options=dict(max_new_tokens=8))]
LANGUAGES += [dict(task="translation", input=A, options=dict(src_lang="S", tgt_lang="T", max_new_tokens=6, **o)) for o in (dict(num_beams=1), dict(return_tensors=True), dict(num_return_sequences=2))]


def languages(s, t, u):
    return json.loads(json.dumps(LANGUAGES).replace('"S"', f'"{s}"').replace('"T"', f'"{t}"').replace('"U"', f'"{u}"'))


SPECIAL = dict(pad_token_id=1, bos_token_id=0, eos_token_id=2, decoder_start_token_id=2)
# generation: generation_config.json, None for none; extra: vocabulary of the model beyond the tokenizer's
CASES = {
    "bart": dict(cls="BartForConditionalGeneration", tokenizer=bart_tokenizer, config=dict(BART, **SPECIAL, forced_eos_token_id=2), generation=dict(SPECIAL, forced_eos_token_id=2, max_length=24, min_length=3, no_repeat_ngram_size=3, num_beams=2),
                 calls=ALL + [dict(task="summarization", **c) for c in OPTIONS] + [dict(task="text2text-generation", **c) for c in OPTIONS[:4]]),
    "bart-tasks": dict(cls="BartForConditionalGeneration", tokenizer=bart_tokenizer, extra=5, generation=None,
                       config=dict(BART, **SPECIAL, max_position_embeddings=270, forced_eos_token_id=2, prefix="all: ", task_specific_params={"summarization": {"max_length": 14, "min_length": 2, "num_beams": 1, "unknown": 3}, "text2text-generation": {"prefix": "ask: ", "max_new_tokens": 8}}),
                       calls=ALL),
    "t5": dict(cls="T5ForConditionalGeneration", tokenizer=t5_tokenizer, config=dict(T5, task_specific_params=T5_TASKS), generation=dict(decoder_start_token_id=0, eos_token_id=1, pad_token_id=0, max_new_tokens=9),
               calls=ALL + [dict(task=t, input=A, options=o) for t in ("translation_en_to_de", "translation_en_to_fr", "translation_en_to_ro") for o in ({}, dict(num_beams=1, max_new_tokens=9))] + [dict(task="translation_en_to_fr", **c) for c in OPTIONS]),
    "t5-old-file": dict(cls="T5ForConditionalGeneration", tokenizer=t5_tokenizer, extra=9, config=dict(T5, task_specific_params={"summarization": {"num_beams": 1, "max_length": 9}}),
                        generation=dict(decoder_start_token_id=0, eos_token_id=1, pad_token_id=0, num_beams=3, max_length=20, max_new_tokens=7, transformers_version="4.27.0"), calls=ALL),
    "marian": dict(cls="MarianMTModel", tokenizer=marian_tokenizer, config=dict(BART, scale_embedding=True, eos_token_id=0, forced_eos_token_id=0),
                   generation=dict(eos_token_id=0, forced_eos_token_id=0, max_length=28, num_beams=6, renormalize_logits=True),
                   calls=ALL + [dict(task="translation", input=c + A, options={}) for c in (">>fra<< ", ">>deu<<", ">>xyz<< ", ">>fra ")] + [dict(task="translation_en_to_fr", **c) for c in OPTIONS]),
    "m2m_100": dict(cls="M2M100ForConditionalGeneration", tokenizer=m2m_tokenizer, config=dict(BART, **SPECIAL), generation=dict(SPECIAL, max_length=40, num_beams=5),
                    calls=languages("en", "fr", "de") + [dict(task="translation_en_to_fr", input=A, options=dict(max_new_tokens=9)), dict(task="translation_en_to_fr", input=A, options=dict(tgt_lang="de"))]),
    "mbart": dict(cls="MBartForConditionalGeneration", tokenizer=mbart_tokenizer, config=dict(BART, **SPECIAL, forced_eos_token_id=2), generation=dict(SPECIAL, forced_eos_token_id=2, max_length=40, num_beams=5),
                  calls=languages("en_XX", "ro_RO", "fr_XX")),
    "nllb": dict(cls="M2M100ForConditionalGeneration", tokenizer=nllb_tokenizer, config=dict(BART, **SPECIAL), generation=dict(SPECIAL, max_length=30), calls=languages("eng_Latn", "fra_Latn", "deu_Latn")),
}


def random_weight(case, name, shape):
    x = rng(f"seq2seq-pipelines/{case}", name).standard_normal(tuple(shape)).astype(np.float32)
    if "norm" in name:
        return 0.1 * x + (0.0 if name.endswith("bias") else 1.0)
    if "final_logits_bias" in name or name.endswith("bias"):
        return 0.2 * x
    return (0.9 if "shared" in name or "embed" in name or "lm_head" in name else 0.35) * x


def plain(x):
    if isinstance(x, dict):
        return {k: plain(v) for k, v in x.items()}
    return [plain(v) for v in x] if isinstance(x, list) else x.tolist() if hasattr(x, "tolist") else x


def write(path, content):
    if isinstance(content, bytes):
        open(path, "wb").write(content)
    elif os.path.basename(path) in ("vocab.json", "tokenizer.json"):
        open(path, "w", encoding="utf-8", newline="\n").write(json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n")
    else:
        write_json(path, content)


def make(name, cls, tokenizer, config, calls, generation=None, extra=0):
    directory = os.path.join(OUT, name)
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)
    files, size = tokenizer()
    if cls == "MarianMTModel":
        last = dict(pad_token_id=size - 1, decoder_start_token_id=size - 1, decoder_vocab_size=size)
        config = {**config, **last}
        generation = {**generation, **{k: v for k, v in last.items() if "vocab" not in k}, "bad_words_ids": [[size - 1]]}
    model_class = getattr(transformers, cls)
    made = model_class.config_class(vocab_size=size + extra, architectures=[cls], **config)
    for file, content in files.items():
        write(os.path.join(directory, file), content)
    write_json(os.path.join(directory, "config.json"), {"architectures": [cls], "model_type": made.model_type, "vocab_size": size + extra, "is_encoder_decoder": True, **config})
    if generation is not None:
        write_json(os.path.join(directory, "generation_config.json"), generation)
    torch.manual_seed(SEED)
    model = model_class(made)
    state = {k: torch.from_numpy(np.ascontiguousarray(random_weight(name, k, v.shape), np.float32)) for k, v in sorted(model.state_dict().items())}
    kept = {k: v for k, v in state.items() if not any(k.endswith(e) for e in ("embed_tokens.weight", "lm_head.weight", "embed_positions.weight", "embed_positions.weights"))} if made.tie_word_embeddings else state
    if cls.startswith("Bart") or cls.startswith("MBart"):
        kept.update({k: v for k, v in state.items() if k.endswith("embed_positions.weight")})
    save_file(kept, os.path.join(directory, "model.safetensors"), {"format": "pt"})
    rows, pipes = [], {}
    for c in calls:
        row = dict(c)
        try:
            if c["task"] not in pipes:
                pipes[c["task"]] = transformers.pipeline(c["task"], model=directory, dtype=torch.float32, model_kwargs={"attn_implementation": "eager"}, device="cpu")
            row["want"] = plain(pipes[c["task"]](c["input"], **c["options"]))
        except Exception as error:
            row["error"] = f"{type(error).__name__}: {str(error).splitlines()[0]}"
        rows.append(row)
    with open(os.path.join(directory, "calls.json"), "w", encoding="utf-8", newline="\n") as f:
        f.write(json.dumps({"id": name, "made_with": f"transformers {transformers.__version__}, torch {torch.__version__.split('+')[0]}"})[:-1] + ', "calls": [\n' + ",\n".join(json.dumps(r) for r in rows) + "\n]}\n")
    total = sum(os.path.getsize(os.path.join(directory, f)) for f in os.listdir(directory))
    answers = {json.dumps(r.get("want")) for r in rows}
    print(f"{name:16} {len(rows):3} calls {sum('error' in r for r in rows)} errors {len(answers)} answers {total:7} bytes")


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--only", default="*", help="glob over case names")
    only = ap.parse_args().only
    if transformers.__version__ != TRANSFORMERS:
        sys.exit(f"error: transformers {TRANSFORMERS} is pinned, found {transformers.__version__}")
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    for name, spec in CASES.items():
        if fnmatch.fnmatch(name, only):
            make(name, **spec)


if __name__ == "__main__":
    main()
