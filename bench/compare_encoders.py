#!/usr/bin/env python3
"""Interleaved speed comparison of a BERT encoder: ours, ONNX Runtime, OpenVINO, CTranslate2 and torch.

Where it stands: the outermost benchmark. It needs nothing of the library but one worker binary that speaks the line
protocol of bench/README.md; the peers come from the venv that bench/setup_peers.sh makes.

    bench/setup_peers.sh build/venv
    build/venv/bin/python bench/compare_encoders.py --json build/encoders.json

What it does, in order:
  1. makes a BERT of a known shape with seeded random weights (an ordinary Hugging Face directory), the inputs of every
     workload and each peer's own format, once, in the work directory;
  2. starts one persistent worker process per engine; a worker is stopped (SIGSTOP) whenever it is not its turn, so no
     idle thread pool of one engine can spin on the cores of another;
  3. lets each peer find its own best settings (batch size, parallel streams, graph variant), once;
  4. compares every engine's output with torch's, one unpadded sentence at a time;
  5. runs N rounds; in a round every engine runs the workload, the order changing from round to round, and each round
     gives one ratio peer time / our time. Rounds in which other processes used the same cores are repeated.

Source of the settings: each engine's own documentation (transformer optimizer of onnxruntime, performance hints of
OpenVINO, Encoder of CTranslate2, inductor freezing of torch). Versions: see bench/setup_peers.sh.
"""

import argparse
import json
import random
import subprocess
import sys
from pathlib import Path

import harness
from harness import SEED, WorkerError

PEERS = ["ort", "openvino", "ctranslate2", "torch"]
# Of each class: the peers that have it, our weight type, and how far the rows of last_hidden_state may be from torch's
# in float32: the largest difference, or 1 - the mean cosine of the rows.
PRECISIONS = {
    "fp32": dict(peers=PEERS, dtype="fp32", max_difference=1e-3),
    "bf16": dict(peers=["openvino", "torch"], dtype="bf16", max_distance=1e-3),
    "int8": dict(peers=["ort", "openvino", "ctranslate2"], dtype="q8", max_distance=0.03),
}
# What we want to reach: peer time / our time, for the shape bert-base and, where they differ, for minilm-l6.
BARS = {
    "fp32": {"b32s128": {"fastest": 1.08}, "corpus256": {"fastest": 1.1}, "s128": {"fastest": 1.2},
             "s16": {"fastest": 1.2}},
    "bf16": {"b32s128": {"fastest": 1.0}, "corpus256": {"fastest": 1.1}, "s128": {"fastest": 1.2},
             "s16": {"fastest": 1.5}},
    "int8": {"b32s128": {"ort": 1.5, "openvino": 1.0}, "corpus256": {"ort": 1.6, "openvino": 1.1},
             "s128": {"ort": 1.6, "openvino": 1.1}, "s16": {"ort": 2.5, "openvino": 1.8}},
}
MINILM_BARS = {"int8": {"corpus256": {"fastest": 2.0}, "s16": {"fastest": 2.0}}}
SHAPES = {
    "bert-base": dict(num_hidden_layers=12, hidden_size=768, num_attention_heads=12, intermediate_size=3072),
    "minilm-l6": dict(num_hidden_layers=6, hidden_size=384, num_attention_heads=12, intermediate_size=1536),
}
VOCAB_SIZE = 30522
WORKLOADS = ["b32s128", "s16", "s128", "corpus256"]
ABOUT = {
    "b32s128": "32 sentences of 128 tokens",
    "s16": "one sentence of 16 tokens",
    "s128": "one sentence of 128 tokens",
    "corpus256": "256 sentences of 5 to 64 tokens",
}
# (unrecorded, recorded) runs of one engine in one round; the sample is the median of the recorded ones. A short run
# would otherwise mostly measure that the previous engine has just evicted the weights.
REPEATS = {"b32s128": (0, 1), "s16": (2, 7), "s128": (1, 3), "corpus256": (0, 1)}


def lengths_of(workload):
    """Sentence lengths of a workload, in the order the sentences are given. The mixed ones are seeded, mean 21."""
    if workload == "b32s128":
        return [128] * 32
    if workload in ("s16", "s128"):
        return [int(workload[1:])]
    rng = random.Random(SEED)
    lengths = []
    while len(lengths) < 256:
        length = 5 + int(rng.expovariate(1 / 18.0))
        if length <= 64:
            lengths.append(length)
    lengths[rng.randrange(256)] = 5
    lengths[rng.randrange(256)] = 64
    return lengths


def flops_of(shape, lengths):
    """Multiply-adds of the encoder layers counted as two, [tokens] linear and [length^2] attention; no padding."""
    hidden, inner, layers = shape["hidden_size"], shape["intermediate_size"], shape["num_hidden_layers"]
    linear = 2 * (4 * hidden * hidden + 2 * hidden * inner) * sum(lengths)
    attention = sum(4 * length * length * hidden for length in lengths)
    return layers * (linear + attention)


# ---------------------------------------------------------------------------------------------------------------
# Making the model, the inputs and the peers' files (runs in a process of its own: torch never enters the parent).


def make_hf_directory(path, shape_name):
    import torch
    from transformers import BertConfig, BertModel

    torch.manual_seed(SEED)
    model = BertModel(BertConfig(vocab_size=VOCAB_SIZE, **SHAPES[shape_name])).eval()
    with torch.no_grad():  # biases and norms are zeros and ones at first: a wrong one must change the answer
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(0.0, 0.05)
            elif "LayerNorm" in name:
                parameter.normal_(1.0, 0.05)
    model.save_pretrained(path)
    special = {0: "[PAD]", 100: "[UNK]", 101: "[CLS]", 102: "[SEP]", 103: "[MASK]"}
    words = [special.get(i, f"token{i}") for i in range(VOCAB_SIZE)]
    (path / "vocab.txt").write_text("\n".join(words) + "\n")
    (path / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer", "do_lower_case": true}\n')


def make_inputs(path, shape_name):
    import numpy as np
    from safetensors.numpy import save_file

    path.mkdir(parents=True, exist_ok=True)
    for index, workload in enumerate(WORKLOADS):
        lengths = np.array(lengths_of(workload), dtype=np.int64)
        ids = np.random.default_rng(SEED + index).integers(1000, VOCAB_SIZE, int(lengths.sum()), dtype=np.int64)
        starts = np.cumsum(lengths) - lengths
        ids[starts], ids[starts + lengths - 1] = 101, 102
        save_file({"input_ids": ids, "lengths": lengths}, path / f"{workload}.safetensors")


def load_sentences(inputs, workload):
    """The token ids of a workload, one int64 array per sentence."""
    import numpy as np
    from safetensors.numpy import load_file

    tensors = load_file(inputs / f"{workload}.safetensors")
    return np.split(tensors["input_ids"], np.cumsum(tensors["lengths"])[:-1])


def make_reference(directory):
    """torch, eager, one unpadded sentence at a time: what every engine must give, whatever its batching."""
    import numpy as np
    import torch
    from transformers import BertModel

    model = BertModel.from_pretrained(directory / "model", attn_implementation="eager", add_pooling_layer=False).eval()
    (directory / "reference").mkdir(exist_ok=True)
    with torch.inference_mode():
        for workload in WORKLOADS:
            sentences = load_sentences(directory / "inputs", workload)
            rows = [model(input_ids=torch.from_numpy(ids)[None]).last_hidden_state[0].numpy() for ids in sentences]
            np.concatenate(rows).astype(np.float32).tofile(directory / "reference" / f"{workload}.f32")


def plain_bert(directory, attention, masked):
    """The encoder as a bare module, written so that the exporters' pattern matchers recognise every fusion.

    attention: 'matmul' (matmul, scale, add mask, softmax, matmul) or 'sdpa'; masked: takes attention_mask [batch, seq].
    """
    import math

    import torch
    from torch.nn import functional
    from transformers import BertModel

    class PlainBert(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.bert = BertModel.from_pretrained(directory / "model", add_pooling_layer=False).eval()
            self.heads = self.bert.config.num_attention_heads
            self.head_size = self.bert.config.hidden_size // self.heads

        def split(self, x):
            return x.view(x.size()[:-1] + (self.heads, self.head_size)).permute(0, 2, 1, 3)

        def forward(self, input_ids, attention_mask=None):
            mask = None
            if masked:
                mask = attention_mask[:, None, None, :].to(torch.float32)
                mask = (1.0 - mask) * torch.finfo(torch.float32).min
            table = self.bert.embeddings
            x = table.word_embeddings(input_ids) + table.token_type_embeddings(torch.zeros_like(input_ids))
            x = x + table.position_embeddings(table.position_ids[:, : input_ids.shape[1]])
            x = table.LayerNorm(x)
            for layer in self.bert.encoder.layer:
                inner = layer.attention.self
                query, key, value = (self.split(linear(x)) for linear in (inner.query, inner.key, inner.value))
                if attention == "sdpa":
                    context = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
                else:
                    scores = torch.matmul(query, key.transpose(-1, -2)) / math.sqrt(self.head_size)
                    if masked:
                        scores = scores + mask
                    context = torch.matmul(functional.softmax(scores, dim=-1), value)
                context = context.permute(0, 2, 1, 3).contiguous()
                context = context.view(context.size()[:-2] + (self.heads * self.head_size,))
                x = layer.attention.output.LayerNorm(layer.attention.output.dense(context) + x)
                x = layer.output.LayerNorm(layer.output.dense(functional.gelu(layer.intermediate.dense(x))) + x)
            return x

    return PlainBert().eval()


def example_inputs(masked):
    import torch

    ids, mask = torch.randint(1000, VOCAB_SIZE, (2, 16)), torch.ones(2, 16, dtype=torch.long)
    mask[1, 10:] = 0
    return (ids, mask) if masked else (ids,)


def make_ort(directory, shape):
    import torch
    from onnxruntime.transformers import optimizer
    from onnxruntime.transformers.fusion_options import FusionOptions

    for masked in (False, True):
        names = ["input_ids", "attention_mask"][: 1 + masked]
        axes = {name: {0: "batch", 1: "sequence"} for name in names + ["last_hidden_state"]}
        raw = directory / "ort" / "raw.onnx"
        with torch.inference_mode():
            torch.onnx.export(plain_bert(directory, "matmul", masked), example_inputs(masked), str(raw),
                              input_names=names, output_names=["last_hidden_state"], opset_version=17, dynamo=False,
                              dynamic_axes=axes)
        for multi_head in (False, True):
            options = FusionOptions("bert")
            options.use_multi_head_attention = multi_head
            options.use_raw_attention_mask(not masked)  # with a mask: one length per sentence, the cheaper form
            optimized = optimizer.optimize_model(str(raw), model_type="bert", num_heads=shape["num_attention_heads"],
                                                 hidden_size=shape["hidden_size"], optimization_options=options,
                                                 opt_level=1)
            fused = optimized.get_fused_operator_statistics()
            layers = shape["num_hidden_layers"]
            if (fused["MultiHeadAttention" if multi_head else "Attention"], fused["BiasGelu"],
                    fused["SkipLayerNormalization"]) != (layers, layers, 2 * layers):
                raise RuntimeError(f"ONNX Runtime's optimizer did not fuse all layers: {fused}")
            kind = "mha" if multi_head else "attention"
            optimized.save_model_to_file(str(directory / "ort" / f"{kind}{'-mask' if masked else ''}.onnx"))
        raw.unlink()


def make_openvino(directory, shape):
    import openvino

    for attention in ("sdpa", "matmul"):
        for masked in (False, True):
            model = openvino.convert_model(plain_bert(directory, attention, masked),
                                           example_input=example_inputs(masked))
            for port, name in zip(model.inputs, ("input_ids", "attention_mask")):
                port.get_tensor().set_names({name})
            name = f"{attention}{'-mask' if masked else ''}.xml"
            openvino.save_model(model, directory / "openvino" / name, compress_to_fp16=False)


def make_ctranslate2(directory, shape):
    from ctranslate2.converters import TransformersConverter

    # The converter asserts on a config key that transformers 5 no longer has (it knows absolute positions only).
    from transformers import BertConfig

    if not hasattr(BertConfig, "position_embedding_type"):
        BertConfig.position_embedding_type = "absolute"
    converter = TransformersConverter(str(directory / "model"))
    converter.convert(str(directory / "ctranslate2" / "model"), quantization="float32", force=True)


def make_ort_int8(directory, shape):
    """Dynamic quantization of the fused graphs: weights by channel, activations while it runs."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    for kind in ("attention", "mha"):
        for mask in ("", "-mask"):
            quantize_dynamic(str(directory / "ort" / f"{kind}{mask}.onnx"),
                             str(directory / "ort-int8" / f"{kind}{mask}.onnx"), weight_type=QuantType.QInt8,
                             per_channel=True, extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT})


def make_openvino_int8(directory, shape):
    """NNCF's post-training quantization: activations have fixed ranges, found on 64 sentences of the corpus."""
    import nncf
    import numpy as np
    import openvino

    sentences = load_sentences(directory / "inputs", "corpus256")[:64]
    for attention in ("sdpa", "matmul"):
        for masked in (False, True):
            name = f"{attention}{'-mask' if masked else ''}.xml"
            model = openvino.Core().read_model(directory / "openvino" / name)
            samples = [{"input_ids": ids[None], **({"attention_mask": np.ones_like(ids[None])} if masked else {})}
                       for ids in sentences]
            quantized = nncf.quantize(model, nncf.Dataset(samples), model_type=nncf.ModelType.TRANSFORMER,
                                      preset=nncf.QuantizationPreset.MIXED, subset_size=len(samples))
            openvino.save_model(quantized, directory / "openvino-int8" / name, compress_to_fp16=False)


def make(directory, shape_name, peers, precision):
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    steps = [("model", lambda path: make_hf_directory(path, shape_name)),
             ("inputs", lambda path: make_inputs(path, shape_name)),
             ("reference", lambda path: make_reference(directory))]
    exporters = {"ort": make_ort, "openvino": make_openvino, "ctranslate2": make_ctranslate2}
    if precision == "int8":
        exporters |= {"ort-int8": make_ort_int8, "openvino-int8": make_openvino_int8}
    steps += [(name, lambda path, f=exporters[name]: f(directory, SHAPES[shape_name]))
              for peer in peers for name in (peer, peer + "-int8") if name in exporters]
    for name, step in steps:
        path = directory / name
        done = directory / f"{name}.done"
        if not done.exists():
            print(f"making {name} of {shape_name}", file=sys.stderr)
            path.mkdir(parents=True, exist_ok=True)
            try:
                step(path)
            except Exception as error:  # a peer that is missing or cannot convert leaves the others
                if name not in exporters:
                    raise
                print(f"warning: {name}: {type(error).__name__}: {error}", file=sys.stderr)
                continue
            done.touch()


# ---------------------------------------------------------------------------------------------------------------
# The peers' workers.


class EncoderPeer(harness.Peer):
    """A subclass gives a function for one padded batch.

    The setting `streams` 2 means two batches at a time with one thread each (only of use with several batches).
    """

    def graphs(self, workload):
        return {}

    def space(self, workload):
        many = {"b32s128": {"batch": [32, 16], "streams": [1, 2]}, "corpus256": {"batch": [16, 8, 32], "streams": [1, 2]}}
        return {**many.get(workload, {"batch": [1], "streams": [1]}), **self.graphs(workload)}

    def exported(self, engine):
        """The directory of the engine's files."""
        return self.directory / (engine + ("-int8" if self.precision == "int8" else ""))

    def prepare(self, workload, settings):
        """Gives (run, unpack): run() computes the whole workload, unpack(result) the packed rows in input order."""
        import concurrent.futures

        import numpy as np

        self.used = set()
        sentences = load_sentences(self.directory / "inputs", workload)
        order = sorted(range(len(sentences)), key=lambda i: len(sentences[i]), reverse=True)
        size, streams = settings["batch"], settings["streams"]
        batches = []
        for start in range(0, len(order), size):
            members = order[start : start + size]
            lengths = [len(sentences[i]) for i in members]
            ids = np.zeros((len(members), max(lengths)), dtype=np.int64)
            mask = np.zeros_like(ids)
            for row, i in enumerate(members):
                ids[row, : lengths[row]] = sentences[i]
                mask[row, : lengths[row]] = 1
            batches.append((ids, mask if min(lengths) < max(lengths) else None, lengths, members))
        each = max(1, self.threads // streams)
        self.ragged = len({len(sentence) for sentence in sentences}) > 1
        calls = [self.call(ids, mask, lengths, settings, each) for ids, mask, lengths, _ in batches]
        if streams == 1:
            def run():
                return [call() for call in calls]
        else:
            pool = concurrent.futures.ThreadPoolExecutor(streams)

            def run():
                return list(pool.map(lambda call: call(), calls))

        def unpack(results):
            rows = [None] * len(sentences)
            for result, (_, _, lengths, members) in zip(results, batches):
                result = self.to_numpy(result)
                for row, i in enumerate(members):
                    rows[i] = result[row, : lengths[row]]
            return np.concatenate(rows).astype(np.float32)

        return run, unpack, self.used

    def call(self, ids, mask, lengths, settings, threads):
        """A function without arguments that computes one batch with that many threads; all inputs made beforehand."""
        raise NotImplementedError

    def to_numpy(self, result):
        return result


class OrtPeer(EncoderPeer):
    def version(self):
        import onnxruntime

        return "ONNX Runtime " + onnxruntime.__version__

    def graphs(self, workload):
        return {"graph": ["attention", "mha"]}

    def call(self, ids, mask, lengths, settings, threads):
        import onnxruntime

        def load(name):
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = threads
            options.inter_op_num_threads = 1
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
            return onnxruntime.InferenceSession(str(self.exported("ort") / name), options,
                                                providers=["CPUExecutionProvider"])

        name = f"{settings['graph']}{'' if mask is None else '-mask'}.onnx"
        session = self.model((name, threads), lambda: load(name))
        feed = {"input_ids": ids} if mask is None else {"input_ids": ids, "attention_mask": mask}
        return lambda: session.run(None, feed)[0]


class OpenvinoPeer(EncoderPeer):
    def version(self):
        import openvino

        return "OpenVINO " + openvino.__version__.split("-")[0]

    def graphs(self, workload):
        hints = {"fp32": ["f32"], "bf16": ["bf16"], "int8": ["bf16", "f32"]}  # of what is not 8 bits
        return {"graph": ["sdpa", "matmul"], "shape": ["dynamic"] if workload == "corpus256" else ["static", "dynamic"],
                "hint": hints[self.precision]}

    def call(self, ids, mask, lengths, settings, threads):
        import openvino
        import threading

        streams = settings["streams"]

        def load(name, static):
            core = openvino.Core()
            model = core.read_model(self.exported("openvino") / name)
            if static:
                model.reshape({port: list(ids.shape) for port in model.inputs})
            return core.compile_model(model, "CPU", {
                "INFERENCE_PRECISION_HINT": settings["hint"],
                "PERFORMANCE_HINT": "LATENCY" if streams == 1 else "THROUGHPUT",
                "INFERENCE_NUM_THREADS": self.threads,
                "NUM_STREAMS": streams,
            })

        name = f"{settings['graph']}{'' if mask is None else '-mask'}.xml"
        static = ids.shape if settings["shape"] == "static" else None
        compiled = self.model((name, static, streams, settings["hint"]), lambda: load(name, static))
        inputs = [openvino.Tensor(array) for array in ((ids,) if mask is None else (ids, mask))]
        local = threading.local()

        def run():
            # One request per batch and thread: its output stays valid without a copy.
            if not hasattr(local, "request"):
                local.request = compiled.create_infer_request()
            local.request.infer(inputs, share_inputs=True, share_outputs=True)
            return local.request.get_output_tensor(0).data

        return run


class Ctranslate2Peer(EncoderPeer):
    def version(self):
        import ctranslate2

        return "CTranslate2 " + ctranslate2.__version__

    def graphs(self, workload):
        return {"input": ["dense", "lists"]}

    def call(self, ids, mask, lengths, settings, threads):
        import ctranslate2
        import numpy as np

        def load():
            return ctranslate2.Encoder(str(self.directory / "ctranslate2" / "model"), device="cpu",
                                       compute_type="int8" if self.precision == "int8" else "float32",
                                       inter_threads=settings["streams"], intra_threads=threads)

        encoder = self.model((settings["streams"], threads), load)
        if settings["input"] == "lists":
            lists = [row[:length].tolist() for row, length in zip(ids, lengths)]
            return lambda: encoder.forward_batch(lists).last_hidden_state
        dense = ctranslate2.StorageView.from_array(np.ascontiguousarray(ids, dtype=np.int32))
        sizes = ctranslate2.StorageView.from_array(np.array(lengths, dtype=np.int32))
        return lambda: encoder.forward_batch(dense, sizes).last_hidden_state

    def to_numpy(self, result):
        import numpy as np

        return np.array(result)


class TorchPeer(EncoderPeer):
    def version(self):
        import torch

        return "torch " + torch.__version__.split("+")[0]

    def graphs(self, workload):
        return {"mode": ["eager", "compile"]}

    def space(self, workload):
        # Two streams inside one Python interpreter share the interpreter lock and torch's global thread count.
        return {**super().space(workload), "streams": [1]}

    def call(self, ids, mask, lengths, settings, threads):
        import numpy as np
        import torch
        from transformers import BertModel

        torch.set_num_threads(threads)

        def load():
            model = BertModel.from_pretrained(self.directory / "model", attn_implementation="sdpa",
                                              add_pooling_layer=False).eval()
            if self.precision == "bf16":
                model = model.to(torch.bfloat16)
            if settings["mode"] == "eager":
                return model
            from torch._inductor import config  # `import torch._inductor` would make torch a local name

            config.freezing = True
            return torch.compile(model, dynamic=True if self.ragged else None)

        # A frozen graph holds weights packed for its shape: one compiled module per shape, or one dynamic and masked.
        compiled = settings["mode"] == "compile"
        if compiled and self.ragged and mask is None:
            mask = np.ones_like(ids)
        model = self.model((compiled, compiled and (len(ids), "any" if self.ragged else ids.shape[1])), load)
        feed = {"input_ids": torch.from_numpy(ids)}
        if mask is not None:
            feed["attention_mask"] = torch.from_numpy(mask)

        def run():
            with torch.inference_mode():
                return model(**feed).last_hidden_state

        return run

    def to_numpy(self, result):
        return result.float().numpy()


PEER_CLASSES = {"ort": OrtPeer, "openvino": OpenvinoPeer, "ctranslate2": Ctranslate2Peer, "torch": TorchPeer}


# ---------------------------------------------------------------------------------------------------------------
# The parent.


class EncoderComparison(harness.Comparison):
    about = ABOUT
    measures = "distance from torch one by one"

    def make(self):
        for some in ["none"] + self.peers:  # a process each: the exporters do not give their memory back
            subprocess.run(self.again + ["--make", "--peers", some], check=True, stdout=sys.stderr)

    def check(self, worker, workload):
        """How far the answer is from torch's, by the measure of the precision class."""
        import numpy as np

        path = self.directory / "dumps" / f"{worker.name}-{workload}.f32"
        path.parent.mkdir(exist_ok=True)
        worker.ask(f"dump {workload} {path}", "dumped")
        got = np.fromfile(path, np.float32)
        want = np.fromfile(self.directory / "reference" / f"{workload}.f32", np.float32)
        path.unlink()
        if got.shape != want.shape:
            raise WorkerError(f"{worker.name} {workload}: {got.size} values, {want.size} expected")
        limits = PRECISIONS[self.options.precision]
        if "max_difference" in limits:
            difference, most = float(np.abs(got - want).max()), limits["max_difference"]
        else:
            width = want.size // sum(lengths_of(workload))
            a, b = got.reshape(-1, width), want.reshape(-1, width)
            cosines = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
            difference, most = 1.0 - float(cosines.mean()), limits["max_distance"]
        if not difference < most:  # not >=: NaN must fail too
            raise WorkerError(f"{worker.name} {workload}: differs from torch by {difference}, {most} is allowed")
        return difference

    def measure_ours(self, worker):
        harness.wait_for_quiet(self.cpus, self.options.wait)
        measured = super().measure_ours(worker)
        self.report["gemm"] = json.loads(worker.ask("gemm", "gemm"))
        return self.options.peak or measured

    def print_engines(self):
        super().print_engines()
        peak = self.options.peak or self.report.get("peak", {}).get("gflops")
        if peak:
            print(f"peak: {peak:.0f} GFLOP/s (from registers, {self.options.threads} threads)")
        for shape in self.report.get("gemm", {}).get("shapes", []):
            print(f"  GEMM {shape['m']} x {shape['n']} x {shape['k']}: {shape['gflops']:.1f} GFLOP/s, "
                  f"{100 * shape['gflops'] / peak:.0f}% of peak")

    def warm_runs(self, workload):
        return 2 if workload in ("b32s128", "corpus256") else 5

    def repeats(self, workload):
        return REPEATS[workload]

    def work(self, workload):
        lengths = lengths_of(workload)
        return {"sentences": len(lengths), "tokens": sum(lengths),
                "flops": flops_of(SHAPES[self.options.model], lengths)}

    def bars(self, workload):
        minilm = MINILM_BARS.get(self.options.precision, {}) if self.options.model == "minilm-l6" else {}
        return {**BARS[self.options.precision], **minilm}[workload]


def arguments():
    root = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description="Interleaved speed comparison of a BERT encoder with its peers.",
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    harness.add_arguments(parser, root, "encoder_worker", PEERS)
    parser.add_argument("--model", choices=list(SHAPES), default="bert-base", help="shape of the model")
    parser.add_argument("--precision", choices=list(PRECISIONS), default="fp32", help="class of arithmetic")
    parser.add_argument("--peak", type=float, help="peak GFLOP/s of all threads, if our worker does not measure it")
    return parser.parse_args()


def main():
    options = arguments()
    precision, workloads = PRECISIONS[options.precision], harness.chosen(options.workloads, WORKLOADS)
    peers = harness.chosen(options.peers, precision["peers"], absent=("none",))
    directory = options.work.resolve() / options.model
    if options.worker:
        peer = PEER_CLASSES[options.worker](directory, options.threads, options.precision)
        return harness.serve(peer, lambda workload: {"s16": (25, 1), "s128": (12, 1)}.get(workload, (3, 0)))
    if options.make:
        return make(directory, options.model, peers, options.precision)
    return EncoderComparison(options, __file__, peers, workloads, precision["dtype"]).run()


if __name__ == "__main__":
    sys.exit(main())
