"""Networks of one kind as one network, whose probabilities are the mean of theirs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from .build import Network
from .shapes import LayerSummary


def member_name(index: int) -> str:
    """What a member (from 0) is called, and what the names of its weights begin with."""
    return f"member{index + 1}"


class EnsembleNetwork(Network):
    """Networks behind the interface of ``Network``: scaled images in, logits out, whose softmax is the mean of theirs.

    Each is a submodule: ``network.get_submodule("member1.conv1")``.

    Args:
        members: Networks of one summary.
    """

    def __init__(self, members: Sequence[Network]) -> None:
        nn.Module.__init__(self)
        for index, member in enumerate(members):
            self.add_module(member_name(index), member)
        self.members = tuple(members)
        self.summary = replace(members[0].summary, members=len(members))
        self.frozen_names = frozenset(
            f"{member_name(index)}.{name}" for index, member in enumerate(members) for name in member.frozen_names
        )

    def open(self, epoch: int) -> None:
        for member in self.members:
            member.open(epoch)

    def train(self, mode: bool = True) -> EnsembleNetwork:
        self.training = mode
        for member in self.members:
            member.train(mode)
        return self

    def state(self) -> dict[str, Tensor]:
        return {
            f"{member_name(index)}.{name}": value
            for index, member in enumerate(self.members)
            for name, value in member.state().items()
        }

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        for index, member in enumerate(self.members):
            prefix = f"{member_name(index)}."
            own = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
            member.load(own)

    def fixed_rows(self) -> tuple[LayerSummary, ...]:
        return self.members[0].fixed_rows()

    def features(self, images: Tensor) -> Tensor:
        """What the frozen base puts out that all members stand on."""
        return self.members[0].features(images)

    def answers(self, features: Tensor) -> Tensor:
        return _together([member.answers(features) for member in self.members])

    def forward(self, images: Tensor) -> Tensor:
        """Logarithms of the mean probabilities (batch, classes)."""
        return _together([member(images) for member in self.members])

    def set_step(self, step: int) -> None:
        for member in self.members:
            member.set_step(step)


def members_of(network: Network) -> tuple[Network, ...]:
    """The networks that an ensemble is made of; a network that is none, alone."""
    return network.members if isinstance(network, EnsembleNetwork) else (network,)


def _together(logits: Sequence[Tensor]) -> Tensor:
    logs = torch.stack([torch.log_softmax(one, 1) for one in logits])
    return torch.logsumexp(logs, 0) - math.log(len(logits))
