"""Kernel gradients by tiles: that they are torch's, exactly where nothing rounds, and when they are chosen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import pad

from assay.train.device import kernels_round
from assay.train.fused import tiles, winograd_gradient
from assay.train.fused.blocks import Weighted
from assay.train.fused.buffers import BatchInfo, Buffer, Mode
from assay.train.fused.commands import CommandList, Team
from assay.train.fused.filtering import FIVE, SMALL, WIDE, Filtering
from assay.train.fused.weighted import WeightedOp

from .test_depthwise import fill

CASES: list[tuple[Mode, Filtering]] = [("f", SMALL), ("f", WIDE), ("f", FIVE)]
if kernels_round():
    CASES.append(("b", SMALL))


@st.composite
def plans(draw: Any, filtering: Filtering) -> Weighted:
    """Any channels, in pictures of any shape that has a tile, padded or not: tiles fit, or overlap."""
    inputs, outputs = (draw(st.integers(1, 11)) for _ in range(2))
    taps, padding = filtering.taps, draw(st.integers(0, filtering.taps // 2))
    smallest = filtering.outputs + taps - 1 - 2 * padding
    shape = tuple(draw(st.integers(max(taps, smallest), 11)) for _ in range(2))
    height, width = (size + 2 * padding - taps + 1 for size in shape)
    return Weighted(
        "conv1", (taps, taps), 1, (*shape, inputs), (height, width, outputs), (padding,) * 4, "linear", 0.0,
        is_dense=False,
    )  # fmt: skip


@pytest.mark.parametrize(("mode", "filtering"), CASES)
@settings(max_examples=40, deadline=None)
@given(
    data=st.data(),
    count=st.integers(1, 50),
    chunk=st.sampled_from([1, 5, 16]),
    threads=st.sampled_from([1, 3]),
    seed=st.integers(0, 1000),
)
def test_it_is_the_gradient(
    mode: Mode, filtering: Filtering, data: st.DataObject, count: int, chunk: int, threads: int, seed: int
) -> None:
    """F(2, 3) exactly on small whole numbers; the others, which have thirds and factors of 8, by float32's accuracy."""
    plan = data.draw(plans(filtering))
    is_exact = filtering is SMALL
    rng = np.random.default_rng(seed)
    height, width, inputs = plan.inputs
    outputs, taps = plan.outputs[2], filtering.taps

    def pixels(*shape: int) -> torch.Tensor:
        drawn = rng.integers(-1, 2, shape) if is_exact else rng.normal(size=shape)
        return torch.from_numpy(drawn.astype(np.float32))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiles, "how", lambda: None)  # which come first where the processor has them
        patch.setattr(winograd_gradient, "choice", lambda *sizes, is_paired: filtering)
        patch.setattr(winograd_gradient, "chunk_of", lambda filtering, inputs, outputs: chunk)
        op = WeightedOp(plan, mode, source=Buffer(*plan.inputs, mode, 4, *plan.margin), is_first=False, is_last=False)
        blocks = -(-count // 16)
        batch = BatchInfo(count, blocks, np.ones(16 * blocks, np.float32))
        images, given = pixels(count, inputs, height, width), pixels(count, outputs, *plan.outputs[:2])
        fill(op.x, torch.full((64, inputs, height, width), 3.0))  # what an earlier, larger batch has left
        fill(op.x, images)
        fill(op.dy, given)
        op.gradient = np.full(plan.size, np.nan, np.float32)
        commands = CommandList()
        op._winograd_gradient(commands, batch, filtering)
        Team(threads).run(commands)
    above, below, before, after = plan.margin
    padded = pad(images.double(), (before, after, above, below))
    expected = torch.nn.grad.conv2d_weight(padded, (outputs, inputs, taps, taps), given.double()).permute(2, 3, 1, 0)
    bound = 0 if is_exact else 5e-5 * np.sqrt(count * plan.outputs[0] * plan.outputs[1])
    assert np.abs(op.gradient.reshape(taps, taps, inputs, outputs) - expected.numpy()).max() <= bound


@pytest.mark.parametrize(
    ("taps", "height", "width", "inputs", "outputs", "paired", "single"),
    [
        (3, 32, 32, 64, 64, SMALL, WIDE),
        (3, 3, 32, 64, 64, SMALL, SMALL),  # no tile of 4x4
        (3, 32, 32, 4, 8, None, None),  # transforms cost more than they save
        (3, 1, 24, 64, 64, None, None),  # no tile
        (5, 12, 12, 64, 64, None, FIVE),
    ],
)
def test_tiles_are_chosen_where_they_save_work(
    taps: int, height: int, width: int, inputs: int, outputs: int, paired: Filtering | None, single: Filtering | None
) -> None:
    sizes = (taps, taps), height, width, inputs, outputs
    assert winograd_gradient.choice(*sizes, is_paired=True) == paired
    assert winograd_gradient.choice(*sizes, is_paired=False) == single
