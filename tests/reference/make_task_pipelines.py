#!/usr/bin/env python3
"""Writes tests/data/pipelines/<case>/ for the tasks of encoders: a tiny model directory with its tokenizer, and calls.json.

Usage: python tests/reference/make_task_pipelines.py [--only GLOB]    (environment: tests/reference/README.md)
       PYTHONPATH=tf4 python tests/reference/make_task_pipelines.py --only "qa-*"    (the task that 5.x removed)

calls.json: {"id", "task", "made_with", "tolerance", "calls": [{"input", "options", "want" | "error"}, ...]}, as make_pipelines.py's.
token-classification, fill-mask and zero-shot-classification: transformers 5.23; question-answering: 4.57.6. All in float32, eager
attention, on one thread.
"""
import argparse, fnmatch, json, os, shutil, sys

os.environ["RUST_BACKTRACE"] = "0"

import numpy as np
import torch
import transformers
from make_tokenizers import ALPHABET, BYTES, bert_normalizer, bos_eos, config as tokenizer_settings, fast, metaspace, sequence, template, tokenizer_json, trained
from model_cases import SEED, config_json, random_weight, write_json
from safetensors.torch import save_file

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "data", "pipelines")
VERSIONS = {"question-answering": "4.57.6"}  # of the others: 5.23.0
LONG = "In the following years Sarah Connor, who lives in Los Angeles, trained a small model on her laptop for thirty-seven hours; the caf\u00e9 o\u00f9 elle travaille had no air conditioning! Nobody at U.N. Headquarters knows why."
TEXTS = ["My name is Sarah Connor and I live in Los Angeles, California.", "", "a", "  two  spaces ,and\ttabs ", "caf\u00e9 \U0001f600 \u4e2d\u6587 e\u0301x!", "Hugging-Face's U.S.A.-based don't", LONG]


# ---- tokenizers: {file name: content} ----------------------------------------------------------------------------

def dump(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n"


def wordpiece(lower=True, settings=None, **spec):
    return {"tokenizer.json": dump(tokenizer_json(normalizer=bert_normalizer(lowercase=lower), pieces=60, share=40, **spec)),
            "tokenizer_config.json": tokenizer_settings(**{"do_lower_case": lower, "model_max_length": 24, **(settings or {})})}


def byte_level(max_length=24, **settings):
    ids = {"<s>": [(1, "<s>")], "</s>": [(2, "</s>")]}
    spec = trained("BPE", pre_tokenizer=BYTES, decoder=BYTES, alphabet=ALPHABET, size=300, model={"unk_token": None}, post_processor={"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 1], "trim_offsets": True, "add_prefix_space": False})
    for token in spec["added_tokens"]:
        token["lstrip"] = token["content"] == "<mask>"
    return {"tokenizer.json": dump(spec), "tokenizer_config.json": {"tokenizer_class": "RobertaTokenizerFast", "unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "cls_token": "<s>", "sep_token": "</s>", "pad_token": "<pad>",
                                                                   "mask_token": {"__type": "AddedToken", "content": "<mask>", "lstrip": True, "normalized": False, "rstrip": False, "single_word": False, "special": True}, "model_max_length": max_length, **settings}}


XLM = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")


def unigram(max_length=24, **settings):
    """As XLM-R's: <s> a </s></s> b </s>, words from white space."""
    around = template("<s> $A </s>", "<s> $A </s> </s> $B </s>", {"<s>": [(0, "<s>")], "</s>": [(2, "</s>")]})
    spec = trained("Unigram", pre_tokenizer=metaspace(), decoder=metaspace(), specials=XLM, size=150, post_processor=around)
    return {"tokenizer.json": dump(spec), "tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "cls_token": "<s>", "sep_token": "</s>", "pad_token": "<pad>", "mask_token": "<mask>",
                                                                   "model_input_names": ["input_ids", "attention_mask"], "model_max_length": max_length, **settings}}


def prefixed_bpe():
    """BPE that marks pieces as WordPiece does."""
    spec = trained("BPE", normalizer={"type": "Lowercase"}, pre_tokenizer={"type": "Whitespace"}, decoder={"type": "WordPiece", "prefix": "##", "cleanup": False}, model={"unk_token": "<unk>", "continuing_subword_prefix": "##", "fuse_unk": True}, size=140, post_processor=bos_eos())
    return {"tokenizer.json": dump(spec), "tokenizer_config.json": fast(model_max_length=24)}


# ---- models ------------------------------------------------------------------------------------------------------

COMMON = dict(hidden_size=20, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24)
SIZES = {"bert": dict(**COMMON, max_position_embeddings=64), "roberta": dict(**COMMON, max_position_embeddings=66, pad_token_id=3, bos_token_id=1, eos_token_id=2, type_vocab_size=1),
         "xlm-roberta": dict(**COMMON, max_position_embeddings=66, pad_token_id=1, bos_token_id=0, eos_token_id=2, type_vocab_size=1),
         "albert": dict(**COMMON, embedding_size=16, num_hidden_groups=1, inner_group_num=1, max_position_embeddings=64, pad_token_id=1, bos_token_id=0, eos_token_id=2),
         "deberta-v2": dict(**COMMON, max_position_embeddings=64, relative_attention=True, max_relative_positions=-1, position_buckets=8, pos_att_type=["p2c", "c2p"], share_att_key=True, norm_rel_ebd="layer_norm", type_vocab_size=0, pad_token_id=1),
         "bart": dict(d_model=20, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=24, decoder_ffn_dim=24, max_position_embeddings=64, pad_token_id=3, bos_token_id=1, eos_token_id=2, decoder_start_token_id=2, forced_eos_token_id=2),
         "gpt2": dict(n_embd=20, n_layer=1, n_head=2, n_positions=64, bos_token_id=1, eos_token_id=2)}
GAINS = (("word_embeddings", 3), ("shared", 3), ("wte", 3), ("query", 3), ("key.w", 3), ("value", 2), ("classifier.weight", 5), ("classification_head.out_proj.w", 4), ("score.w", 4), ("qa_outputs.w", 5), ("predictions.transform.dense.w", 3), ("lm_head.dense.w", 3))


def names(*labels):
    return dict(id2label=dict(enumerate(labels)), label2id={l: i for i, l in enumerate(labels)})


def gain(name):
    """Louder than model_cases: the answer must depend on the words, not only on [CLS] and the biases."""
    return next((g for part, g in GAINS if part in name), 1)


def vocab_size(files):
    tokenizer = json.loads(files["tokenizer.json"])
    return 1 + max([len(tokenizer["model"]["vocab"]) - 1] + [t["id"] for t in tokenizer["added_tokens"]])


def write_model(name, family, architecture, files, **config):
    directory = os.path.join(OUT, name)
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)
    for file, content in files.items():
        with open(os.path.join(directory, file), "w", encoding="utf-8", newline="\n") as f:
            f.write(content if isinstance(content, str) else json.dumps(content, indent=1) + "\n")
    spec = {**SIZES[family], "vocab_size": vocab_size(files), **config}
    made = transformers.AutoConfig.for_model(family, **spec)
    written = config_json(dict(family=family.replace("-", "_"), architecture=architecture, config=spec), made)
    write_json(os.path.join(directory, "config.json"), written)
    state = getattr(transformers, architecture)(made).state_dict()
    save_file({k: gain(k) * random_weight(name, k, v.shape) for k, v in sorted(state.items()) if v.is_floating_point() and not k.endswith(("embed_tokens.weight", "decoder.weight", "decoder.bias"))}, os.path.join(directory, "model.safetensors"), {"format": "pt"})
    return directory


def make_pipe(task, directory):
    return transformers.pipeline(task, model=directory, model_kwargs={"attn_implementation": "eager"}, device="cpu", **{"torch_dtype" if transformers.__version__ < "5" else "dtype": torch.float32})


def plain(x):
    """JSON-ready."""
    if isinstance(x, dict):
        return {k: plain(v) for k, v in x.items()}
    if isinstance(x, (list, tuple)):
        return [plain(v) for v in x]
    if isinstance(x, (np.floating, np.integer, np.ndarray)):
        return plain(x.tolist())
    return round(x, 7) if isinstance(x, float) else x


def call(function, value, **options):
    row = {"input": value, "options": options}
    try:
        return {**row, "want": plain(function(**value, **options) if isinstance(value, dict) else function(value, **options))}
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # the tokenizers package panics
        return {**row, "error": f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"}


def write_calls(directory, task, calls, note=""):
    meta = {"id": os.path.basename(directory), "task": task, "tolerance": {"score": 1e-4}, "seed": SEED, "made_with": f"transformers {transformers.__version__}, torch {torch.__version__.split('+')[0]}"}
    if note:
        meta["note"] = note
    lines = ",\n".join(json.dumps(c, separators=(",", ":")) for c in calls)
    with open(os.path.join(directory, "calls.json"), "w", encoding="utf-8", newline="\n") as f:
        f.write(json.dumps(meta, indent=1)[:-2] + ',\n "calls": [\n' + lines + "\n]}\n")
    json.load(open(os.path.join(directory, "calls.json"), encoding="utf-8"))
    size = sum(os.path.getsize(os.path.join(d, f)) for d, _, files in os.walk(directory) for f in files)
    assert size < 200_000, (directory, size)
    errors = sorted({c["error"] for c in calls if "error" in c})
    print(f"{meta['id']:34} {task:20} {len(calls):3} calls {size:7} bytes  {errors}")


# ---- token-classification ----------------------------------------------------------------------------------------

NER = names("O", "B-PER", "I-PER", "B-LOC", "I-LOC", "plain", "I-A-B")
TAGGERS = {
    "ner-bert": dict(family="bert", architecture="BertForTokenClassification", files=wordpiece(lower=False), full=True),
    "ner-bert-left": dict(family="bert", architecture="BertForTokenClassification", files=wordpiece(settings={"padding_side": "left", "truncation_side": "left", "model_max_length": 19})),
    "ner-roberta": dict(family="roberta", architecture="RobertaForTokenClassification", files=byte_level()),
    "ner-xlm-roberta": dict(family="xlm-roberta", architecture="XLMRobertaForTokenClassification", files=unigram()),
    "ner-deberta-v2": dict(family="deberta-v2", architecture="DebertaV2ForTokenClassification", files=unigram()),
    "ner-bpe-prefix": dict(family="bert", architecture="BertForTokenClassification", files=prefixed_bpe()),
}
WORDS = ["My", "name", "is", "Sarah-Jane", "", "caf\u00e9", "\U0001f600", "U.S.", "New York", "unaffable"]


def make_tagger(name, family, architecture, files, full=False):
    directory = write_model(name, family, architecture, files, **NER)
    pipe = make_pipe("token-classification", directory)
    strategies = ("none", "simple", "first", "average", "max")
    calls = [call(pipe, t) for t in (TEXTS if full else TEXTS[3:])]
    calls += [call(pipe, t, aggregation_strategy=s, ignore_labels=[]) for t in (TEXTS[0], *TEXTS[4:6])[0 if full else 1:] for s in strategies[1:]]
    calls += [call(pipe, LONG, aggregation_strategy=s, stride=n) for s, n in (("simple", 0), ("first", 4), ("average", 7), ("max", 1))]
    calls += [call(pipe, LONG, aggregation_strategy="simple", stride=5, ignore_labels=["PER"]), call(pipe, LONG, stride=3, ignore_labels=["I-LOC", "B-LOC"]), call(pipe, TEXTS[:3], aggregation_strategy="max", stride=2)]
    calls += [call(pipe, WORDS, is_split_into_words=True), call(pipe, [WORDS, ["a"]], is_split_into_words=True, aggregation_strategy="first"), call(pipe, WORDS[:4], is_split_into_words=True, delimiter="__", aggregation_strategy="simple"),
              call(pipe, [LONG.split()], is_split_into_words=True, aggregation_strategy="average", stride=3)]
    if full:
        calls += [call(pipe, [TEXTS[2]]), call(pipe, TEXTS[:1], aggregation_strategy="SIMPLE"), call(pipe, TEXTS[0], aggregation_strategy="bogus"), call(pipe, LONG, aggregation_strategy="none", stride=2), call(pipe, LONG, aggregation_strategy="simple", stride=24),
                  call(pipe, LONG, aggregation_strategy="simple", stride=23), call(pipe, "[SEP] x [UNK] \u4e2d [CLS]", ignore_labels=[]), call(pipe, TEXTS[0], is_split_into_words=False, ignore_labels=["O", "plain"]), call(pipe, TEXTS[0], grouped_entities=True), call(pipe, [["a", "b"]])]
    found = {e["entity"] for c in calls[:4] if "want" in c for e in c["want"]}
    assert len(found) > 3, (name, found)
    write_calls(directory, "token-classification", calls)


# ---- question-answering ------------------------------------------------------------------------------------------

ASKED = {
    "qa-bert": dict(family="bert", architecture="BertForQuestionAnswering", files=wordpiece(settings={"model_max_length": 60}), full=True),
    "qa-roberta": dict(family="roberta", architecture="RobertaForQuestionAnswering", files=byte_level(60)),
    "qa-xlm-roberta": dict(family="xlm-roberta", architecture="XLMRobertaForQuestionAnswering", files=unigram(64)),
    "qa-albert": dict(family="albert", architecture="AlbertForQuestionAnswering", files=unigram(64)),
    "qa-deberta-v2": dict(family="deberta-v2", architecture="DebertaV2ForQuestionAnswering", files=unigram(64)),
    "qa-gpt2": dict(family="gpt2", architecture="GPT2ForQuestionAnswering", files=byte_level(60, tokenizer_class="PreTrainedTokenizerFast", model_input_names=["input_ids", "attention_mask"], cls_token=None, sep_token=None)),
    "qa-bart": dict(family="bart", architecture="BartForQuestionAnswering", files=byte_level(60)),
}
CONTEXT = LONG.replace(" who lives in Los Angeles,", "") + " She said the model was Small."
SHORT = "My name is Sarah Connor."


def make_asked(name, family, architecture, files, full=False):
    directory = write_model(name, family, architecture, files)
    pipe = make_pipe("question-answering", directory)
    ask = lambda q="Who?", c=CONTEXT, **options: call(pipe, {"question": q, "context": c}, **options)
    calls = [ask("Who trained the model?"), ask("Why", SHORT), ask("Who", "caf\u00e9 \U0001f600 \u4e2d\u6587 e\u0301x!"), ask(top_k=3), ask(align_to_words=False), ask(max_answer_len=3, top_k=2), ask(handle_impossible_answer=True), ask(handle_impossible_answer=True, top_k=4),
             ask(doc_stride=4, top_k=2), ask(max_seq_len=30, doc_stride=8, top_k=3), ask(["Who?", "Why?"], CONTEXT), ask(["Who?", "Where?"], [SHORT, CONTEXT], top_k=2)]
    if full:
        calls += [ask(["Who?"], SHORT), ask(q, SHORT) if (q := "x" * 30) else 0, ask("", SHORT), ask("a", ""), ask("a", "b"), ask("a", "b", top_k=0), ask(max_answer_len=0), ask(doc_stride=70, max_seq_len=30), ask(max_question_len=3), ask(padding="max_length"), ask(["a", "b"], ["c"]),
                  ask(max_answer_len=1, align_to_words=False, top_k=5), ask("small?", top_k=6), ask("a b c d", max_seq_len=12, doc_stride=6), ask(handle_impossible_answer=True, max_seq_len=30, doc_stride=8, top_k=2, align_to_words=False), ask("who", "[CLS] Sarah [SEP] Connor", top_k=2)]
    assert len({str(c.get("want", c.get("error"))) for c in calls[:4]}) > 3 and "want" in calls[0], (name, calls[0])
    write_calls(directory, "question-answering", calls)


# ---- fill-mask ---------------------------------------------------------------------------------------------------

FILLERS = {
    "mask-bert": dict(family="bert", architecture="BertForMaskedLM", files=wordpiece(), full=True),
    "mask-roberta": dict(family="roberta", architecture="RobertaForMaskedLM", files=byte_level()),
    "mask-xlm-roberta": dict(family="xlm-roberta", architecture="XLMRobertaForMaskedLM", files=unigram()),
    "mask-albert": dict(family="albert", architecture="AlbertForMaskedLM", files=unigram()),
    "mask-deberta-v2": dict(family="deberta-v2", architecture="DebertaV2ForMaskedLM", files=unigram(), vocab_more=3),
}


def make_filler(name, family, architecture, files, full=False, vocab_more=0):
    directory = write_model(name, family, architecture, files, **({"vocab_size": vocab_size(files) + vocab_more} if vocab_more else {}))
    pipe = make_pipe("fill-mask", directory)
    m = pipe.tokenizer.mask_token
    one, two = f"The capital of {m} is Paris.", f"{m} world, the {m} one"
    calls = [call(pipe, t) for t in (one, f"Hello {m}!", f"caf\u00e9 {m} \u4e2d\u6587", m)]
    calls += [call(pipe, two, top_k=3), call(pipe, [one, two], top_k=2), call(pipe, one, top_k=12), call(pipe, one, targets=["the", "\u0120the", "\u2581a", "unaffable"]), call(pipe, one, targets="a", top_k=3), call(pipe, two, targets=["e", "a", "e", "zzzz"], top_k=2)]
    if full:
        calls += [call(pipe, "no mask"), call(pipe, one, top_k=0), call(pipe, one, top_k=100000), call(pipe, one, targets=[]), call(pipe, one, targets=[""]), call(pipe, [one, "none"]), call(pipe, f"{m} " + LONG, tokenizer_kwargs={"truncation": True}, top_k=2),
                  call(pipe, f"{m} " + LONG, tokenizer_kwargs={"truncation": True, "max_length": 8}, top_k=2), call(pipe, LONG + f" {m}", tokenizer_kwargs={"truncation": True}), call(pipe, [one, one.lower()], top_k=1), call(pipe, one, topk=2), call(pipe, one, targets=["[UNK]", "[PAD]", "[SEP]"])]
    write_calls(directory, "fill-mask", calls)


# ---- zero-shot-classification ------------------------------------------------------------------------------------

JUDGES = {
    "zero-shot-bert": dict(family="bert", architecture="BertForSequenceClassification", files=wordpiece(settings={"model_max_length": 30}), labels=names("ENTAILMENT", "neutral", "contradiction"), full=True),
    "zero-shot-roberta": dict(family="roberta", architecture="RobertaForSequenceClassification", files=byte_level(50), labels=names("contradiction", "neutral", "entailment")),
    "zero-shot-deberta-v2": dict(family="deberta-v2", architecture="DebertaV2ForSequenceClassification", files=unigram(40), labels=names("Entail", "not")),
    "zero-shot-bart": dict(family="bart", architecture="BartForSequenceClassification", files=byte_level(50), labels=dict(id2label={0: "x", 1: "y", 2: "z"}, label2id={"y": 1, "entailing": 1, "z": 2})),
    "zero-shot-unnamed": dict(family="bert", architecture="BertForSequenceClassification", files=wordpiece(settings={"model_max_length": 40}), labels=names("x", "y", "z")),
}
LABELS = ["politics", "public health", "a", "travel, and more"]


def make_judge(name, family, architecture, files, labels, full=False):
    directory = write_model(name, family, architecture, files, **labels)
    pipe = make_pipe("zero-shot-classification", directory)
    text = "Who are you voting for?"
    calls = [call(pipe, text, candidate_labels=LABELS), call(pipe, text, candidate_labels=LABELS, multi_label=True), call(pipe, text, candidate_labels=" politics, ,public health ,x"), call(pipe, text, candidate_labels=["one"]), call(pipe, text, candidate_labels="one"),
             call(pipe, LONG, candidate_labels=LABELS[:3]), call(pipe, [text, "a", LONG], candidate_labels=LABELS[:2], multi_label=True), call(pipe, "caf\u00e9 \u4e2d", candidate_labels=["\u00e9", "\u4e2d"], hypothesis_template="{}: \u00fc")]
    if full:
        calls += [call(pipe, text, candidate_labels=[]), call(pipe, text, candidate_labels=""), call(pipe, "", candidate_labels=["a"]), call(pipe, text, candidate_labels=["a", "b"], hypothesis_template="no slot"), call(pipe, text, candidate_labels=["a", "b"], hypothesis_template="About {0} and {0} {{x}}"),
                  call(pipe, text, candidate_labels=["a", "b"], hypothesis_template="{} {}"), call(pipe, text, candidate_labels=["a", "b"], hypothesis_template="{"), call(pipe, text, candidate_labels=["a", "a", "b"]), call(pipe, "a", candidate_labels=["x " * 28, "b"]), call(pipe, [text], candidate_labels=["a", "b"]),
                  call(pipe, text, candidate_labels=["", "b"], hypothesis_template="{}")]
    write_calls(directory, "zero-shot-classification", calls)


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--only", default="*", help="glob over case names")
    only = ap.parse_args().only
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)
    for task, make, cases in (("token-classification", make_tagger, TAGGERS), ("question-answering", make_asked, ASKED), ("fill-mask", make_filler, FILLERS), ("zero-shot-classification", make_judge, JUDGES)):
        for name, spec in cases.items():
            if not fnmatch.fnmatch(name, only):
                continue
            if transformers.__version__ != VERSIONS.get(task, "5.23.0"):  # the other version's run makes it
                continue
            make(name, **spec)


if __name__ == "__main__":
    main()
