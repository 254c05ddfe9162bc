"""Convolutions of each channel by itself against torch's, over shapes: whole numbers, so that every bit must agree."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.nn.functional import conv2d, pad

from assay.nets import same_padding
from assay.train.device import has_bfloat16
from assay.train.fused import depthwise
from assay.train.fused.blocks import Weighted
from assay.train.fused.buffers import BatchInfo, Buffer, Mode
from assay.train.fused.commands import CommandList, Team
from assay.train.fused.depthwise import DepthwiseOp

CASES: list[tuple[Mode, bool]] = [("f", False), ("b", False), ("b", True)][: 3 if has_bfloat16() else 1]
COMPILED = [((3, 3), 1, 1), ((4, 2), 1, 3), ((1, 3), 2, 2)]  # kernel, stride, multiplier


@st.composite
def plans(draw: Any) -> Weighted:
    """Few kernels and strides, which are compiled in; everything else as it comes."""
    kernel, stride, multiplier = draw(st.sampled_from(COMPILED))
    channels = draw(st.integers(2, 7))
    shape = draw(st.integers(kernel[0], 9)), draw(st.integers(kernel[1] + 2, 9))
    margins = [(0, 0), (0, 0)]
    if draw(st.booleans()):
        margins = [same_padding(size, taps, stride) for size, taps in zip(shape, kernel, strict=True)]
    height, width = (
        (size + sum(margin) - taps) // stride + 1 for size, taps, margin in zip(shape, kernel, margins, strict=True)
    )
    return Weighted(
        "depthwise1", kernel, stride, (*shape, channels), (height, width, channels * multiplier),
        (*margins[0], *margins[1]), "linear", 0.0, is_dense=False, is_depthwise=True,
    )  # fmt: skip


def view(grid: Buffer) -> np.ndarray:
    """What lies in a grid, without its margin: float32 [image, channel, height, width], for reading."""
    words = grid.data.reshape(grid.num_blocks, grid.full_height, grid.full_width, grid.vectors, 16)
    words = words[:, grid.top :, grid.left :][:, : grid.height, : grid.width]
    if grid.mode == "b":
        bits = words.view(np.uint32)
        words = np.stack([(bits << 16).view(np.float32), (bits & 0xFFFF0000).view(np.float32)], axis=4)
        words = words.reshape(*words.shape[:3], -1, 16)
    return words.transpose(0, 4, 3, 1, 2).reshape(-1, words.shape[3], grid.height, grid.width)


def fill(grid: Buffer, values: torch.Tensor) -> None:
    """The inverse of ``view``, of numbers that bfloat16 holds."""
    lanes = np.zeros((grid.num_blocks * 16, grid.stored_channels, grid.height, grid.width), np.float32)
    lanes[: len(values), : values.shape[1]] = values.numpy()
    lanes = lanes.reshape(grid.num_blocks, 16, grid.stored_channels, grid.height, grid.width).transpose(0, 3, 4, 2, 1)
    words = lanes
    if grid.mode == "b":
        bits = np.ascontiguousarray(lanes).view(np.uint32) >> 16
        words = (bits[:, :, :, ::2] | bits[:, :, :, 1::2] << 16).view(np.int32)
    target = grid.data.reshape(grid.num_blocks, grid.full_height, grid.full_width, grid.vectors, 16)
    target[:, grid.top : grid.top + grid.height, grid.left : grid.left + grid.width] = words


@pytest.mark.parametrize(("mode", "is_first"), CASES)
@given(plan=plans(), count=st.integers(1, 33), seed=st.integers(0, 9))
@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_three_products_are_torchs(mode: Mode, is_first: bool, plan: Weighted, count: int, seed: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(depthwise, "_POSITIONS", 2)  # or kernels for every width would be compiled
        top, bottom, left, right = plan.margin
        source = Buffer(*plan.inputs, "f" if is_first else mode, 3, top, bottom, left, right)
        op = DepthwiseOp(plan, mode, source=source, is_first=is_first, is_last=False)
    generator = torch.Generator().manual_seed(seed)

    def whole(*shape: int) -> torch.Tensor:
        return torch.randint(-2, 3, shape, generator=generator).float()

    x, d = whole(count, *plan.inputs[2:], *plan.inputs[:2]), whole(count, *plan.outputs[2:], *plan.outputs[:2])
    kernel, bias = whole(plan.outputs[2], 1, *plan.kernel), whole(plan.outputs[2])
    x.requires_grad_()
    kernel.requires_grad_()
    y = conv2d(pad(x, (left, right, top, bottom)), kernel, bias, plan.stride, groups=plan.inputs[2])
    y.backward(d)

    op.weights, op.bias = kernel.detach().permute(2, 3, 1, 0).reshape(-1).numpy(), bias.numpy()
    op.gradient = np.full(plan.size, np.nan, np.float32)
    fill(source, x.detach())
    fill(op.dy, d)
    commands, blocks = CommandList(), (count + 15) // 16
    batch = BatchInfo(count, blocks, np.ones(0, np.float32), is_training=True)
    op.pack(commands, for_training=True)
    op.forward(commands, batch)
    op.backward(commands, batch)
    Team(1).run(commands)
    np.testing.assert_array_equal(view(op.y)[:count, : plan.outputs[2]], y.detach().numpy())
    found = torch.from_numpy(op.gradient).reshape(*plan.kernel, 1, -1).permute(3, 2, 0, 1)
    assert torch.equal(found, kernel.grad)
    if is_first:
        assert not op.needs_dx
        return
    np.testing.assert_array_equal(view(op.dx)[:count, : plan.inputs[2]], x.grad.numpy())
    assert not view(op.dx)[:, plan.inputs[2] :].any()  # the padding of an odd number of channels
