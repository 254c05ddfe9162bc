"""A network with one layer or option that the kernels do not have goes to the plain path, and says why."""

from __future__ import annotations

from typing import Any

import pytest

from assay.nets import parse, summarize
from assay.nets.vocabulary import WORDS
from assay.train.fused.plan import why_not_fused

END = ["flatten", "dense classes softmax"]
FUSED = {
    "conv 4 3x3": None,
    "dense 4": None,
    "batchnorm": None,
    "maxpool 2": None,
    "dropout 0.2": None,
    "flatten": None,
    "conv 4 3x3 bias=true groups=1 dilation=1 l1=0": None,
}
REFUSED = {
    "conv 4 3x3 dilation=2": "conv2 has dilation 2",
    "conv 4 3x3 groups=2": "conv2 has 2 groups",
    "conv 4 3x3 bias=false": "conv2 has no bias",
    "conv 4 3x3 l1=0.1": "conv2 has an l1 penalty",
    **{f"conv 4 3x3 {name}": f"conv2 has activation {name}" for name in ("leakyrelu", "elu", "gelu", "silu", "tanh")},
    "depthwise 3x3": "depthwise1 is a layer without a kernel of ours",
    "separable 4 3x3": "separable1 is a layer without a kernel of ours",
    "layernorm": "layernorm1 is a layer without a kernel of ours",
    "groupnorm 2": "groupnorm1 is a layer without a kernel of ours",
    "instancenorm": "instancenorm1 is a layer without a kernel of ours",
    "avgpool 2": "avgpool1 is a layer without a kernel of ours",
    "globalavgpool": "globalavgpool1 is a layer without a kernel of ours",
    "globalmaxpool": "globalmaxpool1 is a layer without a kernel of ours",
    "spatialdropout 0.2": "spatialdropout1 is a layer without a kernel of ours",
    "activation relu": "activation1 is a layer without a kernel of ours",
    "dense 4 bias=false": "dense1 has no bias",
    "dense 4 l1=0.1": "dense1 has an l1 penalty",
    "dense 4 sigmoid": "dense1 has activation sigmoid",
}
BLOCKS: list[Any] = [
    {"residual": ["conv 8 3x3 padding=same"]},
    {"parallel": [["conv 4 3x3"], ["conv 4 3x3"]]},
    {"repeat": 2, "layers": [{"residual": ["batchnorm"]}]},
]


def reason_for(line: Any) -> str | None:
    before = ["flatten"] if isinstance(line, str) and line.startswith("dense") else []
    return why_not_fused(summarize(parse(["conv 8 3x3 relu", *before, line, *END]), (12, 12, 1), 5))


@pytest.mark.parametrize(("line", "reason"), [*FUSED.items(), *REFUSED.items()])
def test_what_the_kernels_do_not_have_is_left_to_torch(line: str, reason: str | None) -> None:
    assert reason_for(line) == reason


def test_no_word_is_forgotten_here() -> None:
    assert {line.split()[0] for line in (*FUSED, *REFUSED)} == set(WORDS)


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_blocks_are_left_to_torch(block: Any) -> None:
    reason = reason_for(block)
    assert reason is not None
    assert reason.endswith("stands in a block")


def test_a_repeated_chain_is_a_chain() -> None:
    assert reason_for({"repeat": 2, "layers": ["conv 8 3x3 relu", "batchnorm"]}) is None


def test_a_softmax_of_its_own_is_left_to_torch() -> None:
    summary = summarize(parse(["conv 8 3x3", "flatten", "dense classes", "softmax"]), (12, 12, 1), 5)
    assert why_not_fused(summary) == "activation1 is a layer without a kernel of ours"
