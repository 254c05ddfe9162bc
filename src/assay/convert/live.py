"""Reads a Keras model in memory: its layers and the paths between them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import Problem, SpecError
from .bases import base_of, marked
from .configs import LayerConfig
from .graph import (
    WITHOUT_WORDS,
    Graph,
    Item,
    Node,
    Step,
    join_config,
    one_way,
    operation_config,
    path_items,
    refuse_depth,
    refuse_shared,
    refuse_taken_apart,
)


def graph_of(model: Any, place_of: Callable[[Any], str] = lambda _: "") -> Graph:
    """The layers of a Keras model, those of models inside it among them.

    Args:
        model: Sequential or functional, of Keras 3 or ``tf.keras``.
        place_of: Where a layer was made; empty if that is not known.

    Raises:
        SpecError: It is a class of the user's own, has several inputs or outputs, or paths that no block can express.
    """
    shape = getattr(model, "input_shape", None) if getattr(model, "built", False) else None
    items = _Reader(place_of).model(model)
    is_one = isinstance(shape, tuple) and (not shape or not isinstance(shape[0], tuple))
    return Graph(items, tuple(shape[1:]) if is_one and shape else None)


class _Reader:
    def __init__(self, place_of: Callable[[Any], str]) -> None:
        self._place_of = place_of

    def model(self, model: Any, depth: int = 0) -> list[Item]:
        kinds = kinds_of(model)
        refuse_depth(depth)
        if "Sequential" in kinds:
            return [item for layer in model.layers for item in self._layer(layer, depth)]
        if "Functional" in kinds:
            return self._functional(model, depth)
        name = type(model).__name__
        is_model = "Model" in kinds
        what = f"{name} is a class of your own, whose call is code" if is_model else f"got a {name}"
        raise SpecError(Problem(what, "build it as Sequential or with keras.Model(inputs, outputs)", self._key(model)))

    def _layer(self, layer: Any, depth: int) -> list[Item]:
        kinds = kinds_of(layer)
        base = base_of(layer, is_functional="Functional" in kinds)
        if base is not None:
            return [Step(LayerConfig("Base", base, self._key(layer), None, layer))]
        if "Sequential" in kinds or "Functional" in kinds:
            return self.model(layer, depth + 1)
        if not kinds or kinds[0] != type(layer).__name__:
            what = f"{type(layer).__name__} is no layer of Keras's own, and its call is code"
            raise SpecError(Problem(what, WITHOUT_WORDS, self._key(layer)))
        return [Step(LayerConfig(type(layer).__name__, layer.get_config(), self._key(layer), None, layer))]

    def _key(self, layer: Any) -> str:
        name, place = str(getattr(layer, "name", "")), self._place_of(layer)
        return f"{place}, {name}" if place else name

    def _functional(self, model: Any, depth: int) -> list[Item]:
        one_way(len(model.inputs), len(model.outputs), self._key(model))
        nodes = _nodes(model)
        refuse_shared((id(node.operation), self._key(node.operation)) for node in nodes)
        first, start = self._inlined_base(model, nodes)
        items = path_items((self._node(node, depth) for node in nodes), id(start), id(model.outputs[0]))
        return [*first, *items]

    def _node(self, node: Any, depth: int) -> Node:
        place = self._key(node.operation)
        return Node(
            tuple(map(id, node.input_tensors)), id(_output(node)), place,
            lambda: self._items(node, depth), lambda: _join(node, place),
        )  # fmt: skip

    def _items(self, node: Any, depth: int) -> list[Item]:
        operation = node.operation
        is_layer = hasattr(operation, "get_weights") or ".layers" in type(operation).__module__
        if is_layer or kinds_of(operation)[:1] == ["Functional"]:
            return self._layer(operation, depth)
        settings = {name: value for name, value in vars(operation).items() if not name.startswith("_")}
        arguments, more = node.arguments.args, node.arguments.kwargs
        return [Step(operation_config(type(operation).__name__, arguments, more, settings, self._key(operation)))]

    def _inlined_base(self, model: Any, nodes: list[Any]) -> tuple[list[Item], Any]:
        """A base whose layers are part of this model's graph, ``Model(base.input, head(base.output))``, and its end."""
        outputs = {id(_output(node)) for node in nodes}
        own = {id(node.operation) for node in nodes}
        for base in marked():
            shared = [layer for layer in base.layers if id(layer) in own and layer.weights]
            if base is model or not shared:
                continue
            values = base_of(base)
            if id(base.outputs[0]) not in outputs or values is None:
                what = f"it takes {base.name} apart, up to {shared[-1].name}"
                fix = 'name the block under [network] base: { name = "vgg16", until = "block4" }'
                raise SpecError(Problem(what, fix, self._key(model)))
            return [Step(LayerConfig("Base", values, self._key(base), None, base))], base.outputs[0]
        refuse_taken_apart({str(getattr(node.operation, "name", "")) for node in nodes}, self._key(model))
        return [], model.inputs[0]


def _nodes(model: Any) -> list[Any]:
    """The nodes that make the output from the input."""
    makers: dict[int, Any] = {}
    for layer in getattr(model, "operations", None) or model.layers:
        for node in layer._inbound_nodes:
            for tensor in _listed(node.output_tensors if hasattr(node, "output_tensors") else node.outputs):
                makers[id(tensor)] = node
    first = id(model.inputs[0])
    reached: dict[int, Any] = {}
    stack = [makers[id(model.outputs[0])]]
    while stack:
        node = stack.pop()
        if id(node) in reached:
            continue
        reached[id(node)] = node
        stack += [makers[id(one)] for one in node.input_tensors if id(one) != first and id(one) in makers]
    return [node for node in reached.values() if node.input_tensors and id(_output(node)) != first]


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _output(node: Any) -> Any:
    return _listed(node.output_tensors)[0]


def kinds_of(layer: Any) -> list[str]:
    """The classes of Keras that a layer has, the nearest first; those of the user's own are left out."""
    return [kind.__name__ for kind in type(layer).__mro__ if kind.__module__.split(".")[0] in ("keras", "tf_keras")]


def _join(node: Any, place: str) -> LayerConfig:
    operation = node.operation
    is_layer = ".layers" in type(operation).__module__
    settings = operation.get_config() if is_layer else {"axis": getattr(operation, "axis", -1)}
    return join_config(type(operation).__name__, settings, len(node.input_tensors[0].shape), place)
