"""A model's layers and paths as layer words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import Problem, SpecError
from ..nets import Layer, word_of
from ..nets import layers as words
from ..nets.keras import Unfit
from .configs import LayerConfig
from .front import Front, take
from .graph import Fork, Graph, Item, Step
from .layer_words import initial_notes, layer_of


@dataclass
class Words:
    """A network in layer words.

    Args:
        lines: As ``spec.Network`` has them.
        num_classes: Of its answer; ``None`` where it does not say.
        is_binary: It ended in one unit, and has two classes here.
        gives_logits: It ended without a softmax.
        front: What stands elsewhere in a study.
        base: The base's table, where it has one.
        notes: A sentence each.
        sources: The ``LayerConfig.source`` of each layer, in the order in which they are computed; ``None`` for one
            that the model does not have itself.
    """

    lines: list[Any]
    num_classes: int | None
    is_binary: bool = False
    gives_logits: bool = False
    front: Front = field(default_factory=Front)
    base: dict[str, Any] | None = None
    notes: list[str] = field(default_factory=list)
    sources: list[Any] = field(default_factory=list)


def words_of(graph: Graph) -> Words:
    """A model's layers as words, with what ends a network here.

    Raises:
        SpecError: Some have no words; a problem for each.
    """
    front, notes = Front(), list(graph.notes)
    problems: list[Problem] = []
    items = _behind_front(list(graph.items), front, graph.shape, problems)
    base = None
    if items and isinstance(items[0], Step) and items[0].config.kind == "Base":
        base = _base(items[0].config, problems, notes)
        pooling = items[0].config.settings.get("pooling")
        items = items[1:]
        if pooling:
            kind = "GlobalMaxPooling2D" if pooling == "max" else "GlobalAveragePooling2D"
            items = [Step(LayerConfig(kind, {}, "pooling")), *items]
    entries = _entries(items, problems, notes)
    if not entries and not problems:
        problems.append(Problem("the model has no layers", "give one with layers"))
    if problems:
        raise SpecError(problems)
    result = _ended(entries, notes)
    result.front, result.base = front, base
    result.notes = [*front.notes, *dict.fromkeys(result.notes)]
    if graph.shape is not None and len(graph.shape) == 1 and base is None and front.shape is None:
        _flatten(result)
    return result


@dataclass(frozen=True)
class _Entry:
    """One line, the layer behind it where it is no block, and the sources of all of its layers."""

    line: Any
    layer: Layer | None = None
    config: LayerConfig | None = None
    sources: tuple[Any, ...] = (None,)


def _behind_front(
    items: list[Item], front: Front, shape: tuple[int | None, ...] | None, problems: list[Problem]
) -> list[Item]:
    """The items behind those that belong to the front."""
    while items and isinstance(items[0], Step):
        config = items[0].config
        if config.kind == "Activation" and config.settings.get("activation") == "linear":  # such as a cast to float32
            items = items[1:]
            continue
        try:
            if config.kind == "Reshape" and _makes_image(config, front, shape):
                items = items[1:]
                continue
            if not take(config, front):
                break
        except Unfit as unfit:
            problems.append(Problem(f"{config.kind}: {unfit.what}", unfit.fix, config.place))
        items = items[1:]
    return items


def _makes_image(config: LayerConfig, front: Front, shape: tuple[int | None, ...] | None) -> bool:
    """Whether a reshaping only gives an image its channel axis, or a vector the shape that images have here anyway."""
    target = tuple(config.settings.get("target_shape") or ())
    if len(target) not in (2, 3) or shape is None or any(not isinstance(side, int) for side in (*target, *shape)):
        return False
    if -1 in target and len(shape) == 2:
        target = (*shape, 1)
    height_width = target[:2]
    is_same = len(shape) in (2, 3) and tuple(shape[:2]) == height_width
    if is_same or len(shape) == 1:
        front.shape = target
        return True
    return False


def _entries(items: Sequence[Item], problems: list[Problem], notes: list[str]) -> list[_Entry]:
    entries: list[_Entry] = []
    for at, item in enumerate(items):
        if isinstance(item, Fork):
            entries.append(_block(item, problems, notes))
            continue
        config = item.config
        if config.kind in ("InputLayer", "Input"):
            continue
        if config.kind == "Base":
            problems.append(Problem("layers stand before its base", "put it first", config.place))
            continue
        if config.kind == "Activation" and config.settings.get("activation") == "linear" and at < len(items) - 1:
            continue
        if config.kind == "ActivityRegularization" or config.kind == "GaussianNoise":
            notes.append(f"{config.place}: {config.kind} has no word here and is left out.")
            continue
        try:
            layer = layer_of(config)
        except Unfit as unfit:
            problems.append(Problem(f"{config.kind}: {unfit.what}", unfit.fix, config.place))
            continue
        notes += [f"{config.place.partition(',')[0]}: {note}" for note in initial_notes(config)]
        has_weights = getattr(config.source, "weights", None) or (
            isinstance(config.source, tuple) and layer.role not in ("pool", "form", "dropout", "activation")
        )
        if config.settings.get("trainable") is False and has_weights:
            notes.append(f"{config.place}: it is frozen (trainable = False); here every layer trains.")
        entries.append(_Entry(word_of(layer), layer, config, (config.source,)))
    return _with_activations(entries)


def _with_activations(entries: list[_Entry]) -> list[_Entry]:
    """Blocks that add, with the activation behind them as their own."""
    joined: list[_Entry] = []
    for entry in entries:
        before = joined[-1].line if joined else None
        is_residual = isinstance(before, dict) and "residual" in before and "activation" not in before
        if is_residual and isinstance(entry.layer, words.Activate) and entry.layer.activation != "softmax":
            block = {**(before or {}), "activation": entry.layer.activation}
            joined[-1] = _Entry(block, sources=joined[-1].sources)
        else:
            joined.append(entry)
    return joined


def _block(fork: Fork, problems: list[Problem], notes: list[str]) -> _Entry:
    branches = [_entries(branch, problems, notes) for branch in fork.branches]
    is_sum = fork.join.kind == "Add"
    if is_sum and len(branches) == 2:
        branches = sorted(branches, key=lambda entries: _size([entry.line for entry in entries]), reverse=True)
    sources = tuple(source for branch in branches for entry in branch for source in entry.sources)
    lines = [[entry.line for entry in branch] for branch in branches]
    if is_sum and len(branches) == 2:
        main, other = lines
        return _Entry({"residual": main, **({"shortcut": other} if other else {})}, sources=(*sources, None))
    return _Entry({"parallel": lines, **({"join": "add"} if is_sum else {})}, sources=(*sources, None))


def _size(lines: Any) -> int:
    if isinstance(lines, list):
        return sum(map(_size, lines))
    return sum(map(_size, lines.values())) if isinstance(lines, dict) else 1


def _ended(entries: list[_Entry], notes: list[str]) -> Words:
    """The words, with what ends a network here: as many units as there are classes, and a softmax."""
    at, activation = len(entries) - 1, ""
    if isinstance(entries[-1].layer, words.Activate):
        activation = entries[-1].layer.activation
        at -= 1
    dense = entries[at].layer if at >= 0 else None
    place = _place(entries[-1])
    if not isinstance(dense, words.Dense):
        if activation == "softmax":  # such as a convolution and global pooling: its channels are the classes
            return _words(entries, _channels(entries[: at + 1]), notes=notes)
        if activation in ("", "linear") and (channels := _channels(entries)) is not None and at >= 0:
            notes = [*notes, f"{place}: the model gives logits; the softmax is written here."]
            return _words([*entries[: at + 1], _Entry("softmax")], channels, gives_logits=True, notes=notes)
        shown = entries[-1].line if isinstance(entries[-1].line, str) else "a block"
        raise SpecError(Problem(f"it ends in {shown}", "end with a dense layer and a softmax", place))
    units = int(dense.units) if dense.units != "classes" else None
    if activation and dense.activation != "linear":
        if activation != "softmax":
            raise SpecError(Problem(f"it ends in {dense.activation} and {activation}", "end with a softmax", place))
        return _words(entries, units, notes=notes)
    activation = activation or dense.activation
    if units == 1 and activation not in ("sigmoid", "linear"):
        fix = "classes are units with a softmax here; what is no class is not trained"
        raise SpecError(Problem(f"it ends in one unit with {activation}", fix, place))
    ending = word_of(replace(dense, units="classes", activation="softmax"))
    last = _Entry(ending, sources=entries[at].sources)
    ended = _words([*entries[:at], last], units, gives_logits=activation == "linear", notes=notes)
    if units == 1:
        ended.num_classes, ended.is_binary = 2, True
        what = "one sigmoid unit" if activation == "sigmoid" else "one unit without an activation"
        ended.notes = [*notes, f"{place}: {what} becomes two classes with a softmax."]
    elif activation not in ("softmax", "linear"):
        ended.notes = [*notes, f"{place}: its {units} {activation} units become a softmax over {units} classes."]
    elif activation == "linear":
        ended.notes = [*notes, f"{place}: the model gives logits; the softmax is written here."]
    return ended


def _words(
    entries: Sequence[_Entry], num_classes: int | None, *, notes: list[str], gives_logits: bool = False
) -> Words:
    sources = [source for entry in entries for source in entry.sources]
    lines = [entry.line for entry in entries]
    return Words(lines, num_classes, gives_logits=gives_logits, notes=notes, sources=sources)


def _channels(entries: Sequence[_Entry]) -> int | None:
    """The channels of the last convolution, where nothing but pooling and forms comes behind it."""
    for entry in reversed(entries):
        if isinstance(entry.layer, words.Conv):
            return entry.layer.filters
        if entry.layer is None or entry.layer.role not in ("pool", "form", "dropout", "activation", "norm"):
            return None
    return None


def _place(entry: _Entry) -> str:
    return entry.config.place if entry.config is not None else ""


def _flatten(words: Words) -> None:
    """Puts a ``flatten`` first, as images come as images here."""
    if not words.lines or words.lines[0] != "flatten":
        words.lines, words.sources = ["flatten", *words.lines], [None, *words.sources]


def _base(config: LayerConfig, problems: list[Problem], notes: list[str]) -> dict[str, Any] | None:
    """A network of ``keras.applications`` as a base."""
    settings = config.settings
    if settings.get("name") is None:
        what = f"{settings.get('class', 'this network')} is no base here"
        problems.append(Problem(what, "known: vgg16, vgg19, mobilenetv2, resnet18, squeezenet", config.place))
        return None
    trained, weights = settings["trained"], settings["weights"]
    base: dict[str, Any] = {"name": settings["name"], "weights": "imagenet" if weights == "imagenet" else "random"}
    if weights not in ("imagenet", None):
        notes.append(f"{config.place}: its weights come from {weights}; name the file under base.weights.")
    if settings.get("is_taken_to_be"):
        what = "its weights are taken to be those of ImageNet; the file's own are not read"
        notes.append(f"{config.place}: {what}.")
    if all(trained):
        base["train"] = "all"
    elif any(trained):
        names = settings["trains"]
        notes.append(f"{config.place}: of its layers {len(names)} train, from {names[0]} on; train says which blocks.")
        base["train"] = _last_blocks(settings["name"], names)
    else:
        base["train"] = "none"
    return base


def _last_blocks(name: str, layers: Sequence[str]) -> str:
    """How many of the last blocks train, where a base's layers carry their block's number."""
    numbers = [int(layer[5]) for layer in layers if layer.startswith("block") and layer[5:6].isdigit()]
    if name in ("vgg16", "vgg19") and numbers:
        count = 6 - min(numbers)
        return f"last {count} block{'s' if count > 1 else ''}"
    return "all"
