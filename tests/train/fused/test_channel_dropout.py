"""Dropout of whole channels drops what the plain path drops, forward and backward, on any number of threads."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from assay.nets.masks import keep_mask
from assay.seeds import Streams
from assay.train.device import has_bfloat16
from assay.train.fused.blocks import ChannelDropout
from assay.train.fused.buffers import BatchInfo, Buffer, Mode
from assay.train.fused.channel_dropout import ChannelDropoutOp
from assay.train.fused.commands import CommandList, Team

from .test_depthwise import fill, view

MODES: list[Mode] = ["f", "b"] if has_bfloat16() else ["f"]
STREAMS, STEP, COUNT, RATE = Streams(3), 7, 37, 0.5  # at this rate the factor, 2, is exact in bfloat16


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("channels", [4, 5])
@pytest.mark.parametrize("threads", [1, 3])
def test_whole_channels_are_dropped_as_on_the_plain_path(mode: Mode, channels: int, threads: int) -> None:
    shape = (3, 2, channels)
    source, dz, dy = (Buffer(*shape, mode, 3) for _ in range(3))
    target = Buffer(*shape, mode, 3, 1, 2, 0, 1)
    op = ChannelDropoutOp(ChannelDropout(shape, RATE, 1), source=source, target=target, dz=dz, streams=STREAMS)
    values = torch.from_numpy(np.random.default_rng(0).integers(1, 9, (COUNT, channels, 3, 2)).astype(np.float32))
    fill(source, values)
    fill(dz, values.flip(0))
    batch = BatchInfo(COUNT, 3, np.ones(48, np.float32), is_training=True)
    commands, team = CommandList(), Team(threads)
    op.set_step(STEP)
    op.forward(commands, batch)
    op.backward(commands, batch, dy=dy)
    for _ in range(3):  # the first runs of a list are by one thread
        team.run(commands)

    kept = keep_mask(STREAMS.key("dropout", 1, STEP), COUNT * channels, RATE).reshape(COUNT, channels, 1, 1)
    assert 0 < kept.mean() < 1
    assert np.array_equal(view(target)[:COUNT, :channels], values.numpy() * kept * 2)
    assert np.array_equal(view(dy)[:COUNT, :channels], values.flip(0).numpy() * kept * 2)
    assert np.count_nonzero(target.data) == np.count_nonzero(view_words(target))  # the margin stays zero


def view_words(buffer: Buffer) -> np.ndarray:
    """The words of a buffer without its margin."""
    words = buffer.data.reshape(buffer.num_blocks, buffer.full_height, buffer.full_width, -1)
    return words[:, buffer.top :, buffer.left :][:, : buffer.height, : buffer.width]


@pytest.mark.parametrize("mode", MODES)
def test_evaluation_drops_nothing(mode: Mode) -> None:
    shape = (3, 2, 5)
    source, target, dz = (Buffer(*shape, mode, 1) for _ in range(3))
    op = ChannelDropoutOp(ChannelDropout(shape, RATE, 0), source=source, target=target, dz=dz, streams=STREAMS)
    fill(source, torch.arange(16 * 30, dtype=torch.float32).reshape(16, 5, 3, 2) % 100)
    commands = CommandList()
    op.forward(commands, BatchInfo(16, 1, np.ones(16, np.float32)))
    Team(1).run(commands)
    assert np.array_equal(target.data, source.data)
