"""Reads a Keras model in memory: its layers and the paths between them.

The call of a user's own layer or model is followed once with a symbolic image, as Keras itself does for a functional
model: where it does nothing but call Keras's layers, these are what it is.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..errors import Problem, SpecError
from .bases import base_of, marked
from .configs import LayerConfig
from .graph import (
    WITHOUT_WORDS,
    Fork,
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

# Layers that do nothing but where a network trains.
_TRAINING_ALONE = ("Dropout", "SpatialDropout2D", "GaussianNoise", "GaussianDropout", "AlphaDropout")


def graph_of(model: Any, place_of: Callable[[Any], str] = lambda _: "", shape: Sequence[int] | None = None) -> Graph:
    """The layers of a Keras model, those of models inside it among them.

    Args:
        model: Of Keras 3 or ``tf.keras``: Sequential, functional, or (Keras 3) a class of the user's own.
        place_of: Where a layer was made; empty if that is not known.
        shape: Of an image that it gets, for a class of the user's own, which does not say.

    Raises:
        SpecError: It has several inputs or outputs, a call of its own that does more than call layers, or paths that
            no block can express.
    """
    own = _attribute(model, "input_shape") if getattr(model, "built", False) else None
    is_one = isinstance(own, tuple) and bool(own) and not isinstance(own[0], tuple)
    known = tuple(own[1:]) if isinstance(own, tuple) and is_one else tuple(shape) if shape is not None else None
    items = _Reader(place_of).model(model, (None, *known) if known is not None else None)
    return Graph(items, known)


def _attribute(value: Any, name: str) -> Any:
    """An attribute that raises where there is none, as Keras's properties do."""
    try:
        return getattr(value, name, None)
    except (ValueError, RuntimeError):
        return None


class _Reader:
    def __init__(self, place_of: Callable[[Any], str]) -> None:
        self._place_of = place_of

    def model(self, model: Any, shape: Sequence[int | None] | None, depth: int = 0) -> list[Item]:
        kinds = kinds_of(model)
        refuse_depth(depth)
        is_own = defines(model, "call")
        if "Sequential" in kinds and not is_own:
            return [item for layer in model.layers for item in self._layer(layer, _shape_into(layer), depth)]
        if "Functional" in kinds and not is_own:
            return self._functional(model, depth)
        name = type(model).__name__
        is_model = "Model" in kinds
        what = f"{name} is a class of your own, whose call is code" if is_model else f"got a {name}"
        fix = "build it as Sequential or with keras.Model(inputs, outputs)"
        return self._followed(model, shape, depth, Problem(what, fix, self._key(model)))

    def _followed(self, layer: Any, shape: Sequence[int | None] | None, depth: int, problem: Problem) -> list[Item]:
        """The layers that a user's own layer or model calls.

        Raises:
            SpecError: The problem, with what else it does.
        """
        refuse_depth(depth)
        if shape is None or kinds_of(layer)[-1:] == [] or not type(layer).__mro__[-2].__module__.startswith("keras"):
            raise SpecError(problem)
        try:
            trained = self._trace(layer, shape, depth, True)
            if _signature(self._trace(layer, shape, depth, False)) == _signature(trained):
                return trained
            more = "it computes otherwise while it trains"
        except SpecError as error:
            more = error.problems[0].what
        except Exception as error:  # whatever the user's code raises
            more = f"{type(error).__name__}: {error}"
        what = f"{problem.what} and more than calls of Keras's layers ({' '.join(more.split())[:120]})"
        raise SpecError(Problem(what, problem.fix, problem.key))

    def _trace(self, layer: Any, shape: Sequence[int | None], depth: int, training: bool) -> list[Item]:
        import keras

        image = keras.Input(tuple(shape[1:]))
        takes = inspect.signature(layer.call).parameters
        answer = layer.call(image, **({"training": training} if "training" in takes else {}))
        return self._functional(keras.Model(image, answer), depth + 1)

    def _layer(self, layer: Any, shape: Sequence[int | None] | None, depth: int) -> list[Item]:
        kinds = kinds_of(layer)
        base = base_of(layer, is_functional="Functional" in kinds)
        if base is not None:
            return [Step(LayerConfig("Base", base, self._key(layer), None, layer))]
        if "Sequential" in kinds or "Functional" in kinds or "Model" in kinds:
            return self.model(layer, shape, depth + 1)
        name = type(layer).__name__
        if not kinds or kinds[0] != name or name == "Lambda":
            what = f"{name} is no layer of Keras's own, and its call is code" if name != "Lambda" else "Lambda is code"
            return self._followed(layer, shape, depth, Problem(what, WITHOUT_WORDS, self._key(layer)))
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
            return self._layer(operation, tuple(node.input_tensors[0].shape), depth)
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


def defines(thing: Any, method: str) -> bool:
    """Whether a user's own class, not Keras's, defines a method."""
    owner = next((kind for kind in type(thing).__mro__ if method in vars(kind)), None)
    return owner is not None and owner.__module__.split(".")[0] not in ("keras", "tf_keras", "assay")


def _shape_into(layer: Any) -> tuple[int | None, ...] | None:
    """The shape that a layer of a Sequential model gets; ``None`` before that is built."""
    nodes = getattr(layer, "_inbound_nodes", [])
    tensors = _listed(getattr(nodes[-1], "input_tensors", [])) if nodes else []
    return tuple(tensors[0].shape) if len(tensors) == 1 else None


def _signature(items: Iterable[Item]) -> list[Any]:
    """Layers and paths without what acts in training alone."""
    result: list[Any] = []
    for item in items:
        if isinstance(item, Fork):
            result.append([item.join.kind, *map(_signature, item.branches)])
        elif item.config.kind not in _TRAINING_ALONE and not item.config.kind.startswith("Random"):
            settings = {name: value for name, value in item.config.settings.items() if name != "name"}
            result.append((item.config.kind, repr(settings)))
    return result


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
