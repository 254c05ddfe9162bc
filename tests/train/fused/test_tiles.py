"""Products of tiles: what an instruction does, and that layers made of them are torch's, exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import conv2d, pad
from torch.nn.grad import conv2d_input, conv2d_weight

from assay.train.device import kernels_round
from assay.train.fused import tile_gradients, tiles
from assay.train.fused.blocks import Weighted
from assay.train.fused.buffers import BatchInfo, Buffer
from assay.train.fused.commands import CommandList, Team
from assay.train.fused.compiler import compiled
from assay.train.fused.tiles import How
from assay.train.fused.weighted import WeightedOp

from .test_depthwise import fill, view

pytestmark = pytest.mark.skipif(not kernels_round(), reason="this processor does not multiply bfloat16")
# Written in loops everywhere, and by the processor where it can.
WAYS: list[How] = ["emulated", "amx"] if tiles.how() == "amx" else ["emulated"]


def words_of(pairs: np.ndarray) -> np.ndarray:
    """float32 [..., 2] as pairs of bfloat16, int32 [...]."""
    halves = torch.from_numpy(pairs.astype(np.float32)).bfloat16().view(torch.int16).numpy().view(np.uint16)
    return np.ascontiguousarray(halves).view(np.int32)[..., 0]


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize(("outputs", "depth"), [(16, 16), (6, 16), (16, 5), (2, 1)])
def test_a_product_adds_to_every_sum_the_products_of_its_row_and_column(how: How, outputs: int, depth: int) -> None:
    rng = np.random.default_rng(0)
    weights, values = rng.normal(size=(outputs, depth, 2)), rng.normal(size=(depth, 16, 2))
    factors, pixels = (torch.from_numpy(drawn).bfloat16().double().numpy() for drawn in (weights, values))
    step = tiles.products(1, 1, pixels=["b, 0, 16"], factors=[f"a, 0, {depth}"], indent=" " * 4)
    body = f"""    tiles = np.empty({tiles.SCRATCH}, np.uint32)
    tile_configure(tiles, config)
{tiles.zeros(1, " " * 4)}{step}{step}    tile_store(tiles, 0, sums, 0, 16)
    tile_release(tiles)
"""
    kernel = compiled("product", "a[] b[] sums[] config[long]", body, **tiles.operations(how))
    sums = np.full((16, 16), np.nan, np.float32)
    kernel(0, 1, words_of(weights), words_of(values), sums, tiles.configuration(outputs, depth))
    expected = 2 * np.einsum("okh,knh->on", factors, pixels)
    np.testing.assert_allclose(sums[:outputs], expected, rtol=0, atol=2e-6 * depth)
    assert np.isnan(sums[outputs:]).all()  # rows that the configuration leaves out


def stored(grid: Buffer, count: int, channels: int) -> Tensor:
    """What lies in a grid: float32 [count, channels, height, width]."""
    return torch.from_numpy(np.ascontiguousarray(view(grid)[:count, :channels]))


@st.composite
def plans(draw: Any) -> Weighted:
    """Convolutions whose channels fill a tile, leave most of it empty or need several."""
    inputs, outputs = (draw(st.sampled_from([1, 2, 3, 8, 13, 16, 20, 40])) for _ in range(2))
    kernel = tuple(draw(st.integers(1, 5)) for _ in range(2))
    stride = draw(st.integers(1, 2))
    margin = tuple(draw(st.integers(0, side // 2)) for side in kernel for _ in range(2))
    shape = tuple(draw(st.integers(size, 9)) for size in kernel)
    height = (shape[0] + margin[0] + margin[1] - kernel[0]) // stride + 1
    width = (shape[1] + margin[2] + margin[3] - kernel[1]) // stride + 1
    return Weighted(
        "conv1", kernel, stride, (*shape, inputs), (height, width, outputs), margin, "linear", 0.0, is_dense=False
    )


def compute(op: WeightedOp, images: Tensor, dy: Tensor, kernel: Tensor, bias: Tensor, threads: int) -> None:
    """Forward and backward of a batch; lanes without an image hold what an earlier, larger batch has left."""
    count, blocks = len(images), -(-len(images) // 16)
    left = torch.full((16 * op.x.num_blocks - count, *images.shape[1:]), 3.0)
    fill(op.x, torch.cat([images, left]))
    fill(op.dy, dy)
    op.weights = op.trained = np.ascontiguousarray(kernel.permute(2, 3, 1, 0)).ravel()
    op.bias = bias.numpy()
    op.gradient = np.full(op.plan.size, np.nan, np.float32)
    commands, batch = CommandList(), BatchInfo(count, blocks, np.ones(16 * blocks, np.float32))
    op.pack(commands, for_training=True)
    op.forward(commands, batch)
    op.backward(commands, batch)
    Team(threads).run(commands)


@pytest.mark.parametrize("how", WAYS)
@settings(max_examples=40, deadline=None)
@given(
    plan=plans(), count=st.integers(1, 50), threads=st.sampled_from([1, 3]), is_first=st.booleans(),
    band=st.sampled_from([1, 768]), seed=st.integers(0, 1000),
)  # fmt: skip
def test_a_convolution_and_its_gradients_are_torchs(
    how: How, plan: Weighted, count: int, threads: int, is_first: bool, band: int, seed: int
) -> None:
    """Sums of small whole numbers are exact; what is stored is rounded once."""
    rng = np.random.default_rng(seed)
    height, width, inputs = plan.inputs
    outputs = plan.outputs[2]

    def drawn(*shape: int) -> Tensor:
        return torch.from_numpy(rng.integers(-2, 3, shape).astype(np.float32))

    images, given_dy = drawn(count, inputs, height, width), drawn(count, outputs, *plan.outputs[:2])
    kernel, bias = drawn(outputs, inputs, *plan.kernel), drawn(outputs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiles, "how", lambda: how)
        patch.setattr(tile_gradients, "_BAND_TILES", band)
        source = Buffer(*plan.inputs, "f" if is_first else "b", 4, *plan.margin)
        op = WeightedOp(plan, "b", source=source, is_first=is_first, is_last=False)
        assert op.tiled_gradient is not None
        compute(op, images, given_dy, kernel, bias, threads)
    above, below, before, after = plan.margin
    padded = pad(images, (before, after, above, below))
    assert torch.equal(stored(op.y, count, outputs), conv2d(padded, kernel, bias, plan.stride).bfloat16().float())
    expected = conv2d_weight(padded, kernel.shape, given_dy, plan.stride).permute(2, 3, 1, 0)
    assert np.array_equal(op.gradient.reshape(expected.shape), expected.numpy())
    if not is_first:
        whole = conv2d_input(padded.shape, kernel, given_dy, plan.stride)
        inside = whole[:, :, above : above + height, before : before + width]
        assert torch.equal(stored(op.dx, count, inputs), inside.bfloat16().float())


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("shape", [(1, 1, 5), (1, 1, 64), (3, 2, 7), (4, 5, 16)])
@pytest.mark.parametrize(("outputs", "count", "threads"), [(10, 17, 1), (7, 70, 3), (50, 128, 2)])
def test_a_dense_layer_and_its_gradients_are_torchs(
    how: How, shape: tuple[int, int, int], outputs: int, count: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiles, "how", lambda: how)
    rng = np.random.default_rng(0)
    height, width, channels = shape
    plan = Weighted("dense1", (height, width), 1, shape, (1, 1, outputs), (0,) * 4, "relu", 0.0, is_dense=True)
    op = WeightedOp(plan, "b", source=Buffer(*shape, "b", 9), is_first=False, is_last=False)
    images, given_dy, kernel, bias = (
        torch.from_numpy(rng.integers(-2, 3, size).astype(np.float32))
        for size in (
            (count, channels, height, width),
            (count, outputs, 1, 1),
            (outputs, channels, height, width),
            outputs,
        )
    )
    compute(op, images, given_dy, kernel, bias, threads)
    expected = conv2d(images, kernel, bias).relu().bfloat16().float()
    assert torch.equal(stored(op.y, count, outputs), expected)
    weights = conv2d_weight(images, kernel.shape, given_dy).permute(2, 3, 1, 0)
    assert np.array_equal(op.gradient.reshape(weights.shape), weights.numpy())
    assert torch.equal(stored(op.dx, count, channels), conv2d_input(images.shape, kernel, given_dy).bfloat16().float())
