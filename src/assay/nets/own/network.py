"""A module of one's own as a run's network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...seeds import Streams
from ..build import Network
from ..shapes import LayerSummary, Summary
from .construct import constructed, torch_seeded
from .description import ROOT, OwnModule
from .permission import located

_SMALLEST = 1e-7  # a probability below it counts as this, as with Keras


class OwnNetwork(Network):
    """The user's module behind the interface of ``Network``: scaled images in, logits out.

    Weights go by the module's own names. While it trains, torch's global generator is seeded anew for every step by
    the run's ``dropout`` stream, and left as it was: dropout draws the same masks in a resumed run.

    Args:
        summary: Of the module (``nets.own.summary``).
        streams: Of the run: ``init`` seeds the constructor, ``dropout`` every training step.
    """

    def __init__(self, summary: Summary, streams: Streams) -> None:
        nn.Module.__init__(self)
        assert summary.own is not None
        self.summary, self.own = summary, summary.own
        self.frozen_names = frozenset()
        self.streams, self.step, self.rounds = streams, 0, False
        call = self.own.call
        self.module = constructed(located(call), call, summary.input_shape, streams.key("init"))
        if self.own.is_channels_last:
            lay_out(self.module, is_channels_last=True)

    def open(self, epoch: int) -> None:
        """All that trains trains in every epoch."""

    def train(self, mode: bool = True) -> OwnNetwork:
        nn.Module.train(self, mode)
        return self

    def get_submodule(self, target: str) -> nn.Module:
        """A submodule by the name of its row, which is the one that it has in the user's module."""
        if not target:
            return self
        return self.module if target == ROOT else self.module.get_submodule(target)

    def state(self) -> dict[str, Tensor]:
        return dict(self.module.state_dict())

    @torch.no_grad()
    def load(self, tensors: Mapping[str, Tensor]) -> None:
        for name, value in self.state().items():
            value.copy_(tensors[name])

    def fixed_rows(self) -> tuple[LayerSummary, ...]:
        return ()

    def forward(self, images: Tensor) -> Tensor:
        if not self.training:
            return logits_of(self.module, images, self.own, rounds=self.rounds)
        with torch_seeded(self.streams.key("dropout", 0, self.step)):
            return logits_of(self.module, images, self.own, rounds=self.rounds)

    def set_step(self, step: int) -> None:
        self.step = step

    def dropout_keys(self, step: int) -> NDArray[np.int64]:
        return np.zeros((0, 2), np.int64)

    def penalty(self) -> Tensor | None:
        return None


def lay_out(module: nn.Module, *, is_channels_last: bool) -> None:
    """Put a module's kernels into one memory order or the other."""
    layout = torch.channels_last if is_channels_last else torch.contiguous_format
    module.to(memory_format=layout)  # type: ignore[call-overload]


def logits_of(module: nn.Module, images: Tensor, own: OwnModule, *, rounds: bool = False) -> Tensor:
    """What a module makes of images, as float32 logits [batch, classes].

    Args:
        module: The user's.
        images: float32 [batch, channels, height, width].
        own: How it computes and what it puts out.
        rounds: Compute in bfloat16, by torch's autocast.
    """
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=rounds):
        scores: Any = module(_laid_out(images, is_channels_last=own.is_channels_last))
    values: Tensor = scores.float()
    return values.clamp_min(_SMALLEST).log() if own.output == "probabilities" else values


def _laid_out(images: Tensor, *, is_channels_last: bool) -> Tensor:
    """A copy of the images, which the module may change, in one memory order or the other with its very strides.

    Where an axis has size 1 a tensor counts as laid out either way, and torch's convolutions go by the strides.
    """
    if not is_channels_last:
        return images.contiguous().reshape(-1).clone().view(images.shape)
    last = images.permute(0, 2, 3, 1)
    return last.contiguous().reshape(-1).clone().view(last.shape).permute(0, 3, 1, 2)


def network_from(summary: Summary, streams: Streams) -> Network:
    """The network of a summary with its initial weights: of layer words, or a module of one's own."""
    return OwnNetwork(summary, streams) if summary.own is not None else Network(summary, streams)
