#!/usr/bin/env python3
"""OpenVINO GenAI's side of compare_decoders.py: one GGUF file, held ready in a process that is stopped between samples.

Where it stands: started by compare_decoders.py with a Python that has openvino_genai; speaks the lines of harness.Worker.

    genai_worker.py FILE.gguf THREADS
    "rate WORKLOAD RUNS" -> "rate TOKENS_PER_SECOND PEAK_MB", the median of the runs

Of its two ways of attention each is tried once a workload, and the faster is measured. No prompt comes twice: it keeps the
keys of those it has seen.
"""

import os
import resource
import sys
import time

import numpy
import openvino
import openvino_genai

SHAPES = {"prompt512": (1, 512, 1), "stream1": (1, 64, 64), "streams8": (8, 64, 64)}  # prompts, their tokens, new tokens


def rate(pipe, random, workload):
    batch, prompt, new = SHAPES[workload]
    config = openvino_genai.GenerationConfig(max_new_tokens=new, ignore_eos=True, do_sample=False, apply_chat_template=False)
    ids = random.integers(100, 40000, (batch, prompt))
    given = openvino_genai.TokenizedInputs(openvino.Tensor(ids), openvino.Tensor(numpy.ones_like(ids)))
    start = time.monotonic()
    result = pipe.generate(given, config)
    seconds = time.monotonic() - start
    assert [len(tokens) for tokens in result.tokens] == [new] * batch
    return prompt / seconds if new == 1 else 1000 / result.perf_metrics.get_tpot().mean  # of all streams, per token


def main():
    # Libraries print what they like on stdout; the protocol keeps the real one for itself.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    file, threads = sys.argv[1], int(sys.argv[2])
    pipes = {name: openvino_genai.LLMPipeline(file, "CPU", ATTENTION_BACKEND=name, INFERENCE_NUM_THREADS=threads)
             for name in ("PA", "SDPA")}
    random, best = numpy.random.default_rng(20240607), {}

    def median(name, workload, runs):
        return sorted(rate(pipes[name], random, workload) for _ in range(runs))[runs // 2]

    print('ready {"engine": "OpenVINO GenAI %s"}' % openvino_genai.__version__, file=out, flush=True)
    for line in sys.stdin:
        _, workload, runs = line.split()
        if workload not in best:
            rates = {name: median(name, workload, 3) for name in pipes}
            best[workload] = max(rates, key=rates.get)
            print(workload, rates, file=sys.stderr, flush=True)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
        print("rate", median(best[workload], workload, int(runs)), peak, file=out, flush=True)


if __name__ == "__main__":
    main()
