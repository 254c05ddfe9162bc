"""The networks that everything is timed on, as data.

They stand for what Assay is used for: a large, a small and a tiny network of published notebooks on grey images (A, C,
E), and on colour images a chain of 3x3 convolutions (V), residual blocks (R) and separable blocks (M). This file
imports nothing but the standard library, so that every rival's script can read it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

EPOCH = 60_000  # every figure is seconds per so many training images
COLOURED = 10_000  # training images of probes on CIFAR-10, whose times are scaled up
CLASSES = 10


@dataclass(frozen=True)
class Probe:
    """A network and how it is trained.

    Args:
        name: As document and network are called in the shipped studies, or what it is.
        data: The data set, of ten classes.
        scaling: ``unit`` (bytes divided by 255) or ``none`` (bytes as they are).
        layers: Assay's layer words; a residual block is a dictionary, as in a study file.
        shape: Height, width and channels of an image.
        images: How many images an epoch trains on at most.
        epochs: How many epochs are timed at most: one is enough where it takes tens of seconds.
    """

    key: str
    name: str
    data: str
    scaling: str
    batch_size: int
    optimizer: str
    learning_rate: float
    layers: tuple[str | dict[str, Any], ...]
    shape: tuple[int, int, int] = (28, 28, 1)
    images: int = EPOCH
    epochs: int = 2


@dataclass(frozen=True)
class Layer:
    """A layer word, read: ``Layer("conv", (32, 3), "relu")`` is ``"conv 32 3x3 relu"``.

    ``sizes`` are filters and kernel of a convolution, the kernel of a depthwise one, the window of a pooling layer, the
    units of a dense one. A residual block (``kind`` is ``"residual"``) has layers ``inside``, and a ``shortcut`` of
    layers, which is empty where the block's input itself is added.
    """

    kind: str
    sizes: tuple[int, ...] = ()
    activation: str = "linear"
    padding: str = "valid"
    rate: float = 0.0
    stride: int = 1
    has_bias: bool = True
    inside: tuple[Layer, ...] = ()
    shortcut: tuple[Layer, ...] = ()

    def outputs(self, side: int, channels: int) -> tuple[int, int]:
        """Side and channels of what the layer makes of a square image."""
        if self.kind == "residual":
            for layer in self.inside:
                side, channels = layer.outputs(side, channels)
        elif self.kind in ("conv", "depthwise"):
            kernel = self.sizes[-1]
            room = side if self.padding == "same" else side - kernel + 1
            side, channels = math.ceil(room / self.stride), self.sizes[0] if self.kind == "conv" else channels
        elif self.kind == "maxpool":
            side = (math.ceil if self.padding == "same" else math.floor)(side / self.sizes[0])
        elif self.kind == "globalavgpool":
            side = 1
        elif self.kind == "flatten":
            side, channels = 1, side * side * channels
        elif self.kind == "dense":
            channels = self.sizes[0]
        return side, channels


def _chain() -> list[Any]:
    layers: list[Any] = []
    for filters in (32, 64, 128):
        layers += [f"conv {filters} 3x3 padding=same", "batchnorm", "relu"] * 2 + ["maxpool 2"]
    return [*layers, "flatten", "dense 128 relu", "dense 10 softmax"]


def _residual() -> list[Any]:
    layers: list[Any] = ["conv 16 3x3 padding=same bias=false", "batchnorm", "relu"]
    for filters in (16, 32, 64):
        for place in range(3):
            halves = filters > 16 and place == 0
            first = f"conv {filters} 3x3 padding=same bias=false" + (" stride=2" if halves else "")
            second = f"conv {filters} 3x3 padding=same bias=false"
            block = {"residual": [first, "batchnorm", "relu", second, "batchnorm"], "activation": "relu"}
            if halves:
                block["shortcut"] = [f"conv {filters} 1x1 stride=2 bias=false", "batchnorm"]
            layers.append(block)
    return [*layers, "globalavgpool", "dense 10 softmax"]


def _separable() -> list[Any]:
    layers: list[Any] = ["conv 16 3x3 stride=2 padding=same bias=false", "batchnorm", "relu"]
    for filters, stride in ((32, 1), (64, 2), (64, 1), (128, 2), (128, 1), (256, 2)):
        step = f" stride={stride}" if stride > 1 else ""
        layers += [f"depthwise 3x3 padding=same bias=false{step}", "batchnorm", "relu"]
        layers += [f"conv {filters} 1x1 bias=false", "batchnorm", "relu"]
    return [*layers, "globalavgpool", "dense 10 softmax"]


PROBES = {
    probe.key: probe
    for probe in (
        Probe(
            "A",
            "A-grid-5x5-64",
            "mnist",
            "unit",
            128,
            "adam",
            0.001,
            (
                "conv 32 3x3 relu",
                "batchnorm",
                "maxpool 2",
                "dropout 0.5",
                "conv 64 5x5 relu",
                "batchnorm",
                "maxpool 2",
                "dropout 0.5",
                "flatten",
                "dense 128 relu",
                "dense 10 softmax",
            ),
            epochs=1,
        ),
        Probe(
            "C",
            "C-1conv-none",
            "fashion_mnist",
            "none",
            100,
            "sgd",
            0.01,
            ("conv 16 3x3 relu", "maxpool 2", "flatten", "dense 80 relu", "dense 10 softmax"),
        ),
        Probe(
            "E",
            "E-budget",
            "mnist",
            "unit",
            512,
            "rmsprop",
            0.001,
            (
                "conv 10 3x3 relu",
                "maxpool 2 padding=same",
                "dropout 0.1",
                "conv 4 3x3 relu",
                "maxpool 2 padding=same",
                "flatten",
                "dense 35 relu",
                "dropout 0.1",
                "dense 10 softmax",
            ),
        ),
        Probe("V", "pairs of 3x3", "cifar10-32", "unit", 128, "adam", 0.001, tuple(_chain()), (32, 32, 3), COLOURED, 1),
        Probe("R", "ResNet-20", "cifar10-32", "unit", 128, "adam", 0.001, tuple(_residual()), (32, 32, 3), COLOURED, 1),
        Probe(
            "M",
            "separable blocks",
            "cifar10-64",
            "unit",
            64,
            "adam",
            0.001,
            tuple(_separable()),
            (64, 64, 3),
            COLOURED,
            1,
        ),
    )
}


def read(word: str | dict[str, Any]) -> Layer:
    """A layer word, or a residual block, as values; square kernels only."""
    if isinstance(word, dict):
        inside, shortcut = (tuple(map(read, word.get(part, ()))) for part in ("residual", "shortcut"))
        return Layer("residual", activation=word.get("activation", "linear"), inside=inside, shortcut=shortcut)
    kind, *rest = word.split()
    options = dict(token.split("=") for token in rest if "=" in token)
    values = [token for token in rest if "=" not in token]
    if kind == "dropout":
        return Layer(kind, rate=float(values[0]))
    activation = values.pop() if values and values[-1].isalpha() else "linear"
    sizes = tuple(int(value.split("x")[0]) for value in values)
    layer = Layer(kind, sizes, activation, options.get("padding", "valid"))
    return replace(layer, stride=int(options.get("stride", 1)), has_bias=options.get("bias") != "false")


def layers_of(probe: Probe) -> list[Layer]:
    """The probe's layers as values."""
    return [read(word) for word in probe.layers]
