# What Hugging Face answers: runs its text-classification pipeline in float32 over the sentences of a tsv file.
#
# Where it stands: writes the expected labels and scores that tests compare the library with.
# Usage: python make_reference.py MODEL_DIR SENTENCES.tsv > OUT.jsonl
#   SENTENCES.tsv has a header line and the text in its first column; OUT has a line {"text", "label", "score"} for each,
#   the text as it stands in the file (trailing spaces too), the score as the shortest decimal that is the same float32.
# Source: transformers 5.23, pipelines/text_classification.py, attn_implementation="eager", one sentence at a time.
import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch
import transformers
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline


def main():
    parser = argparse.ArgumentParser(description="Expected labels and scores from Hugging Face.")
    parser.add_argument("model", type=Path)
    parser.add_argument("sentences", type=Path)
    options = parser.parse_args()
    if not transformers.__version__.startswith("5.23."):
        sys.exit(f"make_reference.py: needs transformers 5.23, this is {transformers.__version__}")
    torch.manual_seed(0)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    model = AutoModelForSequenceClassification.from_pretrained(
        options.model, dtype=torch.float32, attn_implementation="eager")
    classify = pipeline("text-classification", model=model, tokenizer=AutoTokenizer.from_pretrained(options.model),
                        device="cpu")
    rows = options.sentences.read_text(encoding="utf-8").split("\n")[1:]
    for row in rows:
        if not row:
            continue
        text = row.split("\t")[0]
        answer = classify(text)[0]
        score = float(str(np.float32(answer["score"])))
        print(json.dumps({"text": text, "label": answer["label"], "score": score}, ensure_ascii=False))


if __name__ == "__main__":
    main()
