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
from assay.train.fused import winograd_gradient
from assay.train.fused.blocks import Weighted
from assay.train.fused.buffers import BatchInfo, Buffer, Mode
from assay.train.fused.commands import CommandList, Team
from assay.train.fused.weighted import WeightedOp

from .test_depthwise import fill

MODES: list[Mode] = ["f", "b"] if kernels_round() else ["f"]


@st.composite
def plans(draw: Any) -> Weighted:
    """Any channels, in pictures of any shape from two output pixels on, padded or not: rows and columns odd or even."""
    inputs, outputs = (draw(st.integers(1, 11)) for _ in range(2))
    shape = draw(st.integers(4, 9)), draw(st.integers(4, 9))
    padding = draw(st.integers(0, 1))
    height, width = (size + 2 * padding - 2 for size in shape)
    return Weighted(
        "conv1", (3, 3), 1, (*shape, inputs), (height, width, outputs), (padding,) * 4, "linear", 0.0, is_dense=False
    )


@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=40, deadline=None)
@given(
    plan=plans(),
    count=st.integers(1, 50),
    chunk=st.sampled_from([1, 5, 16]),
    threads=st.sampled_from([1, 3]),
    seed=st.integers(0, 1000),
)
def test_small_whole_numbers_give_the_gradient_exactly(
    mode: Mode, plan: Weighted, count: int, chunk: int, threads: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    height, width, inputs = plan.inputs
    outputs = plan.outputs[2]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(winograd_gradient, "is_worthwhile", lambda *sizes, is_paired: True)
        patch.setattr(winograd_gradient, "chunk_of", lambda inputs, outputs: chunk)
        op = WeightedOp(plan, mode, source=Buffer(*plan.inputs, mode, 4, *plan.margin), is_first=False, is_last=False)
        blocks = -(-count // 16)
        batch = BatchInfo(count, blocks, np.ones(16 * blocks, np.float32))
        images = torch.from_numpy(rng.integers(-1, 2, (count, inputs, height, width)).astype(np.float32))
        given = torch.from_numpy(rng.integers(-1, 2, (count, outputs, *plan.outputs[:2])).astype(np.float32))
        fill(op.x, torch.full((64, inputs, height, width), 3.0))  # what an earlier, larger batch has left
        fill(op.x, images)
        fill(op.dy, given)
        op.gradient = np.full(plan.size, np.nan, np.float32)
        commands = CommandList()
        op._winograd_gradient(commands, batch)
        Team(threads).run(commands)
    above, below, before, after = plan.margin
    padded = pad(images, (before, after, above, below))
    expected = torch.nn.grad.conv2d_weight(padded, (outputs, inputs, 3, 3), given).permute(2, 3, 1, 0)
    assert np.array_equal(op.gradient.reshape(3, 3, inputs, outputs), expected.numpy())


@pytest.mark.parametrize(
    ("height", "width", "inputs", "outputs", "is_paired", "expected"),
    [
        (32, 32, 64, 64, False, True),
        (32, 32, 64, 64, True, True),
        (32, 32, 16, 16, False, True),
        (32, 32, 4, 8, False, False),  # transforms cost more than they save
        (1, 24, 64, 64, False, False),  # no tile
    ],
)
def test_tiles_are_chosen_where_they_save_work(
    height: int, width: int, inputs: int, outputs: int, is_paired: bool, expected: bool
) -> None:
    assert winograd_gradient.is_worthwhile(height, width, inputs, outputs, is_paired=is_paired) == expected
