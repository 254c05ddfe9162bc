"""A network as a series of layers and of blocks whose paths part and meet again, read from the uses of its layers."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ..errors import Problem, SpecError
from ..spec.network import MAX_DEPTH
from .configs import LayerConfig

_NO_JOINS = ("Subtract", "Multiply", "Average", "Maximum", "Minimum", "Dot")
# Operations of keras.ops by the layer that does the same.
_AS_ACTIVATION = ("relu", "relu6", "sigmoid", "tanh", "softmax", "silu", "gelu")
WITHOUT_WORDS = "use layers that have words (docs/reference/study-file.md)"
# What some of the layers of keras.applications are called: their weights are lost where they are read one by one.
_PRETRAINED = {"block5_conv3", "expanded_conv_depthwise", "conv5_block1_1_conv", "top_conv", "mixed10"}


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


@dataclass(frozen=True, eq=False)
class Node:
    """One use of a layer.

    Args:
        inputs: The tensors that it reads.
        output: The tensor that it makes.
        place: Its layer's, for messages.
        items: Reads its layer, where it stands in a path.
        join: Reads its layer, where paths meet in it.
    """

    inputs: tuple[Hashable, ...]
    output: Hashable
    place: str
    items: Callable[[], list[Item]]
    join: Callable[[], LayerConfig]


def path_items(nodes: Iterable[Node], start: Hashable, end: Hashable) -> list[Item]:
    """What makes one tensor from another.

    Raises:
        SpecError: The end does not come from the start, or paths cross as no block can express.
    """
    ordered = _ordered({node.output: node for node in nodes}, start, end)
    return _Paths(ordered, end).from_tensor(start, None)[0]


def _ordered(makers: Mapping[Hashable, Node], start: Hashable, end: Hashable) -> list[Node]:
    """The nodes that make the end from the start, each behind those that it reads."""
    ordered: list[Node] = []
    seen: set[Hashable] = set()
    if end not in makers and end != start:
        raise SpecError(Problem("its output comes from no layer", "save the model again"))
    stack = [(end, False)] if end != start else []
    while stack:
        tensor, is_ready = stack.pop()
        if is_ready:
            ordered.append(makers[tensor])
            continue
        if tensor in seen:
            continue
        seen.add(tensor)
        stack.append((tensor, True))
        node = makers[tensor]
        for source in reversed(node.inputs):
            if source == start:
                continue
            if source not in makers:
                what = "it reads what does not come from the model's input"
                raise SpecError(Problem(what, "give a network with one image in and one answer out", node.place))
            stack.append((source, False))
    places = {node.output: rank for rank, node in enumerate(ordered)}
    for rank, node in enumerate(ordered):
        if any(places.get(source, -1) >= rank for source in node.inputs):
            raise SpecError(Problem("its layers read each other in a circle", "save the model again", node.place))
    return ordered


class _Paths:
    """Follows tensors from a network's input to its output."""

    def __init__(self, nodes: Sequence[Node], output: Hashable) -> None:
        self._output = output
        self._rank = {id(node): rank for rank, node in enumerate(nodes)}
        self._by_id = {id(node): node for node in nodes}
        self._consumers: dict[Hashable, list[Node]] = {}
        for node in nodes:
            for tensor in dict.fromkeys(node.inputs):
                self._consumers.setdefault(tensor, []).append(node)
        self._after: dict[int, set[int]] = {}
        for node in reversed(nodes):  # a node's consumers come after it
            after = [self._after[id(user)] for user in self._users(node.output)]
            # The model's output ends a path too, even where the tensor is read again.
            common = set.intersection(*after) if after and node.output != output else set()
            self._after[id(node)] = {id(node), *common}

    def _users(self, tensor: Hashable) -> list[Node]:
        return self._consumers.get(tensor, [])

    def from_tensor(self, tensor: Hashable, stop: Node | None, depth: int = 0) -> tuple[list[Item], Hashable]:
        """The items from a tensor to the join ``stop``, or to the end, and the tensor that arrives there."""
        items: list[Item] = []
        while True:
            users = self._users(tensor)
            if not users or (tensor == self._output and stop is None):
                return items, tensor
            if stop is not None and len(users) == 1 and users[0] is stop:
                return items, tensor
            if len(users) == 1:
                (node,) = users
                if len(node.inputs) > 1:
                    raise self._tangled(node)
                items += node.items()
                tensor = node.output
                continue
            join = self._meeting(users)
            if join is stop:
                raise self._tangled(join)
            if depth >= MAX_DEPTH:
                what = f"its blocks lie more than {MAX_DEPTH} deep in each other"
                raise SpecError(Problem(what, "make it flatter", join.place))
            items.append(self._fork(tensor, users, join, depth + 1))
            tensor = join.output

    def _meeting(self, users: Sequence[Node]) -> Node:
        common = set.intersection(*(self._after[id(user)] for user in users))
        if not common:
            raise SpecError(Problem("paths part here and never meet again", "join them", users[0].place))
        return self._by_id[min(common, key=self._rank.__getitem__)]

    def _fork(self, tensor: Hashable, users: Sequence[Node], join: Node, depth: int) -> Fork:
        config = join.join()
        arriving: dict[Hashable, tuple[Item, ...]] = {}
        for user in users:
            if user is join:
                arriving[tensor] = ()
                continue
            if len(user.inputs) > 1:
                raise self._tangled(user)
            rest, end = self.from_tensor(user.output, join, depth)
            arriving[end] = (*user.items(), *rest)
        inputs = join.inputs
        if set(inputs) != set(arriving) or len(inputs) != len(set(inputs)):
            raise self._tangled(join)
        return Fork(config, tuple(arriving[one] for one in inputs))

    def _tangled(self, node: Node) -> SpecError:
        what = "its paths cross others, which no residual or parallel block can express"
        return SpecError(Problem(what, "let each block's paths part at one place and meet at one", node.place))


def one_way(inputs: int, outputs: int, place: str) -> None:
    """Raises SpecError unless a model has one input and one output."""
    if (inputs, outputs) != (1, 1):
        what = f"the model has {inputs} input{'s' * (inputs != 1)} and {outputs} output{'s' * (outputs != 1)}"
        raise SpecError(Problem(what, "a study's network has one image in and one answer out", place))


def refuse_shared(uses: Iterable[tuple[Hashable, str]]) -> None:
    """Raises SpecError where a layer is used in several places: pairs of a layer and its place."""
    seen: set[Hashable] = set()
    for layer, place in uses:
        if layer in seen:
            what = "it is used in several places, which share its weights"
            raise SpecError(Problem(what, "give each place a layer of its own", place))
        seen.add(layer)


def refuse_taken_apart(names: set[str], place: str) -> None:
    """Raises SpecError where layers of a pretrained network are read one by one."""
    if names & _PRETRAINED:
        what = "its layers are a pretrained network's, whose weights would be lost"
        raise SpecError(Problem(what, "call the base as one layer: base(inputs)", place))


def refuse_depth(depth: int) -> None:
    """Raises SpecError where models lie too deep in each other."""
    if depth > MAX_DEPTH:
        raise SpecError(Problem(f"its models lie too deep (more than {MAX_DEPTH}) in each other", "make it flatter"))


def operation_config(
    kind: str, arguments: Sequence[Any], more: Mapping[str, Any], settings: Mapping[str, Any], place: str
) -> LayerConfig:
    """An operation of ``keras.ops`` as the layer that does the same.

    Args:
        kind: Its class.
        arguments: By position, tensors among them.
        more: By name.
        settings: The operation's own.
        place: For messages.

    Raises:
        SpecError: There is no such layer.
    """
    values = [*arguments[1:], *more.values()]
    numbers = [value for value in arguments if isinstance(value, int | float)]
    plain = kind.lower()
    if plain in ("leakyrelu", "elu"):
        name, key = ("LeakyReLU", "negative_slope") if plain == "leakyrelu" else ("ELU", "alpha")
        return LayerConfig(name, {key: settings[key]} if key in settings else {}, place)
    if plain == "relu" and "max_value" in settings:
        names = ("negative_slope", "max_value", "threshold")
        return LayerConfig("ReLU", {name: settings[name] for name in names if name in settings}, place)
    if plain == "softmax" and settings.get("axis", -1) != -1:
        raise SpecError(Problem(f"its softmax is along axis {settings['axis']}", WITHOUT_WORDS, place))
    if plain in _AS_ACTIVATION:
        return LayerConfig("Activation", {"activation": plain}, place)
    if kind in ("Multiply", "Divide", "TrueDivide", "Add", "Subtract") and len(numbers) == 1 and numbers[0]:
        number = float(numbers[0])
        is_first = isinstance(arguments[0], int | float)
        if is_first and kind in ("Subtract", "Divide", "TrueDivide"):
            raise SpecError(Problem(f"{kind} has no word here", WITHOUT_WORDS, place))
        scale = number if kind == "Multiply" else 1 / number if "Divide" in kind else 1.0
        offset = number if kind == "Add" else -number if kind == "Subtract" else 0.0
        return LayerConfig("Rescaling", {"scale": scale, "offset": offset}, place)
    if kind == "Reshape" and isinstance(settings.get("newshape"), list | tuple):
        return LayerConfig("Reshape", {"target_shape": list(settings["newshape"])[1:]}, place)
    axes = settings.get("axis")
    axes = list(axes) if isinstance(axes, list | tuple) else [axes]
    if kind == "Mean" and all(isinstance(axis, int) for axis in axes) and [axis % 4 for axis in axes] == [1, 2]:
        return LayerConfig("GlobalAveragePooling2D", {"keepdims": bool(settings.get("keepdims"))}, place)
    if kind == "Cast":
        return LayerConfig("Activation", {"activation": "linear"}, place)
    what = f"the operation {kind[:40]}{f' with {values[0]!r}'[:40] if values else ''} has no word here"
    raise SpecError(Problem(what, WITHOUT_WORDS, place))


def join_config(kind: str, settings: Mapping[str, Any], rank: int, place: str) -> LayerConfig:
    """The layer in which paths meet.

    Args:
        kind: Its class.
        settings: Its own.
        rank: Axes of a tensor that it reads, the batch's among them.
        place: For messages.

    Raises:
        SpecError: No block joins paths so.
    """
    if kind == "Concatenate":
        axis = settings.get("axis", -1)
        if axis not in (-1, rank - 1):
            raise SpecError(Problem(f"it concatenates along axis {axis!r}", "concatenate channels: axis=-1", place))
    elif kind != "Add":
        is_join = kind in _NO_JOINS
        what = f"{kind} joins paths and has no word here" if is_join else f"{kind[:40]} reads several tensors"
        raise SpecError(Problem(what, "join paths by adding or concatenating them", place))
    return LayerConfig(kind, settings, place)
