"""Convolutions by tiles: when they are chosen, and that they are what torch computes, over shapes and channels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import conv2d, pad

from assay.train.device import has_bfloat16
from assay.train.fused import winograd
from assay.train.fused.blocks import Weighted
from assay.train.fused.buffers import BatchInfo, Buffer, Mode
from assay.train.fused.commands import CommandList, Team
from assay.train.fused.filtering import FIVE, SMALL, WIDE, Filtering
from assay.train.fused.weighted import WeightedOp

from .test_depthwise import fill, view

# Output channels and tiles that are accumulated at once, which are compiled in: some leave a rest, some none.
COMPILED = [(2, 1), (4, 3), (6, 4)]
CASES: list[tuple[Mode, Filtering]] = [("f", SMALL), ("f", WIDE), ("f", FIVE)]
if has_bfloat16():
    CASES.append(("b", SMALL))


@st.composite
def plans(draw: Any, filtering: Filtering) -> Weighted:
    """Pictures of any shape that has a tile, padded or not."""
    inputs, outputs = (draw(st.integers(25, 33)) for _ in range(2))
    taps, padding = filtering.taps, draw(st.integers(0, filtering.taps // 2))
    smallest = filtering.outputs + taps - 1 - 2 * padding
    shape = tuple(draw(st.integers(max(taps, smallest), 11)) for _ in range(2))
    height, width = (size + 2 * padding - taps + 1 for size in shape)
    return Weighted(
        "conv1", (taps, taps), 1, (*shape, inputs), (height, width, outputs), (padding,) * 4, "linear", 0.0,
        is_dense=False, is_depthwise=False,
    )  # fmt: skip


@pytest.mark.parametrize(("mode", "filtering"), CASES)
@settings(max_examples=20, deadline=None)
@given(data=st.data(), seed=st.integers(0, 1000), threads=st.sampled_from([1, 3]), blocking=st.sampled_from(COMPILED))
def test_it_is_the_convolution(
    mode: Mode, filtering: Filtering, data: st.DataObject, seed: int, threads: int, blocking: tuple[int, int]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(winograd, "choice", lambda *sizes, is_paired: filtering)
        patch.setattr(
            winograd, "blocking", lambda filtering, outputs, tiles, is_paired: (blocking[0], min(blocking[1], tiles))
        )
        assert_convolution(mode, filtering, data.draw(plans(filtering)), seed, threads)


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "filtering"), CASES)
@settings(max_examples=40, deadline=None)
@given(data=st.data(), seed=st.integers(0, 1000), threads=st.sampled_from([1, 3]))
def test_it_is_the_convolution_with_every_kernel(
    mode: Mode, filtering: Filtering, data: st.DataObject, seed: int, threads: int
) -> None:
    """With the blocking that is chosen for these shapes, each of which takes a while to compile."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(winograd, "choice", lambda *sizes, is_paired: filtering)
        assert_convolution(mode, filtering, data.draw(plans(filtering)), seed, threads)


def assert_convolution(mode: Mode, filtering: Filtering, plan: Weighted, seed: int, threads: int) -> None:
    """F(2, 3) exactly on whole numbers: pixels of 0 and 1, sparse kernels of 0 and 4, whose transforms bfloat16 holds.

    The others on normal numbers, by float32's accuracy: their transforms have thirds, and cancel factors of 8.
    """
    is_exact = filtering is SMALL
    rng = np.random.default_rng(seed)
    height, width, inputs = plan.inputs
    outputs, taps = plan.outputs[2], filtering.taps
    count = 35

    def pixels(*shape: int) -> torch.Tensor:
        drawn = rng.integers(0, 2, shape) if is_exact else rng.normal(size=shape)
        return torch.from_numpy(drawn.astype(np.float32))

    source = Buffer(*plan.inputs, mode, 3, *plan.margin)
    op = WeightedOp(plan, mode, source=source, is_first=False, is_last=False)
    images = pixels(count, inputs, height, width)
    shape = taps, taps, inputs, outputs
    drawn = 4 * (rng.random(shape) < 0.03) if is_exact else rng.normal(size=shape)
    kernel = torch.from_numpy(drawn.astype(np.float32))
    op.weights = kernel.numpy().reshape(-1)
    op.bias = rng.integers(-2, 3, outputs).astype(np.float32)
    fill(source, images)
    commands = CommandList()
    op.pack(commands, for_training=True)
    op.forward(commands, BatchInfo(count, 3, np.ones(48, np.float32)))
    given = pixels(count, outputs, *plan.outputs[:2])
    fill(op.dy, given)
    op.input_gradient.record(commands, BatchInfo(count, 3, np.ones(48, np.float32)))
    Team(threads).run(commands)

    above, below, before, after = plan.margin
    turned = kernel.permute(3, 2, 0, 1).double()
    expected = conv2d(pad(images.double(), (before, after, above, below)), turned)
    expected += torch.from_numpy(op.bias).double()[:, None, None]
    back = torch.nn.grad.conv2d_input(
        (count, inputs, height + above + below, width + before + after), turned, given.double()
    )[:, :, above : above + height, before : before + width]
    for ours, theirs in ((view(op.y)[:count, :outputs], expected), (view(op.dx)[:count, :inputs], back)):
        bound = 0 if is_exact else 5e-5 * theirs.std().item()
        assert np.abs(ours - theirs.numpy()).max() <= bound


@pytest.mark.parametrize(
    ("taps", "height", "width", "inputs", "outputs", "margins", "paired", "single"),
    [
        (3, 24, 24, 64, 64, (0, 0, 0, 0), SMALL, WIDE),
        (3, 3, 24, 64, 64, (0, 0, 0, 0), SMALL, SMALL),  # no tile of 4x4
        (3, 24, 24, 4, 8, (0, 0, 0, 0), None, None),  # transforms cost more than they save
        (3, 1, 24, 64, 64, (0, 0, 0, 0), None, None),  # no tile
        (3, 4, 4, 128, 128, (2, 2, 2, 2), None, None),  # in most places zeros
        (3, 12, 12, 64, 128, (2, 2, 2, 2), SMALL, WIDE),
        (5, 12, 12, 64, 64, (0, 0, 0, 0), None, FIVE),
        (7, 12, 12, 64, 64, (0, 0, 0, 0), None, None),
    ],
)
def test_tiles_are_chosen_where_they_save_work(
    taps: int, height: int, width: int, inputs: int, outputs: int, margins: tuple[int, int, int, int],
    paired: Filtering | None, single: Filtering | None,
) -> None:  # fmt: skip
    sizes = (taps, taps), height, width, inputs, outputs, margins
    assert winograd.choice(*sizes, is_paired=True) == paired
    assert winograd.choice(*sizes, is_paired=False) == single


@pytest.mark.parametrize("registers", [8, 32])
@pytest.mark.parametrize("filtering", [SMALL, WIDE])
def test_any_number_of_channels_and_tiles_has_sizes_that_fit(
    registers: int, filtering: Filtering, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assay.train.fused.vectors.REGISTERS", registers)
    monkeypatch.setattr("assay.train.fused.vectors.ACCUMULATORS", registers * 3 // 4)
    for is_paired in (False, True):
        for num_outputs in range(2, 40, 2):
            for num_tiles in range(1, 12):
                outputs, tiles = winograd.blocking(filtering, num_outputs, num_tiles, is_paired=is_paired)
                assert outputs <= num_outputs
                assert tiles <= num_tiles
                assert outputs * tiles + tiles + 1 <= registers  # sums, pixels and a weight
                assert not (is_paired and outputs % 2)
