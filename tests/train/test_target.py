"""Precision follows the processor that kernels are compiled for, which may be older than the one that they run on."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

CODE = """
from assay.nets import parse, summarize
from assay.spec import Training
from assay.train import device, rates
from assay.train.paths import path_of
device.has_bfloat16 = lambda device="cpu": True  # whatever this machine has
rates.rates = lambda: rates.Rates(float32=100, bfloat16=200)
summary = summarize(parse(["conv 8 3x3 relu", "flatten", "dense classes softmax"]), (8, 8, 1), 10)
print(*path_of(summary, Training()))
"""


@pytest.mark.parametrize(
    ("features", "precision"), [("", "float32"), ("+avx,+avx2,+fma", "float32"), ("+avx512f,+avx512bf16", "bfloat16")]
)
def test_precision_follows_the_target(features: str, precision: str) -> None:
    environment = {**os.environ, "NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": features}
    process = subprocess.run([sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, check=True)
    assert process.stdout.split() == ["fused", precision]


@pytest.mark.parametrize(("features", "path"), [("+avx,+sse4.2", "plain"), ("+avx,+avx2,+fma", "fused")])
def test_without_fused_multiply_add_torch_trains(features: str, path: str) -> None:
    """Each lane of a kernel would call the C library, thirty to fifty times as slow."""
    code = CODE.replace("path_of", "usable_path").replace(
        "print(*usable_path(summary, Training()))",
        "from assay.seeds import Streams\n"
        "path = usable_path(summary, Training(), 'cpu', Streams(0, frozenset()))\n"
        "print(path.name, 'multiply-add' in path.fallback)",
    )
    environment = {**os.environ, "NUMBA_CPU_NAME": "sandybridge", "NUMBA_CPU_FEATURES": features}
    process = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert process.stdout.split() == [path, str(path == "plain")]
