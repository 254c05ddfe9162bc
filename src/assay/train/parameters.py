"""Keeps all trainable parameters of a torch network in one flat vector."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..nets import Summary
from .muon import Matrix, matrices_in, matrices_of


class FlatParameters:
    """Moves a network's parameters that train into one float32 vector, and their gradients into another.

    The network's parameters become views of ``values``, so that an optimizer step is one pass over whole vectors,
    however many layers there are. Memory layout (such as channels-last kernels) is kept.
    """

    def __init__(self, network: nn.Module) -> None:
        parameters = {name: value for name, value in network.named_parameters() if value.requires_grad}
        size = sum(parameter.numel() for parameter in parameters.values())
        device = next(iter(parameters.values())).device
        self.values = torch.empty(size, device=device)
        self.gradients = torch.zeros(size, device=device)
        self._layouts: dict[str, tuple[torch.Size, tuple[int, ...], int]] = {}
        offset = 0
        for name, parameter in parameters.items():
            self._layouts[name] = (parameter.shape, parameter.stride(), offset)
            offset += parameter.numel()
        values, gradients = self.split(self.values), self.split(self.gradients)
        for name, parameter in parameters.items():
            values[name].copy_(parameter.detach())
            parameter.data = values[name]
            parameter.grad = gradients[name]

    def split(self, vector: Tensor) -> dict[str, Tensor]:
        """Views of a flat vector by parameter, each in its parameter's shape; of several [n, size], n of each."""
        lead, steps = vector.shape[:-1], vector.stride()[:-1]
        return {
            name: torch.as_strided(vector, (*lead, *shape), (*steps, *stride), offset)
            for name, (shape, stride, offset) in self._layouts.items()
        }

    def join(self, tensors: dict[str, Tensor]) -> Tensor:
        """A flat vector from tensors by parameter: the inverse of ``split``."""
        vector = torch.empty_like(self.values)
        for name, view in self.split(vector).items():
            view.copy_(tensors[name])
        return vector

    def named_slices(self) -> dict[str, slice]:
        """The slice of each parameter in a flat vector, by name."""
        return dict(zip(self._layouts, self.slices(), strict=True))

    def slices(self) -> list[slice]:
        """The slice of each parameter in a flat vector."""
        return [slice(offset, offset + shape.numel()) for shape, _, offset in self._layouts.values()]

    def matrices(self, summary: Summary) -> tuple[Matrix, ...]:
        """The kernels that Muon updates."""
        if summary.own is not None:
            return matrices_in({name: shape for name, (shape, _, _) in self._layouts.items()}, self.named_slices())
        return matrices_of(summary, self.named_slices(), has_outputs_first=True)

    def clear_gradients(self) -> None:
        self.gradients.zero_()
