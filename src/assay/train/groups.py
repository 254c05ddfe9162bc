"""Parameter groups: parts of the flat vector with learning rates and first epochs of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from .. import spec
from ..nets import Summary
from .optimizers import Number, Optimizer


@dataclass(frozen=True)
class Group:
    """Neighbouring parameters.

    Args:
        part: Where they stand in the flat vector.
        scale: What the learning rate is multiplied by.
        first_epoch: The epoch (from 1) from which on they are updated.
    """

    part: slice
    scale: float
    first_epoch: int


def groups_of(summary: Summary, slices: dict[str, slice]) -> tuple[Group, ...]:
    """A network's groups: each trained block of its base, and its own layers; none without a base that trains.

    Args:
        summary: The network.
        slices: Where each trained parameter stands, by name such as ``base_conv1.kernel``, in the network's order.
    """
    base = summary.base
    if base is None:
        return ()
    names = [name for name, _ in base.blocks]
    block_of = {row.name: row.block for row in summary.layers}
    groups: list[Group] = []
    for name, part in slices.items():
        block = block_of[name.split(".")[0]]
        index = names.index(block) if block else None
        scale, first = (1.0, 1) if index is None else (base.scales[index], base.first_epochs[index])
        if groups and (groups[-1].scale, groups[-1].first_epoch) == (scale, first):
            groups[-1] = Group(slice(groups[-1].part.start, part.stop), scale, first)
        else:
            groups.append(Group(part, scale, first))
    return tuple(groups)


class Grouped(Optimizer):
    """An optimizer for each group; a group's own steps count from the epoch in which it begins.

    Args:
        make: Makes an optimizer for a part of the vector: the values, and where they stand.
        settings: The optimizer's.
        values: All parameters.
        groups: They cover ``values``.
    """

    def __init__(
        self,
        make: Callable[[spec.Optimizer, Tensor, slice], Optimizer],
        settings: spec.Optimizer,
        values: Tensor,
        groups: Sequence[Group],
    ) -> None:
        super().__init__(settings, values)
        self.groups = tuple(groups)
        self.parts = tuple(make(settings, values[group.part], group.part) for group in groups)
        for group, part in zip(self.groups, self.parts, strict=True):
            part.state = {name: vector[group.part] for name, vector in self.state.items()}
        self._first_steps: list[int | None] = []
        self.begin_epoch(1, 1)

    def begin_epoch(self, epoch: int, steps_per_epoch: int) -> None:
        begins = [(group.first_epoch - 1) * steps_per_epoch for group in self.groups]
        opened = [group.first_epoch <= epoch for group in self.groups]
        self._first_steps = [first if is_open else None for first, is_open in zip(begins, opened, strict=True)]

    def step(self, gradients: Tensor, learning_rate: Number, step: Number) -> None:
        for group, part, first in zip(self.groups, self.parts, self._first_steps, strict=True):
            if first is not None:
                part.step(gradients[group.part], learning_rate * group.scale, step - first)
