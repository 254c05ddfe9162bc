"""An imported Keras model: its layer words, and its weights in our order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import Problem, SpecError
from ..nets import Summary, parse, summarize
from ..nets.shapes import outline
from ..spec import Network
from .network import Words

if TYPE_CHECKING:
    from ..nets.build import Network as Module

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Imported:
    """A Keras model in Assay's layer words, as :func:`assay.from_keras` returns it.

    Args:
        network: Its layers, for ``Study(network=...)``.
        shape: Height, width and channels of an image; ``None`` if the model does not define them.
        num_classes: The units of its last layer.
        weights: float32 arrays by name; empty if the model has none.
        notes: What belongs elsewhere in a study than in its layers, one sentence each.
    """

    network: Network
    shape: tuple[int, int, int] | None
    num_classes: int | None
    weights: Mapping[str, Floats] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def summary(self) -> Summary:
        """Return its layers with shapes and costs.

        Raises:
            SpecError: The model does not define the size of its images, or layers do not fit together.
        """
        if self.shape is None or self.num_classes is None:
            raise SpecError(Problem("the model does not say how large its images are", "give it an input shape"))
        return summarize(parse(self.network.layers), self.shape, self.num_classes)

    def module(self) -> Module:
        """Return the PyTorch network with these weights, in evaluation mode.

        It maps scaled images [n, channels, height, width] to logits.

        Raises:
            SpecError: As for :meth:`summary`, or the model has no weights.
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
    words: Words,
    shape: tuple[int | None, ...] | None,
    read: Callable[[Any, Sequence[tuple[int, ...]]], Sequence[Floats]] | None,
) -> Imported:
    """A network in words with its weights.

    Args:
        words: The network.
        shape: Of the model's input, without the batch; ``None`` where it does not say.
        read: Reads a layer's weights: called with its source and the shapes that they must have, in Keras's order;
            ``None`` for a model without weights.

    Raises:
        SpecError: Layers do not go together, or weights have other shapes.
    """
    network = Network(layers=words.lines, base=words.base)
    notes = (*words.notes, *_scaling_notes(words))
    image = _image(words, shape)
    if words.base is not None:
        notes = (
            *notes,
            "The base's weights come from its own file, and the layers behind it are read without weights.",
        )
        return Imported(network, image, words.num_classes, {}, notes)
    nodes = parse(network.layers)
    num_classes = words.num_classes
    if num_classes is None and image is not None and (rows := outline(nodes, image)):
        num_classes = rows[-1].output_shape[-1]
    without_weights = Imported(network, image, num_classes, {}, notes)
    if image is None or num_classes is None:
        return without_weights
    rows = without_weights.summary().layers
    if read is None:
        return without_weights
    weights: dict[str, Floats] = {}
    last = max((at for at, row in enumerate(rows) if row.tensors), default=-1)
    for at, (row, source) in enumerate(zip(rows, words.sources, strict=True)):
        if not row.tensors:
            continue
        shapes = [tensor.keras_shape for tensor in row.tensors]
        if words.is_binary and at == last:
            arrays = [_two_classes(one) for one in read(source, [(*shape[:-1], 1) for shape in shapes])]
        else:
            arrays = list(read(source, shapes))
        for tensor, value in zip(row.tensors, arrays, strict=True):
            weights[f"{row.name}.{tensor.name}"] = np.ascontiguousarray(tensor.from_keras(value), dtype=np.float32)
    return Imported(network, image, num_classes, weights, notes)


def _two_classes(value: Floats) -> Floats:
    """One unit's weights as two units': a softmax over 0 and z is the sigmoid of z."""
    return np.concatenate([np.zeros_like(value), value], axis=-1)


def _image(words: Words, shape: tuple[int | None, ...] | None) -> tuple[int, int, int] | None:
    """Height, width and channels of the images that the first layer sees."""
    sizes = words.front.shape or shape
    if sizes is not None and len(sizes) == 2:
        sizes = (*sizes, 1)
    if sizes is None or len(sizes) != 3:
        return None
    if words.front.size is not None:
        sizes = (*words.front.size, sizes[2])
    if any(not isinstance(side, int) or side < 1 for side in sizes):
        return None
    height, width, channels = sizes
    return height, width, channels  # type: ignore[return-value]


def _scaling_notes(words: Words) -> list[str]:
    front = words.front
    if front.is_normalized:
        return ['Its Normalization is scaling = "standard" under [data], with the training images\' own moments.']
    if not front.rescales:
        return []
    if abs(front.scale - 1 / 255) < 1e-6 and not front.offset:
        return ['Its Rescaling(1/255) is scaling = "unit" under [data].']
    return [f"Its weights expect pixels times {front.scale:.6g} plus {front.offset:.6g}, which has no word in [data]."]


def weight_error(what: str, place: str, file: str = "") -> SpecError:
    return SpecError(Problem(what, "save the model again with model.save(...)", place, file))
