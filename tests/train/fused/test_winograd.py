"""Convolutions by tiles: when they are chosen, and that they are what torch computes, over shapes and channels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.nn.functional import conv2d, pad

from assay.train.device import has_bfloat16
from assay.train.fused import winograd
from assay.train.fused.blocks import Weighted
from assay.train.fused.buffers import BatchInfo, Buffer, Mode
from assay.train.fused.commands import CommandList, Team
from assay.train.fused.weighted import WeightedOp

from .test_depthwise import fill, view

# Output channels and tiles that are accumulated at once, which are compiled in: some leave a rest, some none.
COMPILED = [(2, 1), (4, 3), (6, 4)]
MODES: list[Mode] = ["f", "b"] if has_bfloat16() else ["f"]


@st.composite
def plans(draw: Any) -> Weighted:
    """Channels for which tiles are worth their while, in pictures of any shape, padded or not."""
    inputs, outputs = (draw(st.integers(25, 33)) for _ in range(2))
    shape = draw(st.integers(5, 10)), draw(st.integers(5, 10))
    padding = draw(st.integers(0, 1))
    height, width = (size + 2 * padding - 2 for size in shape)
    return Weighted(
        "conv1", (3, 3), 1, (*shape, inputs), (height, width, outputs), (padding,) * 4, "linear", 0.0, is_dense=False,
        is_depthwise=False,
    )  # fmt: skip


@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=20, deadline=None)
@given(plan=plans(), seed=st.integers(0, 1000), threads=st.sampled_from([1, 3]), blocking=st.sampled_from(COMPILED))
def test_small_whole_numbers_are_convolved_exactly(
    mode: Mode, plan: Weighted, seed: int, threads: int, blocking: tuple[int, int]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(winograd, "blocking", lambda *sizes, is_paired: blocking)
        assert_exact(mode, plan, seed, threads)


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=40, deadline=None)
@given(plan=plans(), seed=st.integers(0, 1000), threads=st.sampled_from([1, 3]))
def test_small_whole_numbers_are_convolved_exactly_by_every_kernel(
    mode: Mode, plan: Weighted, seed: int, threads: int
) -> None:
    """With the kernels that are chosen for these shapes, each of which takes a second or more to compile."""
    assert_exact(mode, plan, seed, threads)


def assert_exact(mode: Mode, plan: Weighted, seed: int, threads: int) -> None:
    """Pixels of 0 and 1 and sparse kernels of 0 and 4, whose transforms are whole numbers that bfloat16 holds."""
    rng = np.random.default_rng(seed)
    height, width, inputs = plan.inputs
    outputs = plan.outputs[2]
    count = 35
    source = Buffer(*plan.inputs, mode, 3, *plan.margin)
    op = WeightedOp(plan, mode, source=source, is_first=False, is_last=False)
    assume(op.is_winograd)
    images = torch.from_numpy(rng.integers(0, 2, (count, inputs, height, width)).astype(np.float32))
    kernel = 4 * torch.from_numpy((rng.random((3, 3, inputs, outputs)) < 0.03).astype(np.float32))
    op.weights = kernel.numpy().reshape(-1)
    op.bias = rng.integers(-2, 3, outputs).astype(np.float32)
    fill(source, images)
    commands = CommandList()
    op.pack(commands, for_training=True)
    op.forward(commands, BatchInfo(count, 3, np.ones(48, np.float32)))
    given = torch.from_numpy(rng.integers(0, 2, (count, outputs, *plan.outputs[:2])).astype(np.float32))
    fill(op.dy, given)
    if op.input_gradient.is_winograd:
        op.input_gradient.record(commands, BatchInfo(count, 3, np.ones(48, np.float32)))
    Team(threads).run(commands)

    above, below, before, after = plan.margin
    turned = kernel.permute(3, 2, 0, 1)
    expected = conv2d(pad(images, (before, after, above, below)), turned) + torch.from_numpy(op.bias)[:, None, None]
    assert np.array_equal(view(op.y)[:count, :outputs], expected.numpy())
    if op.input_gradient.is_winograd:
        back = torch.nn.grad.conv2d_input(
            (count, inputs, height + above + below, width + before + after), turned, given
        )[:, :, above : above + height, before : before + width]
        assert np.array_equal(view(op.dx)[:count, :inputs], back.numpy())


@pytest.mark.parametrize(
    ("height", "width", "inputs", "outputs", "margins", "expected"),
    [
        (24, 24, 64, 64, (0, 0, 0, 0), True),
        (24, 24, 4, 8, (0, 0, 0, 0), False),  # transforms cost more than they save
        (1, 24, 64, 64, (0, 0, 0, 0), False),  # no tile
        (4, 4, 128, 128, (2, 2, 2, 2), False),  # nearly all of it zeros
        (12, 12, 64, 128, (2, 2, 2, 2), True),
    ],
)
def test_tiles_are_chosen_where_they_save_work(
    height: int, width: int, inputs: int, outputs: int, margins: tuple[int, int, int, int], expected: bool
) -> None:
    assert winograd.is_worthwhile(height, width, inputs, outputs, margins) == expected


@pytest.mark.parametrize("registers", [8, 32])
def test_any_number_of_channels_and_tiles_has_sizes_that_fit(registers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assay.train.fused.vectors.REGISTERS", registers)
    monkeypatch.setattr("assay.train.fused.vectors.ACCUMULATORS", registers * 3 // 4)
    for is_paired in (False, True):
        for num_outputs in range(2, 40, 2):
            for num_tiles in range(1, 12):
                outputs, tiles = winograd.blocking(num_outputs, num_tiles, is_paired=is_paired)
                assert outputs <= num_outputs
                assert tiles <= num_tiles
                assert outputs * tiles + tiles + 1 <= registers  # sums, pixels and a weight
                assert not (is_paired and outputs % 2)
