"""The trainable torch network of a summary, with its initial weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..seeds import Streams
from ..spec.quantization import Quantization
from . import norms
from .blocks import Node
from .effects import Image
from .fixed_point import coding_for, roundings_of
from .layers import Flatten
from .masks import halves
from .modules import MODULES, Activate, Add, Draws, Dropout
from .quantizer import LayerRounds, Scales
from .shapes import LayerSummary, Summary, summarize
from .weighted import Weighted

ALL = 10**9  # an epoch in which everything trains that ever does


class Network(nn.Module):
    """Layers, each a submodule under its summary's name, those in blocks too: ``network.get_submodule("conv1")``.

    One that is trained in whole numbers has a buffer ``scales.ranges`` besides, how large its values are.

    Parameters are ``conv1.kernel`` (filters, channels / groups, height, width), ``depthwise1.kernel``,
    ``separable1.depthwise_kernel`` and ``.pointwise_kernel``, ``dense1.kernel`` (units, inputs), ``.bias``,
    ``batchnorm1.gamma`` and ``.beta``; buffers are ``batchnorm1.moving_mean`` and ``.moving_variance``.

    On a base, layers of blocks that never train have parameters without gradients and are always in evaluation mode;
    ``open`` says which of the others train.

    Args:
        summary: Of the layers that it is made of.
        streams: Of the run: ``init`` draws the kernels, ``dropout`` the masks. A base's kernels are drawn apart: the
            head's are the same on any base.
    """

    def __init__(self, summary: Summary, streams: Streams) -> None:
        super().__init__()
        self.summary = summary
        dropouts = count()
        head = Draws(streams, ((place,) for place in count()), dropouts)
        base = Draws(streams, ((0, place) for place in count()), dropouts)
        for row in summary.layers:
            self.add_module(row.name, MODULES[row](row.layer, row, base if row.block else head))
        last_use = {name: index for index, row in enumerate(summary.layers) for name in row.inputs}
        self._plan = [
            (module, row.name, row.inputs, [name for name in dict.fromkeys(row.inputs) if last_use[name] == index])
            for index, (module, row) in enumerate(zip(self.children(), summary.layers, strict=True))
        ]
        self._rounds: dict[str, LayerRounds] = {}
        if summary.quantization is not None:
            self._quantize(summary, summary.quantization)
        self._num_fixed = _num_fixed(summary)
        self._still: list[nn.Module] = []
        frozen = summary.base.frozen if summary.base is not None else ()
        self.frozen_names = frozenset(
            f"{row.name}.{name}"
            for row in summary.layers
            if row.block in frozen
            for name in self.get_submodule(row.name).state_dict()
        )
        for row in summary.layers:
            if row.block in frozen:
                self.get_submodule(row.name).requires_grad_(False)

    def _quantize(self, summary: Summary, quantization: Quantization) -> None:
        """Let every layer compute in whole numbers."""
        roundings = roundings_of(summary)
        self.scales = Scales(roundings)
        self._rounds = {name: LayerRounds(one, self.scales) for name, one in roundings.layers.items()}
        for row in summary.layers:
            module = self.get_submodule(row.name)
            if isinstance(module, Weighted):
                module.coding = coding_for(quantization.bits_of(row.name))
                module.powers_of_two = quantization.powers_of_two
            if isinstance(module, Weighted | Activate | Add):
                module.rounds = self._rounds.get(row.name)

    def open(self, epoch: int) -> None:
        """Let those blocks of the base train that do from this epoch (counted from 1) on, and no others."""
        base = self.summary.base
        if base is None:
            return
        first = dict(zip((name for name, _ in base.blocks), base.first_epochs, strict=True))
        self._still = []
        for row in self.summary.layers:
            if not row.block:
                continue
            module, trains = self.get_submodule(row.name), 0 < first[row.block] <= epoch
            module.requires_grad_(trains)
            if getattr(row.layer, "fixed", False):
                module.get_parameter("kernel").requires_grad_(False)
            if not trains or (base.keeps_statistics and isinstance(module, norms.BatchNorm)):
                self._still.append(module)
        self.train(self.training)

    def train(self, mode: bool = True) -> Network:
        """As torch's, but what is frozen stays in evaluation mode."""
        super().train(mode)
        for module in self._still if mode else ():
            module.eval()
        return self

    def state(self) -> dict[str, Tensor]:
        """Parameters and moving statistics, without those that never train: what a run leaves behind."""
        return {name: value for name, value in self.state_dict().items() if name not in self.frozen_names}

    @torch.no_grad()
    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over a ``state``. What never trains is left as it is.

        Raises:
            KeyError: Something else is missing.
        """
        for name, value in self.state().items():
            value.copy_(tensors[name])

    def fixed_rows(self) -> tuple[LayerSummary, ...]:
        """The layers that ``features`` computes."""
        return self.summary.layers[: self._num_fixed]

    def features(self, images: Tensor) -> Tensor:
        """What a frozen base puts out, with the pooling that the head begins with: what no training changes."""
        return self._computed(images, 0, self._num_fixed)

    def answers(self, features: Tensor) -> Tensor:
        """Logits from ``features``."""
        return self._computed(features, self._num_fixed, len(self._plan))

    def forward(self, images: Tensor) -> Tensor:
        """Logits, (batch, classes): the final softmax is left to the loss.

        Args:
            images: (batch, channel, height, width), float32, best in ``torch.channels_last`` memory.
        """
        return self._computed(images, 0, len(self._plan))

    def _computed(self, given: Tensor, start: int, stop: int) -> Tensor:
        name = self._plan[start][2][0] if start < stop else ""
        values = {name: given}
        for module, name, inputs, no_longer_needed in self._plan[start:stop]:
            values[name] = module(*(values[source] for source in inputs))
            if self._rounds and name in self._rounds and (after := self._rounds[name].after) is not None:
                values[name] = after(values[name])
            for source in no_longer_needed:
                del values[source]
        if self._rounds and self.training:
            self.scales.learn()
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

    def _dropouts(self) -> list[Dropout]:
        return [module for module in self.children() if isinstance(module, Dropout)]

    def penalty(self) -> Tensor | None:
        """What the layers' ``l1`` and ``l2`` add to the loss: the sum over kernels of l1 * sum(abs(kernel)) and
        l2 * sum(kernel**2), or None if no layer has one."""
        weighted = (module for module in self.children() if isinstance(module, Weighted))
        terms = [term for module in weighted for term in module.penalties()]
        return torch.stack(terms).sum() if terms else None


def _num_fixed(summary: Summary) -> int:
    """How many layers come before those that a head on a frozen base learns: the base's, and the head's first pools."""
    rows = summary.layers
    own = sum(bool(row.block) for row in rows)
    while own and rows[own].layer.role == "pool" and not rows[own].path:
        own += 1
    return own


def learned(summary: Summary) -> Summary:
    """What is trained of a network: on a base whose outputs are cached, the layers behind them; else all of it."""
    if summary.base is None or not summary.base.is_cached:
        return summary
    fixed = _num_fixed(summary)
    shape = summary.layers[fixed - 1].output_shape
    pools = fixed - sum(bool(row.block) for row in summary.layers)
    nodes = summary.head[pools:]
    if len(shape) == 1:
        return summarize((Flatten(), *nodes), (1, 1, shape[0]), summary.num_classes)
    return summarize(nodes, shape, summary.num_classes)


def build(layers: Sequence[Node], input_shape: Image, num_classes: int, streams: Streams) -> Network:
    """The network that these layers describe, with its initial weights, on the CPU and in training mode.

    Kernels are Glorot-uniform unless a layer's ``init`` says otherwise, biases zero; ``whitening.whiten`` gives those
    that wait for images theirs. A kernel depends only on the ``init`` stream, its shape, and its ordinal among kernels
    (a separable convolution has two): adding batch normalization or dropout moves no other's weights.

    Args:
        layers: As ``parse`` returns them.
        input_shape: (height, width, channels) of one image.
        num_classes: What ``dense classes`` stands for.
        streams: Of the run.

    Raises:
        SpecError: The layers break a rule of ``summarize``.
    """
    return Network(summarize(layers, input_shape, num_classes), streams)
