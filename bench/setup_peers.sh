#!/usr/bin/env bash
# Installs the engines that compare_encoders.py compares with into a Python venv (about 6 GB, a few minutes).
# Where it stands: run once before the comparison; the library itself, its tests and tcpp need no Python.
#   bench/setup_peers.sh build/venv
# Source: the packages' names on PyPI; the pinned versions are the ones the figures in docs/performance.md come from.
# PYTHON=python3.11 chooses the interpreter; PIP_INDEX_URL and pip's other variables are honoured as usual.
set -eu

directory=${1:?usage: setup_peers.sh DIR}
packages="torch==2.15.0 transformers==5.23.0 tokenizers==0.23.3 safetensors==0.8.0 numpy onnx==1.23.2 onnxscript
          onnxruntime==1.32.0 sympy openvino==2026.4.1 ctranslate2==4.8.5"

[ -x "$directory/bin/python" ] || "${PYTHON:-python3}" -m venv "$directory"
"$directory/bin/python" -m pip install --quiet --upgrade pip
# shellcheck disable=SC2086  # the list is meant to split
"$directory/bin/python" -m pip install --quiet $packages
HF_HUB_OFFLINE=1 "$directory/bin/python" - <<'CHECK'
from importlib import import_module, metadata

for name in ("torch", "transformers", "onnx", "onnxruntime", "openvino", "ctranslate2"):
    import_module(name)
    print(name, metadata.version(name))
CHECK
