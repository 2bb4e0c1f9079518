"""Compares greedy generation with Hugging Face's on a real chat model that is too large to commit, and what tcpp makes of
8 prompts in flight with what it makes of each alone, to the bit of the logits.

  compare_generation.py TCPP MODEL_DIR [--new 200] [--bits 64] [--also MODEL ...]

MODEL_DIR: a decoder in Hugging Face's layout, for example SmolLM2-135M-Instruct, run in float32 with eager attention.
MODEL: another form of the same model (its .gguf file), held only to its own bits. Every answer is
made as long as asked for (min_new_tokens). Exit status 1 where anything differs.
"""
import argparse
import subprocess
import sys
import tempfile

import numpy
import torch
from safetensors.numpy import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

QUESTIONS = [
    "What is the capital of France?", "Write one sentence about the sea.", "Explain gravity to a child.",
    "List three colors.", "Who wrote Hamlet?", "How do I boil an egg?", "Translate 'good morning' to Spanish.",
    "What is 17 times 23?", "Tell me a joke.", "Write a haiku about autumn.", "What is photosynthesis?",
    "Name two prime numbers.", "Give me a recipe for pancakes.", "Why is the sky blue?",
]
TEXTS = [
    "The quick brown fox", "Once upon a time in a small village", "def fibonacci(n):", "In 1969, humans",
    "The theory of relativity states", "Dear Sir or Madam,",
]


def prompts_of(tokenizer):
    prompts = []
    for question in QUESTIONS:
        chat = tokenizer.apply_chat_template([{"role": "user", "content": question}], add_generation_prompt=True)
        prompts.append(list(chat if isinstance(chat, list) else chat["input_ids"]))
    return prompts + [tokenizer(text).input_ids for text in TEXTS]


def ours(tcpp, model, prompts, new, *options):
    """The tensors of `tcpp generate` for prompts of any lengths, padded on the left."""
    length = max(map(len, prompts))
    ids = numpy.zeros((len(prompts), length), dtype=numpy.int64)
    mask = numpy.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, length - len(prompt):] = prompt
        mask[row, length - len(prompt):] = 1
    with tempfile.TemporaryDirectory() as folder:
        save_file({"input_ids": ids, "attention_mask": mask}, f"{folder}/in.safetensors")
        subprocess.run([tcpp, "generate", model, "--inputs", f"{folder}/in.safetensors", "--output",
                        f"{folder}/out.safetensors", "--max-new-tokens", str(new), "--min-new-tokens", str(new), "--no-do-sample", *options], check=True)
        tensors = load_file(f"{folder}/out.safetensors")
    tensors["new"] = tensors.pop("sequences")[:, length:]
    return tensors


def theirs(model, prompt, new):
    """Greedy tokens and, for each, by how much the best score beat the next: below 1e-4 the choice is rounding."""
    out = model.generate(torch.tensor([prompt]), max_new_tokens=new, min_new_tokens=new, do_sample=False, num_beams=1,
                         output_scores=True, return_dict_in_generate=True)
    best = [step[0].topk(2).values for step in out.scores]
    return out.sequences[0, len(prompt):].tolist(), [float(b[0] - b[1]) for b in best]


def bits_differ(tcpp, model, prompts, new):
    together = ours(tcpp, model, prompts, new, "--output-logits")
    wrong = 0
    for row, prompt in enumerate(prompts):
        alone = ours(tcpp, model, [prompt], new, "--output-logits")
        wrong += not (numpy.array_equal(alone["new"][0], together["new"][row]) and
                      alone["logits"][0].tobytes() == together["logits"][row].tobytes())
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tcpp")
    parser.add_argument("model")
    parser.add_argument("--new", type=int, default=200)
    parser.add_argument("--bits", type=int, default=64, help="new tokens whose logits are compared")
    parser.add_argument("--also", nargs="*", default=[])
    args = parser.parse_args()
    torch.set_grad_enabled(False)
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    model = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32, attn_implementation="eager").eval()
    prompts = prompts_of(tokenizer)

    answers = ours(args.tcpp, args.model, prompts, args.new)["new"]
    wrong = 0
    for row, prompt in enumerate(prompts):
        expected, gaps = theirs(model, prompt, args.new)
        if answers[row, :len(expected)].tolist() != expected:
            at = next(i for i, (a, b) in enumerate(zip(answers[row], expected)) if a != b)
            print(f"prompt {row}: token {at} is {answers[row, at]}, expected {expected[at]} (gap {gaps[at]:.1e})")
            wrong += 1
    print(f"{len(prompts) - wrong} of {len(prompts)} prompts continue with Hugging Face's {args.new} tokens")
    for directory in [args.model, *args.also]:
        differ = bits_differ(args.tcpp, directory, prompts[:4] + prompts[-4:], args.bits)
        print(f"{8 - differ} of 8 in flight have the bits they have alone ({directory.rsplit('/', 1)[-1]})")
        wrong += differ
    sys.exit(wrong > 0)


main()
