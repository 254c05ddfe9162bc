"""All trainable parameters of a network as one flat vector."""

from __future__ import annotations

import torch
from torch import nn


class FlatParameters:
    """Moves a network's parameters into one float32 vector, and their gradients into another.

    The network's parameters become views of ``values``, so that an optimizer step is a handful of operations on
    whole vectors, however many layers there are. Memory layout (such as channels-last kernels) is kept.
    """

    def __init__(self, network: nn.Module) -> None:
        parameters = list(network.parameters())
        size = sum(parameter.numel() for parameter in parameters)
        self.values = torch.empty(size)
        self.gradients = torch.zeros(size)
        offset = 0
        for parameter in parameters:
            layout = (parameter.shape, parameter.stride(), offset)
            view = torch.as_strided(self.values, *layout)
            view.copy_(parameter.detach())
            parameter.data = view
            parameter.grad = torch.as_strided(self.gradients, *layout)
            offset += parameter.numel()

    def clear_gradients(self) -> None:
        self.gradients.zero_()
