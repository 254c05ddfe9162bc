"""The C header compiles without a warning, and both of its passes say what ours say."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from assay.errors import SpecError
from assay.export import Portable
from assay.export.c_header import write_c
from assay.export.quantized import quantize
from assay.prediction.ensemble import softmax

from ..contracts.test_export import CLASSES, images_of, network_of

E = [
    *["conv 10 3x3 relu", "maxpool 2 padding=same", "dropout 0.1", "conv 4 3x3 relu", "maxpool 2 padding=same"],
    *["flatten", "dense 35 relu", "dropout 0.1", "dense classes softmax"],
]
NETWORKS: dict[str, tuple[list[str], tuple[int, int, int], str]] = {
    "document E's": (E, (28, 28, 1), "uint8"),
    "strides, padding and norms": (
        [
            *["conv 5 3x2 padding=same stride=2 bias=false", "batchnorm", "relu", "maxpool 3 stride=2 padding=same"],
            *["conv 6 2x2", "maxpool 2", "flatten", "dense 9", "batchnorm", "relu", "dense classes", "softmax"],
        ],
        (15, 14, 3),
        "float32",
    ),
    "other shapes": (
        [
            *["conv 4 3x3", "reshape 6x-1x4", "batchnorm", "relu", "maxpool 2", "reshape -1", "dense 48 relu"],
            *["reshape 4x4x3", "conv 5 2x2 relu", "flatten", "dense classes softmax"],
        ],
        (14, 11, 1),
        "uint8",
    ),
    "one layer": (["flatten", "dense classes softmax"], (7, 6, 1), "uint8"),
}
MAIN = """
#include <stdio.h>
#include "model.h"
int main(void) {
    model_pixel image[MODEL_HEIGHT * MODEL_WIDTH * MODEL_CHANNELS];
    float found[MODEL_CLASSES];
    while (fread(image, sizeof image, 1, stdin) == 1) {
        int label = %s(image, found);
        fwrite(found, sizeof found, 1, stdout);
        if (label < 0 || found[label] * MODEL_CLASSES < 1.0f) return 1;
    }
    return 0;
}
"""


@pytest.fixture(scope="module")
def gcc() -> str:
    found = shutil.which("gcc")
    if found is None:
        pytest.skip("there is no gcc here")
    return found


def compiled(gcc: str, folder: Path, call: str, *flags: str) -> Callable[[NDArray[Any]], NDArray[np.float32]]:
    (folder / f"{call}.c").write_text(MAIN % call)
    strict = ["-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", "-Wno-unused-function", "-Wno-unused-const-variable"]
    command = [gcc, *strict, "-Wno-unused-variable", *flags, f"{call}.c", "-o", call, "-lm"]
    subprocess.run(command, cwd=folder, check=True, timeout=60)

    def answer(images: NDArray[Any]) -> NDArray[np.float32]:
        done = subprocess.run([folder / call], input=images.tobytes(), capture_output=True, check=True, timeout=60)
        return np.frombuffer(done.stdout, np.float32).reshape(len(images), -1)

    return answer


@pytest.mark.parametrize("name", NETWORKS)
def test_both_passes_agree(gcc: str, name: str, tmp_path: Path) -> None:
    layers, shape, dtype = NETWORKS[name]
    network, predictor = network_of(layers, shape, dtype=dtype)
    images = images_of(1000, shape, dtype)
    small = write_c(network, tmp_path / "model.h", images[:200], "A title */ that would end the comment")
    expected = predictor.probabilities(images)
    found = compiled(gcc, tmp_path, "model_classify", "-DMODEL_FLOAT_ONLY")(images)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    in_bits = compiled(gcc, tmp_path, "model_classify_int8", "-DMODEL_INT8_ONLY")(images)
    np.testing.assert_allclose(in_bits, softmax(small.logits(images)), atol=1e-6)  # the same sums, expf apart
    np.testing.assert_allclose(in_bits, expected, atol=0.1)
    assert (in_bits.argmax(1) == expected.argmax(1)).mean() > 0.95


def test_document_es_network_is_small(tmp_path: Path) -> None:
    network, _ = network_of(E, (28, 28, 1))
    assert network.summary.parameters == 5899
    small = write_c(network, tmp_path / "model.h", images_of(50, (28, 28, 1)), "E")
    outputs = 10 + 4 + 35 + 10
    assert small.num_bytes == 5899 - outputs + 8 * outputs  # int8 kernels; a bias and a factor for each output
    header = (tmp_path / "model.h").read_text()
    assert f"{4 * 5899:,} bytes in float32, {small.num_bytes:,} in" in header


def test_labels_are_c_strings(gcc: str, tmp_path: Path) -> None:
    network, _ = network_of(["flatten", "dense classes softmax"], (4, 4, 1))
    write_c(network, tmp_path / "model.h", images_of(5, (4, 4, 1)), "labels")
    body = "int main(void) { for (int k = 0; k < MODEL_CLASSES; k++) puts(model_labels[k]); }"
    (tmp_path / "main.c").write_text(f'#include <stdio.h>\n#include "model.h"\n{body}')
    subprocess.run([gcc, "main.c", "-o", "main", "-lm"], cwd=tmp_path, check=True)
    told = subprocess.run([tmp_path / "main"], capture_output=True, check=True).stdout.decode()
    assert told.splitlines() == CLASSES


def test_quantization_rounds_to_the_nearest_level() -> None:
    """A layer alone: its kernel within half a level of each channel's own, the largest weight on the largest level."""
    network, _ = network_of(["flatten", "dense classes softmax"], (5, 4, 1))
    small = quantize(network, images_of(30, (5, 4, 1)))
    (step,) = small.steps
    kernel = step.step.kernel.reshape(10, -1)  # type: ignore[union-attr]
    whole = step.kernel.reshape(10, -1).astype(np.float64)  # type: ignore[union-attr]
    level = np.abs(kernel).max(1, keepdims=True) / 127
    assert (np.abs(whole).max(1) == 127).all()
    assert (np.abs(whole * level - kernel) <= 0.5001 * level).all()


@pytest.mark.parametrize(
    ("layers", "told"),
    [
        (["conv 4 3x3 tanh", "flatten", "dense classes softmax"], "has tanh"),
        (["conv 4 3x3 relu", "batchnorm", "flatten", "dense classes softmax"], "right behind a conv or dense layer"),
        (["conv 4 3x3", "layernorm", "flatten", "dense classes softmax"], "has no C code here"),
        (["conv 4 3x3", "prelu", "flatten", "dense classes softmax"], r'prelu1 \("prelu"\) has no C code here'),
        (
            ["zeropad 2", "conv 4 3x3", "flatten", "dense classes softmax"],
            r'zeropad1 \("zeropad 2"\) has no C code here',
        ),
        ([{"residual": ["conv 1 1x1"]}, "flatten", "dense classes softmax"], "stands in a block"),
        (["conv 32 3x3", "flatten", "dense 40", "dense classes softmax"], "holds 100,000 at most"),
    ],
)
def test_what_c_does_not_hold_is_said(layers: list[Any], told: str, tmp_path: Path) -> None:
    network, _ = network_of(layers, (14, 14, 1))
    with pytest.raises(SpecError, match=told):
        write_c(network, tmp_path / "model.h", images_of(5, (14, 14, 1)), "no")
    assert isinstance(network, Portable)
    assert not (tmp_path / "model.h").exists()
