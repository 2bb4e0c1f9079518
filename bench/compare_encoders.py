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
import ctypes
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

SEED = 20240607
PEERS = ["ort", "openvino", "ctranslate2", "torch"]
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
MAX_DIFF = 1e-3
FOREIGN_LIMIT = 0.10  # a round is disturbed when others used more than this share of our cores
ISA_FLAGS = ("avx2 fma f16c avx_vnni avx512f avx512bw avx512vl avx512vbmi avx512_vnni avx512_bf16 avx512_fp16 "
             "amx_tile amx_bf16 amx_int8 asimd asimddp sve").split()


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


def make(directory, shape_name, peers):
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    steps = [("model", lambda path: make_hf_directory(path, shape_name)),
             ("inputs", lambda path: make_inputs(path, shape_name)),
             ("reference", lambda path: make_reference(directory))]
    exporters = {"ort": make_ort, "openvino": make_openvino, "ctranslate2": make_ctranslate2}
    steps += [(peer, lambda path, f=exporters[peer]: f(directory, SHAPES[shape_name]))
              for peer in peers if peer in exporters]
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


class Peer:
    """One peer engine. A subclass says which settings there are and gives a function for one padded batch.

    Settings are a dict; space(workload) gives for each the values to try, the first one being the start value.
    `streams` 2 means two batches at a time with one thread each (only of use with several batches).
    """

    def __init__(self, directory, threads):
        self.directory, self.threads = directory, threads
        self.models = {}

    def version(self):
        raise NotImplementedError

    def graphs(self, workload):
        return {}

    def space(self, workload):
        many = {"b32s128": {"batch": [32, 16], "streams": [1, 2]}, "corpus256": {"batch": [16, 8, 32], "streams": [1, 2]}}
        return {**many.get(workload, {"batch": [1], "streams": [1]}), **self.graphs(workload)}

    def model(self, key, load):
        """Loads a model once; the ones of settings that lost are dropped by drop_except."""
        if key not in self.models:
            self.models[key] = load()
        self.used.add(key)
        return self.models[key]

    def drop_except(self, keys):
        self.models = {key: model for key, model in self.models.items() if key in keys}

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


class OrtPeer(Peer):
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
            return onnxruntime.InferenceSession(str(self.directory / "ort" / name), options,
                                                providers=["CPUExecutionProvider"])

        name = f"{settings['graph']}{'' if mask is None else '-mask'}.onnx"
        session = self.model((name, threads), lambda: load(name))
        feed = {"input_ids": ids} if mask is None else {"input_ids": ids, "attention_mask": mask}
        return lambda: session.run(None, feed)[0]


class OpenvinoPeer(Peer):
    def version(self):
        import openvino

        return "OpenVINO " + openvino.__version__.split("-")[0]

    def graphs(self, workload):
        return {"graph": ["sdpa", "matmul"], "shape": ["dynamic"] if workload == "corpus256" else ["static", "dynamic"]}

    def call(self, ids, mask, lengths, settings, threads):
        import openvino
        import threading

        streams = settings["streams"]

        def load(name, static):
            core = openvino.Core()
            model = core.read_model(self.directory / "openvino" / name)
            if static:
                model.reshape({port: list(ids.shape) for port in model.inputs})
            return core.compile_model(model, "CPU", {
                "INFERENCE_PRECISION_HINT": "f32",
                "PERFORMANCE_HINT": "LATENCY" if streams == 1 else "THROUGHPUT",
                "INFERENCE_NUM_THREADS": self.threads,
                "NUM_STREAMS": streams,
            })

        name = f"{settings['graph']}{'' if mask is None else '-mask'}.xml"
        static = ids.shape if settings["shape"] == "static" else None
        compiled = self.model((name, static, streams), lambda: load(name, static))
        inputs = [openvino.Tensor(array) for array in ((ids,) if mask is None else (ids, mask))]
        local = threading.local()

        def run():
            # One request per batch and thread: its output stays valid without a copy.
            if not hasattr(local, "request"):
                local.request = compiled.create_infer_request()
            local.request.infer(inputs, share_inputs=True, share_outputs=True)
            return local.request.get_output_tensor(0).data

        return run


class Ctranslate2Peer(Peer):
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
                                       compute_type="float32", inter_threads=settings["streams"], intra_threads=threads)

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


class TorchPeer(Peer):
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
            if settings["mode"] == "eager":
                return model
            import torch._inductor.config

            torch._inductor.config.freezing = True
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
        return result.numpy()


PEER_CLASSES = {"ort": OrtPeer, "openvino": OpenvinoPeer, "ctranslate2": Ctranslate2Peer, "torch": TorchPeer}


def peer_worker(name, directory, threads):
    """Speaks the protocol of bench/README.md, plus `tune`, `defaults` and `settings` for a workload."""
    # Libraries print what they like on stdout; the protocol keeps the real one for itself.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def say(text):
        out.write(text + "\n")
        out.flush()

    peer = PEER_CLASSES[name](directory, threads)
    prepared = {}  # workload -> (run, unpack, keys of its models)

    def adopt(workload, settings):
        prepared[workload] = peer.prepare(workload, settings)
        peer.drop_except({key for entry in prepared.values() for key in entry[2]})

    def timed(run):
        start = time.monotonic()
        result = run()
        return time.monotonic() - start, result

    def tune(workload):
        """Greedy over the settings, one after the other; candidates of one setting interleave and keep their best."""
        space = peer.space(workload)
        settings = {key: values[0] for key, values in space.items()}
        log, best = [], None
        for key, values in space.items():
            if len(values) == 1 and best is not None:
                continue
            runs = {}
            for value in values:
                try:
                    runs[value] = peer.prepare(workload, {**settings, key: value})[0]
                    runs[value]()
                except Exception as error:  # a peer that cannot do one of its variants still has the others
                    runs.pop(value, None)
                    log.append({**settings, key: value, "error": str(error).splitlines()[0][:200]})
            if not runs:
                raise RuntimeError(log[-1]["error"])
            count = {"s16": 25, "s128": 12}.get(workload, 3)
            seconds = {value: [] for value in runs}
            for _ in range(count):
                for value, run in runs.items():
                    if workload in ("s16", "s128"):
                        run()
                    seconds[value].append(timed(run)[0])
            for value in runs:
                log.append({**settings, key: value, "seconds": min(seconds[value])})
            settings[key] = min(runs, key=lambda value: min(seconds[value]))
            best = min(seconds[settings[key]])
            peer.drop_except({k for entry in prepared.values() for k in entry[2]})
        return {"settings": settings, "seconds": best, "tried": log}

    say("ready " + json.dumps({"engine": peer.version()}))
    for line in sys.stdin:
        words = line.split(None, 2)
        try:
            if not words:
                continue
            if words[0] == "quit":
                break
            if words[0] == "run":
                seconds, result = timed(prepared[words[1]][0])
                del result
                say(f"time {seconds:.9f}")
            elif words[0] == "dump":
                run, unpack, _ = prepared[words[1]]
                rows = unpack(run())
                rows.tofile(words[2].strip())
                say(f"dumped {rows.size}")
            elif words[0] == "settings":
                adopt(words[1], json.loads(words[2]))
                say("ok")
            elif words[0] == "defaults":
                settings = {key: values[0] for key, values in peer.space(words[1].strip()).items()}
                adopt(words[1].strip(), settings)
                say("defaults " + json.dumps(settings))
            elif words[0] == "tune":
                say("tuned " + json.dumps(tune(words[1])))
            else:
                say(f"error unknown command {words[0]}")
        except Exception as error:
            say("error " + (f"{type(error).__name__}: {error}".splitlines()[0])[:300])


# ---------------------------------------------------------------------------------------------------------------
# The parent.


class WorkerError(Exception):
    pass


class Worker:
    """A persistent engine process. It is stopped except between ask() and the answer."""

    def __init__(self, name, command, cpus, threads, log):
        self.name, self.log = name, log
        environment = dict(os.environ, OMP_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads),
                           TCPP_NUM_THREADS=str(threads), HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false",
                           TORCHINDUCTOR_CACHE_DIR=str(log.parent / "inductor"))
        log.parent.mkdir(parents=True, exist_ok=True)
        libc = ctypes.CDLL(None)

        def in_child():
            libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: a stopped worker must not outlive a killed parent
            os.sched_setaffinity(0, cpus)

        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=open(log, "w"),
                                        env=environment, text=True, bufsize=1,
                                        preexec_fn=in_child)
        self.about = json.loads(self.answer("ready"))
        self.stop()

    def stop(self):
        os.kill(self.process.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)  # returns when all its threads have stopped

    def answer(self, expected):
        line = self.process.stdout.readline()
        if not line:
            raise WorkerError(f"{self.name} ended (exit status {self.process.wait()}); see {self.log}")
        word, _, rest = line.strip().partition(" ")
        if word != expected:
            raise WorkerError(f"{self.name}: {line.strip()}")
        return rest

    def ask(self, command, expected):
        os.kill(self.process.pid, signal.SIGCONT)
        try:
            self.process.stdin.write(command + "\n")
            self.process.stdin.flush()
            return self.answer(expected)
        finally:
            if self.process.poll() is None:
                self.stop()

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def sample(self, workload):
        warm, recorded = REPEATS[workload]
        times = [float(self.ask(f"run {workload}", "time")) for _ in range(warm + recorded)]
        return statistics.median(times[warm:])

    def close(self):
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGCONT)
            try:
                self.process.stdin.write("quit\n")
                self.process.stdin.close()
                self.process.wait(timeout=20)
            except (OSError, subprocess.TimeoutExpired):
                self.process.kill()
                self.process.wait()


def busy_seconds(cpus):
    """Seconds the given cores were not idle since boot, time stolen by the hypervisor included."""
    total = 0
    for line in Path("/proc/stat").read_text().splitlines():
        fields = line.split()
        if fields[0].startswith("cpu") and fields[0][3:].isdigit() and int(fields[0][3:]) in cpus:
            user, nice, system, _idle, _iowait, irq, softirq, steal = (int(x) for x in fields[1:9])
            total += user + nice + system + irq + softirq + steal
    return total / os.sysconf("SC_CLK_TCK")


class Meter:
    """Share of the cores that processes other than the given workers use, from construction to share()."""

    def __init__(self, cpus, workers=()):
        self.cpus, self.workers = cpus, list(workers)
        self.wall, self.busy, self.own = time.monotonic(), busy_seconds(cpus), self.own_seconds()

    def own_seconds(self):
        times = os.times()
        return times.user + times.system + sum(worker.cpu_seconds() for worker in self.workers)

    def share(self):
        wall = max(1e-3, time.monotonic() - self.wall)
        return max(0.0, (busy_seconds(self.cpus) - self.busy - (self.own_seconds() - self.own)) / (wall * len(self.cpus)))


def wait_for_quiet(cpus, budget):
    """Waits while others use the cores; gives the seconds left of the budget."""
    start = time.monotonic()
    while time.monotonic() - start < budget:
        meter = Meter(cpus)
        time.sleep(0.3)
        if meter.share() < FOREIGN_LIMIT:
            break
    return budget - (time.monotonic() - start)


def machine():
    info = Path("/proc/cpuinfo").read_text().splitlines()
    values = {line.split(":")[0].strip(): line.split(":", 1)[1].strip() for line in reversed(info) if ":" in line}
    flags = set((values.get("flags") or values.get("Features") or "").split())
    uname = os.uname()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {"model": values.get("model name", uname.machine), "family": values.get("cpu family"),
            "model_number": values.get("model"), "logical_cpus": os.cpu_count(), "memory_gib": round(memory, 1),
            "isa": [flag for flag in ISA_FLAGS if flag in flags], "kernel": uname.sysname + " " + uname.release,
            "load_average": os.getloadavg()[0]}


def quartiles(values):
    if len(values) < 2:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def tuned_settings(worker, workloads, directory, mode):
    """Each peer's settings per workload, from the work directory or found now."""
    path = directory / f"settings-{worker.name}.json"
    if mode == "off":
        return {w: json.loads(worker.ask(f"defaults {w}", "defaults")) for w in workloads}
    known = json.loads(path.read_text()) if path.exists() and mode != "force" else {}
    for workload in workloads:
        if workload not in known:
            print(f"  {worker.name} {workload}: looking for its best settings", file=sys.stderr)
            known[workload] = json.loads(worker.ask(f"tune {workload}", "tuned"))
            known[workload]["load_average"] = os.getloadavg()[0]  # a search made on a busy machine is worth little
            path.write_text(json.dumps(known, indent=1) + "\n")
        worker.ask(f"settings {workload} {json.dumps(known[workload]['settings'])}", "ok")
    return {workload: known[workload]["settings"] for workload in workloads}


def check_output(worker, workload, directory):
    """Largest absolute difference from torch's answer; raises above MAX_DIFF."""
    import numpy as np

    path = directory / "dumps" / f"{worker.name}-{workload}.f32"
    path.parent.mkdir(exist_ok=True)
    worker.ask(f"dump {workload} {path}", "dumped")
    got, want = np.fromfile(path, np.float32), np.fromfile(directory / "reference" / f"{workload}.f32", np.float32)
    path.unlink()
    if got.shape != want.shape:
        raise WorkerError(f"{worker.name} {workload}: {got.size} values, {want.size} expected")
    difference = float(np.abs(got - want).max())
    if not difference < MAX_DIFF:  # not >=: NaN must fail too
        raise WorkerError(f"{worker.name} {workload}: differs from torch by {difference}")
    return difference


def measure(workers, workload, options, cpus, rounds):
    """Rounds of samples: [{'times': {engine: seconds}, 'foreign': share}]; disturbed rounds are repeated."""
    kept, disturbed, budget = [], [], options.wait
    order = random.Random(SEED)
    while len(kept) < rounds and len(disturbed) < (2 * rounds if kept else rounds):
        budget = wait_for_quiet(cpus, budget)
        names = [worker.name for worker in workers]
        order.shuffle(names)
        by_name = {worker.name: worker for worker in workers}
        meter, times = Meter(cpus, workers), {}
        for name in names:
            times[name] = by_name[name].sample(workload)
        entry = {"times": times, "foreign": meter.share(), "order": names}
        (kept if entry["foreign"] < FOREIGN_LIMIT else disturbed).append(entry)
        if sys.stderr.isatty():
            print(f"\r  {workload}: {len(kept)} rounds ({len(disturbed)} disturbed)  ", end="", file=sys.stderr)
    if sys.stderr.isatty():
        print(file=sys.stderr)
    enough = len(kept) >= min(15, rounds)
    return (kept if enough else kept + disturbed), len(disturbed), enough


def summarize(workload, rounds, disturbed, quiet, shape, ours, peak):
    lengths = lengths_of(workload)
    flops, tokens = flops_of(shape, lengths), sum(lengths)
    engines, ratios = {}, {}
    for name in rounds[0]["times"]:
        times = [entry["times"][name] for entry in rounds]
        middle = statistics.median(times)
        engines[name] = {"median_seconds": middle, "best_seconds": min(times), "tokens_per_second": tokens / middle,
                         "sentences_per_second": len(lengths) / middle, "gflops": flops / middle / 1e9,
                         "share_of_peak": flops / middle / 1e9 / peak if peak else None, "seconds": times}
    for name in engines:
        if ours and name != ours:
            values = [entry["times"][name] / entry["times"][ours] for entry in rounds]
            low, middle, high = quartiles(values)
            ratios[name] = {"median": middle, "lower_quartile": low, "upper_quartile": high, "values": values}
    peers = [name for name in engines if name != ours]
    fastest = min(peers, key=lambda name: engines[name]["median_seconds"]) if peers else None
    verdict = None
    if ratios:
        verdict = {"against": fastest, "counts": quiet and len(rounds) >= 15,
                   "pass": ratios[fastest]["median"] >= 1.0 and ratios[fastest]["lower_quartile"] >= 0.97}
    return {"tokens": tokens, "sentences": len(lengths), "flops": flops, "rounds": len(rounds),
            "disturbed_rounds": disturbed, "quiet": quiet,
            "foreign_share": statistics.median(entry["foreign"] for entry in rounds),
            "engines": engines, "ratios": ratios, "fastest_peer": fastest, "verdict": verdict}


def print_workload(workload, result, ours):
    note = f"{result['rounds']} rounds, {result['disturbed_rounds']} more disturbed"
    if not result["quiet"]:
        note = f"NOT QUIET: {result['rounds']} rounds, all counted although others used the cores"
    print(f"\n{workload}: {ABOUT[workload]}, {result['tokens']} tokens ({note})")
    print(f"  {'engine':<14}{'median ms':>11}{'best ms':>10}{'tokens/s':>10}{'GFLOP/s':>9}{'of peak':>9}"
          + (f"   {'its time / ours: median':>24}{'quartiles':>16}" if ours else ""))
    for name, engine in sorted(result["engines"].items(), key=lambda item: item[1]["median_seconds"]):
        share = f"{100 * engine['share_of_peak']:.0f}%" if engine["share_of_peak"] else "-"
        line = (f"  {name:<14}{1e3 * engine['median_seconds']:>11.2f}{1e3 * engine['best_seconds']:>10.2f}"
                f"{engine['tokens_per_second']:>10.0f}{engine['gflops']:>9.1f}{share:>9}")
        if name in result["ratios"]:
            ratio = result["ratios"][name]
            line += f"   {ratio['median']:>24.3f}{ratio['lower_quartile']:>8.3f}{ratio['upper_quartile']:>8.3f}"
        print(line)
    if result["verdict"]:
        word = "reached" if result["verdict"]["pass"] else "MISSED"
        if not result["verdict"]["counts"]:
            word += " (does not count: fewer than 15 quiet rounds)"
        print(f"  bar (median >= 1.0 and lower quartile >= 0.97 against {result['verdict']['against']}): {word}")


def write_report(path, report):
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(report, indent=1) + "\n")


def arguments():
    root = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description="Interleaved speed comparison of a BERT encoder with its peers.",
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--work", type=Path, default=root / "build" / "peers", help="where models and exports are kept")
    parser.add_argument("--model", choices=list(SHAPES), default="bert-base", help="shape of the model")
    parser.add_argument("--ours", default=str(root / "build" / "bin" / "encoder_worker"), help="worker binary, or none")
    parser.add_argument("--peers", default=",".join(PEERS), help="comma-separated peers, or none")
    parser.add_argument("--workloads", default=",".join(WORKLOADS), help="comma-separated workloads")
    parser.add_argument("--threads", type=int, default=2, help="threads of each engine")
    parser.add_argument("--cpus", default="", help="comma-separated cores to use; default: the first THREADS allowed ones")
    parser.add_argument("--rounds", type=int, default=21, help="rounds per workload (at least 15 for a verdict)")
    parser.add_argument("--wait", type=float, default=60.0, help="seconds per workload to wait for others to be quiet")
    parser.add_argument("--tune", choices=["auto", "force", "off"], default="auto",
                        help="the peers' settings: found once, found again, or the start values (for trying the script)")
    parser.add_argument("--peak", type=float, help="peak GFLOP/s of all threads, if our worker does not measure it")
    parser.add_argument("--json", type=Path, help="write everything measured to this file")
    parser.add_argument("--worker", choices=PEERS, help=argparse.SUPPRESS)
    parser.add_argument("--make", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def main():
    options = arguments()
    directory = options.work.resolve() / options.model
    peers = [] if options.peers == "none" else options.peers.split(",")
    workloads = options.workloads.split(",")
    for given, allowed in ((peers, PEERS), (workloads, WORKLOADS)):
        for name in given:
            if name not in allowed:
                sys.exit(f"error: {name} is none of {', '.join(allowed)}")
    if options.worker:
        return peer_worker(options.worker, directory, options.threads)
    if options.make:
        return make(directory, options.model, peers)
    ours = None if options.ours == "none" else "ours"
    if ours and not os.access(options.ours, os.X_OK):
        sys.exit(f"error: no worker binary {options.ours} (build it, or give --ours none)")
    if not ours and not peers:
        sys.exit("error: nothing to compare")
    available = sorted(os.sched_getaffinity(0))
    cpus = {int(cpu) for cpu in options.cpus.split(",")} if options.cpus else set(available[: options.threads])

    again = [sys.executable, __file__, "--work", str(options.work), "--model", options.model]
    for some in ["none"] + peers:  # a process each: the exporters do not give their memory back
        subprocess.run(again + ["--make", "--peers", some], check=True, stdout=sys.stderr)

    workers, failed = [], {}
    report = {"machine": machine(), "model": options.model, "threads": options.threads, "cpus": sorted(cpus),
              "date": time.strftime("%Y-%m-%d"), "precision": "float32", "engines": {}, "settings": {},
              "max_difference": {}, "failed": failed, "workloads": {}}
    try:
        commands = [(peer, again + ["--worker", peer, "--threads", str(options.threads)]) for peer in peers]
        if ours:
            commands.append((ours, [options.ours, str(directory / "model"), str(directory / "inputs"),
                                    str(options.threads)]))
        for name, command in commands:
            try:
                worker = Worker(name, command, cpus, options.threads, directory / "logs" / f"{name}.log")
                workers.append(worker)
                report["engines"][name] = worker.about["engine"]
                if name != ours:
                    report["settings"][name] = tuned_settings(worker, workloads, directory, options.tune)
                report["max_difference"][name] = {w: check_output(worker, w, directory) for w in workloads}
            except WorkerError as error:
                if name == ours:
                    raise  # a peer may be missing, ours may not
                failed[name] = str(error)
                print(f"warning: left out: {error}", file=sys.stderr)
                workers = [worker for worker in workers if worker.name != name or worker.close()]
        if not workers:
            sys.exit("error: no engine works")

        peak = options.peak
        if ours:
            wait_for_quiet(cpus, options.wait)
            report["peak"] = json.loads(workers[-1].ask("peak", "peak"))
            report["gemm"] = json.loads(workers[-1].ask("gemm", "gemm"))
            peak = peak or report["peak"]["gflops"]

        about = report["machine"]
        print(f"{about['model']} (family {about['family']}, model {about['model_number']}), {about['logical_cpus']} logical "
              f"CPUs, {about['memory_gib']} GiB, {about['kernel']}\nISA: {' '.join(about['isa'])}")
        print(f"{options.model} shape, float32, {options.threads} threads on cores {sorted(cpus)}, load average "
              f"{about['load_average']:.2f} at the start")
        for name, version in report["engines"].items():
            worst = max(report["max_difference"][name].values())
            print(f"  {name:<14}{version} (within {worst:.1e} of torch one by one)")
            for workload, settings in report["settings"].get(name, {}).items():
                print(f"  {'':<14}  {workload}: " + ", ".join(f"{key} {value}" for key, value in settings.items()))
        if peak:
            print(f"peak: {peak:.0f} GFLOP/s (FMA in registers, {options.threads} threads)")
        for shape in report.get("gemm", {}).get("shapes", []):
            print(f"  GEMM {shape['m']} x {shape['n']} x {shape['k']}: {shape['gflops']:.1f} GFLOP/s"
                  + (f", {100 * shape['gflops'] / peak:.0f}% of peak" if peak else ""))

        for workload in workloads:
            for worker in workers:
                for _ in range(2 if workload in ("b32s128", "corpus256") else 5):
                    worker.ask(f"run {workload}", "time")
            rounds, disturbed, quiet = measure(workers, workload, options, cpus, options.rounds)
            result = summarize(workload, rounds, disturbed, quiet, SHAPES[options.model], ours, peak)
            report["workloads"][workload] = result
            print_workload(workload, result, ours)
            sys.stdout.flush()
            write_report(options.json, report)
    finally:
        for worker in workers:
            worker.close()
    verdicts = [result["verdict"] for result in report["workloads"].values() if result["verdict"]]
    if verdicts:
        good = sum(verdict["pass"] and verdict["counts"] for verdict in verdicts)
        print(f"\nthe bar is reached in a run that counts on {good} of {len(verdicts)} workloads")
        return 0 if good == len(verdicts) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
