"""A Keras model as a series of layers and of blocks whose paths part and meet again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ..convert.configs import LayerConfig
from ..errors import Problem, SpecError

_JOINS = ("Add", "Concatenate")
_NO_JOINS = ("Subtract", "Multiply", "Average", "Maximum", "Minimum", "Dot")
# Operations of keras.ops by the layer that does the same.
_AS_ACTIVATION = ("relu", "relu6", "sigmoid", "tanh", "softmax", "silu", "gelu", "elu", "leakyrelu", "leaky_relu")
BASES = {"vgg16": "vgg16", "vgg19": "vgg19", "mobilenetv2": "mobilenetv2"}  # keras.applications that are bases here


@dataclass(frozen=True)
class Step:
    """One layer."""

    config: LayerConfig


@dataclass(frozen=True)
class Fork:
    """Paths that read one input and meet in ``join``, in the order in which it reads them; one may be empty."""

    join: LayerConfig
    branches: tuple[tuple[Item, ...], ...]


Item: TypeAlias = "Step | Fork"


@dataclass
class Graph:
    """A model's layers.

    Args:
        items: In order.
        shape: Of one input, without the batch; ``None`` where the model does not say.
        notes: What was changed on the way, a sentence each.
    """

    items: list[Item]
    shape: tuple[int | None, ...] | None = None
    notes: list[str] = field(default_factory=list)


def graph_of(model: Any, place_of: Callable[[Any], str]) -> Graph:
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
        kinds = _kinds(model)
        if depth > 16:
            raise SpecError(Problem("its models lie more than 16 deep in each other", "make it flatter"))
        if "Sequential" in kinds:
            return [item for layer in model.layers for item in self._layer(layer, depth)]
        if "Functional" in kinds:
            return self._functional(model, depth)
        name = type(model).__name__
        what = f"{name} is a class of your own, whose call is code"
        raise SpecError(Problem(what, "build it as Sequential or with keras.Model(inputs, outputs)", self._key(model)))

    def _layer(self, layer: Any, depth: int) -> list[Item]:
        kinds = _kinds(layer)
        base = base_of(layer)
        if base is not None:
            config = LayerConfig("Base", base, self._key(layer), None, layer)
            return [Step(config)]
        if "Sequential" in kinds or "Functional" in kinds:
            return self.model(layer, depth + 1)
        if not kinds or kinds[0] != type(layer).__name__:
            what = f"{type(layer).__name__} is a layer of your own, whose call is code"
            raise SpecError(Problem(what, "use layers that have words (docs/study-file.md)", self._key(layer)))
        settings = layer.get_config()
        return [Step(LayerConfig(type(layer).__name__, settings, self._key(layer), None, layer))]

    def _key(self, layer: Any) -> str:
        name, place = str(getattr(layer, "name", type(layer).__name__)), self._place_of(layer)
        return f"{place}, {name}" if place else name

    def _functional(self, model: Any, depth: int) -> list[Item]:
        if len(model.inputs) != 1 or len(model.outputs) != 1:
            what = f"the model has {len(model.inputs)} inputs and {len(model.outputs)} outputs"
            raise SpecError(Problem(what, "a study's network has one image in and one answer out", self._key(model)))
        nodes = _nodes(model)
        consumers: dict[int, list[Any]] = {}
        for node in nodes:
            for tensor in {id(tensor): tensor for tensor in node.input_tensors}.values():
                consumers.setdefault(id(tensor), []).append(node)
        uses: dict[int, int] = {}
        for node in nodes:
            uses[id(node.operation)] = uses.get(id(node.operation), 0) + 1
            if uses[id(node.operation)] > 1:
                what = "it is used in several places, which share its weights"
                raise SpecError(Problem(what, "give each place a layer of its own", self._key(node.operation)))
        first, start = self._inlined_base(model, nodes)
        paths = _Paths(nodes, consumers, id(model.outputs[0]), lambda node: self._node(node, depth), self._key)
        return [*first, *paths.from_tensor(start, None)[0]]

    def _inlined_base(self, model: Any, nodes: list[Any]) -> tuple[list[Item], Any]:
        """A base whose layers are part of this model's graph, ``Model(base.input, head(base.output))``, and its end."""
        made = {id(_output(node)) for node in nodes}
        own = {id(node.operation) for node in nodes}
        for base, _ in _MARKED:
            shared = [layer for layer in base.layers if id(layer) in own and layer.weights]
            if base is model or not shared:
                continue
            values = base_of(base)
            if id(base.outputs[0]) not in made or values is None:
                what = f"it takes {base.name} apart, up to {shared[-1].name}"
                fix = 'name the block under [network] base: { name = "vgg16", until = "block4" }'
                raise SpecError(Problem(what, fix, self._key(model)))
            return [Step(LayerConfig("Base", values, self._key(base), None, base))], base.outputs[0]
        names = {str(getattr(node.operation, "name", "")) for node in nodes}
        if names & {"block5_conv3", "expanded_conv_depthwise", "conv5_block1_1_conv", "top_conv", "mixed10"}:
            what = "its layers are a pretrained network's, whose weights would be lost"
            raise SpecError(Problem(what, "call the base as one layer: base(inputs)", self._key(model)))
        return [], model.inputs[0]

    def _node(self, node: Any, depth: int) -> list[Item]:
        operation = node.operation
        module = type(operation).__module__
        if hasattr(operation, "get_weights") or ".layers" in module or _kinds(operation)[:1] == ["Functional"]:
            return self._layer(operation, depth)
        config = _operation(node, self._key(operation))
        return [Step(config)]


class _Paths:
    """Follows a functional model's tensors from its input to its output."""

    def __init__(
        self,
        nodes: list[Any],
        consumers: Mapping[int, list[Any]],
        output: int,
        items_of: Callable[[Any], list[Item]],
        key_of: Callable[[Any], str],
    ) -> None:
        self._consumers, self._output, self._items_of, self._key_of = consumers, output, items_of, key_of
        self._rank = {id(node): rank for rank, node in enumerate(nodes)}
        self._by_id = {id(node): node for node in nodes}
        self._after: dict[int, set[int]] = {}
        for node in reversed(nodes):  # a node's consumers come after it
            after = [self._after[id(user)] for user in self._users(_output(node))]
            # The model's output ends a path too, even where the tensor is read again.
            common = set.intersection(*after) if after and id(_output(node)) != output else set()
            self._after[id(node)] = {id(node), *common}

    def _users(self, tensor: Any) -> list[Any]:
        return self._consumers.get(id(tensor), [])

    def from_tensor(self, tensor: Any, stop: Any) -> tuple[list[Item], Any]:
        """The items from a tensor to the join ``stop``, or to the end, and the tensor that arrives there."""
        items: list[Item] = []
        while True:
            users = self._users(tensor)
            if not users or (id(tensor) == self._output and stop is None):
                return items, tensor
            if stop is not None and len(users) == 1 and users[0] is stop:
                return items, tensor
            if len(users) == 1:
                (node,) = users
                if len(node.input_tensors) > 1:
                    raise self._tangled(node)
                items += self._items_of(node)
                tensor = _output(node)
                continue
            join = self._meeting(users)
            if join is stop:
                raise self._tangled(join)
            items.append(self._fork(tensor, users, join))
            tensor = _output(join)

    def _meeting(self, users: list[Any]) -> Any:
        common = set.intersection(*(self._after[id(user)] for user in users))
        if not common:
            raise SpecError(
                Problem("paths part here and never meet again", "join them", self._key_of(users[0].operation))
            )
        return self._by_id[min(common, key=self._rank.__getitem__)]

    def _fork(self, tensor: Any, users: list[Any], join: Any) -> Fork:
        config = _join(join, self._key_of(join.operation))
        arriving: dict[int, tuple[Item, ...]] = {}
        for user in users:
            if user is join:
                arriving[id(tensor)] = ()
                continue
            if len(user.input_tensors) > 1:
                raise self._tangled(user)
            rest, end = self.from_tensor(_output(user), join)
            arriving[id(end)] = (*self._items_of(user), *rest)
        inputs = [id(one) for one in join.input_tensors]
        if set(inputs) != set(arriving) or len(inputs) != len(set(inputs)):
            raise self._tangled(join)
        return Fork(config, tuple(arriving[one] for one in inputs))

    def _tangled(self, node: Any) -> SpecError:
        what = "its paths cross others, which no residual or parallel block can express"
        return SpecError(
            Problem(what, "let each block's paths part at one place and meet at one", self._key_of(node.operation))
        )


def _nodes(model: Any) -> list[Any]:
    """The nodes that make the output from the input, each after those that it reads."""
    ordered: list[Any] = []
    seen: set[int] = set()
    makers: dict[int, Any] = {}
    for layer in getattr(model, "operations", None) or model.layers:
        for node in layer._inbound_nodes:
            for tensor in _listed(node.output_tensors if hasattr(node, "output_tensors") else node.outputs):
                makers[id(tensor)] = node
    first = id(model.inputs[0])
    stack = [(makers[id(model.outputs[0])], False)]
    while stack:
        node, is_ready = stack.pop()
        if is_ready:
            ordered.append(node)
            continue
        if id(node) in seen:
            continue
        seen.add(id(node))
        stack.append((node, True))
        for tensor in reversed(node.input_tensors):
            if id(tensor) != first and id(tensor) in makers:
                stack.append((makers[id(tensor)], False))
    return [node for node in ordered if node.input_tensors and id(_output(node)) != first]


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _output(node: Any) -> Any:
    return _listed(node.output_tensors)[0]


def _kinds(layer: Any) -> list[str]:
    """The classes of Keras that a layer has, the nearest first; those of the user's own are left out."""
    return [kind.__name__ for kind in type(layer).__mro__ if kind.__module__.split(".")[0] in ("keras", "tf_keras")]


# Networks that keras.applications made while their weights were left out, with what they are.
_MARKED: list[tuple[Any, dict[str, Any]]] = []


def mark(model: Any, base: dict[str, Any]) -> None:
    """Notes which network of ``keras.applications`` a model is: its class, its name here, its weights, its pooling."""
    _MARKED.append((model, base))


def base_of(layer: Any) -> dict[str, Any] | None:
    """What a base is, where a layer is a network of ``keras.applications`` that is one here; else ``None``."""
    marked = next((base for model, base in _MARKED if model is layer), None)
    name = BASES.get(str(getattr(layer, "name", "")).split("_")[0].lower())
    if marked is None and (name is None or "Functional" not in _kinds(layer)):
        return None
    trained = [bool(inner.trainable) for inner in layer.layers if inner.weights]
    return {
        "name": name,
        "weights": "imagenet",
        "trained": trained,
        "trains": [str(inner.name) for inner in layer.layers if inner.weights and inner.trainable],
        "last": str(layer.layers[-1].name),
        "pooling": "global" in str(layer.layers[-1].name).lower(),
        **(marked or {}),
    }


def _operation(node: Any, key: str) -> LayerConfig:
    """An operation of ``keras.ops`` as the layer that does the same."""
    kind = type(node.operation).__name__
    values = [*node.arguments.args[1:], *node.arguments.kwargs.values()]
    numbers = [value for value in node.arguments.args if isinstance(value, int | float)]
    plain = kind.lower()
    if plain in _AS_ACTIVATION:
        return LayerConfig("Activation", {"activation": plain}, key)
    if kind in ("Multiply", "Divide", "TrueDivide", "Add", "Subtract") and len(numbers) == 1:
        number = float(numbers[0])
        is_first = isinstance(node.arguments.args[0], int | float)
        if is_first and kind in ("Subtract", "Divide", "TrueDivide"):
            raise SpecError(Problem(f"{kind} has no word here", "use layers that have words", key))
        scale = number if kind == "Multiply" else 1 / number if "Divide" in kind else 1.0
        offset = number if kind == "Add" else -number if kind == "Subtract" else 0.0
        return LayerConfig("Rescaling", {"scale": scale, "offset": offset}, key)
    settings = {name: value for name, value in vars(node.operation).items() if not name.startswith("_")}
    if kind == "Reshape":
        return LayerConfig("Reshape", {"target_shape": list(settings.get("newshape", ()))[1:]}, key)
    if kind == "Mean" and [axis % 4 for axis in _listed(settings.get("axis"))] == [1, 2]:
        return LayerConfig("GlobalAveragePooling2D", {"keepdims": bool(settings.get("keepdims"))}, key)
    if kind in ("Cast", "GetItem") and kind == "Cast":
        return LayerConfig("Activation", {"activation": "linear"}, key)
    what = f"the operation {kind}{f' with {values[0]!r}'[:40] if values else ''} has no word here"
    raise SpecError(Problem(what, "use layers that have words (docs/study-file.md)", key))


def _join(node: Any, key: str) -> LayerConfig:
    kind = type(node.operation).__name__
    settings = node.operation.get_config() if ".layers" in type(node.operation).__module__ else {}
    if kind == "Concatenate":
        axis = settings.get("axis", getattr(node.operation, "axis", -1))
        rank = len(node.input_tensors[0].shape)
        if axis not in (-1, rank - 1):
            raise SpecError(Problem(f"it concatenates along axis {axis}", "concatenate channels: axis=-1", key))
    elif kind != "Add":
        fix = "join paths by adding or concatenating them"
        what = f"{kind} joins paths and has no word here" if kind in _NO_JOINS else f"{kind} reads several tensors"
        raise SpecError(Problem(what, fix, key))
    return LayerConfig(kind, settings, key)
