"""The three networks that everything is timed on, as data, and what a training step of them must compute.

They stand for what Assay is used for: a large, a small and a tiny network of published notebooks. This file imports
nothing but the standard library, so that every rival's script can read it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

EPOCH = 60_000  # every figure is seconds per so many training images


@dataclass(frozen=True)
class Probe:
    """A network and how it is trained.

    Args:
        name: As document and network are called in the shipped studies.
        data: The data set: 28x28 pixels, one channel, ten classes.
        scaling: ``unit`` (bytes divided by 255) or ``none`` (bytes as they are).
        layers: Assay's layer words.
    """

    key: str
    name: str
    data: str
    scaling: str
    batch_size: int
    optimizer: str
    learning_rate: float
    layers: tuple[str, ...]


@dataclass(frozen=True)
class Layer:
    """A layer word, read: ``Layer("conv", (32, 3), "relu", "valid", 0.0)``."""

    kind: str
    sizes: tuple[int, ...] = ()  # conv: filters, kernel; maxpool: size; dense: units
    activation: str = "linear"
    padding: str = "valid"
    rate: float = 0.0


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
    )
}


def read(word: str) -> Layer:
    """A layer word as values; square kernels only."""
    kind, *rest = word.split()
    options = dict(token.split("=") for token in rest if "=" in token)
    values = [token for token in rest if "=" not in token]
    if kind == "dropout":
        return Layer(kind, rate=float(values[0]))
    activation = values.pop() if values and values[-1].isalpha() else "linear"
    sizes = tuple(int(value.split("x")[0]) for value in values)
    return Layer(kind, sizes, activation, options.get("padding", "valid"))


def training_flops(probe: Probe) -> int:
    """Floating-point operations in the matrix products of one image's training step: forward, then the gradients of
    weights and inputs. The first layer needs no gradient of its input. Everything else is not counted."""
    side, channels, total, is_first = 28, 1, 0, True
    for layer in map(read, probe.layers):
        flops = 0
        if layer.kind == "conv":
            filters, kernel = layer.sizes
            side -= kernel - 1
            flops = 2 * side * side * filters * kernel * kernel * channels
            channels = filters
        elif layer.kind == "maxpool":
            whole = math.ceil if layer.padding == "same" else math.floor
            side = whole(side / layer.sizes[0])
        elif layer.kind == "flatten":
            side, channels = 1, side * side * channels
        elif layer.kind == "dense":
            flops = 2 * channels * layer.sizes[0]
            channels = layer.sizes[0]
        if flops:
            total += flops * (2 if is_first else 3)
            is_first = False
    return total
