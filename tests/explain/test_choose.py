"""Which layers an explanation is about."""

from __future__ import annotations

from typing import Any

import pytest

from assay.explain.choose import convolutions, last_dense_layer, map_layer
from assay.nets import Node, parse, summarize

RESIDUAL: list[Any] = [
    "conv 4 3x3 padding=same relu",
    {"residual": ["conv 4 3x3 padding=same", "batchnorm"], "activation": "relu"},
    "globalavgpool",
    "dense classes softmax",
]


END = ["flatten", "dense classes softmax"]


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        (["conv 4 3x3 relu", "maxpool 2", *END], "conv1"),
        (["conv 4 3x3", "batchnorm", "relu", "maxpool 2", "dropout 0.5", *END], "activation1"),
        (["conv 4 3x3 relu", "maxpool 2", "batchnorm", *END], "conv1"),
        (["conv 4 3x3 relu", "batchnorm", "dropout 0.2", "conv 4 3x3 relu", *END], "conv2"),
        (RESIDUAL, "add1"),
    ],
)
def test_grad_cam_looks_at_the_last_convolution_before_pooling(layers: list[Any], expected: str) -> None:
    nodes: list[Node] = list(parse(layers))
    assert map_layer(summarize(nodes, (12, 12, 1), 3)) == expected


def test_layers_are_told_apart_by_what_they_have() -> None:
    words = ["conv 4 3x3 relu", "depthwise 3x3", "separable 4 3x3", "flatten", "dense 5 relu", "dense classes softmax"]
    summary = summarize(parse(words), (12, 12, 1), 3)
    assert convolutions(summary) == ("conv1", "depthwise1", "separable1")
    assert last_dense_layer(summary) == "dense2"
