"""An imported Keras model: its layer words, and its weights in our order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import Problem, SpecError
from ..nets import Summary, parse, summarize
from ..spec import Network
from .converted import Converted

if TYPE_CHECKING:
    from ..nets.build import Network as Module

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Imported:
    """A Keras model as ours.

    Args:
        network: Its layers, as a study has them.
        shape: Height, width and channels of an image; ``None`` where the model does not say.
        num_classes: Units of its last layer.
        weights: float32 by name, as ``nets.build.Network`` names and lays them out; empty where there were none.
        notes: What a study says elsewhere than in its layers, a sentence each.
    """

    network: Network
    shape: tuple[int, int, int] | None
    num_classes: int | None
    weights: Mapping[str, Floats] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def summary(self) -> Summary:
        """Its layers with shapes and counts.

        Raises:
            SpecError: The model does not say how large its images are, or layers do not go together.
        """
        if self.shape is None or self.num_classes is None:
            raise SpecError(Problem("the model does not say how large its images are", "give it an input shape"))
        return summarize(parse(self.network.layers), self.shape, self.num_classes)

    def module(self) -> Module:
        """The torch network with these weights, in evaluation mode: scaled images [n, channels, height, width] to
        logits.

        Raises:
            SpecError: As in ``summary``, or the model came without weights.
        """
        import torch

        from ..nets.build import build
        from ..seeds import Streams

        summary = self.summary()
        if not self.weights:
            raise SpecError(Problem("the model came without weights", "give a built Keras model or a .keras file"))
        network = build(parse(self.network.layers), summary.input_shape, summary.num_classes, Streams(0))
        with torch.no_grad():
            for name, value in network.state_dict().items():
                value.copy_(torch.from_numpy(self.weights[name]))
        return network.eval()


def imported(
    converted: Converted, read: Callable[[Any, Sequence[tuple[int, ...]]], Sequence[Floats]] | None
) -> Imported:
    """A converted model with its weights.

    Args:
        converted: The model.
        read: Reads a layer's weights: called with its source and the shapes that they must have, in Keras's order;
            ``None`` for a model without weights.

    Raises:
        SpecError: Layers do not go together, or weights have other shapes.
    """
    network = Network(layers=converted.lines)
    without_weights = Imported(network, converted.shape, converted.num_classes, {}, converted.notes)
    if converted.shape is None or converted.num_classes is None:
        parse(network.layers)
        return without_weights
    rows = without_weights.summary().layers
    if read is None:
        return without_weights
    weights: dict[str, Floats] = {}
    for row, source in zip(rows, converted.sources, strict=True):
        if not row.tensors:
            continue
        arrays = read(source, [tensor.keras_shape for tensor in row.tensors])
        for tensor, value in zip(row.tensors, arrays, strict=True):
            weights[f"{row.name}.{tensor.name}"] = np.ascontiguousarray(tensor.from_keras(value), dtype=np.float32)
    return Imported(network, converted.shape, converted.num_classes, weights, converted.notes)


def weight_error(what: str, place: str, file: str = "") -> SpecError:
    return SpecError(Problem(what, "save the model again with model.save(...)", place, file))
