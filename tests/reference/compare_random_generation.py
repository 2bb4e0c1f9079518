"""Compares `tcpp generate` with Hugging Face's generate() on random models: those of compare_random_models.py, with random
prompts of mixed lengths and random options, some in generation_config.json and some in the call.

  compare_random_generation.py TCPP [--seed N] [--count N] [--only GLOB over model_type] [--keep DIR]

Sequences must be equal, and beams' scores within 1e-4. Prints one line for each answer that differs, with its seed
(`--seed N --count 1` makes it again), and a summary; exits with 1 when anything differed. What Hugging Face refuses, and
answers that hang on a last bit (weights changed by a few
millionths give others), are not counted.
"""
import argparse
import collections
import fnmatch
import json
import os
import shutil
import subprocess
import sys
import tempfile
import warnings

import torch
import transformers
from safetensors.torch import load_file, save_file

from compare_random_models import DECODERS, ENCODER_DECODERS, FAMILIES, Random, classes, masks, randomize

CAUSAL = {"openai-gpt": "OpenAIGPTLMHeadModel", "gpt2": "GPT2LMHeadModel", "ctrl": "CTRLLMHeadModel"}
FLAGS = {"bad_words_ids", "sequence_bias", "exponential_decay_length_penalty"}  # whose value is JSON


def class_of(model_type):
    return CAUSAL.get(model_type) or next(n for n in classes(model_type) if n.endswith(
        ("ForConditionalGeneration", "MTModel") if model_type in ENCODER_DECODERS else "ForCausalLM"))


def words(r, vocab, most=3):
    return [r.randrange(vocab) for _ in range(r.randint(1, most))]


def options_of(r, vocab, prompt, seq2seq, made):
    """Random options; `made` are tokens that the model makes, of which some end the answer."""
    o = {}
    if r.maybe(0.8):
        o["max_new_tokens"] = r.randint(1, 14)
    elif r.maybe():
        o["max_length"] = r.randint(2, 12) + (0 if seq2seq else prompt)
    if r.maybe(0.75):
        ends = sorted({r.choice(made) for _ in range(r.choice([1, 1, 2, 3]))})
        o["eos_token_id"] = ends if len(ends) > 1 or r.maybe(0.3) else ends[0]
    if r.maybe(0.5):
        o["pad_token_id"] = r.randrange(vocab)
    if r.maybe(0.2):
        o["min_length"] = r.randint(0, prompt + 6)
    if r.maybe(0.2):
        o["min_new_tokens"] = r.randint(0, 6)
    if r.maybe(0.55):
        o["num_beams"] = r.randint(2, 5)
        if r.maybe():
            o["num_return_sequences"] = r.randint(1, o["num_beams"])
        if r.maybe():
            o["length_penalty"] = r.choice([-1.0, 0.0, 0.4, 1.3, 2.0])
        if r.maybe():
            o["early_stopping"] = r.choice([True, False, "never"])
    if r.maybe(0.25):
        o["repetition_penalty"] = r.choice([0.7, 1.2, 1.6])
    if r.maybe(0.2):
        o["no_repeat_ngram_size"] = r.randint(1, 3)
    if r.maybe(0.15):
        o["encoder_repetition_penalty"] = r.choice([0.6, 1.5])
    if r.maybe(0.15):
        o["encoder_no_repeat_ngram_size"] = r.randint(1, 3)
    if r.maybe(0.15):
        o["bad_words_ids"] = [words(r, vocab) if r.maybe() else [r.choice(made)] for _ in range(r.randint(1, 4))]
    if r.maybe(0.15):
        o["sequence_bias"] = [[words(r, vocab, 2), r.choice([-4.0, 1.5, 3.25])] for _ in range(r.randint(1, 4))]
    if r.maybe(0.15):
        o["suppress_tokens"] = words(r, vocab, 6)
    if r.maybe(0.15):
        o["begin_suppress_tokens"] = words(r, vocab, 6)
    if r.maybe(0.12):
        o["forced_bos_token_id"] = r.randrange(vocab)
    if r.maybe(0.12):
        o["forced_eos_token_id"] = r.randrange(vocab) if r.maybe(0.7) else words(r, vocab, 2)
    if r.maybe(0.12) and "eos_token_id" in o:
        o["exponential_decay_length_penalty"] = [r.randint(0, 4), r.choice([1.1, 1.6])]
    if r.maybe(0.15):
        o["renormalize_logits"] = True
    if r.maybe(0.1):
        o["remove_invalid_values"] = True
    if r.maybe(0.06) and "num_beams" not in o:
        o.update(do_sample=True, top_k=1, temperature=r.choice([0.5, 1.3]))
    return o


class Refused(Exception):
    """Hugging Face does not take it."""


def generate(model, inputs, call):
    with torch.no_grad():
        out = model.generate(**inputs, **call, return_dict_in_generate=True, output_scores=True)
    return out.sequences, out.get("sequences_scores")


def reference(r, seed, model_type, directory):
    name = class_of(model_type)
    seq2seq = model_type in ENCODER_DECODERS
    try:
        settings = FAMILIES[model_type](r)
        cls = getattr(transformers, name)
        config = cls.config_class(**settings)
        model = cls(config)
        randomize(model, seed, model_type.startswith("gemma"))
        vocab = model.config.vocab_size
        model.save_pretrained(directory)
        # By the longest row there, by each row's own here.
        batch = 1 if "longrope" in str(config) or "dynamic" in str(config) else r.randint(1, 4)
        seq = r.randint(1, 9)
        mask = masks(r, batch, seq)[0] if seq2seq else torch.tensor([[0] * (seq - n) + [1] * n for n in [r.randint(1, seq) for _ in range(batch)]])
        inputs = {"input_ids": torch.tensor([[r.randrange(vocab) for _ in row] for row in mask])}
        if not mask.all() or r.maybe():
            inputs["attention_mask"] = mask
        target = getattr(model.config, "decoder_vocab_size", None) or vocab
        free = cls.from_pretrained(directory, attn_implementation="eager").eval()
        for key in ("eos_token_id", "forced_eos_token_id", "forced_bos_token_id"):
            setattr(free.generation_config, key, None)
        made = generate(free, inputs, dict(max_new_tokens=8, pad_token_id=0))[0][:, 0 if seq2seq else seq:].flatten().tolist()
        options = options_of(r, target, seq, seq2seq, made)
        stored = {k: v for k, v in options.items() if k not in ("max_new_tokens", "max_length") and r.maybe(0.4)}
        path = os.path.join(directory, "generation_config.json")
        file = {k: v for k, v in json.load(open(path)).items() if k != "eos_token_id" or r.maybe()}
        # Ids beyond the vocabulary, which defaults of the config class may be, are errors here.
        file = {k: v for k, v in file.items() if not k.endswith("token_id") or not isinstance(v, int) or v < target}
        json.dump({**file, **stored}, open(path, "w"))
        call = {k: v for k, v in options.items() if k not in stored}
        model = cls.from_pretrained(directory, attn_implementation="eager").eval()
        sequences, scores = generate(model, inputs, dict(call))
        noise = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for weight in model.parameters():
                weight.mul_(1 + 3e-6 * torch.randn(weight.shape, generator=noise))
        stable = generate(model, inputs, dict(call))[0]
    except Exception as e:
        raise Refused(f"{type(e).__name__}: {e}") from e
    if stable.shape != sequences.shape or not stable.equal(sequences):
        raise Refused("hangs on a last bit")
    return inputs, call, sequences, scores


def flags(call):
    out = []
    for key, value in call.items():
        flag = "--" + key.replace("_", "-")
        if value is True or value is False:
            out.append(flag if value else "--no-" + flag[2:])
        elif key in FLAGS:
            out += [flag, json.dumps(value)]
        else:
            out += [flag, ",".join(map(str, value)) if isinstance(value, list) else str(value)]
    return out


def compare(tcpp, seed, only, keep):
    """(model_type, what was found)"""
    r = Random(seed)
    model_type = r.choice(sorted(t for t in DECODERS | ENCODER_DECODERS if fnmatch.fnmatch(t, only)))
    directory = tempfile.mkdtemp(prefix="model-")
    try:
        try:
            inputs, call, sequences, scores = reference(r, seed, model_type, directory)
        except Refused as e:
            return model_type, f"refused: {str(e)[:300]}"
        if call.get("early_stopping") == "never":  # has no flag
            path = os.path.join(directory, "generation_config.json")
            json.dump({**json.load(open(path)), "early_stopping": call.pop("early_stopping")}, open(path, "w"))
        given, got = os.path.join(directory, "inputs.safetensors"), os.path.join(directory, "outputs.safetensors")
        save_file(inputs, given)
        command = [tcpp, "generate", directory, "--inputs", given, "--output", got, "--dtype", "fp32", "--output-scores", *flags(call)]
        run = subprocess.run(command, capture_output=True, text=True)
        problem = ""
        if run.returncode:
            problem = f"tcpp: {run.stderr.strip()[:300]}"
        else:
            ours = load_file(got)
            if ours["sequences"].shape != sequences.shape or not ours["sequences"].equal(sequences):
                problem = f"{ours['sequences'].tolist()} expected {sequences.tolist()}"
            elif scores is not None and not ours["sequences_scores"].allclose(scores, rtol=1e-6, atol=1e-4):
                problem = f"scores {ours['sequences_scores'].tolist()} expected {scores.tolist()}"
        if problem and keep:
            shutil.copytree(directory, os.path.join(keep, str(seed)), dirs_exist_ok=True)
        return model_type, problem and f"{json.dumps(call)}: {problem}"
    finally:
        shutil.rmtree(directory)


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("tcpp")
    ap.add_argument("--seed", type=int, default=0)
    ap.add_argument("--count", type=int, default=200)
    ap.add_argument("--only", default="*", help="glob over model_type")
    ap.add_argument("--keep", help="directory for copies of the models that differ")
    args = ap.parse_args()
    transformers.logging.set_verbosity(50)
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    equal, wrong, refused = collections.Counter(), 0, collections.Counter()
    for seed in range(args.seed, args.seed + args.count):
        model_type, problem = compare(args.tcpp, seed, args.only, args.keep)
        if problem.startswith("refused"):
            refused[problem.split(":")[1].strip()] += 1
            if args.count == 1:
                print(model_type, problem)
        elif problem:
            wrong += 1
            print(f"{seed} {model_type} {problem}", flush=True)
        else:
            equal[model_type] += 1
    print(f"{sum(equal.values())} equal, {wrong} differ, not counted: {dict(refused)}")
    print(" ".join(f"{k}: {v}" for k, v in sorted(equal.items())))
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
