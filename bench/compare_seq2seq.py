#!/usr/bin/env python3
"""Interleaved speed comparison of encoder-decoders: ours and CTranslate2.

Where it stands: beside compare_encoders.py, on the same harness; rules and protocol are in bench/README.md.

    bench/setup_peers.sh build/venv
    build/venv/bin/python bench/compare_seq2seq.py --model opus-mt --precision int8 --json build/opus-mt.json

Models of random weights in the shapes of opus-mt (Marian), t5-small and bart-base; 64 sentences, 24 new tokens each,
greedy and with 4 beams, all at once and (the first eight) one after the other. Nobody stops earlier, so that all
compute the same number of tokens.
"""

import argparse
import random
import sys
from pathlib import Path

import harness
from harness import SEED, WorkerError

PEERS = ["ctranslate2"]
SHAPES = ["opus-mt", "t5-small", "bart-base"]
PRECISIONS = {"fp32": "fp32", "int8": "q8"}  # class of arithmetic, our weight type
WORKLOADS = ["greedy-64", "beam4-64", "greedy-1", "beam4-1"]
ABOUT = {
    "greedy-64": "64 sentences, greedy",
    "beam4-64": "64 sentences, 4 beams",
    "greedy-1": "8 sentences one after the other, greedy",
    "beam4-1": "8 sentences one after the other, 4 beams",
}
BARS = {
    "int8": {"opus-mt": {"greedy-64": 1.8, "beam4-64": 1.8}, "t5-small": {"greedy-64": 1.6, "beam4-64": 1.6},
             "bart-base": {"greedy-64": 1.6, "beam4-64": 1.6}},
    "fp32": {name: {"greedy-64": 1.3, "beam4-64": 1.3} for name in SHAPES},
}
LATENCY_BAR = 2.0
NEW_TOKENS = 24
SINGLES = 8


def sentences_of(workload, sentences):
    return sentences if workload.endswith("-64") else sentences[:SINGLES]


def make_model(path, name):
    import torch
    import transformers

    torch.manual_seed(SEED)
    if name == "opus-mt":
        config = transformers.MarianConfig(
            vocab_size=58101, d_model=512, encoder_layers=6, decoder_layers=6, encoder_attention_heads=8,
            decoder_attention_heads=8, encoder_ffn_dim=2048, decoder_ffn_dim=2048, activation_function="swish",
            max_position_embeddings=512, scale_embedding=True, pad_token_id=58100, eos_token_id=0,
            decoder_start_token_id=58100, forced_eos_token_id=None, init_std=0.05)
        model = transformers.MarianMTModel(config)
    elif name == "t5-small":
        model = transformers.T5ForConditionalGeneration(transformers.T5Config(
            vocab_size=32128, d_model=512, d_kv=64, d_ff=2048, num_layers=6, num_heads=8, decoder_start_token_id=0))
    else:
        config = transformers.BartConfig(
            vocab_size=50265, d_model=768, encoder_layers=6, decoder_layers=6, encoder_attention_heads=12,
            decoder_attention_heads=12, encoder_ffn_dim=3072, decoder_ffn_dim=3072, forced_eos_token_id=None,
            init_std=0.05)
        model = transformers.BartForConditionalGeneration(config)
    with torch.no_grad():
        for parameter, values in model.named_parameters():
            if parameter.endswith("bias") and "logits" not in parameter:
                values.normal_(0.0, 0.05)
    model.generation_config = transformers.GenerationConfig.from_model_config(model.config)
    model.eval().save_pretrained(path)


def make_inputs(path):
    import numpy as np
    from safetensors.numpy import save_file

    rng = random.Random(SEED)
    lengths = np.array([rng.randrange(8, 33) for _ in range(64)], dtype=np.int64)
    ids = np.random.default_rng(SEED).integers(1000, 30000, int(lengths.sum()), dtype=np.int64)
    save_file({"input_ids": ids, "lengths": lengths}, path / "sentences.safetensors")


def load_sentences(directory):
    import numpy as np
    from safetensors.numpy import load_file

    tensors = load_file(directory / "inputs" / "sentences.safetensors")
    return np.split(tensors["input_ids"], np.cumsum(tensors["lengths"])[:-1])


def make_reference(directory):
    """What torch gives, one sentence at a time."""
    import numpy as np
    import torch
    from transformers import AutoModelForSeq2SeqLM

    model = AutoModelForSeq2SeqLM.from_pretrained(directory / "model", attn_implementation="eager").eval()
    with torch.inference_mode():
        for beams, name in ((1, "greedy"), (4, "beam4")):
            rows = [model.generate(torch.from_numpy(ids)[None], num_beams=beams, max_new_tokens=NEW_TOKENS,
                                   min_new_tokens=NEW_TOKENS, do_sample=False)[0, 1:].numpy()
                    for ids in load_sentences(directory)[:SINGLES]]
            np.concatenate(rows).astype(np.int64).tofile(directory / "reference" / f"{name}.i64")


class Words:
    """A tokenizer for the converter: token i is the word "i", special ones under their names."""

    def __init__(self, config):
        special = {config.pad_token_id: "<pad>", config.eos_token_id: "</s>"}
        if getattr(config, "bos_token_id", None) is not None:  # T5 has none
            special.setdefault(config.bos_token_id, "<s>")
        self.words = [special.get(i, str(i)) for i in range(config.vocab_size)]
        self.words[3] = self.unk_token = "<unk>"
        self.pad_token, self.eos_token = "<pad>", "</s>"
        self.bos_token = "<s>" if "<s>" in self.words else None
        self.special_tokens_map = {}
        self.unk_token_id = 3

    def get_vocab(self):
        return {word: i for i, word in enumerate(self.words)}

    def convert_ids_to_tokens(self, i):
        return self.words[i]


def make_ctranslate2(directory):
    from ctranslate2.converters import TransformersConverter
    from transformers import AutoConfig

    words = Words(AutoConfig.from_pretrained(directory / "model"))

    class Converter(TransformersConverter):
        def load_model(self, model_class, model_name_or_path, **kwargs):
            model = super().load_model(model_class, model_name_or_path, **kwargs)
            # Members that the converter reads and transformers 5 no longer writes: BART's layers are post-norm.
            for name, value in (("normalize_before", False), ("normalize_embedding", True)):
                if not hasattr(model.config, name):
                    setattr(model.config, name, value)
            return model

        def load_tokenizer(self, tokenizer_class, model_name_or_path, **kwargs):
            return words

    Converter(str(directory / "model")).convert(str(directory / "ctranslate2" / "model"), quantization="float32",
                                                force=True)


def make(directory, name):
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    steps = {"model": lambda path: make_model(path, name), "inputs": make_inputs,
             "reference": lambda path: make_reference(directory), "ctranslate2": lambda path: make_ctranslate2(directory)}
    for step, action in steps.items():
        path, done = directory / step, directory / f"{step}.done"
        if not done.exists():
            print(f"making {step} of {name}", file=sys.stderr)
            path.mkdir(parents=True, exist_ok=True)
            action(path)
            done.touch()


class Ctranslate2Peer(harness.Peer):
    def version(self):
        import ctranslate2

        return "CTranslate2 " + ctranslate2.__version__

    def space(self, workload):
        if not workload.endswith("-64"):
            return {"inter_threads": [1], "batch": [1]}
        return {"inter_threads": [2, 1], "batch": [32, 16, 8, 64]}

    def prepare(self, workload, settings):
        import ctranslate2
        import numpy as np
        from transformers import AutoConfig

        self.used = set()
        config = AutoConfig.from_pretrained(self.directory / "model")
        words = Words(config)
        inter = settings["inter_threads"]
        key = (inter,)
        translator = self.model(key, lambda: ctranslate2.Translator(
            str(self.directory / "ctranslate2" / "model"), device="cpu", inter_threads=inter,
            intra_threads=max(1, self.threads // inter),
            compute_type="int8" if self.precision == "int8" else "float32"))
        sentences = [[words.words[i] for i in ids] for ids in sentences_of(workload, load_sentences(self.directory))]
        options = dict(beam_size=4 if workload.startswith("beam4") else 1, min_decoding_length=NEW_TOKENS,
                       max_decoding_length=NEW_TOKENS, max_batch_size=settings["batch"])
        ids = {word: i for i, word in enumerate(words.words)}

        def run():
            if workload.endswith("-64"):
                return translator.translate_batch(sentences, **options)
            return [translator.translate_batch([sentence], **options)[0] for sentence in sentences]

        def unpack(results):
            return np.array([ids[word] for result in results for word in result.hypotheses[0]], dtype=np.int64)

        return run, unpack, self.used


class Seq2SeqComparison(harness.Comparison):
    about = ABOUT
    measures = "share of tokens that are not torch's"

    def check(self, worker, workload):
        """Share of torch's tokens that differ."""
        import numpy as np

        path = self.directory / "dumps" / f"{worker.name}-{workload}.i64"
        path.parent.mkdir(exist_ok=True)
        worker.ask(f"dump {workload} {path}", "dumped")
        got = np.fromfile(path, np.int64)
        path.unlink()
        count = self.work(workload)["tokens"]
        if got.size != count:
            raise WorkerError(f"{worker.name} {workload}: {got.size} tokens, {count} expected")
        want = np.fromfile(self.directory / "reference" / f"{workload.split('-')[0]}.i64", np.int64)
        difference = float((got[: want.size] != want).mean())
        if self.options.precision == "fp32" and difference > 0.02:
            raise WorkerError(f"{worker.name} {workload}: {100 * difference:.0f}% of the tokens are not torch's")
        return difference

    def work(self, workload):
        count = len(sentences_of(workload, load_sentences(self.directory)))
        return {"sentences": count, "tokens": count * NEW_TOKENS}

    def bars(self, workload):
        return {"fastest": BARS[self.options.precision][self.options.model].get(workload, LATENCY_BAR)}


def arguments():
    root = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description="Interleaved speed comparison of encoder-decoders with CTranslate2.",
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    harness.add_arguments(parser, root, "seq2seq_worker", PEERS)
    parser.add_argument("--model", choices=SHAPES, default="opus-mt", help="shape of the model")
    parser.add_argument("--precision", choices=list(PRECISIONS), default="int8", help="class of arithmetic")
    return parser.parse_args()


def main():
    options = arguments()
    peers, workloads = harness.chosen(options.peers, PEERS, ("none",)), harness.chosen(options.workloads, WORKLOADS)
    directory = options.work.resolve() / options.model
    if options.worker:
        return harness.serve(Ctranslate2Peer(directory, options.threads, options.precision), lambda workload: (3, 0))
    if options.make:
        return make(directory, options.model)
    return Seq2SeqComparison(options, __file__, peers, workloads, PRECISIONS[options.precision]).run()


if __name__ == "__main__":
    sys.exit(main())
