"""Networks that use every function of fixed-point C, and programs of them."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from assay.export import Portable
from assay.export.fixed_point import Program, quantize
from assay.train.predictor import Predictor
from assay.train.scaling import Scaling

from ..contracts.test_export import network_of

END = ["flatten", "dense classes softmax"]
E = [
    *["conv 10 3x3 relu", "maxpool 2 padding=same", "dropout 0.1", "conv 4 3x3 relu", "maxpool 2 padding=same"],
    *["flatten", "dense 35 relu", "dropout 0.1", "dense classes softmax"],
]
# The forms of docs/evidence/records.md, smaller.
RECORD = [
    *["conv 3 3x3 padding=same", "elu", "maxpool 2", "separable 6 3x3 padding=same", "elu", "avgpool 2"],
    *["separable 8 2x2", "elu", "depthwise 2x2 bias=false", "flatten", "dense classes softmax"],
]
NORMED = [
    *["conv 4 3x2 padding=same stride=2 bias=false", "batchnorm", "relu", "separable 6 3x3 bias=false padding=1"],
    *["batchnorm", "relu6", "avgpool 3 stride=2 padding=same", "batchnorm", "globalavgpool", "dense classes softmax"],
]
BLOCKS = [
    *["conv 4 3x3 padding=same", "batchnorm", "relu", {"residual": ["conv 4 3x3 padding=same", "batchnorm"]}, "relu"],
    {"residual": ["separable 6 3x3 padding=same stride=2 silu"], "shortcut": ["conv 6 1x1 stride=2", "tanh"]},
    {"parallel": [["conv 3 1x1 gelu"], ["maxpool 3 stride=1 padding=same", "leakyrelu"], []]},
    {"parallel": [["conv 15 1x1 sigmoid"], [], ["depthwise 3x3 padding=same"]], "join": "add"},
    *["zeropad 1+0x0+2", "conv 6 3x3 groups=3", "prelu", "conv 4 2x2 dilation=2 relu", "maxpool 2"],
    *["prelu per=channel", "reshape -1", "dense 12 elu", "dense classes softmax"],
]
NORMS = [
    *["groupnorm 1", "conv 6 3x3", "groupnorm 3", "relu6", {"residual": ["conv 6 3x3 padding=same", "instancenorm"]}],
    *["relu", "maxpool 2", "layernorm", "gelu", "flatten", "groupnorm 2", "dense 8", "layernorm", "relu"],
    "dense classes softmax",
]
POOLED = ["maxpool 2", "conv 10 2x2", "globalmaxpool", "softmax"]
NETWORKS: dict[str, tuple[list[Any], tuple[int, int, int], str]] = {
    "record": (RECORD, (14, 14, 1), "uint8"),
    "normed": (NORMED, (11, 12, 3), "float32"),
    "blocks": (BLOCKS, (9, 8, 2), "uint8"),
    "normed first": (["batchnorm", "relu6", "maxpool 2", *END], (6, 7, 2), "uint8"),
    "norms": (NORMS, (9, 8, 2), "uint8"),
    "pooled": (POOLED, (6, 7, 1), "uint8"),
    "document E's": (E, (28, 28, 1), "uint8"),
}
SMALL = [name for name in NETWORKS if name != "document E's"]
MAIN = """
#include <stdio.h>
#include "model.h"
int main(void) {
    static uint8_t arena[MODEL_ARENA];
    int16_t logits[MODEL_CLASSES];
    uint8_t *image = arena + MODEL_IMAGE;  /* where the program may overwrite it */
    while (fread(image, MODEL_HEIGHT * MODEL_WIDTH * MODEL_CHANNELS, 1, stdin) == 1) {
        const int label = model_classify(image, arena, logits);
        for (int k = 0; k < MODEL_CLASSES; k++)
            if (logits[k] > logits[label]) return 1;
        fwrite(logits, sizeof logits, 1, stdout);
    }
    return 0;
}
"""


def program_of(
    layers: list[Any], shape: tuple[int, int, int], dtype: str = "uint8", coding: str = "int8", *, shifted: bool = False
) -> tuple[Program, Predictor, Portable]:
    """A network in whole numbers, calibrated on some random images."""
    scaling = None
    if shifted:
        bytes_ = 255 if dtype == "uint8" else 1
        offset, factor = (torch.linspace(low, high, shape[2]) for low, high in ((0.3, 0.5), (3.0, 4.0)))
        scaling = Scaling(offset * bytes_, factor / bytes_)
    network, predictor = network_of(layers, shape, dtype=dtype, scaling=scaling)
    return quantize(network, pictures(100, shape, dtype), coding), predictor, network


def pictures(count: int, shape: tuple[int, int, int], dtype: str = "uint8") -> NDArray[Any]:
    """Bright and dark rectangles with noise: unlike noise alone, no two give a network the same."""
    generator = np.random.default_rng(5)
    images = generator.integers(0, 40, (count, *shape))
    for image in images:
        for _ in range(3):
            (top, bottom), (left, right) = (np.sort(generator.integers(0, side + 1, 2)) for side in shape[:2])
            image[top:bottom, left:right, generator.integers(shape[2])] += generator.integers(0, 200)
    images = np.minimum(images, 255).astype(np.uint8)
    return images if dtype == "uint8" else (images / np.float32(255)).astype(np.float32)


def host_answers(header: str, folder: Path, images: NDArray[np.uint8], *flags: str) -> NDArray[np.int16]:
    """What gcc's program on this machine gives, which stops where memory or arithmetic goes wrong."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.h").write_text(header)
    (folder / "main.c").write_text(MAIN)
    strict = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-fsanitize=undefined,address", "-fno-sanitize-recover=all"]
    subprocess.run(["gcc", *strict, *flags, "main.c", "-o", "main"], cwd=folder, check=True, timeout=60)
    done = subprocess.run([folder / "main"], input=images.tobytes(), capture_output=True, check=True, timeout=120)
    return np.frombuffer(done.stdout, np.int16).reshape(len(images), -1)
