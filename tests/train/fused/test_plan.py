"""Which networks the kernels take, how their layers group, and why others stay on the plain path."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from assay.nets import Summary, parse, summarize
from assay.nets.layers import WORDS
from assay.train.fused.blocks import Activation, Block, Epilogue, Pool, Sum
from assay.train.fused.plan import NotFused, blocks_of, fused_groups, why_not_fused

PUBLISHED = Path(__file__).parents[4] / "shared" / "reference" / "published.toml"
END = ["flatten", "dense classes softmax"]


def summary_of(words: list[str], shape: tuple[int, int, int] = (28, 28, 1)) -> Summary:
    return summarize(parse(words), shape, 10)


def blocks(*words: str, shape: tuple[int, int, int] = (28, 28, 1)) -> tuple[Block, ...]:
    return blocks_of(summary_of([*words, *END], shape))


def test_everything_between_two_weighted_layers_is_one_pass() -> None:
    first, last = blocks("conv 8 3x3 relu", "batchnorm", "maxpool 2", "dropout 0.3")
    assert first.weighted.name == "conv1"
    assert (first.weighted.kernel, first.weighted.activation, first.weighted.is_dense) == ((3, 3), "relu", False)
    assert (first.weighted.inputs, first.weighted.outputs) == ((28, 28, 1), (26, 26, 8))
    assert first.post_ops == (
        Epilogue((26, 26, 8), (13, 13, 8), norm="batchnorm1", window=2, margin=(0, 0), rate=0.3, dropout=0),
    )
    assert last.weighted.name == "dense1"
    assert (last.weighted.kernel, last.weighted.inputs, last.weighted.outputs) == ((13, 13), (13, 13, 8), (1, 1, 10))
    assert (last.weighted.activation, last.weighted.is_dense, last.post_ops) == ("linear", True, ())


def test_layers_in_another_order_take_another_pass() -> None:
    first, _ = blocks("conv 8 3x3", "dropout 0.1", "maxpool 2", "batchnorm", "dropout 0.2", "dropout 0.3")
    passes = [(post_op.norm, post_op.window, post_op.rate, post_op.dropout) for post_op in first.post_ops]
    assert passes == [(None, 1, 0.1, 0), (None, 2, 0.0, 0), ("batchnorm1", 1, 0.2, 1), (None, 1, 0.3, 2)]
    assert [post_op.outputs for post_op in first.post_ops] == [(26, 26, 8), (13, 13, 8), (13, 13, 8), (13, 13, 8)]


def test_dropout_is_counted_over_the_whole_network() -> None:
    """The ordinal is the plain path's, a dropout of rate 0 included."""
    words = ["conv 8 3x3", "dropout 0", "conv 8 3x3", "dropout 0.2", "flatten", "dense 9", "dropout 0.3", END[1]]
    made = blocks_of(summary_of(words))
    assert [[(post_op.rate, post_op.dropout) for post_op in block.post_ops] for block in made] == [
        [(0.0, 0)], [(0.2, 1)], [(0.3, 2)], [],
    ]  # fmt: skip
    assert made[0].post_ops[0].is_empty


def test_padding_is_that_of_keras() -> None:
    first, second, _ = blocks(
        "conv 8 4x3 relu padding=same stride=2", "maxpool 3 padding=same", "conv 8 2x5 padding=same", shape=(28, 27, 1)
    )
    assert first.weighted.margin == (1, 1, 1, 1)
    assert first.weighted.outputs == (14, 14, 8)
    assert first.post_ops[0].margin == (0, 0)
    assert first.post_ops[0].outputs == (5, 5, 8)
    assert second.weighted.margin == (0, 1, 2, 2)


def test_windows_that_are_not_side_by_side_are_pooled_in_a_pass_of_their_own() -> None:
    first, _ = blocks("conv 8 3x3 relu", "maxpool 3 stride=2 padding=same", "batchnorm", "dropout 0.1")
    empty, pool, normed = first.post_ops
    assert empty == Epilogue((26, 26, 8), (26, 26, 8))  # takes gradients through the relu and sums the bias's
    assert pool == Pool((26, 26, 8), (13, 13, 8), window=(3, 3), stride=2, margin=(0, 0))
    assert normed == Epilogue((13, 13, 8), (13, 13, 8), norm="batchnorm1", rate=0.1)


def test_activations_that_the_weighted_kernels_do_not_apply_follow_them() -> None:
    first, second, _ = blocks("conv 8 3x3 gelu", "maxpool 2", "conv 8 3x3", "batchnorm", "silu")
    assert first.weighted.activation == "linear"
    assert first.post_ops == (
        Epilogue((26, 26, 8), (26, 26, 8)), Activation((26, 26, 8), "gelu"), Epilogue((26, 26, 8), (13, 13, 8),
        window=2),
    )  # fmt: skip
    assert second.post_ops == (Epilogue((11, 11, 8), (11, 11, 8), norm="batchnorm1"), Activation((11, 11, 8), "silu"))


def test_what_rises_is_computed_of_the_largest_value_alone() -> None:
    first, second, third, _ = blocks(
        "conv 8 3x3", "batchnorm", "relu", "maxpool 2", "dropout 0.3",
        "conv 8 3x3 elu", "maxpool 3 stride=2", "dropout 0.2", "conv 6 3x3", "batchnorm", "tanh", "globalmaxpool",
    )  # fmt: skip
    assert first.post_ops == (Epilogue((26, 26, 8), (13, 13, 8), norm="batchnorm1", window=2, rate=0.3, has_relu=True),)
    assert second.post_ops == (
        Epilogue((11, 11, 8), (11, 11, 8)), Pool((11, 11, 8), (5, 5, 8), window=(3, 3), stride=2),
        Activation((5, 5, 8), "elu"), Epilogue((5, 5, 8), (5, 5, 8), rate=0.2, dropout=1),
    )  # fmt: skip
    assert third.post_ops == (
        Epilogue((3, 3, 6), (3, 3, 6), norm="batchnorm2"), Pool((3, 3, 6), (1, 1, 6), window=(3, 3), stride=1),
        Activation((1, 1, 6), "tanh"),
    )  # fmt: skip


def test_a_mean_of_activations_is_not_the_activation_of_a_mean() -> None:
    first, second, _ = blocks("conv 8 3x3", "batchnorm", "relu", "avgpool 2", "conv 8 3x3", "elu", "dropout 0.2")
    assert first.post_ops == (
        Epilogue((26, 26, 8), (26, 26, 8), norm="batchnorm1", has_relu=True),
        Pool((26, 26, 8), (13, 13, 8), window=(2, 2), stride=2, is_mean=True),
    )
    assert second.post_ops[1:] == (Activation((11, 11, 8), "elu"), Epilogue((11, 11, 8), (11, 11, 8), rate=0.2))


def test_a_convolution_with_as_many_groups_as_channels_is_depthwise() -> None:
    _, named, _ = blocks("conv 8 3x3", "depthwise 3x3 relu multiplier=2 padding=same stride=2")
    _, grouped, _ = blocks("conv 8 3x3", "conv 16 3x3 relu groups=8 padding=same stride=2")
    assert named.weighted.is_depthwise
    assert (named.weighted.inputs, named.weighted.outputs) == ((26, 26, 8), (13, 13, 16))
    assert (named.weighted.depth, named.weighted.size) == (1, 3 * 3 * 16)
    assert replace(grouped.weighted, name="depthwise1") == named.weighted


def test_depthwise_of_one_channel_is_an_ordinary_convolution() -> None:
    named, grouped = blocks("depthwise 3x3 relu multiplier=8")[0], blocks("conv 8 3x3 relu")[0]
    assert replace(named.weighted, name="conv1") == grouped.weighted
    assert not named.weighted.is_depthwise


def test_a_separable_layer_is_two_products_with_nothing_between() -> None:
    first, second, _ = blocks("separable 8 3x3 relu multiplier=2 l2=0.1", "maxpool 2", shape=(28, 28, 3))
    assert [part.weighted.name for part in (first, second)] == ["separable1", "separable1"]
    assert [part.weighted.kernel_name for part in (first, second)] == ["depthwise_kernel", "pointwise_kernel"]
    assert [part.weighted.has_bias for part in (first, second)] == [False, True]
    assert [part.weighted.activation for part in (first, second)] == ["linear", "relu"]
    assert [part.weighted.is_depthwise for part in (first, second)] == [True, False]
    assert [part.weighted.l2 for part in (first, second)] == [0.1, 0.1]
    assert first.post_ops == (Epilogue((26, 26, 6), (26, 26, 6)),)
    assert (second.weighted.kernel, second.weighted.inputs, second.weighted.outputs) == (
        (1, 1), (26, 26, 6), (26, 26, 8),
    )  # fmt: skip
    assert second.post_ops[0].window == 2


def test_a_residual_block_ends_in_a_sum() -> None:
    block = {"residual": ["separable 8 3x3 relu padding=same", "batchnorm"], "activation": "relu"}
    made = blocks_of(summarize(parse(["conv 8 3x3", "maxpool 2", block, "dropout 0.1", *END]), (28, 28, 1), 10))
    shape = (13, 13, 8)
    assert made[2].post_ops == (
        Epilogue(shape, shape, norm="batchnorm1"), Sum(shape, terms=(1,)), Activation(shape, "relu"),
        Epilogue(shape, shape, rate=0.1),
    )  # fmt: skip


def test_what_stands_behind_the_last_kernel_ends_the_network() -> None:
    (only,) = blocks_of(summary_of(["conv 10 3x3 relu", "globalavgpool", "softmax"]))
    assert only.post_ops == (
        Epilogue((26, 26, 10), (26, 26, 10)), Pool((26, 26, 10), (1, 1, 10), window=(26, 26), stride=1, is_mean=True),
    )  # fmt: skip
    (only,) = blocks_of(summary_of(["flatten", "dense classes relu", "softmax"]))
    assert only.post_ops == (Epilogue((1, 1, 10), (1, 1, 10)),)  # takes the gradient through the relu


def test_a_relu_behind_a_layer_is_the_layers() -> None:
    assert blocks("conv 8 3x3", "relu", "maxpool 2") == blocks("conv 8 3x3 relu", "maxpool 2")
    _, last = blocks_of(summary_of(["conv 8 3x3", "flatten", "dense classes", "softmax"]))
    assert (last.weighted.activation, last.post_ops) == ("linear", ())


def test_global_pooling_has_one_window() -> None:
    first, last = blocks_of(summary_of(["conv 8 3x3 relu", "globalavgpool", END[1]]))
    assert first.post_ops[1] == Pool((26, 26, 8), (1, 1, 8), window=(26, 26), stride=1, is_mean=True)
    assert last.weighted.inputs == (1, 1, 8)


def test_a_vector_behind_flatten_is_normalized_by_element() -> None:
    first, _ = blocks_of(summary_of(["conv 8 3x3", "maxpool 2", "flatten", "batchnorm", "dropout 0.5", END[1]]))
    assert first.post_ops == (
        Epilogue((26, 26, 8), (13, 13, 8), window=2),
        Epilogue((1, 1, 1352), (1, 1, 1352), norm="batchnorm1", rate=0.5),
    )


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["conv 2 24x28", "flatten", "softmax"], "activation1 follows flatten and 5 x 1 pixels"),
        (["conv 9 3x3", "reshape 13x26x18", *END], "reshape1 reshapes 9 channels, an odd number"),
        (["conv 7 3x3", "flatten", "batchnorm", END[1]], "batchnorm1 follows flatten and 7 channels, an odd number"),
    ],
)
def test_what_is_refused_and_why(words: list[str], reason: str) -> None:
    summary = summary_of(words)
    assert why_not_fused(summary) == reason
    for ask in (blocks_of, fused_groups):
        with pytest.raises(NotFused, match=re.escape(reason)):
            ask(summary)


@pytest.mark.parametrize(
    "words",
    [
        END,
        ["flatten", "dense 7 relu", "batchnorm", END[1]],
        ["conv 8 3x3 stride=2", *END],
        ["conv 8 3x3", "conv 8 3x3 stride=2 bias=false l1=0.1", *END],
        ["conv 7 3x3", "batchnorm", *END],
        ["conv 7 28x28", "flatten", "batchnorm", END[1]],  # one pixel: its channels are the vector
        ["conv 8 3x3", "maxpool 1", *END],
        ["conv 10 3x3", "globalavgpool", "softmax"],
        ["flatten", "dense classes gelu", "softmax"],
        ["batchnorm", "conv 8 3x3", *END],
        ["maxpool 2", "conv 8 3x3", *END],
        ["flatten", "dropout 0.2", END[1]],
        ["relu", *END],
    ],
)
def test_what_is_taken(words: list[str]) -> None:
    assert why_not_fused(summary_of(words)) is None


def test_groups_hold_every_layer_once_in_order() -> None:
    words = ["conv 8 3x3 relu", "batchnorm", "maxpool 2", "flatten", "dense 9 relu", "dropout 0.1", END[1]]
    assert fused_groups(summary_of(words)) == (
        ("conv1", "batchnorm1", "maxpool1", "flatten1"), ("dense1", "dropout1"), ("dense2",),
    )  # fmt: skip
    words = ["separable 8 3x3 relu", "maxpool 2", "depthwise 3x3", "conv 10 1x1", "globalavgpool", "softmax"]
    assert fused_groups(summary_of(words)) == (
        ("separable1", "maxpool1"), ("depthwise1",), ("conv1", "globalavgpool1", "activation1"),
    )  # fmt: skip


def test_flatten_at_the_front_belongs_to_the_first_group() -> None:
    """A group is "a weighted layer and all up to the next one", and flatten computes nothing."""
    assert fused_groups(summary_of(END)) == (("flatten1", "dense1"),)


def published() -> dict[str, list[str]]:
    """The layers of the five documents' networks, by key; a base is no word yet, and one system is a search space."""
    if not PUBLISHED.exists():
        pytest.skip("the published figures are not beside this checkout")
    models = tomllib.loads(PUBLISHED.read_text(encoding="utf-8"))["model"]
    return {
        model["key"]: model["layers"]
        for model in models
        if "base" not in model and all(word.split()[0] in WORDS and "{" not in word for word in model["layers"])
    }


def test_published_networks_fuse() -> None:
    systems = published()
    assert {key[0] for key in systems} == set("ABCDE")
    assert {key: reason for key, words in systems.items() if (reason := why_not_fused(summary_of(words)))} == {}
