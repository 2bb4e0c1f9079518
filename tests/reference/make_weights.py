#!/usr/bin/env python3
"""Writes tests/data/io/: weight files as other programs write them, and the numbers in them.

Usage: python tests/reference/make_weights.py [--only GLOB]      (environment: tests/reference/README.md, and gguf==0.19.0)

blocks.safetensors   for every block format of GGUF: "Q4_K" [blocks, bytes], random bits with finite scales, and
                     "Q4_K.values" [blocks, numbers], what the gguf package makes of them
torch-*.bin          one state_dict as torch.save writes it: zip (the default), stream (before 1.6), without checksums, in
                     protocol 4; views of shared storages among its tensors, transposed, cut, repeated
torch.safetensors    its tensors, each row-major
"""
import argparse, collections, fnmatch, os, zlib

import numpy as np
import torch
from gguf import GGMLQuantizationType, GGML_QUANT_SIZES
from gguf.quants import dequantize
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch

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


def state_dict():
    random = random_of("torch")
    floats = lambda *shape: torch.from_numpy(random.standard_normal(shape).astype(np.float32))
    module = torch.nn.Sequential(torch.nn.Linear(5, 3), torch.nn.LayerNorm(3))
    for parameter in module.parameters():
        parameter.data = floats(*parameter.shape)
    state = module.state_dict()  # an OrderedDict with the attribute _metadata
    base = floats(7, 6)
    state["parameter"] = torch.nn.Parameter(floats(2, 4))
    state["transposed"] = floats(4, 6).t()
    state["permuted"] = floats(2, 3, 4).permute(2, 0, 1)
    state["rows"] = base[2:5]
    state["columns"] = base[:, 1:6:2]
    state["tied"] = base
    state["tied.again"] = base
    state["repeated"] = floats(3, 1).expand(3, 5)
    state["position_ids"] = torch.arange(9).expand(1, -1)
    state["empty"] = floats(0, 3)
    state["scalar"] = floats()
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        state[str(dtype)[6:]] = floats(3, 3).to(dtype)
    for dtype in (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool):
        state[str(dtype)[6:]] = torch.from_numpy(random.randint(0, 100, (5,))).to(dtype)
    return state


def torch_zip(path):
    torch.save(state_dict(), path)


def torch_stream(path):
    torch.save(state_dict(), path, _use_new_zipfile_serialization=False)


def torch_unchecked(path):
    torch.serialization.set_crc32_options(False)
    torch.save(state_dict(), path)
    torch.serialization.set_crc32_options(True)


def torch_protocol_4(path):
    torch.save(collections.OrderedDict(state_dict()), path, pickle_protocol=4)


def torch_values(path):
    save_torch({name: tensor.detach().clone(memory_format=torch.contiguous_format) for name, tensor in state_dict().items()}, path)


CASES = {
    "blocks.safetensors": blocks,
    "torch-zip.bin": torch_zip,
    "torch-stream.bin": torch_stream,
    "torch-unchecked.bin": torch_unchecked,
    "torch-protocol-4.bin": torch_protocol_4,
    "torch.safetensors": torch_values,
}


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
