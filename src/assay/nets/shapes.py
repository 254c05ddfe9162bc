"""Every layer's shapes and costs in its network, computed without building it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ..errors import Problem, SpecError
from ..spec.bounds import MAX_PARAMETERS, MAX_VALUES
from ..spec.quantization import Quantization
from .blocks import Node, Parallel, Repeat, Residual
from .effects import Effect, Image, Shape, shape_text
from .foundation import Foundation
from .layers import Activate, Add, Concatenate, Dense, Join, Layer
from .own.description import OwnModule
from .parameters import Parameter
from .receptive import ReceptiveField, joined
from .vocabulary import word_of

BASE = "base_"  # what the names of a base's layers begin with
_ENDING = 'end with "dense classes softmax"'


@dataclass(frozen=True)
class LayerSummary:
    """One layer of a network, with its shapes and costs.

    Args:
        name: Its kind with a number, counted within the whole network, such as ``"conv1"``. The built module has the
            same name.
        layer: The layer itself; ``Add`` or ``Concatenate`` where paths meet.
        word: The layer in words.
        input_shape: (height, width, channels) or (units,), without the batch. Where paths meet, of the first one.
        output_shape: The shape of its output.
        tensors: Its parameters and moving statistics, in Keras's order.
        trainable: Trainable parameters.
        non_trainable: Other parameters, as Keras counts them: moving statistics.
        flops: FLOPs for one image, forward. A multiply-add counts as 2; comparisons, copies and activations as 0.
        receptive_field: The pixels of the input that one output value depends on.
        inputs: The layers whose outputs it reads; ``""`` is the network's input.
        path: The blocks around it, outermost first, such as ``("residual1", "shortcut")``.
        block: The block of the base that it belongs to; empty for an arm's own layers.
    """

    name: str
    layer: Layer
    word: str
    input_shape: Shape
    output_shape: Shape
    tensors: tuple[Parameter, ...]
    trainable: int
    non_trainable: int
    flops: int
    receptive_field: ReceptiveField
    inputs: tuple[str, ...]
    path: tuple[str, ...]
    block: str = ""

    @property
    def parameters(self) -> int:
        """Trainable and non-trainable parameters."""
        return self.trainable + self.non_trainable

    @property
    def activation_bytes(self) -> int:
        """Bytes of the output for one image in float32; 0 if the output is only a view of the input."""
        return 0 if self.layer.is_view else 4 * math.prod(self.output_shape)


@dataclass(frozen=True)
class Summary:
    """A network's layers with their shapes and costs, as :func:`assay.describe` returns it. A notebook shows it as a
    table.

    Args:
        input_shape: The shape that the first layer reads.
        num_classes: The number of classes.
        layers: The layers in the order of computation: those of the base, then the arm's own.
        base: The base, if there is one.
        head: The arm's own layers on a base.
        own: The module of your own, if the network is one.
        members: The number of networks in an ensemble; 1 otherwise. Totals are of all, ``layers`` of one.
        quantization: The number formats that it is trained for; ``None`` for floating point.
    """

    input_shape: Image
    num_classes: int
    layers: tuple[LayerSummary, ...]
    base: Foundation | None = None
    head: tuple[Node, ...] = ()
    own: OwnModule | None = None
    members: int = 1
    quantization: Quantization | None = field(default=None, hash=False)

    @property
    def trainable(self) -> int:
        """Trainable parameters."""
        return self.members * sum(layer.trainable for layer in self.layers)

    @property
    def non_trainable(self) -> int:
        """Other parameters: moving means and variances."""
        return self.members * sum(layer.non_trainable for layer in self.layers)

    @property
    def parameters(self) -> int:
        """Trainable and non-trainable parameters."""
        return self.trainable + self.non_trainable

    @property
    def is_chain(self) -> bool:
        """Whether every layer reads only the layer before it."""
        before = ("", *(row.name for row in self.layers))
        return all(row.inputs == (name,) for name, row in zip(before, self.layers, strict=False))

    @property
    def activation_bytes(self) -> int:
        """Bytes of all layers' outputs for one image in float32, which training keeps for the backward pass."""
        return self.members * sum(layer.activation_bytes for layer in self.layers)

    @property
    def flops(self) -> int:
        """FLOPs for one image, forward."""
        return self.members * sum(layer.flops for layer in self.layers)

    def _repr_html_(self) -> str:
        from ..markup import table

        rows = [
            (row.name, row.word, shape_text(row.output_shape), f"{row.parameters:,}", f"{row.flops:,}")
            for row in self.layers
        ]
        total = ("", "", "", f"{self.parameters:,}", f"{self.flops:,}")
        return table(("layer", "as written", "output", "parameters", "FLOPs"), [*rows, total], right=(3, 4))


def summarize(layers: Sequence[Node], input_shape: Image, num_classes: int) -> Summary:
    """Every layer's name, shapes, parameters, FLOPs and receptive field.

    Args:
        layers: As ``parse`` returns them.
        input_shape: (height, width, channels) of one image.
        num_classes: What ``dense classes`` stands for.

    Raises:
        SpecError: The layers do not fit their inputs, each other or the number of classes. One problem for each
            broken rule; behind a layer whose output has no shape, only rules that need none are checked.
    """
    walk = _Walk(input_shape, num_classes)
    walk.chain(layers, _Values("", input_shape, ReceptiveField()), (), "layers", ends=True)
    if not layers:
        walk.problems.append(Problem("the network has no layers", _ENDING, "layers"))
    walk.problems += _too_large(walk.rows)
    has_fixed = any(getattr(row.layer, "fixed", False) for row in walk.rows)
    if not walk.problems and has_fixed and not any(row.trainable for row in walk.rows):
        walk.problems.append(Problem("nothing in the network trains", "leave fixed=true out of a layer", "layers"))
    if walk.problems:
        raise SpecError(walk.problems)
    return Summary(input_shape, num_classes, tuple(walk.rows))


def summarize_on(base: Foundation, head: Sequence[Node], num_classes: int) -> Summary:
    """``summarize`` for a head on a base. Layers of blocks that never train have no trainable parameters.

    Raises:
        SpecError: The head's layers do not fit the base's output, each other or the number of classes.
    """
    image = base.preparation.shape
    walk = _Walk(image, num_classes, prefix=BASE)
    values = _Values("", image, ReceptiveField())
    rows: list[LayerSummary] = []
    frozen = base.frozen
    for name, nodes in base.blocks:
        before = len(walk.rows)
        values = walk.chain(nodes, values, (), "base")
        block = [replace(row, block=name, path=(name, *row.path)) for row in walk.rows[before:]]
        rows += [_frozen(row) for row in block] if name in frozen else block
    own = _Walk(image, num_classes)
    own.chain(head, values, (), "layers", ends=True)
    problems = [*walk.problems, *own.problems, *_too_large([*rows, *own.rows])]
    if not head:
        problems.append(Problem("the network has no layers", _ENDING, "layers"))
    if problems:
        raise SpecError(problems)
    return Summary(image, num_classes, (*rows, *own.rows), base, tuple(head))


def _too_large(rows: Sequence[LayerSummary]) -> list[Problem]:
    """What no machine that this is made for can hold: said before memory is taken."""
    for row in rows:
        values = math.prod(row.output_shape)
        if values > MAX_VALUES:
            what = f"{row.name} would put out {values:,} values for each image"
            return [Problem(what, f"make it smaller: {MAX_VALUES:,} are the most", "layers")]
    parameters = sum(row.parameters for row in rows)
    if parameters > MAX_PARAMETERS:
        largest = max(rows, key=lambda row: row.parameters)
        what = f"the network would have {parameters:,} parameters ({largest.name} has {largest.parameters:,})"
        return [Problem(what, f"make it smaller: {MAX_PARAMETERS:,} are the most", "layers")]
    return []


def _frozen(row: LayerSummary) -> LayerSummary:
    return replace(row, trainable=0, non_trainable=row.parameters)


def outline(nodes: Sequence[Node], image: Image) -> tuple[LayerSummary, ...] | None:
    """Rows of layers that end in no classes; ``None`` where they do not fit the image or each other."""
    walk = _Walk(image, 1)
    walk.chain(nodes, _Values("", image, ReceptiveField()), (), "layers")
    return None if walk.problems else tuple(walk.rows)


@dataclass(frozen=True)
class _Values:
    """What a layer puts out: under its name, with this shape (None if it has none) and receptive field."""

    name: str
    shape: Shape | None
    field: ReceptiveField


class _Walk:
    """Goes through a network in the order in which it is computed."""

    def __init__(self, image: Image, num_classes: int, prefix: str = "") -> None:
        self.image, self.num_classes, self.prefix = image, num_classes, prefix
        self.rows: list[LayerSummary] = []
        self.problems: list[Problem] = []
        self._numbers: Counter[str] = Counter()

    def chain(
        self, nodes: Sequence[Node], values: _Values, path: tuple[str, ...], key: str, *, ends: bool = False
    ) -> _Values:
        """What a chain makes of its input. ``ends`` says that the network ends with it."""
        for index, node in enumerate(nodes):
            place, is_last = f"{key}[{index}]", ends and index == len(nodes) - 1
            match node:
                case Residual():
                    values = self._residual(node, values, path, place, is_last=is_last)
                case Parallel():
                    values = self._parallel(node, values, path, place, is_last=is_last)
                case Repeat():
                    values = self._repeat(node, values, path, place, is_last=is_last)
                case _:
                    values = self._layer(node, values, path, place, is_last=is_last)
        return values

    def _layer(self, layer: Layer, values: _Values, path: tuple[str, ...], key: str, *, is_last: bool) -> _Values:
        name = self._named(layer.word)
        what = f'{name} ("{word_of(layer)}")'
        problems = _ending_problems(layer, what, values.shape, is_last=is_last, num_classes=self.num_classes)
        if getattr(layer, "init", "") == "whitening" and values.name:
            broken = f"{what} has init=whitening and reads other values than the images"
            problems.append(Problem(broken, "make it the first layer, or give it init=identity"))
        shape, field = values.shape, values.field
        if shape is None:
            shape = (layer.num_units(self.num_classes),) if isinstance(layer, Dense) else None
        else:
            effect = layer.effect(shape, self.num_classes)
            if effect.broken:
                problems.insert(0, Problem(f"{what} {effect.broken}", effect.fix))
            if effect.shape is not None:
                field = layer.field(field, shape, self.image)
                self._row(name, layer, shape, effect, field, (values.name,), path)
            shape = effect.shape
        self.problems += [problem.at(key=key) for problem in problems]
        return _Values(name, shape, field)

    def _residual(self, block: Residual, values: _Values, path: tuple[str, ...], key: str, *, is_last: bool) -> _Values:
        name = self._named("residual")
        main = self.chain(block.layers, values, (*path, name), f"{key}.residual")
        other = self.chain(block.shortcut, values, (*path, name, "shortcut"), f"{key}.shortcut")
        if main.shape is not None and other.shape is not None and main.shape != other.shape:
            theirs = "shortcut" if block.shortcut else "input"
            what = f"{name} adds its layers' {shape_text(main.shape)} to its {theirs}'s {shape_text(other.shape)}"
            fix = "" if block.shortcut else _fitting_shortcut(main.shape, other.shape)
            fix = fix or "the shapes must be equal: match strides, padding and filters"
            self.problems.append(Problem(what, fix, key))
        return self._join(Add(block.activation), [main, other], (*path, name), key, is_last=is_last)

    def _parallel(self, block: Parallel, values: _Values, path: tuple[str, ...], key: str, *, is_last: bool) -> _Values:
        name = self._named("parallel")
        ends = [
            self.chain(branch, values, (*path, name, f"branch {number}"), f"{key}.parallel[{number - 1}]")
            for number, branch in enumerate(block.branches, start=1)
        ]
        join = Add() if block.join == "add" else Concatenate()
        shapes = tuple(end.shape for end in ends if end.shape is not None)
        if len(shapes) == len(ends) and (effect := join.joined(shapes)).broken:
            self.problems.append(Problem(f"{name} {effect.broken}", effect.fix, key))
        return self._join(join, ends, (*path, name), key, is_last=is_last)

    def _join(self, join: Join, ends: Sequence[_Values], path: tuple[str, ...], key: str, *, is_last: bool) -> _Values:
        name = self._named(join.word)
        what = f'{path[-1]} ("{word_of(join)}")'
        problems = _ending_problems(join, what, None, is_last=is_last, num_classes=self.num_classes)
        self.problems += [problem.at(key=key) for problem in problems]
        shapes = tuple(end.shape for end in ends if end.shape is not None)
        effect = join.joined(shapes) if len(shapes) == len(ends) else Effect(None)
        if effect.shape is None:
            return _Values(name, None, ends[0].field)
        field = joined([end.field for end in ends], effect.shape)
        self._row(name, join, shapes[0], effect, field, tuple(end.name for end in ends), path)
        return _Values(name, effect.shape, field)

    def _repeat(self, block: Repeat, values: _Values, path: tuple[str, ...], key: str, *, is_last: bool) -> _Values:
        for time in range(block.times):
            before = len(self.problems)
            ends = is_last and time == block.times - 1
            values = self.chain(block.layers, values, path, f"{key}.layers", ends=ends)
            if len(self.problems) > before:  # the rest would say the same again
                break
        return values

    def _named(self, kind: str) -> str:
        self._numbers[kind] += 1
        return f"{self.prefix}{kind}{self._numbers[kind]}"

    def _row(
        self,
        name: str,
        layer: Layer,
        shape: Shape,
        effect: Effect,
        field: ReceptiveField,
        inputs: tuple[str, ...],
        path: tuple[str, ...],
    ) -> None:
        if effect.shape is None:
            raise ValueError(f"{name} has no output shape")
        tensors = layer.parameters(shape, self.num_classes)
        trainable, non_trainable = (
            sum(tensor.size for tensor in tensors if tensor.is_trained == is_trained) for is_trained in (True, False)
        )
        self.rows.append(LayerSummary(
            name, layer, word_of(layer), shape, effect.shape, tensors, trainable, non_trainable, effect.flops, field,
            inputs, path,
        ))  # fmt: skip


def _fitting_shortcut(main: Shape, given: Shape) -> str:
    """A shortcut that would make of ``given`` what ``main`` is, as a fix; empty if there is no simple one."""
    if len(main) == 1 or len(given) == 1:
        return ""
    stride = max(round(given[0] / main[0]), 1)
    if ((given[0] - 1) // stride + 1, (given[1] - 1) // stride + 1) != main[:2]:
        return ""
    return f'add shortcut = ["conv {main[2]} 1x1{f" stride={stride}" if stride > 1 else ""}"]'


def _ending_problems(layer: Layer, what: str, shape: Shape | None, *, is_last: bool, num_classes: int) -> list[Problem]:
    """The network must end in one softmax over the classes, and have none elsewhere."""
    activation = getattr(layer, "activation", "linear")
    if not is_last:
        middle = f"{what} has a softmax in the middle of the network"
        return [Problem(middle, "use relu; softmax is for the last dense layer")] if activation == "softmax" else []
    if isinstance(layer, Activate) and activation == "softmax":
        if shape is None or shape == (num_classes,):
            return []
        return [Problem(f"{what} is the last layer and gets {shape_text(shape)} for {num_classes} classes", _ENDING)]
    if not isinstance(layer, Dense):
        return [Problem(f"{what} is the last layer", _ENDING)]
    problems = []
    units = layer.num_units(num_classes)
    if units != num_classes:
        problems.append(Problem(f"{what} is the last layer and has {units} units for {num_classes} classes", _ENDING))
    if activation != "softmax":
        problems.append(Problem(f"{what} is the last layer and has no softmax", _ENDING))
    return problems
