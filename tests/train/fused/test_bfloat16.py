"""bfloat16: the same sums where nothing is rounded, and elsewhere no worse than torch's own bfloat16."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from assay.data import prepare
from assay.nets.masks import keep_mask
from assay.spec import Arm, Data
from assay.train.device import has_bfloat16
from assay.train.engine import learner_of, train
from assay.train.fused import tiles
from assay.train.fused.commands import CommandList
from assay.train.fused.network import FusedNetwork
from assay.train.fused.tiles import How
from assay.train.task import Task

from .reference import STEP, STREAMS, Batch, by_kernels, by_torch, error, fused_of, network_of, random_batch

pytestmark = pytest.mark.skipif(not has_bfloat16(), reason="this processor does not multiply bfloat16")

END = ["flatten", "dense classes softmax"]
MIXED = ["conv 5 3x3 relu", "batchnorm", "maxpool 2", "dropout 0.3", "conv 6 3x3 relu", "flatten", "batchnorm",
         "dropout 0.2", "dense 10 relu", "dense classes softmax"]  # fmt: skip


def joined(gradients: dict[str, Tensor]) -> Tensor:
    return torch.cat([gradients[name].double().flatten() for name in sorted(gradients)])


WHOLE: dict[str, tuple[list[Any], tuple[int, int, int]]] = {
    "odd channels, odd sizes": (["conv 5 3x3 relu", "maxpool 2", "dropout 0.5", "conv 5 3x3 relu", *END], (11, 9, 1)),
    "same padding, windows at the edge": (
        ["conv 5 3x3 relu padding=same", "maxpool 2 padding=same", "conv 5 2x3 padding=same", *END], (7, 9, 3),
    ),
    "windows that overlap": (
        ["conv 5 3x3 relu", "maxpool 3 stride=1", "conv 5 2x3 padding=same", "maxpool 3 stride=2 padding=same", *END],
        (9, 11, 1),
    ),
    "the largest of everything": (["conv 5 3x3 relu", "conv 5 3x3", "globalmaxpool", END[1]], (9, 8, 1)),
    "means of two by two": (["conv 5 1x1", "avgpool 2", "conv 5 2x2", "leakyrelu", "relu", *END], (4, 4, 1)),
    "strides": (["conv 5 3x3 relu", "conv 5 3x3 relu stride=2", "conv 5 1x2 stride=2 bias=false", *END], (13, 12, 1)),
    # Where channels, an odd number, are taken in groups for the kernel's gradient, the padding of the last pair counts:
    # otherwise the second pair of blocks (from 33 images on) is read a channel off. Groups of a kernel 3 wide happen to
    # come out the same.
    "a wide kernel over an odd number of channels": (["conv 5 3x3 relu", "maxpool 2", "conv 5 5x5", *END], (15, 14, 1)),
    "a kernel of one pixel over an odd number of channels": (
        ["conv 5 3x3 relu", "maxpool 2", "conv 5 1x1", *END], (11, 9, 1),
    ),
    "nothing between": (["conv 6 3x3 stride=2", "conv 5 3x3 relu", "flatten", "dense 10 relu", END[1]], (13, 12, 1)),
    "more channels than are summed at once": (["conv 17 3x3 relu", "maxpool 2", "conv 19 3x3 relu", *END], (9, 9, 1)),
    "tiles": (
        ["conv 17 3x3 relu", "maxpool 2", "conv 19 3x3 relu", "conv 21 3x3 padding=same", "maxpool 2", *END],
        (19, 17, 1),
    ),
    "each channel by itself": (
        ["conv 5 3x3 relu", "depthwise 3x3 relu padding=same", "maxpool 2", "depthwise 2x2 multiplier=3", *END],
        (11, 10, 1),
    ),
    "each channel of a picture by itself": (
        ["depthwise 2x2 relu stride=2", "depthwise 2x2 multiplier=2 stride=2 padding=same", *END], (13, 12, 3),
    ),
    "nothing behind a convolution but its largest": (
        ["conv 6 3x3", "separable 10 2x2 relu padding=same", "globalmaxpool", "softmax"], (8, 8, 1),
    ),
    "nothing behind a convolution": (
        ["conv 6 3x3 relu", "conv 10 2x2 relu padding=same", "globalmaxpool", "softmax"], (8, 8, 1),
    ),
    "a residual block": (
        ["conv 5 3x3", {"residual": ["conv 5 1x1 relu", "depthwise 3x3 padding=same"], "activation": "relu"},
         "maxpool 2", *END],
        (11, 10, 1),
    ),
    "a residual block at the end": (
        ["conv 6 3x3", "conv 10 1x1", {"residual": ["depthwise 3x3 padding=same"]}, "globalmaxpool", "softmax"],
        (8, 8, 1),
    ),
    "shortcuts with strides": (
        ["conv 5 3x3", {"residual": ["conv 7 3x3 padding=same stride=2 relu"], "shortcut": ["conv 7 1x1 stride=2"],
                        "activation": "relu"},
         {"residual": ["conv 7 3x3 padding=same"], "shortcut": ["maxpool 3 stride=1 padding=same", "conv 7 1x1"]},
         *END],
        (12, 11, 1),
    ),
    "one tensor, several margins": (
        ["conv 5 3x3 relu", {"residual": ["conv 5 5x3 padding=same", "depthwise 3x3 padding=same"],
                             "shortcut": [{"residual": ["conv 5 3x3 padding=same"]}, "relu"]}, "maxpool 2", *END],
        (11, 9, 1),
    ),
    "a picture read several times": (
        [{"residual": ["conv 3 3x3 padding=same"], "activation": "relu"},
         {"residual": ["conv 5 3x3 padding=same"], "shortcut": ["conv 5 1x1"]}, "maxpool 2", *END],
        (11, 9, 3),
    ),
    "a picture pooled first": (["maxpool 2 padding=same", "relu", "conv 5 3x3 relu", "conv 5 2x2", *END], (15, 13, 3)),
    "more padding than a kernel reaches": (
        ["conv 5 2x3 padding=3 relu", "conv 6 2x2 padding=3", "depthwise 2x1 padding=4",
         "conv 5 1x1 padding=2 stride=2", *END],
        (6, 5, 1),
    ),
    "groups of even and odd channels": (
        ["conv 6 2x2", "conv 9 2x2 groups=3 padding=same", "conv 12 2x1 groups=3 stride=2", "conv 4 2x2 groups=2",
         *END],
        (10, 9, 1),
    ),
    "dilation": (
        ["conv 5 2x2 dilation=2 padding=same", "conv 6 2x2 dilation=3 padding=2",
         "depthwise 2x2 multiplier=2 dilation=2", "conv 4 2x1 groups=2 dilation=2", *END],
        (11, 12, 3),
    ),
    "groups at the ends of the network": (
        ["conv 8 2x2 groups=4", "conv 10 2x2 groups=2 padding=same", "globalmaxpool", "softmax"], (6, 5, 4),
    ),
    "learned slopes": (
        ["conv 5 3x3", "prelu", "conv 7 2x2", "prelu per=channel", "maxpool 2", *END], (9, 8, 1),
    ),
    "zeros around and other shapes": (
        ["zeropad 1", "conv 5 3x3", "zeropad 2+0x1+3", "conv 4 2x2", "reshape 4x-1x2", "maxpool 2",
         {"parallel": [[], ["zeropad 1", "conv 3 3x3"]]}, *END],
        (7, 8, 1),
    ),
    "branches of odd and even channels": (
        ["conv 5 3x3 relu padding=same", {"parallel": [["conv 3 3x3 padding=same"], [], ["relu"], ["conv 7 1x1"]]},
         "conv 5 3x3 padding=same", {"parallel": [["conv 4 1x1"], ["maxpool 3 stride=1 padding=same"], []]},
         "relu", "maxpool 2", *END],
        (9, 8, 1),
    ),
    "branches that end the network": (
        ["conv 6 3x3 relu", {"parallel": [["conv 3 1x1"], ["conv 4 3x3 padding=same"], ["conv 3 1x1"]]},
         "globalmaxpool", "softmax"],
        (9, 8, 1),
    ),
    "a picture in branches": (
        [{"parallel": [["conv 3 3x3 relu padding=same"], [], ["maxpool 3 stride=1 padding=same"]]}, "conv 4 3x3", *END],
        (9, 8, 3),
    ),
    "pooling that ends the network": (
        ["conv 10 3x3 relu", {"residual": ["conv 10 1x1"], "shortcut": ["maxpool 3 stride=1 padding=same"]},
         "globalmaxpool", "softmax"],
        (9, 8, 1),
    ),
    "whole channels dropped": (
        ["conv 5 3x3 relu", "spatialdropout 0.5", "conv 5 2x3 padding=same", "maxpool 2", *END], (11, 9, 1),
    ),
    "dense layers": (["flatten", "dense 30 relu", "dropout 0.5", "dense 11", "dense classes softmax"], (5, 4, 3)),
    "softmax regression": (END, (5, 4, 1)),
}  # fmt: skip


def in_whole_numbers(fused: FusedNetwork, batch: Batch, kernels: dict[str, Tensor], gradient: np.ndarray) -> Tensor:
    """The gradients that follow from a given gradient of the logits [batch, classes]."""
    fused.load(kernels)
    fused.put_images(batch.images, batch.indices, batch.offset, batch.factor)
    program, there, back = fused.program, CommandList(), CommandList()
    program.set_step(STEP)
    info = program.batch(len(batch.classes), is_training=True)
    fused.record_images(there, info)
    program.pack(there, for_training=True)
    program.forward(there, info)
    fused.team.run(there)
    stored = program.stored_classes
    lanes = np.zeros((info.blocks * 16, stored), np.float32)
    lanes[: len(gradient), : gradient.shape[1]] = gradient
    turned = lanes.reshape(info.blocks, 16, stored).transpose(0, 2, 1).ravel()
    program.logit_gradient[: turned.size] = turned
    program.backward(back, info)
    fused.team.run(back)
    return fused.gradients.clone()


@pytest.mark.parametrize("how", [None, "emulated", *(["amx"] if tiles.how() else [])])
@pytest.mark.parametrize("count", [5, 33])
@pytest.mark.parametrize("case", WHOLE)
def test_small_whole_numbers_give_the_bits_of_float32(
    case: str, count: int, how: How | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sparse kernels of -1, 0 and 1 keep every value a whole number of at most eight bits, which bfloat16 holds."""
    monkeypatch.setattr(tiles, "how", lambda: how)
    words, shape = WHOLE[case]
    rng = np.random.default_rng(0)
    images = rng.integers(0, 2, (count, *shape), dtype=np.uint8)
    batch = Batch(images, np.zeros(count, np.int64), np.zeros(shape[2], np.float32), np.ones(shape[2], np.float32))
    network = network_of(words, shape)
    weights = {}
    for name, value in network.state_dict().items():
        share = 0.1 if name.endswith("kernel") and "depthwise" not in name else 0.5  # of four taps or nine
        drawn = rng.choice([-1.0, 0.0, 1.0], size=value.shape, p=[share / 2, 1 - share, share / 2])
        weights[name] = torch.empty_like(value).copy_(torch.from_numpy(drawn))
    gradient = rng.choice([-1.0, 0.0, 1.0], size=(count, 10))
    exact, rounded = (
        in_whole_numbers(fused_of(network, 40, precision=precision), batch, weights, gradient)
        for precision in ("float32", "bfloat16")
    )
    split = fused_of(network, 40).split
    expected, found = split(exact), split(rounded)
    assert [name for name in expected if not torch.equal(found[name], expected[name])] == []
    assert [name for name in expected if not expected[name].any()] == []


ROUNDED: dict[str, tuple[list[Any], tuple[int, int, int]]] = {
    "convolutions": (["conv 5 3x3 relu", "conv 5 3x3 relu", "flatten", "dense 10 relu", END[1]], (12, 11, 1)),
    "normalized and pooled": (MIXED, (11, 12, 1)),
    "windows that overlap": (
        ["conv 6 3x3 relu", "maxpool 2 stride=1", "conv 5 3x3 relu", "maxpool 3 stride=2", *END],
        (12, 11, 1),
    ),
    "curves and means": (
        [
            "conv 5 3x3 gelu",
            "avgpool 3 stride=2 padding=same",
            "conv 6 3x3 silu",
            "globalavgpool",
            "dense 10 tanh",
            END[1],
        ],
        (12, 11, 1),
    ),
    "channels apart": (
        [
            "conv 6 3x3 relu",
            "separable 8 3x3 relu padding=same",
            "maxpool 2",
            "depthwise 3x3 relu",
            "conv 10 1x1",
            "globalavgpool",
            "softmax",
        ],
        (14, 12, 1),
    ),
    "tiles": (
        ["conv 16 3x3 relu", "conv 32 3x3 relu", "maxpool 2", "conv 32 3x3 relu padding=same", *END],
        (16, 15, 1),
    ),
    "shortcuts": (
        [
            "conv 6 3x3 padding=same bias=false",
            "batchnorm",
            "relu",
            {
                "residual": [
                    "conv 8 3x3 stride=2 padding=same bias=false",
                    "batchnorm",
                    "relu",
                    "conv 8 3x3 padding=same bias=false",
                    "batchnorm",
                ],
                "shortcut": ["conv 8 1x1 stride=2 bias=false", "batchnorm"],
                "activation": "relu",
            },
            {"residual": ["conv 8 3x3 padding=same"], "shortcut": ["avgpool 3 stride=1 padding=same"]},
            "globalavgpool",
            END[1],
        ],
        (12, 11, 3),
    ),
    "branches": (
        [
            "conv 6 3x3 relu padding=same",
            {
                "parallel": [
                    ["conv 4 1x1 relu"],
                    ["conv 3 1x1 relu", "conv 5 3x3 padding=same relu"],
                    ["maxpool 3 stride=1 padding=same", "conv 4 1x1 relu"],
                ]
            },
            "batchnorm",
            "relu",
            "globalavgpool",
            END[1],
        ],
        (12, 11, 3),
    ),
    "images by themselves": (
        [
            "conv 5 3x3 relu",
            "layernorm",
            "conv 7 3x3 padding=same",
            "instancenorm",
            "relu",
            "maxpool 2",
            "conv 6 3x3",
            "groupnorm 2",
            "relu",
            *END,
        ],
        (12, 11, 3),
    ),
    "document C": (["conv 16 3x3 relu", "maxpool 2", "flatten", "dense 80 relu", END[1]], (28, 28, 1)),
}


@pytest.mark.parametrize("case", ROUNDED)
def test_gradients_are_as_good_as_those_of_autocast(case: str) -> None:
    words, shape = ROUNDED[case]
    network = network_of(words, shape)
    fused = fused_of(network, 48, precision="bfloat16")
    ours, theirs = [], []
    for seed in range(4):
        batch = random_batch(shape, 48 - seed, seed)
        exact, found = by_torch(network, batch), by_kernels(fused, batch)
        autocast = by_torch(network, batch, dtype=torch.float32, autocast=True)
        assert found.loss == pytest.approx(exact.loss, rel=0.01)
        whole = joined(exact.gradients)
        if case != "normalized and pooled":  # there a rounding may choose another pixel or cancel what is left
            assert torch.nn.functional.cosine_similarity(joined(found.gradients), whole, dim=0) > 0.99
        ours.append(error(joined(found.gradients), whole))
        theirs.append(error(joined(autocast.gradients), whole))
    assert 1e-4 < np.mean(ours) < 1.5 * np.mean(theirs)  # the lower bound: it is bfloat16 that was measured


def test_statistics_follow_what_was_rounded() -> None:
    network, batch = network_of(MIXED, (11, 12, 1)), random_batch((11, 12, 1), 33)
    exact = by_torch(network, batch).statistics
    found = by_kernels(fused_of(network, 33, precision="bfloat16"), batch).statistics
    for name, value in exact.items():
        # One step moves them by 1 % of the batch's statistics, which are good to half a bfloat16's last bit or better.
        torch.testing.assert_close(found[name].double(), value, rtol=1e-3, atol=1e-3, msg=name)


@pytest.mark.parametrize("count", [1, 15, 17])
def test_a_short_batch_knows_nothing_of_the_full_one_before(count: int) -> None:
    network, batch = network_of(MIXED, (11, 12, 1)), random_batch((11, 12, 1), 37)
    fresh = by_kernels(fused_of(network, 37, precision="bfloat16"), batch.first(count))
    used = fused_of(network, 37, precision="bfloat16")
    by_kernels(used, random_batch((11, 12, 1), 37, seed=2))
    used.load({name: value.detach() for name, value in network.state_dict().items()})
    again = by_kernels(used, batch.first(count))
    assert (again.loss, again.hits) == (fresh.loss, fresh.hits)
    assert all(torch.equal(again.gradients[name], value) for name, value in fresh.gradients.items())


def test_dropout_drops_what_the_plain_path_drops() -> None:
    """In an image of an odd number of channels, whose last pair is half empty."""
    shape = (11, 12, 1)
    network = network_of(MIXED, shape)
    fused = fused_of(network, 37, precision="bfloat16")
    by_kernels(fused, random_batch(shape, 37))
    op = fused.program.post_ops[0][0]
    height, width, channels = op.plan.outputs
    words = op.z.data.view(np.uint32).reshape(-1, height, width, op.z.vectors, 16)
    halves = np.stack([words << 16, words & 0xFFFF0000], axis=-2).view(np.float32)
    values = halves.reshape(-1, height, width, 2 * op.z.vectors, 16).transpose(0, 4, 1, 2, 3)
    values = values.reshape(-1, height, width, 2 * op.z.vectors)[:37]
    kept = keep_mask(STREAMS.key("dropout", 0, STEP), 37 * height * width * channels, 0.3)
    assert np.array_equal(values[..., :channels] != 0, kept.reshape(37, height, width, channels))
    assert not values[..., channels:].any()


def test_document_c_learns_as_well_as_in_float32() -> None:
    data, (images, labels) = prepare("digits").training(), prepare("digits").training_files()

    def accuracy(precision: str, seed: int) -> float:
        training = {
            "epochs": 20, "batch_size": 50, "precision": precision, "optimizer": {"name": "sgd", "learning_rate": 0.1}
        }  # fmt: skip
        arm = Arm.of({"name": "c", "layers": ROUNDED["document C"][0], "training": training})
        task = Task("run", arm, Data(name="digits", validation=0.3), seed, ("split", "init", "order", "dropout"), 10,
                    images, labels, Path("unused"))  # fmt: skip
        assert learner_of(task, data).precision == precision
        return train(task, data).history[-1].validation_accuracy

    seeds = range(6)
    exact, rounded = (np.array([accuracy(precision, seed) for seed in seeds]) for precision in ("float32", "bfloat16"))
    differences = rounded - exact
    assert exact.mean() > 0.9
    # Two thirds of a per cent, or three standard errors if seeds scatter more.
    assert abs(differences.mean()) < max(0.0067, 3 * differences.std(ddof=1) / len(seeds) ** 0.5)
    assert abs(differences.mean()) < 0.02
