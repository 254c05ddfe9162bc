"""Reads a serialized Keras model, as ``.keras`` and ``.h5`` files have it: plain values, of which nothing is run."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from ..errors import Problem, SpecError
from ..nets.keras import short
from .bases import name_of_base
from .configs import MOST_LAYERS, LayerConfig
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

_MOST_NESTING = 32  # of lists in the arguments of one call


def graph_of_config(value: Any, *, file: str, is_h5: bool = False) -> Graph:
    """The layers of a serialized Sequential or functional model, those of models inside it too.

    Args:
        value: As ``config.json`` in a ``.keras`` file has it, or ``model_config`` in an ``.h5`` file.
        file: For messages.
        is_h5: Classes come without their modules, as in ``.h5`` files.

    Raises:
        SpecError: It is neither, holds a layer that is not Keras's own, or has paths that no block can express.
    """
    reader = _Reader(file, is_h5)
    try:
        items = reader.model(value, (), 0, "")
        shape = reader.shape or _shape(value.get("build_config", {}).get("input_shape"))
    except SpecError as error:
        raise SpecError([problem.at(file=file) for problem in error.problems]) from None
    except (TypeError, KeyError, AttributeError, ValueError, IndexError, RecursionError):
        raise SpecError(Problem("it describes no Keras model", "save one with model.save(...)", file=file)) from None
    if reader.problems:
        raise SpecError([problem.at(file=file) for problem in reader.problems])
    return Graph(items, shape)


def policy_of(value: Any) -> str:
    """The first dtype policy of a serialized model's layers that is not float32."""
    stack, policy = [value], "float32"
    while stack and policy == "float32":
        one = stack.pop()
        config = one.get("config") if isinstance(one, Mapping) else None
        if not isinstance(config, Mapping):
            continue
        dtype = config.get("dtype")
        if isinstance(dtype, Mapping) and isinstance(dtype.get("config"), Mapping):
            dtype = dtype["config"].get("name")
        if one.get("class_name") != "InputLayer" and isinstance(dtype, str) and dtype:
            policy = dtype[:40]
        layers = config.get("layers")
        stack += reversed(layers) if isinstance(layers, list) else []
    return policy


class _Reader:
    def __init__(self, file: str, is_h5: bool) -> None:
        self._file, self._is_h5 = file, is_h5
        self._count = 0
        self.shape: tuple[int | None, ...] | None = None
        self.problems: list[Problem] = []

    def model(self, value: Any, source: tuple[str, ...], depth: int, place: str) -> list[Item]:
        if not isinstance(value, Mapping) or not isinstance(value.get("config"), Mapping):
            raise SpecError(Problem("it describes no Keras model", "save one with model.save(...)", place))
        refuse_depth(depth)
        kind, layers = value.get("class_name"), value["config"].get("layers")
        if not self._is_own(value):
            what = f"it is of the class {short(_path(value))}, whose code is never run"
            raise SpecError(Problem(what, "build it as Sequential or with keras.Model(inputs, outputs)", place))
        if kind not in ("Sequential", "Functional", "Model") or not isinstance(layers, list):
            fix = "Sequential and functional models are read; use assay.from_keras on the model in memory"
            raise SpecError(Problem(f"it is a {short(kind)} model", fix, place))
        self._count += len(layers)
        if self._count > MOST_LAYERS:
            raise SpecError(Problem("its models are too long", f"{MOST_LAYERS:,} layers are the most", place))
        sources = _sources(layers, source, self._is_h5)
        if kind != "Sequential":
            return self._functional(value["config"], layers, sources, depth, place)
        items: list[Item] = []
        for layer, inner in zip(layers, sources, strict=True):
            if depth == 0 and not items:
                self._note_shape(layer)
            items += self._layer(layer, inner, depth)
        return items

    def _note_shape(self, layer: Any) -> None:
        settings = layer.get("config") if isinstance(layer, Mapping) else None
        if isinstance(settings, Mapping) and self.shape is None:
            self.shape = _shape(settings.get("batch_shape") or settings.get("batch_input_shape"))

    def _layer(self, layer: Any, source: tuple[str, ...], depth: int) -> list[Item]:
        settings = layer.get("config") if isinstance(layer, Mapping) else None
        kind = layer.get("class_name") if isinstance(layer, Mapping) else None
        if not isinstance(settings, Mapping) or not isinstance(kind, str):
            raise SpecError(Problem("it describes a layer without a class or settings", "save it again"))
        place = _place(layer)
        if not self._is_own(layer):
            what = f"{short(_path(layer))} is no layer of Keras's own, and its code is never run"
            self.problems.append(Problem(what, WITHOUT_WORDS, place))
            return []
        if kind in ("Sequential", "Functional", "Model"):
            base = _base(layer, place)
            return [base] if base is not None else self.model(layer, source, depth + 1, place)
        return [Step(LayerConfig(kind, settings, place, None, source))]

    def _is_own(self, value: Mapping[str, Any]) -> bool:
        """Whether a class is Keras's, and not one that somebody registered or a module that would be imported."""
        module, registered = value.get("module"), value.get("registered_name")
        if self._is_h5 and module is None:
            return registered in (None, value.get("class_name")) and ">" not in str(value.get("class_name"))
        is_keras = isinstance(module, str) and (module == "keras" or module.startswith("keras."))
        return is_keras and registered in (None, value.get("class_name"))

    def _functional(
        self, config: Mapping[str, Any], layers: list[Any], sources: list[tuple[str, ...]], depth: int, place: str
    ) -> list[Item]:
        inputs, outputs = (_ends(config.get(key)) for key in ("input_layers", "output_layers"))
        one_way(len(inputs), len(outputs), place)
        nodes: list[Node] = []
        uses: list[tuple[Hashable, str]] = []
        for layer, source in zip(layers, sources, strict=True):
            if not isinstance(layer, Mapping):
                raise SpecError(Problem("it describes a layer without a class or settings", "save it again", place))
            name = _name(layer)
            if depth == 0 and (name, 0, 0) == inputs[0]:
                self._note_shape(layer)
            for number, call in enumerate(layer.get("inbound_nodes") or []):
                read = _tensors(call)
                if not read:
                    continue
                uses.append((name, _place(layer)))
                nodes.append(self._node(layer, source, call, read, (name, number, 0), depth))
        refuse_shared(uses)
        refuse_taken_apart({_name(layer) for layer in layers}, place)
        return path_items(nodes, inputs[0], outputs[0])

    def _node(
        self, layer: Mapping[str, Any], source: tuple[str, ...], call: Any, read: list[Any], output: Any, depth: int
    ) -> Node:
        place, kind, settings = _place(layer), str(layer.get("class_name")), layer.get("config")
        plain = settings if isinstance(settings, Mapping) else {}
        tensors = tuple(tensor for tensor, _ in read)

        def items() -> list[Item]:
            if not _is_operation(layer) or not self._is_own(layer):
                return self._layer(layer, source, depth)
            return [Step(operation_config(kind, *_arguments(call), plain, place))]

        def join() -> LayerConfig:
            if not self._is_own(layer):
                what = f"{short(_path(layer))} is no layer of Keras's own, and its code is never run"
                raise SpecError(Problem(what, WITHOUT_WORDS, place))
            return join_config(kind, plain, read[0][1] or 4, place)

        return Node(tensors, output, place, items, join)


def _base(layer: Mapping[str, Any], place: str) -> Step | None:
    """A network of ``keras.applications`` that stands as one layer."""
    name = name_of_base(str(layer["config"].get("name", "")))
    inner = [one for one in layer["config"].get("layers") or [] if isinstance(one, Mapping)]
    names = {_name(one) for one in inner}
    if name is None or not names & {"block5_conv3", "expanded_conv_depthwise"} or names & {"fc1", "predictions"}:
        return None
    weighted = [one for one in inner if "Conv" in str(one.get("class_name")) or "Norm" in str(one.get("class_name"))]
    outer = layer["config"].get("trainable", True) is not False
    trained = [outer and one.get("config", {}).get("trainable", True) is not False for one in weighted]
    settings = {
        "name": name, "weights": "imagenet", "trained": trained, "is_taken_to_be": True,
        "trains": [_name(one) for one, trains in zip(weighted, trained, strict=True) if trains],
        "last": _name(inner[-1]), "pooling": "max" if "Max" in str(inner[-1].get("class_name")) and
        "Global" in str(inner[-1].get("class_name")) else "Global" in str(inner[-1].get("class_name")),
    }  # fmt: skip
    return Step(LayerConfig("Base", settings, place, None, None))


def _sources(layers: Sequence[Any], outer: tuple[str, ...], is_h5: bool) -> list[tuple[str, ...]]:
    """Where each layer's weights are: its path in ``model.weights.h5``, or its group and name in an ``.h5`` file."""
    numbers: dict[str, int] = {}
    sources: list[tuple[str, ...]] = []
    for layer in layers:
        name = str(layer.get("class_name")) if isinstance(layer, Mapping) else ""
        if is_h5:
            own = _name(layer) if isinstance(layer, Mapping) else ""
            sources.append((outer[0] if outer else own, own))
            continue
        if isinstance(layer, Mapping) and _is_operation(layer):
            sources.append(outer)
            continue
        snake = _snake(name)
        number = numbers.get(snake, 0)
        numbers[snake] = number + (name != "InputLayer")
        sources.append((*outer, "layers", snake + (f"_{number}" if number else "")))
    return sources


def _is_operation(layer: Mapping[str, Any]) -> bool:
    """Whether it is an operation of ``keras.ops``: layers have a setting ``trainable``, operations do not."""
    module, settings = layer.get("module"), layer.get("config")
    if isinstance(module, str):
        return ".ops." in f"{module}."
    return isinstance(settings, Mapping) and "trainable" not in settings and "batch_shape" not in settings \
        and "batch_input_shape" not in settings and "layers" not in settings  # fmt: skip


def _ends(value: Any) -> list[tuple[Any, ...]]:
    """Tensors that a model reads or gives: ``["dense", 0, 0]``, or a list of such."""
    is_one = isinstance(value, list) and len(value) == 3 and isinstance(value[0], str)
    return [_tensor(one) for one in ([value] if is_one else value)]


def _tensor(value: Any) -> tuple[Any, ...]:
    name, node, index = value[:3]
    if not isinstance(name, str) or not isinstance(node, int) or not isinstance(index, int):
        raise ValueError("no tensor")
    return name, node, index


def _tensors(call: Any, depth: int = 0) -> list[tuple[tuple[Any, ...], int | None]]:
    """The tensors that one use of a layer reads, with the number of their axes where it is given."""
    if depth > _MOST_NESTING:
        raise ValueError("too deep")
    if isinstance(call, Mapping):
        if call.get("class_name") == "__keras_tensor__":
            config = call["config"]
            shape = config.get("shape")
            return [(_tensor(config["keras_history"]), len(shape) if isinstance(shape, list) else None)]
        return [tensor for value in call.values() for tensor in _tensors(value, depth + 1)]
    if isinstance(call, list):
        if len(call) in (3, 4) and isinstance(call[0], str) and isinstance(call[1], int) and isinstance(call[2], int):
            return [(_tensor(call), None)]
        return [tensor for value in call for tensor in _tensors(value, depth + 1)]
    return []


def _arguments(call: Any) -> tuple[list[Any], Mapping[str, Any]]:
    if not isinstance(call, Mapping) or not isinstance(call.get("args"), list):
        return [], {}
    return call["args"], call.get("kwargs") or {}


def _shape(value: Any) -> tuple[int | None, ...] | None:
    if not isinstance(value, list | tuple) or not 2 <= len(value) <= 4:
        return None
    is_plain = all(side is None or (isinstance(side, int) and side > 0) for side in value[1:])
    return tuple(value[1:]) if is_plain else None


def _name(layer: Mapping[str, Any]) -> str:
    settings = layer.get("config")
    own = settings.get("name") if isinstance(settings, Mapping) else None
    return str(layer.get("name") or own or layer.get("class_name"))


def _place(layer: Mapping[str, Any]) -> str:
    return _name(layer)[:80]


def _path(value: Mapping[str, Any]) -> str:
    module = value.get("module")
    return value.get("registered_name") or f"{f'{module}.' if module else ''}{value.get('class_name')}"


def _snake(name: str) -> str:
    """A class's name as Keras spells it in the file of weights."""
    plain = re.sub(r"\W+", "", name)
    plain = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", plain)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", plain).lower()
