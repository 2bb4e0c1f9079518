#!/usr/bin/env python3
"""Interleaved speed comparison of tokenizers, ids only: ours, Hugging Face's `tokenizers`, sentencepiece and tiktoken.

Where it stands: an outermost benchmark, beside compare_encoders.py. It needs tcpp, and Python with tokenizers,
transformers, sentencepiece and tiktoken.

    python bench/compare_tokenizers.py --text english.txt bert-base-uncased t5-base gpt2=gpt2.tiktoken --json out.json

An argument is a tokenizer's directory, as transformers and tcpp load it; `=FILE` names the ranks that tiktoken reads for
it. A SentencePiece model in the directory brings sentencepiece in. Every engine gets the lines of the text in blocks of
4,096 and makes one call of each line's ids, or of each block where it has one for that: encode_batch_fast of tokenizers,
encode_ordinary of tiktoken for each line on one thread, encode_ordinary_batch on more. Workers load and warm up once; in
each round every engine runs the whole text, the order changing from round to round, and each round gives one ratio.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

BLOCK = 4096
# The words of the published encodings, by the size of their vocabularies.
PATTERNS = {
    50256: r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s""",
    100256: r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s""",
}


def encoder(engine, directory, ranks, threads):
    """A function of a list of lines that gives how many ids they have."""
    if engine == "tokenizers":
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(directory)._tokenizer
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return lambda lines: sum(len(e) for e in tokenizer.encode_batch_fast(lines))
    if engine == "sentencepiece":
        import sentencepiece

        model = sentencepiece.SentencePieceProcessor(model_file=str(spm_of(directory)))
        return lambda lines: sum(map(len, model.encode(lines, out_type=int, num_threads=threads)))
    import tiktoken
    from tiktoken.load import load_tiktoken_bpe

    table = load_tiktoken_bpe(ranks)
    encoding = tiktoken.Encoding("ranks", pat_str=PATTERNS[len(table)], mergeable_ranks=table, special_tokens={})
    if threads == 1:
        return lambda lines: sum(len(encoding.encode_ordinary(line)) for line in lines)
    return lambda lines: sum(map(len, encoding.encode_ordinary_batch(lines, num_threads=threads)))


def spm_of(directory):
    """The SentencePiece model in a directory, or None."""
    found = [p for p in sorted(Path(directory).iterdir()) if p.suffix == ".model"]
    return found[0] if found else None


def work(engine, directory, ranks, text, threads):
    """Answers each line of standard input with the seconds of one run and the number of ids."""
    lines = Path(text).read_text(encoding="utf-8").split("\n")
    encode = encoder(engine, directory, ranks, threads)
    blocks = [lines[i : i + BLOCK] for i in range(0, len(lines), BLOCK)]
    encode(blocks[0])
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        ids = sum(map(encode, blocks))
        print(json.dumps([time.perf_counter() - start, ids]), flush=True)


class Peer:
    def __init__(self, engine, directory, ranks, args, threads):
        self.name = engine
        environment = dict(os.environ, RAYON_NUM_THREADS=str(threads), HF_HUB_OFFLINE="1",
                           TOKENIZERS_PARALLELISM="true" if threads > 1 else "false")
        command = [sys.executable, __file__, f"{directory}={ranks}" if ranks else directory, "--text", args.text,
                   "--worker", engine, "--threads", str(threads)]
        self.process = subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        env=environment)
        if self.process.stdout.readline().strip() != "ready":
            sys.exit(f"{engine} cannot load {directory}")

    def run(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        seconds, ids = json.loads(self.process.stdout.readline())
        return seconds, ids

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


class Ours:
    name = "tcpp"

    def __init__(self, directory, args, threads):
        self.command = [args.tcpp, "bench", "tokenize", directory, "--input", args.text, "--runs", "1", "--threads",
                        str(threads)]
        self.megabytes = os.path.getsize(args.text) / 1e6

    def run(self):
        answer = json.loads(subprocess.run(self.command, check=True, capture_output=True, text=True).stdout)
        return self.megabytes / answer["mb_per_s"], answer["tokens"]

    def stop(self):
        pass


def compare(directory, ranks, args, threads):
    engines = [Ours(directory, args, threads), Peer("tokenizers", directory, None, args, threads)]
    if spm_of(directory):
        engines.append(Peer("sentencepiece", directory, None, args, threads))
    if ranks:
        engines.append(Peer("tiktoken", directory, ranks, args, threads))
    seconds, ids = {e.name: [] for e in engines}, {}
    for round_ in range(args.rounds):
        for engine in engines[round_ % len(engines) :] + engines[: round_ % len(engines)]:
            taken, ids[engine.name] = engine.run()
            seconds[engine.name].append(taken)
    for engine in engines:
        engine.stop()
    megabytes = os.path.getsize(args.text) / 1e6
    rows = []
    for name, taken in seconds.items():
        ratios = [peer / ours for peer, ours in zip(taken, seconds["tcpp"])]
        rows.append({"tokenizer": Path(directory).name, "threads": threads, "engine": name, "ids": ids[name],
                     "mb_per_s": megabytes / statistics.median(taken), "ratio": statistics.median(ratios),
                     "lowest": min(ratios), "highest": max(ratios)})
        print("{tokenizer:24} {threads} thread(s) {engine:14} {mb_per_s:7.1f} MB/s {ids:9} ids   ours is {ratio:6.2f} "
              "({lowest:.2f} to {highest:.2f}) times as fast".format(**rows[-1]), flush=True)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tokenizers", nargs="+", metavar="DIRECTORY[=TIKTOKEN_FILE]")
    parser.add_argument("--text", required=True, help="UTF-8 text, tokenized line by line")
    parser.add_argument("--tcpp", default="build/bin/tcpp")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", help="where to write the figures")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args()
    pairs = [(d, r or None) for d, _, r in (t.partition("=") for t in args.tokenizers)]
    if args.worker:
        return work(args.worker, *pairs[0], args.text, args.threads[0])
    rows = [row for d, r in pairs for threads in args.threads for row in compare(d, r, args, threads)]
    if args.json:
        Path(args.json).write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
