#!/usr/bin/env python3
"""Interleaved speed comparison of text generation: ours, llama.cpp and OpenVINO GenAI, on the same GGUF files.

Where it stands: on harness.py, whose meters and quartiles it uses. llama.cpp's programs come from
`bench/setup_peers.sh DIR llama.cpp`; the files of each type are made of one GGUF by llama-quantize, once.

    bench/setup_peers.sh build/peers llama.cpp
    bench/compare_decoders.py --model SmolLM2.gguf --json build/decoders.json

In a round every engine runs every workload of a type of weights, in an order shuffled anew; a sample is a process of its
own, so that nothing of one engine runs while another is measured, and its peak resident size is its own. OpenVINO GenAI,
which takes seconds to rewrite a GGUF, has one process a type that is stopped while others run. A ratio is ours over
theirs in the same round; rounds in which other processes used the cores are repeated.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

from harness import FOREIGN_LIMIT, SEED, Meter, Worker, WorkerError, machine, quartiles, wait_for_quiet

ROOT = Path(__file__).resolve().parent.parent
# type: (file of llama.cpp, file of ours, our --dtype, targets of the workloads)
TYPES = {
    "q8": ("Q8_0", "Q8_0", None),
    "q4": ("Q4_0", "Q4_0", None),
    "bf16": ("BF16", "BF16", "bf16"),
    "f16": ("F16", "BF16", "bf16"),  # llama.cpp in f16 against ours in bf16: as many bytes
}
PROMPT = "The sky is"
WORKLOADS = {
    "prompt512": "a prompt of 512 tokens, tokens/s",
    "stream1": "64 new tokens behind a prompt of 64, tokens/s",
    "streams8": "8 streams of 64 new tokens behind prompts of 64, tokens/s of all",
    "cold": "process start to the first token, 1/s",
}


class Failed(Exception):
    pass


def run(command, cpus):
    """Output, seconds and peak resident MB of one process."""
    start = time.monotonic()
    process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, text=True,
                               preexec_fn=lambda: os.sched_setaffinity(0, cpus))
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise Failed(f"exit status {process.returncode}: {' '.join(map(str, command))}")
    return output, seconds, usage.ru_maxrss * 1024 / 1e6


def json_lines(output):
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


def ours(options, files, kind, workload, cpus):
    """(rate, peak MB) of one sample."""
    _, name, dtype = TYPES[kind]
    common = [files[name], "--threads", options.threads] + (["--dtype", dtype] if dtype else [])
    if workload == "cold":
        _, seconds, peak = run([options.ours, "run", "text-generation", "--model"] + common +
                               ["--max-new-tokens", 1, "--no-do-sample", PROMPT], cpus)
        return 1 / seconds, peak
    shape = {"prompt512": (512, 1, 1), "stream1": (64, 64, 1), "streams8": (64, 64, 8)}[workload]
    output, _, peak = run([options.ours, "bench", "generate"] + common +
                          ["--prompt", shape[0], "--new", shape[1], "--batch", shape[2], "--runs", options.runs], cpus)
    result = json_lines(output)[0]
    return result["prompt_tokens_per_s" if workload == "prompt512" else "new_tokens_per_s"], peak


def llama_cpp(options, files, kind, workload, cpus):
    name = TYPES[kind][0]
    common = ["-m", files[name], "-t", options.threads]
    if workload == "cold":
        _, seconds, peak = run([options.llama / "llama-completion"] + common +
                               ["-c", 512, "-n", 1, "--temp", 0, "-no-cnv", "--no-warmup", "-p", PROMPT], cpus)
        return 1 / seconds, peak
    if workload == "prompt512":
        output, _, peak = run([options.llama / "llama-bench"] + common +
                              ["-fa", 1, "-p", 512, "-n", 0, "-r", options.runs, "-o", "jsonl"], cpus)
        return sorted(json_lines(output)[0]["samples_ts"])[options.runs // 2], peak
    streams = 1 if workload == "stream1" else 8
    output, _, peak = run([options.llama / "llama-batched-bench"] + common +
                          ["-fa", "on", "-c", 128 * streams, "-npp", 64, "-ntg", 64, "-npl",
                           ",".join([str(streams)] * options.runs), "--output-format", "jsonl"], cpus)
    rates = sorted(line["speed_tg"] for line in json_lines(output))
    return rates[len(rates) // 2], peak


GENAI = {}  # type: the worker that holds its file; one process a type, as it takes seconds to rewrite a GGUF


def genai(options, files, kind, workload, cpus):
    if kind not in GENAI:
        name = TYPES[kind][0]
        GENAI[kind] = Worker("OpenVINO GenAI", [options.genai, Path(__file__).with_name("genai_worker.py"), files[name],
                                                str(options.threads)], cpus, options.threads,
                             options.work / "logs" / f"genai-{name}.log")
    rate, peak = GENAI[kind].ask(f"rate {workload} {options.runs}", "rate").split()
    return float(rate), float(peak)


ENGINES = {"ours": ours, "llama.cpp": llama_cpp, "genai": genai}


def engines_of(options, workload):
    """Names of those that run a workload."""
    return [name for name in ENGINES if name != "genai" or (options.genai and workload != "cold")]


def make_files(options):
    """The model in every type that is wanted, by name."""
    options.work.mkdir(parents=True, exist_ok=True)
    files = {}
    for name in sorted({name for kind in options.types for name in TYPES[kind][:2]}):
        files[name] = options.work / f"{options.model.stem}-{name}.gguf"
        if files[name].exists():
            continue
        partial = files[name].with_suffix(".partial")
        run([options.llama / "llama-quantize", "--allow-requantize", options.model, partial, name, options.threads],
            os.sched_getaffinity(0))
        partial.rename(files[name])
    return files


class ChildMeter(Meter):
    """What others used while processes came and went that count as ours once they have been waited for."""

    def own_seconds(self):
        return sum(os.times()[2:4]) + super().own_seconds()


def measure(options, files, kind, cpus, save):
    """[{'rates': {workload: {engine: rate}}, 'peaks': ..., 'foreign': share}] of undisturbed rounds, and how many were."""
    kept, disturbed, budget, order = [], [], options.wait, random.Random(SEED)
    while len(kept) < options.rounds and len(disturbed) < 2 * options.rounds:
        budget = wait_for_quiet(cpus, budget)
        entry = {"rates": {}, "peaks": {}, "foreign": 0.0}
        for workload in options.workloads:
            names = engines_of(options, workload)
            order.shuffle(names)
            meter = ChildMeter(cpus, GENAI.values())
            samples = {name: ENGINES[name](options, files, kind, workload, cpus) for name in names}
            entry["foreign"] = max(entry["foreign"], meter.share())
            entry["rates"][workload] = {name: rate for name, (rate, _) in samples.items()}
            entry["peaks"][workload] = {name: peak for name, (_, peak) in samples.items()}
        (kept if entry["foreign"] < FOREIGN_LIMIT else disturbed).append(entry)
        save(kept + disturbed, len(disturbed), False)
    quiet = len(kept) >= options.rounds
    return (kept if quiet else kept + disturbed), len(disturbed), quiet


def middle(values):
    return quartiles(values)[1]


def summarize(rounds):
    table = {}
    for workload, first in rounds[0]["rates"].items():
        rates = {name: [entry["rates"][workload][name] for entry in rounds] for name in first}
        ratios = {}
        for name in list(first):
            if name != "ours":
                low, median, high = quartiles([a / b for a, b in zip(rates["ours"], rates[name])])
                ratios[name] = {"median": median, "lower_quartile": low, "upper_quartile": high}
        table[workload] = {"rates": {name: middle(values) for name, values in rates.items()},
                           "ratios": ratios,
                           "peak_mb": {name: middle([entry["peaks"][workload][name] for entry in rounds]) for name in first}}
    return table


def show(kind, result):
    note = f"{result['rounds']} rounds, {result['disturbed_rounds']} more disturbed"
    if not result["quiet"]:
        note = f"NOT QUIET: {result['rounds']} rounds, all counted although others used the cores"
    print(f"\n{kind} against {TYPES[kind][0]} ({note})")
    print(f"  {'workload':<12}{'peer':<12}{'ours':>10}{'theirs':>10}   {'ours / theirs: median':>22}{'quartiles':>16}"
          f"{'peak MB':>10}{'theirs':>8}")
    for workload, row in result["workloads"].items():
        rates, peaks = row["rates"], row["peak_mb"]
        for name, ratio in row["ratios"].items():
            print(f"  {workload:<12}{name:<12}{rates['ours']:>10.1f}{rates[name]:>10.1f}   {ratio['median']:>22.3f}"
                  f"{ratio['lower_quartile']:>8.3f}{ratio['upper_quartile']:>8.3f}"
                  f"{peaks['ours']:>10.0f}{peaks[name]:>8.0f}")
    sys.stdout.flush()


def arguments():
    parser = argparse.ArgumentParser(description="Interleaved speed comparison of text generation.",
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="GGUF file of a decoder, in any type")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "peers" / "decoders", help="for the files made of it")
    parser.add_argument("--ours", type=Path, default=ROOT / "build" / "bin" / "tcpp", help="our program")
    parser.add_argument("--llama", type=Path, default=ROOT / "build" / "peers" / "llama.cpp" / "bin",
                        help="folder of llama.cpp's programs")
    parser.add_argument("--genai", type=Path, help="a Python that has openvino_genai; without it llama.cpp alone is compared")
    parser.add_argument("--types", default="q8,q4,bf16", help="of " + ", ".join(TYPES))
    parser.add_argument("--workloads", default=",".join(WORKLOADS), help="comma-separated")
    parser.add_argument("--threads", type=int, default=2, help="threads of each engine")
    parser.add_argument("--rounds", type=int, default=15, help="undisturbed rounds of each type")
    parser.add_argument("--runs", type=int, default=3, help="timed runs of a sample, whose median counts")
    parser.add_argument("--wait", type=float, default=60.0, help="seconds to wait for others to be quiet")
    parser.add_argument("--json", type=Path, help="write everything measured to this file")
    options = parser.parse_args()
    options.types, options.workloads = options.types.split(","), options.workloads.split(",")
    for given, allowed in ((options.types, TYPES), (options.workloads, WORKLOADS)):
        for name in given:
            if name not in allowed:
                sys.exit(f"error: {name} is none of {', '.join(allowed)}")
    return options


def main():
    options = arguments()
    cpus = set(sorted(os.sched_getaffinity(0))[: options.threads])
    try:
        files = make_files(options)
        report = {"machine": machine(), "date": time.strftime("%Y-%m-%d"), "model": options.model.name, "types": {}}
        about = report["machine"]
        print(f"{about['model']} (family {about['family']}, model {about['model_number']}), {options.threads} threads")
        for workload in options.workloads:
            print(f"  {workload:<12}{WORKLOADS[workload]}")
        for kind in options.types:
            def save(rounds, disturbed, quiet, kind=kind):
                report["types"][kind] = {"rounds": len(rounds), "disturbed_rounds": disturbed, "quiet": quiet,
                                         "workloads": summarize(rounds), "samples": rounds}
                if options.json:
                    options.json.parent.mkdir(parents=True, exist_ok=True)
                    options.json.write_text(json.dumps(report, indent=1) + "\n")

            save(*measure(options, files, kind, cpus, save))
            show(kind, report["types"][kind])
    except (Failed, WorkerError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
