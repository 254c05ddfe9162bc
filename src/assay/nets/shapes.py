"""What a network's layers do to shapes, and what they cost, worked out without building it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import Problem, SpecError
from .effects import Image, Shape, effect_of, units_of
from .layers import Dense, Layer
from .vocabulary import kind_of, word_of

_ENDING = 'end with "dense classes softmax"'


@dataclass(frozen=True)
class LayerSummary:
    """One layer in its network.

    Args:
        name: Its kind, numbered from 1 among its kind: ``"conv1"``. The built module has the same name.
        layer: The layer itself.
        word: The layer as words.
        input_shape: (height, width, channels) or (units,), without the batch.
        output_shape: The same of what it returns.
        trainable: Parameters that training changes.
        non_trainable: Other parameters, as Keras counts them (batch normalization's moving statistics).
        flops: FLOPs of one sample's forward pass.
    """

    name: str
    layer: Layer
    word: str
    input_shape: Shape
    output_shape: Shape
    trainable: int
    non_trainable: int
    flops: int

    @property
    def parameters(self) -> int:
        """Trainable and non-trainable parameters."""
        return self.trainable + self.non_trainable


@dataclass(frozen=True)
class Summary:
    """A network's layers with their shapes and costs, and the totals."""

    input_shape: Image
    num_classes: int
    layers: tuple[LayerSummary, ...]

    @property
    def trainable(self) -> int:
        """Parameters that training changes."""
        return sum(layer.trainable for layer in self.layers)

    @property
    def non_trainable(self) -> int:
        """Other parameters: moving means and variances."""
        return sum(layer.non_trainable for layer in self.layers)

    @property
    def parameters(self) -> int:
        """Trainable and non-trainable parameters."""
        return self.trainable + self.non_trainable

    @property
    def flops(self) -> int:
        """FLOPs of one sample's forward pass, counted as ``effects`` says."""
        return sum(layer.flops for layer in self.layers)


def summarize(layers: Sequence[Layer], input_shape: Image, num_classes: int) -> Summary:
    """Every layer's name, shapes, parameters and FLOPs.

    Args:
        layers: As ``parse`` returns them.
        input_shape: (height, width, channels) of one image.
        num_classes: What ``dense classes`` stands for.

    Raises:
        SpecError: The layers do not fit their inputs, each other or the number of classes. One problem for each
            broken rule; behind a layer whose output has no shape, only rules that need none are checked.
    """
    numbers: Counter[str] = Counter()
    rows: list[LayerSummary] = []
    problems: list[Problem] = []
    shape: Shape | None = input_shape
    for index, layer in enumerate(layers):
        kind = kind_of(layer)
        numbers[kind] += 1
        name, word = f"{kind}{numbers[kind]}", word_of(layer)
        what = f'{name} ("{word}")'
        found = _ending_problems(layer, what, index == len(layers) - 1, num_classes)
        if shape is None:
            shape = (units_of(layer, num_classes),) if isinstance(layer, Dense) else None
        else:
            effect = effect_of(layer, shape, num_classes)
            if effect.broken:
                found.insert(0, Problem(f"{what} {effect.broken}", effect.fix))
            if effect.shape is not None:
                costs = (effect.trainable, effect.non_trainable, effect.flops)
                rows.append(LayerSummary(name, layer, word, shape, effect.shape, *costs))
            shape = effect.shape
        problems += [problem.at(key=f"layers[{index}]") for problem in found]
    if not layers:
        problems.append(Problem("the network has no layers", _ENDING, "layers"))
    if problems:
        raise SpecError(problems)
    return Summary(input_shape, num_classes, tuple(rows))


def _ending_problems(layer: Layer, what: str, is_last: bool, num_classes: int) -> list[Problem]:
    """The network must end in one softmax over the classes, and have none elsewhere."""
    activation = getattr(layer, "activation", "linear")
    if not is_last:
        middle = f"{what} has a softmax in the middle of the network"
        return [Problem(middle, "use relu; softmax is for the last dense layer")] if activation == "softmax" else []
    if not isinstance(layer, Dense):
        return [Problem(f"{what} is the last layer", _ENDING)]
    problems = []
    units = units_of(layer, num_classes)
    if units != num_classes:
        problems.append(Problem(f"{what} is the last layer and has {units} units for {num_classes} classes", _ENDING))
    if activation != "softmax":
        problems.append(Problem(f"{what} is the last layer and has no softmax", _ENDING))
    return problems
