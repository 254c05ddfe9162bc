"""Kernels have every word, option and block; what they cannot put together goes to the plain path, and says why."""

from __future__ import annotations

from typing import Any

import pytest

from assay.nets import parse, summarize
from assay.nets.layers import WORDS
from assay.train.fused.plan import why_not_fused

END = ["flatten", "dense classes softmax"]
ACTIVATIONS = ("relu", "relu6", "leakyrelu", "elu", "gelu", "silu", "sigmoid", "tanh")
FUSED = [
    "conv 4 3x3", "dense 4", "batchnorm", "maxpool 2", "avgpool 2", "globalmaxpool", "globalavgpool", "dropout 0.2",
    "spatialdropout 0.2", "flatten",
    "conv 4 3x3 bias=true groups=1 dilation=1 l1=0", "conv 4 3x3 bias=false", "conv 4 3x3 l1=0.1", "dense 4 bias=false",
    "conv 4 3x3 fixed=true", "conv 4 3x3 init=identity", "dense 4 init=zeros",
    "conv 16 3x3 groups=8", "conv 4 3x3 groups=2", "conv 4 3x3 dilation=2",
    "conv 4 3x3 groups=4 dilation=3",
    "depthwise 3x3 dilation=2", "separable 4 3x3 dilation=2 padding=same",
    "depthwise 3x3", "depthwise 3x3 gelu multiplier=2 padding=same stride=2 bias=false l1=0.1",
    "separable 4 3x3", "separable 4 3x3 relu multiplier=2 padding=same stride=2 bias=false l2=0.1",
    "separable 4 3x3 padding=1", "conv 4 3x3 padding=1", "conv 4 2x2 padding=5", "maxpool 3 stride=2 padding=1",
    "avgpool 3 padding=1", "batchnorm epsilon=0.01", "batchnorm momentum=0.9",
    "prelu", "prelu per=channel slope=0.25", "prelu per=layer",
    "zeropad 2", "reshape 20x-1x4", "reshape -1", "layernorm", "groupnorm 2", "instancenorm",
    "dense 4 l1=0.1", "conv 4 3x3 stride=2", "maxpool 3 stride=2", "maxpool 3 stride=1 padding=same",
    *(f"conv 4 3x3 {name}" for name in ACTIVATIONS), *(f"dense 4 {name}" for name in ACTIVATIONS),
    *(f"activation {name}" for name in ACTIVATIONS),
]  # fmt: skip
BLOCKS: list[Any] = [
    {"residual": ["conv 8 3x3 padding=same"]},
    {"repeat": 2, "layers": [{"residual": ["separable 8 3x3 relu padding=same", "batchnorm"]}]},
    {"residual": [{"residual": ["conv 8 1x1"]}, "dropout 0.2"], "activation": "gelu"},
    {"parallel": [["conv 4 3x3"], ["conv 4 3x3"]]},
    {"parallel": [["maxpool 3 stride=1 padding=same", "conv 4 1x1"], ["relu"], []]},
    {"parallel": [[], ["conv 8 1x1"]], "join": "add"},
    {"parallel": [["flatten", "dense 4"], ["globalavgpool"], ["flatten"]]},
    {"residual": ["conv 8 1x1"], "shortcut": ["conv 8 1x1"]},
    {"residual": ["conv 6 2x2 stride=2"], "shortcut": ["avgpool 2", "conv 6 1x1"], "activation": "relu"},
    {"repeat": 2, "layers": [{"residual": ["batchnorm", "conv 8 1x1"]}]},
    {"residual": ["batchnorm"]},
]


def reason_for(line: Any) -> str | None:
    before = ["flatten"] if isinstance(line, str) and line.startswith("dense") else []
    return why_not_fused(summarize(parse(["conv 8 3x3 relu", *before, line, *END]), (12, 12, 1), 5))


@pytest.mark.parametrize("line", FUSED)
def test_every_layer_and_option_has_kernels(line: str) -> None:
    assert reason_for(line) is None


def test_no_word_is_forgotten_here() -> None:
    assert {line.split()[0] for line in FUSED} == set(WORDS)


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_paths_that_part_and_meet_are_taken(block: Any) -> None:
    assert reason_for(block) is None


def test_blocks_around_the_picture_are_taken() -> None:
    words = [{"residual": ["conv 1 1x1"]}, {"parallel": [["conv 1 1x1"], []]}, *END]
    assert why_not_fused(summarize(parse(words), (12, 12, 1), 5)) is None


@pytest.mark.parametrize("chain", [["dense 36 tanh"], ["dense 9", "dense 36"]], ids=str)
def test_pixels_as_a_vector_meet_others_where_their_channels_fill_whole_words(chain: list[str]) -> None:
    def reason(channels: int, block: Any) -> str | None:
        words = [f"conv {channels} 3x3 relu", "flatten", block, "dense classes softmax"]
        return why_not_fused(summarize(parse(words), (5, 36 // 3 // channels + 2, 1), 5))

    assert reason(4, {"residual": chain}) is None
    assert reason(3, {"residual": chain}) == "add1 adds 3 channels, an odd number"
    assert reason(3, {"parallel": [chain, []]}) == "concatenate1 concatenates 3 channels, an odd number"


def test_a_network_without_weights_is_left_to_torch() -> None:
    summary = summarize(parse(["globalavgpool", "softmax"]), (12, 12, 5), 5)
    assert why_not_fused(summary) == "it has no convolution or dense layer"


def test_a_repeated_chain_is_a_chain() -> None:
    assert reason_for({"repeat": 2, "layers": ["conv 8 3x3 relu", "batchnorm"]}) is None


@pytest.mark.parametrize(
    "words",
    [
        ["flatten", "dense classes"], ["flatten", "dense classes gelu"], ["conv 5 1x1", "globalavgpool"],
        ["separable 5 3x3 relu", "globalmaxpool"], ["conv 5 10x10", "flatten"],
    ],
)  # fmt: skip
def test_a_softmax_of_its_own_belongs_to_the_loss(words: list[str]) -> None:
    summary = summarize(parse(["conv 8 3x3", *words, "softmax"]), (12, 12, 1), 5)
    assert why_not_fused(summary) is None
