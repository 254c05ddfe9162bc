"""From layers to a torch network with its initial weights."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

import torch
from torch import Tensor, nn

from ..seeds import Streams
from . import layers as words
from . import modules
from .effects import Image
from .layers import Layer
from .shapes import LayerSummary, Summary, summarize


class Network(nn.Module):
    """A chain of layers, each a submodule under its summary's name: ``network.get_submodule("conv1")``.

    Parameters are ``conv1.kernel`` (filters, channels, height, width), ``dense1.kernel`` (units, inputs), ``.bias``,
    ``batchnorm1.gamma`` and ``.beta``; buffers are ``batchnorm1.moving_mean`` and ``.moving_variance``.

    Args:
        summary: Of the layers that it is made of.
        streams: Of the run: ``init`` draws the kernels, ``dropout`` the masks.
    """

    def __init__(self, summary: Summary, streams: Streams) -> None:
        super().__init__()
        self.summary = summary
        kernel_ordinals, dropout_ordinals = count(), count()
        for row in summary.layers:
            self.add_module(row.name, _module(row, streams, kernel_ordinals, dropout_ordinals))

    def forward(self, images: Tensor) -> Tensor:
        """Logits, (batch, classes): the final softmax is left to the loss.

        Args:
            images: (batch, channel, height, width), float32, best in ``torch.channels_last`` memory.
        """
        values = images
        for module in self.children():
            values = module(values)
        return values

    def set_step(self, step: int) -> None:
        """Say which step comes next, counted from 0 over the whole run; it chooses the dropout masks."""
        for module in self.children():
            if isinstance(module, modules.Dropout):
                module.step = step

    def penalty(self) -> Tensor | None:
        """What the layers' ``l2`` adds to the loss: the sum of l2 * sum(kernel**2), or None if no layer has one."""
        terms = [
            module.layer.l2 * module.kernel.square().sum()
            for module in self.children()
            if isinstance(module, modules.Conv | modules.Dense) and module.layer.l2 > 0
        ]
        return torch.stack(terms).sum() if terms else None


def build(layers: Sequence[Layer], input_shape: Image, num_classes: int, streams: Streams) -> Network:
    """The network that these layers describe, with its initial weights, on the CPU and in training mode.

    Kernels are Glorot-uniform, biases zero. A kernel depends only on the ``init`` stream, its shape, and its ordinal
    among layers with kernels: adding batch normalization or dropout moves no other layer's weights.

    Args:
        layers: As ``parse`` returns them.
        input_shape: (height, width, channels) of one image.
        num_classes: What ``dense classes`` stands for.
        streams: Of the run.

    Raises:
        SpecError: The layers break a rule of ``summarize``.
    """
    return Network(summarize(layers, input_shape, num_classes), streams)


def _module(row: LayerSummary, streams: Streams, kernels: count[int], dropouts: count[int]) -> nn.Module:
    match row.layer:
        case words.Conv() as layer:
            return modules.Conv(layer, row.input_shape[-1], streams.generator("init", next(kernels)))
        case words.Dense() as layer:
            (inputs,), (units,) = row.input_shape[:1], row.output_shape[:1]
            return modules.Dense(layer, inputs, units, streams.generator("init", next(kernels)))
        case words.BatchNorm() as layer:
            return modules.BatchNorm(layer, row.input_shape[-1])
        case words.MaxPool() as layer:
            return modules.MaxPool(layer)
        case words.Dropout() as layer:
            return modules.Dropout(layer, next(dropouts), streams)
        case words.Flatten() as layer:
            return modules.Flatten(layer)
    raise NotImplementedError(type(row.layer).__name__)
