"""From layers to a torch network with its initial weights."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..seeds import Streams
from . import layers as words
from . import modules, norms
from .blocks import Node
from .effects import Image
from .masks import halves
from .shapes import LayerSummary, Summary, summarize


class Network(nn.Module):
    """Layers, each a submodule under its summary's name, those in blocks too: ``network.get_submodule("conv1")``.

    Parameters are ``conv1.kernel`` (filters, channels / groups, height, width), ``depthwise1.kernel``,
    ``separable1.depthwise_kernel`` and ``.pointwise_kernel``, ``dense1.kernel`` (units, inputs), ``.bias``,
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
        last_use = {name: index for index, row in enumerate(summary.layers) for name in row.inputs}
        self._plan = [
            (module, row.name, row.inputs, [name for name in dict.fromkeys(row.inputs) if last_use[name] == index])
            for index, (module, row) in enumerate(zip(self.children(), summary.layers, strict=True))
        ]

    def forward(self, images: Tensor) -> Tensor:
        """Logits, (batch, classes): the final softmax is left to the loss.

        Args:
            images: (batch, channel, height, width), float32, best in ``torch.channels_last`` memory.
        """
        values, name = {"": images}, ""
        for module, name, inputs, no_longer_needed in self._plan:
            values[name] = module(*(values[source] for source in inputs))
            for source in no_longer_needed:
                del values[source]
        return values[name]

    def _repr_html_(self) -> str:
        return self.summary._repr_html_()

    def set_step(self, step: int) -> None:
        """Say which step comes next, counted from 0 over the whole run; it chooses the dropout masks."""
        for module in self._dropouts():
            module.step = step

    def dropout_keys(self, step: int) -> NDArray[np.int64]:
        """The halves of every dropout layer's key at a step [dropout layers, 2]."""
        keys = [halves(module.streams.key("dropout", module.ordinal, step)) for module in self._dropouts()]
        return np.array(keys, np.int64).reshape(-1, 2)

    def set_dropout_keys(self, keys: Tensor) -> None:
        """Take the masks of these keys from now on, as ``dropout_keys`` has them, instead of those of ``set_step``."""
        for module in self._dropouts():
            module.key = keys[module.ordinal]

    def _dropouts(self) -> list[modules.Dropout]:
        return [module for module in self.children() if isinstance(module, modules.Dropout)]

    def penalty(self) -> Tensor | None:
        """What the layers' ``l1`` and ``l2`` add to the loss: the sum over kernels of l1 * sum(abs(kernel)) and
        l2 * sum(kernel**2), or None if no layer has one."""
        weighted = (module for module in self.children() if isinstance(module, modules.Weighted))
        terms = [term for module in weighted for term in module.penalties()]
        return torch.stack(terms).sum() if terms else None


def build(layers: Sequence[Node], input_shape: Image, num_classes: int, streams: Streams) -> Network:
    """The network that these layers describe, with its initial weights, on the CPU and in training mode.

    Kernels are Glorot-uniform, biases zero. A kernel depends only on the ``init`` stream, its shape, and its ordinal
    among kernels (a separable convolution has two): adding batch normalization or dropout moves no other's weights.

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
    def generator() -> np.random.Generator:
        return streams.generator("init", next(kernels))

    channels = row.input_shape[-1]
    match row.layer:
        case words.Conv() as layer:
            return modules.Conv(layer, channels, generator())
        case words.Depthwise() as layer:
            return modules.Depthwise(layer, channels, generator())
        case words.Separable() as layer:
            return modules.Separable(layer, channels, generator(), generator())
        case words.Dense() as layer:
            return modules.Dense(layer, channels, row.output_shape[-1], generator())
        case words.BatchNorm() as layer:
            return norms.BatchNorm(layer, channels)
        case words.LayerNorm() as layer:
            return norms.LayerNorm(layer, channels)
        case words.GroupNorm() | words.InstanceNorm() as layer:
            return norms.GroupNorm(layer, channels)
        case words.MaxPool() as layer:
            return modules.MaxPool(layer)
        case words.AvgPool() as layer:
            return modules.AvgPool(layer)
        case words.GlobalMaxPool() | words.GlobalAvgPool() as layer:
            return modules.GlobalPool(layer)
        case words.Dropout() as layer:
            return modules.Dropout(layer, next(dropouts), streams)
        case words.SpatialDropout() as layer:
            return modules.SpatialDropout(layer, next(dropouts), streams)
        case words.Flatten() as layer:
            return modules.Flatten(layer)
        case words.Activate() as layer:
            return modules.Activate(layer)
        case words.Add() as layer:
            return modules.Add(layer)
        case words.Concatenate() as layer:
            return modules.Concatenate(layer)
    raise NotImplementedError(type(row.layer).__name__)
