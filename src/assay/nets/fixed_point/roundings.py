"""Where the values of a fixed-point program are rounded, layer by layer: what training has to round, too.

Rounding commutes with what only chooses: maxima and relu. It stands behind them, where there is less to round, and
where the kernels of training have fused them with the layer before.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from .. import layers as words
from ..shapes import LayerSummary, Summary
from .lowering import lower
from .operations import IMAGE, Graph, Map, Operation, Pad, Pool

KEPT = ("relu", "relu6", "elu", "leakyrelu", "prelu")  # activations that leave what is above zero alone
ELU_ENDS = 4.0  # how far below zero elu is told apart
STEEP = {"elu": ELU_ENDS, "gelu": 4.0, "silu": 8.0}  # below this they hardly change
ENDS = {"tanh": 4.0, "sigmoid": 7.0}  # beyond this on either side they hardly change
LEAST_ELU = -6  # the least exponent of elu's scale: a table of 256 entries then reaches to where elu ends
_CHOOSING = (words.MaxPool, words.GlobalMaxPool)
_VIEWS = (words.Flatten, words.Reshape, words.Dropout, words.SpatialDropout)


@dataclass(frozen=True)
class Rounding:
    """How values are rounded: to whole numbers times a scale, cut at limits.

    Args:
        scale: Which scale it has: values that only chosen or copied numbers connect share one.
        low, high: The limits, in whole numbers.
        most_below: How far below zero values need be told apart, where what reads them hardly changes beyond.
        most: How far above zero, likewise.
    """

    scale: int
    low: int
    high: int
    most_below: float = math.inf
    most: float = math.inf


@dataclass(frozen=True)
class LayerRoundings:
    """What is rounded of a layer.

    Args:
        middle: A separable layer's values between its convolutions.
        before: What its activation reads.
        after: Its output.
    """

    middle: Rounding | None = None
    before: Rounding | None = None
    after: Rounding | None = None

    @property
    def is_kept(self) -> bool:
        """Whether the activation's output has the scale that its input was rounded to."""
        return self.before is not None and self.after is not None and self.before.scale == self.after.scale


@dataclass(frozen=True)
class Roundings:
    """Where a network's values are rounded.

    Args:
        layers: By layer's name; those in which nothing is rounded are left out.
        num_scales: How many scales there are.
        elus: The scales of values that elu reads.
        bits: Of values.
    """

    layers: Mapping[str, LayerRoundings] = field(default_factory=dict)
    num_scales: int = 0
    elus: frozenset[int] = frozenset()
    bits: int = 8

    def of(self, layer: str) -> LayerRoundings:
        """What is rounded of a layer."""
        return self.layers.get(layer, _NOTHING)


_NOTHING = LayerRoundings()


def classes_of(graph: Graph) -> list[int]:
    """For each value the first one that has the same scale: values that only chosen or copied numbers connect."""
    classes = list(range(len(graph.values)))

    def root(value: int) -> int:
        while classes[value] != value:
            value = classes[value]
        return value

    for operation in graph.operations:
        is_chosen = isinstance(operation, Pad) or (isinstance(operation, Pool) and not operation.is_mean)
        if is_chosen or (isinstance(operation, Map) and operation.activation in KEPT):
            classes[root(operation.target)] = root(operation.sources[0])
    return [root(value) for value in range(len(graph.values))]


def roundings_of(summary: Summary) -> Roundings:
    """Where the values of a network that is trained in whole numbers are rounded; nowhere, of another one.

    Raises:
        SpecError: A layer has no form in whole numbers.
    """
    if summary.quantization is None:
        return Roundings()
    graph = lower(summary, most_parameters=None)
    scales = scales_of(graph)
    elus = {
        scales[one.sources[0]]
        for one in graph.operations
        if isinstance(one, Map) and one.activation == "elu" and one.sources[0] in scales
    }
    walk = _Walk(summary, graph, scales)
    return Roundings(
        walk.layers, max(scales.values(), default=-1) + 1, frozenset(elus), summary.quantization.activations
    )


def scales_of(graph: Graph) -> dict[int, int]:
    """Scales by value, numbered from 0 without gaps; the image's is given, and the logits of 16 bits have none."""
    classes = classes_of(graph)
    has_scale = [
        value != IMAGE and classes[value] != classes[IMAGE] and about.bits < 16
        for value, about in enumerate(graph.values)
    ]
    roots = sorted({classes[value] for value, is_scaled in enumerate(has_scale) if is_scaled})
    numbers = {root: number for number, root in enumerate(roots)}
    return {value: numbers[classes[value]] for value, is_scaled in enumerate(has_scale) if is_scaled}


class _Walk:
    """Goes through the layers and hands on what is still to be rounded.

    Attributes:
        layers: What it has found.
    """

    def __init__(self, summary: Summary, graph: Graph, scales: Mapping[int, int]) -> None:
        self.layers: dict[str, LayerRoundings] = {}
        self._graph, self._scales = graph, scales
        self._by_target = {operation.target: operation for operation in graph.operations}
        self._pending: dict[str, int] = {}  # by layer: the value of its output that a later layer rounds
        self._readers: dict[str, list[LayerSummary]] = {"": [], **{row.name: [] for row in summary.layers}}
        for row in summary.layers:
            for name in row.inputs:
                self._readers[name].append(row)
        for row in summary.layers:
            self._layer(row)

    def _layer(self, row: LayerSummary) -> None:
        if isinstance(row.layer, _VIEWS):
            return
        roundings = LayerRoundings()
        for operation in self._graph.operations:
            if operation.name == f"{row.name}_depthwise":
                roundings = replace(roundings, middle=self._rounding(operation.target))
        value = self._graph.places[row.name]
        made = self._by_target.get(value)
        waiting = self._pending.pop(row.inputs[0], None)
        own = self._own_source(row, made)
        if isinstance(row.layer, _CHOOSING) or (isinstance(made, Map) and made.activation in ("relu", "relu6")):
            waiting = own if waiting is None else waiting
            is_open = waiting is not None  # what it chooses from, or cuts, is rounded here
            value = value if waiting is None else waiting
        elif isinstance(made, Map) and made.name == row.name:
            waiting = own if waiting is None else waiting
            if waiting is not None:
                roundings = replace(roundings, before=self._rounding(waiting))
            is_open = True
        else:
            is_open = self._is_computed(value)
        if is_open and not self._goes_on(row.name, value):
            followers = self._readers[row.name]
            if len(followers) == 1 and _takes_on(
                followers[0], self._by_target.get(self._graph.places[followers[0].name])
            ):
                self._pending[row.name] = value
            else:
                roundings = replace(roundings, after=self._rounding(value))
        if roundings != _NOTHING:
            self.layers[row.name] = roundings

    def _own_source(self, row: LayerSummary, made: Operation | None) -> int | None:
        """What a layer's own activation reads, where the layer has computed it."""
        if not isinstance(made, Map) or made.name != row.name:
            return None
        before = self._by_target.get(made.sources[0])
        return made.sources[0] if before is not None and before.name == row.name else None

    def _is_computed(self, value: int) -> bool:
        """Whether an operation computes new numbers there."""
        operation = self._by_target.get(value)
        return operation is not None and not isinstance(operation, Pad) and value in self._scales

    def _goes_on(self, name: str, value: int) -> bool:
        """Whether a later layer is a part of the operation that computes the value: the only one that reads it."""
        readers = self._readers[name]
        if len(readers) != 1 or self._graph.places[readers[0].name] != value:
            return False
        return not isinstance(readers[0].layer, _VIEWS) or self._goes_on(readers[0].name, value)

    def _rounding(self, value: int) -> Rounding | None:
        if value not in self._scales:
            return None
        low, high = self._graph.values[value].limits
        below, above = _reach(self._graph, value)
        return Rounding(self._scales[value], low, high, below, above)


def _takes_on(reader: LayerSummary, made: Operation | None) -> bool:
    """Whether the layer that reads a value rounds it: it chooses, or computes an activation of it in the same pass."""
    if isinstance(reader.layer, _CHOOSING):
        return True
    return isinstance(reader.layer, words.Activate) and isinstance(made, Map) and made.name == reader.name


def _reach(graph: Graph, value: int) -> tuple[float, float]:
    """How far below and above zero what reads a value tells it apart."""
    if any(one.target == value and isinstance(one, Map) and one.activation in ENDS for one in graph.operations):
        high = graph.values[value].limits[1]
        return math.inf, high / (high + 1)  # of a function that ends at 1
    seen, kinds, waiting = {value}, Counter[str](), [value]
    while waiting:  # through maxima, which a rounding may stand before
        at = waiting.pop()
        for operation in graph.operations:
            if at not in operation.sources:
                continue
            if isinstance(operation, Pool) and not operation.is_mean and operation.target not in seen:
                seen.add(operation.target)
                waiting.append(operation.target)
            else:
                kinds[operation.activation if isinstance(operation, Map) else ""] += 1
    if len(kinds) != 1:
        return math.inf, math.inf
    (kind,) = kinds
    if kind in ENDS:
        return ENDS[kind], ENDS[kind]
    if kind in STEEP:
        return STEEP[kind], math.inf
    return (0.0, math.inf) if kind in ("relu", "relu6") else (math.inf, math.inf)
