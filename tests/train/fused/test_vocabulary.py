"""A network with one layer or option that the kernels do not have goes to the plain path, and says why."""

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
    "conv 16 3x3 groups=8", "depthwise 3x3", "depthwise 3x3 gelu multiplier=2 padding=same stride=2 bias=false l1=0.1",
    "separable 4 3x3", "separable 4 3x3 relu multiplier=2 padding=same stride=2 bias=false l2=0.1",
    "dense 4 l1=0.1", "conv 4 3x3 stride=2", "maxpool 3 stride=2", "maxpool 3 stride=1 padding=same",
    *(f"conv 4 3x3 {name}" for name in ACTIVATIONS), *(f"dense 4 {name}" for name in ACTIVATIONS),
    *(f"activation {name}" for name in ACTIVATIONS),
]  # fmt: skip
REFUSED = {
    "conv 4 3x3 dilation=2": "conv2 has dilation 2",
    "conv 4 3x3 groups=2": "conv2 has 2 groups for 8 channels",
    "depthwise 3x3 dilation=2": "depthwise1 has dilation 2",
    "separable 4 3x3 padding=1": "separable1 has padding=1",
    "conv 4 3x3 padding=1": "conv2 has padding=1",
    "maxpool 3 stride=2 padding=1": "maxpool1 has padding=1",
    "batchnorm epsilon=0.01": "batchnorm1 has an epsilon or a momentum of its own",
    **{
        word: f'{word.split()[0]}1 ("{word}") has no kernel here'
        for word in (
            "layernorm", "groupnorm 2", "instancenorm", "zeropad 2", "reshape 20x-1x4", "prelu per=channel",
        )
    },
}  # fmt: skip
BLOCKS: list[tuple[Any, str | None]] = [
    ({"residual": ["conv 8 3x3 padding=same"]}, None),
    ({"repeat": 2, "layers": [{"residual": ["separable 8 3x3 relu padding=same", "batchnorm"]}]}, None),
    ({"residual": [{"residual": ["conv 8 1x1"]}, "dropout 0.2"], "activation": "gelu"}, None),
    ({"parallel": [["conv 4 3x3"], ["conv 4 3x3"]]}, "conv2 is in a parallel block"),
    ({"parallel": [[], ["conv 8 1x1"]], "join": "add"}, "conv2 is in a parallel block"),
    ({"residual": ["conv 8 1x1"], "shortcut": ["conv 8 1x1"]}, "conv3 is in a shortcut"),
    (
        {"repeat": 2, "layers": [{"residual": ["batchnorm", "conv 8 1x1"]}]},
        "add1 adds what no convolution or dense layer before it reads",
    ),
    ({"residual": ["batchnorm"]}, "add1 adds what no convolution or dense layer before it reads"),
]


def reason_for(line: Any) -> str | None:
    before = ["flatten"] if isinstance(line, str) and line.startswith("dense") else []
    return why_not_fused(summarize(parse(["conv 8 3x3 relu", *before, line, *END]), (12, 12, 1), 5))


@pytest.mark.parametrize(("line", "reason"), [*((line, None) for line in FUSED), *REFUSED.items()])
def test_what_the_kernels_do_not_have_is_left_to_torch(line: str, reason: str | None) -> None:
    assert reason_for(line) == reason


def test_no_word_is_forgotten_here() -> None:
    assert {line.split()[0] for line in (*FUSED, *REFUSED)} == set(WORDS)


@pytest.mark.parametrize(("block", "reason"), BLOCKS, ids=str)
def test_residual_blocks_around_chains_are_taken_and_others_left_to_torch(block: Any, reason: str | None) -> None:
    assert reason_for(block) == reason


def test_a_residual_block_around_the_picture_is_left_to_torch() -> None:
    summary = summarize(parse([{"residual": ["conv 1 1x1"]}, *END]), (12, 12, 1), 5)
    assert why_not_fused(summary) == "add1 adds what no convolution or dense layer before it reads"


@pytest.mark.parametrize("chain", [["dense 36 tanh"], ["dense 9", "dense 36"]], ids=str)
def test_a_residual_block_around_pixels_as_a_vector_is_left_to_torch(chain: list[str]) -> None:
    words = ["conv 4 3x3 relu", "flatten", {"residual": chain}, "dense classes softmax"]
    summary = summarize(parse(words), (5, 5, 1), 5)
    assert why_not_fused(summary) == "add1 adds 3 x 3 pixels that a dense layer reads as a vector"


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
