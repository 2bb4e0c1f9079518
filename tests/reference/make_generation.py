#!/usr/bin/env python3
"""Writes tests/data/generation/: processors.json, what Hugging Face's logits processors do to random scores, and
cases.json, what its generate() makes of the tiny checkpoints under tests/data/models.

Usage: python tests/reference/make_generation.py [--only GLOB]      (environment: tests/reference/README.md)

--only takes the cases of models (family/case) that match; those of the others stay as they are. With transformers 4.57.6
in the place of 5.23.0, Transformer-XL's are made, which 5 does not know. A case is kept only where weights changed by a few millionths give the same tokens, so that no answer hangs on a last bit.
"""
import argparse, fnmatch, json, math, os, random, warnings, zlib

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM
from transformers.generation import logits_process as lp

OLD = transformers.__version__ == "4.57.6"
assert OLD or transformers.__version__ == "5.23.0", transformers.__version__
torch.set_num_threads(1)
warnings.simplefilter("ignore")
transformers.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.path.join(HERE, "..", "data")
OUT = os.path.join(DATA, "generation")


def seed_of(name):
    return zlib.crc32(name.encode())


def numbers(tensor):
    """Rows of floats; minus infinity is null, other than finite is a string."""
    def one(x):
        return None if x == -math.inf else "nan" if math.isnan(x) else "inf" if math.isinf(x) else float(f"{x:.7g}")
    return [[one(x) for x in row] for row in tensor.tolist()]


def processors():
    E = [3, 7]
    wide = dict(vocab=131, scale=2.0, count=2)
    tiny = dict(vocab=13, scale=1.5)

    def ids(generator, count, length, vocab):
        return torch.randint(0, vocab, (count, length), generator=generator)

    table = [
        ("SequenceBiasLogitsProcessor", dict(sequence_bias=[[[4], 1.5], [[2], -3.25], [[1, 5], 2.0], [[0, 1, 6], -7.5], [[9, 9], 4.0]]), dict(length=5, rows=[[0, 3, 9, 0, 1], [9, 9, 9, 9, 9], [5, 1, 0, 1, 1]])),
        ("EncoderRepetitionPenaltyLogitsProcessor", dict(penalty=1.7, encoder_input_ids=[[1, 4, 4, 8]]), dict(count=1)),
        ("RepetitionPenaltyLogitsProcessor", dict(penalty=1.3), {}),
        ("RepetitionPenaltyLogitsProcessor", dict(penalty=0.6, prompt_ignore_length=3), {}),
        ("NoRepeatNGramLogitsProcessor", dict(ngram_size=1), {}),
        ("NoRepeatNGramLogitsProcessor", dict(ngram_size=2), dict(rows=[[1, 2, 3, 1], [4, 4, 4, 4], [5, 6, 7, 8]])),
        ("NoRepeatNGramLogitsProcessor", dict(ngram_size=3), dict(rows=[[1, 2, 3, 1, 2], [4, 4, 4, 4, 4], [1, 2, 1, 2, 1]])),
        ("NoRepeatNGramLogitsProcessor", dict(ngram_size=6), {}),
        ("EncoderNoRepeatNGramLogitsProcessor", dict(encoder_ngram_size=2, encoder_input_ids=[[1, 2, 3, 1, 4]]), dict(rows=[[0, 1]])),
        ("EncoderNoRepeatNGramLogitsProcessor", dict(encoder_ngram_size=1, encoder_input_ids=[[1, 2, 3, 1, 4]]), dict(rows=[[0, 1]])),
        ("EncoderNoRepeatNGramLogitsProcessor", dict(encoder_ngram_size=4, encoder_input_ids=[[1, 2, 3, 1, 4]]), dict(rows=[[1]])),
        ("NoBadWordsLogitsProcessor", dict(bad_words_ids=[[3], [5], [1, 2], [0, 0, 6]], eos_token_id=E), dict(rows=[[9, 1], [0, 0], [1, 1]])),
        ("MinLengthLogitsProcessor", dict(min_length=5, eos_token_id=E), dict(length=4)),
        ("MinLengthLogitsProcessor", dict(min_length=5, eos_token_id=E), dict(length=5)),
        ("MinNewTokensLengthLogitsProcessor", dict(prompt_length_to_skip=3, min_new_tokens=2, eos_token_id=E), dict(length=4)),
        ("MinNewTokensLengthLogitsProcessor", dict(prompt_length_to_skip=3, min_new_tokens=2, eos_token_id=E), dict(length=5)),
        ("ForcedBOSTokenLogitsProcessor", dict(bos_token_id=4), dict(length=1)),
        ("ForcedBOSTokenLogitsProcessor", dict(bos_token_id=4), dict(length=2)),
        ("ForcedEOSTokenLogitsProcessor", dict(max_length=6, eos_token_id=E), dict(length=5)),
        ("ForcedEOSTokenLogitsProcessor", dict(max_length=6, eos_token_id=E), dict(length=4)),
        ("InfNanRemoveLogitsProcessor", {}, dict(poison=True)),
        ("ExponentialDecayLengthPenalty", dict(exponential_decay_length_penalty=[1, 1.4], eos_token_id=E, input_ids_seq_length=2), dict(length=6, holes=0.3)),
        ("ExponentialDecayLengthPenalty", dict(exponential_decay_length_penalty=[1, 1.4], eos_token_id=E, input_ids_seq_length=2), dict(length=3)),
        ("SuppressTokensLogitsProcessor", dict(suppress_tokens=[0, 11, 500]), {}),
        ("SuppressTokensAtBeginLogitsProcessor", dict(begin_suppress_tokens=[1, 2], begin_index=4), dict(length=4)),
        ("SuppressTokensAtBeginLogitsProcessor", dict(begin_suppress_tokens=[1, 2], begin_index=4), dict(length=3)),
        ("TemperatureLogitsWarper", dict(temperature=0.37), {}),
        ("TopHLogitsWarper", dict(top_h=0.4), wide),
        ("TopHLogitsWarper", dict(top_h=0.8), dict(**tiny, holes=0.5)),
        ("TopHLogitsWarper", dict(top_h=0.05), tiny),
        ("TopKLogitsWarper", dict(top_k=4), dict(ties=True)),
        ("TopKLogitsWarper", dict(top_k=1, min_tokens_to_keep=3), {}),
        ("TopKLogitsWarper", dict(top_k=50), tiny),
        ("TopPLogitsWarper", dict(top_p=0.9), wide),
        ("TopPLogitsWarper", dict(top_p=0.3, min_tokens_to_keep=3), tiny),
        ("TopPLogitsWarper", dict(top_p=0.7), dict(**tiny, holes=0.5)),
        ("TopPLogitsWarper", dict(top_p=0.5), dict(ties=True)),
        ("MinPLogitsWarper", dict(min_p=0.1), wide),
        ("MinPLogitsWarper", dict(min_p=0.9, min_tokens_to_keep=2), tiny),
        ("TypicalLogitsWarper", dict(mass=0.6), wide),
        ("TypicalLogitsWarper", dict(mass=0.2, min_tokens_to_keep=3), tiny),
        ("TypicalLogitsWarper", dict(mass=0.8), dict(**tiny, holes=0.4)),
        ("EpsilonLogitsWarper", dict(epsilon=0.02), wide),
        ("EpsilonLogitsWarper", dict(epsilon=0.9, min_tokens_to_keep=2), tiny),
        ("EtaLogitsWarper", dict(epsilon=0.05), wide),
        ("EtaLogitsWarper", dict(epsilon=0.3, min_tokens_to_keep=2), tiny),
        ("EtaLogitsWarper", dict(epsilon=0.1), dict(**tiny, holes=0.4)),
        ("LogitNormalization", {}, dict(holes=0.3)),
    ]
    answers = []
    for i, (name, arguments, options) in enumerate(table):
        generator = torch.Generator().manual_seed(seed_of(f"{name} {i}"))
        vocab = options.get("vocab", 13)
        if "rows" in options:
            input_ids = torch.tensor(options["rows"])
        else:
            input_ids = ids(generator, options.get("count", 3), options.get("length", 5), vocab)
        scores = (torch.randn((len(input_ids), vocab), generator=generator) * options.get("scale", 3.0) * 1000).round() / 1000
        if options.get("ties"):
            scores = scores.round()
        if "holes" in options:
            scores[torch.rand(scores.shape, generator=generator) < options["holes"]] = -math.inf
        if options.get("poison"):
            scores[0, 1], scores[1, 2], scores[2, 3] = math.nan, math.inf, -math.inf
        kwargs = dict(arguments)
        if "encoder_input_ids" in kwargs:
            kwargs["encoder_input_ids"] = torch.tensor(kwargs["encoder_input_ids"])
        if name == "ExponentialDecayLengthPenalty":
            kwargs["exponential_decay_length_penalty"] = tuple(kwargs["exponential_decay_length_penalty"])
        expected = getattr(lp, name)(**kwargs)(input_ids, scores.clone())
        answers.append(dict(name=name, arguments=arguments, input_ids=input_ids.tolist(), scores=numbers(scores), expected=numbers(expected)))
    return answers


# ---- generate() ------------------------------------------------------------------------------------------------------

# For every model: name -> options. "eos" asks for that many end tokens, chosen from what the model makes without.
COMMON = {
    "greedy": dict(max_new_tokens=12, eos=1),
    "beams": dict(max_new_tokens=9, num_beams=3, num_return_sequences=2, eos=1),
    "penalties": dict(max_new_tokens=10, repetition_penalty=1.4, no_repeat_ngram_size=2, eos=2),
}
# For those below only.
FULL = {
    "no-eos": dict(max_new_tokens=6),
    "default-length": dict(eos=1),
    "max-length": dict(max_length=13, eos=1),
    "min-length": dict(max_new_tokens=9, min_length=11, eos=2),
    "min-new-tokens": dict(max_new_tokens=9, min_new_tokens=5, eos=2),
    "forced-eos": dict(max_new_tokens=7, forced_eos_token_id=[5, 6], eos=1),
    "forced-bos": dict(max_new_tokens=5, forced_bos_token_id=9, eos=1),
    "encoder-penalty": dict(max_new_tokens=8, encoder_repetition_penalty=1.8, encoder_no_repeat_ngram_size=2, eos=1),
    "bias": dict(max_new_tokens=8, bad_words_ids=[[2], [8, 3]], sequence_bias=[[[4], 1.25], [[4, 4], -9.5]], eos=1),
    "suppress": dict(max_new_tokens=8, suppress_tokens=[1, 2, 3, 4, 5], begin_suppress_tokens=[10, 11, 12, 13, 14, 15], eos=1),
    "decay": dict(max_new_tokens=12, exponential_decay_length_penalty=[2, 1.5], eos=1),
    "renormalize": dict(max_new_tokens=6, renormalize_logits=True, repetition_penalty=1.1, eos=1),
    "pad-zero": dict(max_new_tokens=9, num_beams=2, eos=1, pad_token_id=0),
    "beams-early": dict(max_new_tokens=10, num_beams=4, early_stopping=True, eos=1),
    "beams-never": dict(max_new_tokens=10, num_beams=4, early_stopping="never", length_penalty=2.0, num_return_sequences=4, eos=1),
    "beams-short": dict(max_new_tokens=10, num_beams=5, length_penalty=-1.5, num_return_sequences=3, eos=2),
    "beams-zero": dict(max_new_tokens=8, num_beams=2, length_penalty=0.0, early_stopping="never", eos=3),
    "beams-no-eos": dict(max_new_tokens=6, num_beams=3),
    "beams-processors": dict(max_new_tokens=9, num_beams=3, no_repeat_ngram_size=2, repetition_penalty=1.2, min_new_tokens=4, bad_words_ids=[[4], [1, 2]],
                             forced_eos_token_id=5, eos=1),
    "beams-forced-at-once": dict(max_new_tokens=1, num_beams=3, num_return_sequences=3, forced_eos_token_id=5),
    "beams-renormalize": dict(max_new_tokens=7, num_beams=3, renormalize_logits=True, suppress_tokens=[0, 1, 2], eos=1),
    "beams-max-length": dict(max_length=14, num_beams=3, eos=2),
    "top-k-one": dict(max_new_tokens=6, do_sample=True, top_k=1, temperature=0.7, eos=1),
}
# Positions of those skip padding in the prompt, but go on from the cache's length: padding that is made counts.
SKIPPING = {"padding-made": dict(max_new_tokens=9, sequence_bias=[[[1], 5.5]], no_repeat_ngram_size=2)}
FULL_MODELS = ["gpt2/lm", "llama/lm", "bart/lm"]
SEQ2SEQ = ("bart", "m2m_100", "marian", "mbart", "mt5", "pegasus", "t5", "umt5")
GENERATIVE = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration", "MarianMTModel")


TRANSFO_XL = ["transfo_xl/lm", "transfo_xl/lm-one-table", "transfo_xl/lm-no-clusters"]


def fixtures():
    if OLD:
        yield from TRANSFO_XL
        return
    seen = {}
    for family in sorted(os.listdir(os.path.join(DATA, "models"))):
        for case in sorted(os.listdir(os.path.join(DATA, "models", family))):
            path = os.path.join(DATA, "models", family, case)
            if not os.path.exists(os.path.join(path, "config.json")):
                continue  # a GGUF file
            with open(os.path.join(path, "config.json")) as f:
                config = json.load(f)
            architecture = (config.get("architectures") or [""])[0]
            if config.get("is_encoder_decoder", family in SEQ2SEQ) and architecture.endswith("ForCausalLM"):
                continue  # a decoder alone, whose config is that of the pair
            if not architecture.endswith(GENERATIVE) or architecture.startswith(("Bert", "Roberta", "Camembert", "XLMRoberta", "Electra")):
                continue
            if case.endswith(("long", "embeds", "no-prefix")) or "dynamic-long" in case:
                continue
            seen.setdefault((family, architecture), []).append(case)
    for (family, _), cases in seen.items():
        first = "lm" if "lm" in cases else cases[0]
        for case in [first] + [c for c in cases if c != first][:2]:
            yield f"{family}/{case}"


def transfo_xl():
    """Its class without what of 4.57.6 does not fit it any more: generate() itself, an old call, a cache of another kind."""
    from transformers.generation import GenerationMixin
    from transformers.models.deprecated.transfo_xl import TransfoXLLMHeadModel

    type_as = torch.Tensor.type_as
    torch.Tensor.type_as = lambda tensor, other=None, dtype=None: tensor.to(dtype) if dtype is not None else type_as(tensor, other)

    class Generative(TransfoXLLMHeadModel, GenerationMixin):
        @classmethod
        def _supports_default_dynamic_cache(cls):
            return False

    return Generative


def inputs_of(name, vocab, seq2seq, pad):
    """Three rows of mixed lengths, padded on the side that generate() wants; of one length for a model that sees no mask."""
    pick = random.Random(seed_of(name + " inputs"))
    lengths = [7, 7, 7] if name in TRANSFO_XL else [7, 4, 2]
    ids, mask = [], []
    for n in lengths:
        row = [pick.randrange(vocab) for _ in range(n)]
        fill, ones = [pad] * (lengths[0] - n), [1] * n
        ids.append(row + fill if seq2seq else fill + row)
        mask.append(ones + [0] * len(fill) if seq2seq else [0] * len(fill) + ones)
    return ids, mask


def run(model, ids, mask, options):
    masks = {} if OLD else dict(attention_mask=torch.tensor(mask))
    out = model.generate(input_ids=torch.tensor(ids), return_dict_in_generate=True, output_scores=True, **masks, **options)
    scores = getattr(out, "sequences_scores", None)
    return out.sequences.tolist(), None if scores is None else [float(f"{x:.9g}") for x in scores.tolist()]


def cases_of(name):
    path = os.path.join(DATA, "models", *name.split("/"))
    auto = transfo_xl() if OLD else None
    config = auto.config_class.from_pretrained(path) if OLD else AutoConfig.from_pretrained(path)
    seq2seq = bool(config.is_encoder_decoder)
    auto = auto or (AutoModelForSeq2SeqLM if seq2seq else AutoModelForCausalLM)
    model = auto.from_pretrained(path, dtype=torch.float32, attn_implementation="eager").eval()
    shaken = auto.from_pretrained(path, dtype=torch.float32, attn_implementation="eager").eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in shaken.parameters():
            weight *= 1 + 3e-6 * torch.randn(weight.shape, generator=generator)
    vocab = config.get_text_config(decoder=True).vocab_size
    base = dict(pad_token_id=1, bos_token_id=2, eos_token_id=None, do_sample=False)
    if seq2seq:
        base["decoder_start_token_id"] = 3
    for m in (model, shaken):
        m.generation_config = transformers.GenerationConfig()
    ids, mask = inputs_of(name, vocab, seq2seq, base["pad_token_id"])
    free, _ = run(model, ids, mask, {**base, "max_new_tokens": 12})
    start = 1 if seq2seq else len(ids[0])
    sets = dict(COMMON)
    if any(fnmatch.fnmatch(name, g) for g in FULL_MODELS):
        sets.update(FULL)
    if name.startswith("m2m_100/"):
        sets.update(SKIPPING)
    answers = []
    for label, options in sets.items():
        options = {**base, **options}
        count = options.pop("eos", 0)
        if count:  # what the rows make anyway, so that they end at different lengths
            made = [free[0][start + 4], free[1][start + 6], free[2][start + 2]][:count]
            options["eos_token_id"] = sorted(set(made)) if count > 1 else made[0]
        try:
            sequences, scores = run(model, ids, mask, options)
            again, _ = run(shaken, ids, mask, options)
        except (ValueError, RuntimeError, IndexError) as error:
            print(f"  {name} {label}: {str(error)[:100]}")
            continue
        if sequences != again:
            print(f"  {name} {label}: hangs on a last bit, left out")
            continue
        row = dict(model=name, name=label, input_ids=ids, attention_mask=mask, config={k: v for k, v in options.items() if v is not None}, sequences=sequences)
        if scores is not None:
            row["sequences_scores"] = scores
        answers.append(row)
    return answers


def write_rows(name, rows):
    with open(os.path.join(OUT, name), "w") as f:
        f.write("[\n" + ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows) + "\n]\n")
    print(f"{name}: {len(rows)} rows, {os.path.getsize(os.path.join(OUT, name))} bytes")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="*")
    only = parser.parse_args().only
    os.makedirs(OUT, exist_ok=True)
    if not OLD:
        write_rows("processors.json", processors())
    path, rows = os.path.join(OUT, "cases.json"), []
    if os.path.exists(path):
        with open(path) as f:
            rows = [row for row in json.load(f) if not fnmatch.fnmatch(row["model"], only)]
    for name in fixtures():
        if not fnmatch.fnmatch(name, only):
            continue
        try:
            rows += cases_of(name)
        except IndexError as error:  # T5 whose decoder has more layers than its encoder: the cache is too short there
            print(f"  {name}: {error}")
    write_rows("cases.json", sorted(rows, key=lambda row: row["model"]))


if __name__ == "__main__":
    main()
