#!/usr/bin/env bash
# Installs the engines that compare_encoders.py compares with into a Python venv (about 6 GB, a few minutes).
# Where it stands: run once before the comparison; the library itself, its tests and tcpp need no Python.
#   bench/setup_peers.sh build/venv
#   bench/setup_peers.sh build/peers llama.cpp
# With a second word llama.cpp instead, for compare_decoders.py: built from the sources inside llama-cpp-python's source
# package for this processor, its programs in DIR/llama.cpp/bin (cmake, ninja and a compiler, ten minutes on two cores).
# Source: the packages' names on PyPI; the pinned versions are the ones the figures in docs/performance.md come from.
# PYTHON=python3.11 chooses the interpreter; PIP_INDEX_URL and pip's other variables are honoured as usual.
set -eu

directory=${1:?usage: setup_peers.sh DIR [llama.cpp]}
if [ "${2:-}" = llama.cpp ]; then
  version=0.3.36
  mkdir -p "$directory/llama.cpp"
  cd "$directory/llama.cpp"
  "${PYTHON:-python3}" -m pip download --quiet --no-deps --no-binary llama-cpp-python --dest . \
    "llama-cpp-python==$version" || [ -f "llama_cpp_python-$version.tar.gz" ]
  tar xzf "llama_cpp_python-$version.tar.gz"
  cmake -S "llama_cpp_python-$version/vendor/llama.cpp" -B . -G Ninja -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON \
    -DGGML_OPENMP=ON -DBUILD_SHARED_LIBS=OFF -DLLAMA_CURL=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF \
    -DLLAMA_BUILD_SERVER=OFF
  ninja llama-bench llama-batched-bench llama-completion llama-perplexity llama-quantize
  exit 0
fi
packages="torch==2.15.0 transformers==5.23.0 tokenizers==0.23.3 safetensors==0.8.0 numpy onnx==1.23.2 onnxscript
          onnxruntime==1.32.0 sympy openvino==2026.4.1 openvino-genai==2026.4.1 nncf==3.4.0 ctranslate2==4.8.5
          sentencepiece==0.2.3 gguf==0.19.0"

[ -x "$directory/bin/python" ] || "${PYTHON:-python3}" -m venv "$directory"
"$directory/bin/python" -m pip install --quiet --upgrade pip
# shellcheck disable=SC2086  # the list is meant to split
"$directory/bin/python" -m pip install --quiet $packages
HF_HUB_OFFLINE=1 "$directory/bin/python" - <<'CHECK'
from importlib import import_module, metadata

for name in ("torch", "transformers", "onnx", "onnxruntime", "openvino", "nncf", "ctranslate2"):
    import_module(name)
    print(name, metadata.version(name))
CHECK
