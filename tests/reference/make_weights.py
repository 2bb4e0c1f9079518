#!/usr/bin/env python3
"""Writes tests/data/io/: weight files as other programs write them, and the numbers in them.

Usage: python tests/reference/make_weights.py [--only GLOB]      (environment: tests/reference/README.md, and gguf==0.19.0)

blocks.safetensors   for every block format of GGUF: "Q4_K" [blocks, bytes], random bits with finite scales, and
                     "Q4_K.values" [blocks, numbers], what the gguf package makes of them
"""
import argparse, fnmatch, os, zlib

import numpy as np
from gguf import GGMLQuantizationType, GGML_QUANT_SIZES
from gguf.quants import dequantize
from safetensors.numpy import save_file

SEED = 20261124
OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "data", "io")

BLOCK_FORMATS = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K"]
# Where a block keeps its 16-bit scales, in bytes.
HALVES = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208]}


def random_of(name):
    return np.random.RandomState(zlib.crc32(name.encode()) ^ SEED & 0xFFFFFFFF)


def random_blocks(fmt, blocks, name):
    """[blocks, bytes] of random bits; the scales of all sizes, subnormal ones and zeros of both signs among them."""
    random = random_of(name)
    _, size = GGML_QUANT_SIZES[GGMLQuantizationType[fmt]]
    out = random.randint(0, 256, (blocks, size)).astype(np.uint8)
    for at in HALVES[fmt]:
        bits = random.randint(0, 0x7C00, blocks) | random.randint(0, 2, blocks) << 15
        bits[:3] = [0x0001, 0x8000, 0x3555][:blocks]
        out[:, at:at + 2] = bits.astype("<u2").view(np.uint8).reshape(blocks, 2)
    return out


def blocks(path):
    tensors = {}
    for fmt in BLOCK_FORMATS:
        data = random_blocks(fmt, 6 if fmt[-1] != "K" else 4, fmt)
        tensors[fmt] = data
        tensors[fmt + ".values"] = dequantize(data, GGMLQuantizationType[fmt]).astype(np.float32)
    save_file(tensors, path)


CASES = {"blocks.safetensors": blocks}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="*")
    args = parser.parse_args()
    os.makedirs(OUT, exist_ok=True)
    for name, make in CASES.items():
        if fnmatch.fnmatch(name, args.only):
            make(os.path.join(OUT, name))
            print(name)


if __name__ == "__main__":
    main()
