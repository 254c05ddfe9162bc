"""Keras layers, as their configurations describe them, as layer words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from ..errors import Problem, SpecError, nearest
from ..nets import Layer, word_of
from ..nets import layers as words
from ..nets.layers import ActivationName, spelled

MOST_LAYERS = 1000
_MOST_DEPTH = 16
_UNIT = 1 / 255


@dataclass(frozen=True)
class LayerConfig:
    """One layer of a Keras model.

    Args:
        kind: Its class's name, such as ``Conv2D``.
        settings: Its configuration, as ``get_config`` gives it; what is left out has Keras's default.
        place: Its name or line, for messages.
        line: In the file that it was read from.
        source: What its weights are found by.
    """

    kind: str
    settings: Mapping[str, Any]
    place: str = ""
    line: int | None = None
    source: Any = None


@dataclass(frozen=True)
class Converted:
    """A Sequential model in layer words.

    Args:
        lines: The words.
        shape: Height, width and channels of an image, where the model says them.
        num_classes: Units of its last layer.
        weighted: The ``source`` of each layer with weights, in order.
        notes: What is said elsewhere here, a sentence each.
    """

    lines: tuple[str, ...]
    shape: tuple[int, int, int] | None
    num_classes: int | None
    weighted: tuple[Any, ...]
    notes: tuple[str, ...]


class _Unfit(Exception):
    """What of a layer has no words here, and what to do about it."""

    def __init__(self, what: str, fix: str = "") -> None:
        self.what, self.fix = what, fix
        super().__init__(what)


def convert(layers: Sequence[LayerConfig], *, file: str = "") -> Converted:
    """A Sequential model's layers as words.

    Raises:
        SpecError: Some have no words here; a problem for each.
    """
    found: list[tuple[Layer, LayerConfig]] = []
    problems: list[Problem] = []
    notes: list[str] = []
    shape: tuple[int, int, int] | None = None
    if len(layers) > MOST_LAYERS:
        raise SpecError(Problem(f"the model has {len(layers):,} layers", f"{MOST_LAYERS:,} are the most", file=file))
    for config in layers:
        try:
            given = _input_shape(config)
            shape = shape or given
            if config.kind in ("InputLayer", "Input"):
                continue
            if config.kind == "Rescaling":
                notes.append(_rescaling(config, is_first=not found))
                continue
            found += [(layer, config) for layer in _layers(config)]
            notes += _beginning(config)
        except _Unfit as unfit:
            place = config.place or config.kind
            problems.append(Problem(f"{config.kind}: {unfit.what}", unfit.fix, place, file, config.line))
    if problems:
        raise SpecError(problems)
    if not found:
        raise SpecError(Problem("the model has no layers", "give one with layers", file=file))
    return _ended(found, shape, notes, file)


def _ended(
    found: list[tuple[Layer, LayerConfig]], shape: tuple[int, int, int] | None, notes: list[str], file: str
) -> Converted:
    """The words, with what ends a network here."""
    layers = [layer for layer, _ in found]
    last = layers[-1]
    units = next((layer.units for layer in reversed(layers) if isinstance(layer, words.Dense)), None)
    num_classes = units if isinstance(units, int) else None
    lines = [word_of(layer) for layer in layers]
    if isinstance(last, words.Dense):
        if last.activation == "sigmoid" and last.units == 1:
            fix = "two classes are two units with a softmax here: Dense(2, activation='softmax')"
            raise SpecError(Problem("it ends in one sigmoid unit", fix, found[-1][1].place, file, found[-1][1].line))
        if last.activation == "linear":
            notes.append("Its last layer has no softmax, so its loss works on logits: here the softmax is written.")
        elif last.activation != "softmax":
            what = f"it ends in {last.activation}"
            raise SpecError(Problem(what, "end with a softmax", found[-1][1].place, file, found[-1][1].line))
        ending = words.Dense("classes", "softmax", bias=last.bias, l1=last.l1, l2=last.l2)
        lines[-1] = word_of(ending)
    elif not (isinstance(last, words.Activate) and last.activation == "softmax"):
        raise SpecError(Problem(f"it ends in {word_of(last)}", "end with a dense layer and a softmax", file=file))
    elif len(layers) > 1 and isinstance(layers[-2], words.Dense) and layers[-2].activation == "linear":
        lines[-2] = lines[-2].replace(f"dense {layers[-2].units}", "dense classes", 1)
    has_weights = (words.Conv, words.Depthwise, words.Separable, words.Dense, words.BatchNorm)
    norms = (words.LayerNorm, words.GroupNorm, words.InstanceNorm)
    weighted = tuple(config.source for layer, config in found if isinstance(layer, (*has_weights, *norms)))
    return Converted(tuple(lines), shape, num_classes, weighted, tuple(dict.fromkeys(notes)))


def _input_shape(config: LayerConfig) -> tuple[int, int, int] | None:
    settings = config.settings
    shape = settings.get("batch_shape") or settings.get("batch_input_shape")
    told = settings.get("shape") or settings.get("input_shape")
    shape = list(shape)[1:] if isinstance(shape, Sequence) else told
    if not isinstance(shape, Sequence) or isinstance(shape, str):
        return None
    if len(shape) == 2:
        shape = [*shape, 1]
    if len(shape) != 3 or not all(isinstance(side, int) and side > 0 for side in shape):
        if config.kind in ("InputLayer", "Input"):
            raise _Unfit(f"its input is {_short(shape)}", "give images: (height, width, channels)")
        return None
    height, width, channels = shape
    return height, width, channels


def _rescaling(config: LayerConfig, *, is_first: bool) -> str:
    scale, offset = config.settings.get("scale"), config.settings.get("offset", 0)
    numbers = isinstance(scale, int | float) and isinstance(offset, int | float)
    if not is_first or not numbers or abs(scale - _UNIT) > 1e-6 or offset:  # type: ignore[operator]
        what = f"it scales by {_short(scale)}, {_short(offset)}"
        raise _Unfit(
            what, 'scaling is said under [data] here: scaling = "unit" is 1/255, "standard" and "none" are others'
        )
    return 'Its Rescaling(1/255) is scaling = "unit" under [data].'


def _beginning(config: LayerConfig) -> list[str]:
    """What is said of initial weights, which have no words."""
    given = config.settings.get("kernel_initializer") or config.settings.get("depthwise_initializer")
    name = given.get("class_name") if isinstance(given, Mapping) else given
    if not isinstance(name, str) or spelled(name) in ("glorotuniform", "xavieruniform"):
        return []
    return [f"Kernels that begin as {name[:40]} begin as Glorot-uniform here."]


def _layers(config: LayerConfig) -> list[Layer]:
    reader = _READERS.get(config.kind)
    if reader is None:
        raise _Unfit(*_unknown(config.kind))
    return reader(_Settings(config.settings))


def _unknown(kind: str) -> tuple[str, str]:
    if kind == "Lambda":
        return "it holds code, which is never run", "use layers that have words (docs/study-file.md)"
    if kind in ("Functional", "Model"):
        return "only Sequential models are read", "write paths that part as residual or parallel blocks"
    if kind.startswith("Random") or kind in ("CenterCrop", "Resizing"):
        return "it varies images", "augmentation is said under [training] (docs/study-file.md)"
    return "there are no words for this layer", nearest(kind, list(_READERS))


class _Settings:
    """A configuration, read key by key; what is set and never read must have its default."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings

    def get(self, name: str, default: Any = None) -> Any:
        return self._settings.get(name, default)

    def count(self, name: str, default: int | None = None) -> int:
        value = self._settings.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 10**9:
            raise _Unfit(f"{name} is {_short(value)}", "give a whole number, 1 or more")
        return value

    def pair(self, name: str, default: Any = None) -> tuple[int, int]:
        value = self._settings.get(name)
        value = default if value is None else value
        sides = [value, value] if isinstance(value, int) else value
        is_pair = isinstance(sides, Sequence) and not isinstance(sides, str) and len(sides) == 2
        if not is_pair or not all(isinstance(side, int) and 0 < side < 10**9 for side in sides):
            raise _Unfit(f"{name} is {_short(value)}", "give one or two whole numbers")
        return sides[0], sides[1]

    def one(self, name: str, default: Any = 1) -> int:
        height, width = self.pair(name, default)
        if height != width:
            raise _Unfit(f"{name} is {height} x {width}", "height and width are equal here")
        return height

    def flag(self, name: str, default: bool = True) -> bool:
        value = self._settings.get(name, default)
        if not isinstance(value, bool):
            raise _Unfit(f"{name} is {_short(value)}", "give True or False")
        return value

    def padding(self) -> Any:
        value = self._settings.get("padding", "valid")
        if value not in ("valid", "same"):
            raise _Unfit(f"padding is {_short(value)}", 'give "valid" or "same"')
        return value

    def number(self, name: str, default: float | None = None, *, below: float = 1e9) -> float:
        value = self._settings.get(name, default)
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < below:
            raise _Unfit(f"{name} is {_short(value)}", f"give a number from 0 to below {below:g}")
        return float(value)

    def activation(self, default: str = "linear") -> Any:
        value = self._settings.get("activation")
        value = default if value is None else value
        name = spelled(value) if isinstance(value, str) else ""
        if name not in get_args(ActivationName):
            known = list(get_args(ActivationName))
            fix = nearest(name, known) if name else f"known: {', '.join(known)}"
            raise _Unfit(f"its activation is {_short(value)}", fix)
        return name

    def penalties(self, *names: str) -> tuple[float, float]:
        """l1 and l2 on the kernels; a penalty elsewhere, or a constraint, has no words."""
        found = {_penalty(self._settings.get(name), name) for name in names} or {(0.0, 0.0)}
        if len(found) > 1:
            raise _Unfit("its kernels have different penalties", "give both the same")
        others = ("bias_regularizer", "activity_regularizer", "beta_regularizer", "gamma_regularizer")
        constraints = ("kernel_constraint", "bias_constraint", "depthwise_constraint", "pointwise_constraint")
        for name in (*others, *constraints):
            if self._settings.get(name) is not None:
                raise _Unfit(f"it has a {name}", "leave it out: kernels alone are penalized here (l1=, l2=)")
        return next(iter(found))

    def must_be(self, name: str, *allowed: Any) -> None:
        value = self._settings.get(name, allowed[0])
        if not any(value == one for one in allowed):
            raise _Unfit(f"{name} is {_short(value)}", f"here it is {allowed[0]!r}")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _penalty(value: Any, name: str) -> tuple[float, float]:
    if value is None:
        return 0.0, 0.0
    settings: Any = {}
    kind = value
    if isinstance(value, Mapping):
        kind, settings = value.get("class_name"), value.get("config") or {}
    kind = kind.lower() if isinstance(kind, str) else ""
    defaults = {"l1": (0.01, 0.0), "l2": (0.0, 0.01), "l1l2": (0.0, 0.0), "l1_l2": (0.0, 0.0)}
    if kind not in defaults or not isinstance(settings, Mapping):
        raise _Unfit(f"{name} is {_short(value)}", "l1 and l2 have words")
    l1, l2 = (settings.get(key, default) for key, default in zip(("l1", "l2"), defaults[kind], strict=True))
    if not all(isinstance(x, int | float) and 0 <= x < 1e9 for x in (l1, l2)):
        raise _Unfit(f"{name} is {_short(value)}", "give numbers, 0 or more")
    return float(l1), float(l2)


def _conv(s: _Settings) -> list[Layer]:
    s.must_be("data_format", "channels_last", None)
    l1, l2 = s.penalties("kernel_regularizer")
    return [words.Conv(
        s.count("filters"), s.pair("kernel_size"), s.activation(), padding=s.padding(), stride=s.one("strides"),
        dilation=s.one("dilation_rate"), groups=s.count("groups", 1), bias=s.flag("use_bias"), l1=l1, l2=l2,
    )]  # fmt: skip


def _depthwise(s: _Settings) -> list[Layer]:
    s.must_be("data_format", "channels_last", None)
    l1, l2 = s.penalties("depthwise_regularizer")
    return [words.Depthwise(
        s.pair("kernel_size"), s.activation(), multiplier=s.count("depth_multiplier", 1), padding=s.padding(),
        stride=s.one("strides"), dilation=s.one("dilation_rate"), bias=s.flag("use_bias"), l1=l1, l2=l2,
    )]  # fmt: skip


def _separable(s: _Settings) -> list[Layer]:
    s.must_be("data_format", "channels_last", None)
    l1, l2 = s.penalties("depthwise_regularizer", "pointwise_regularizer")
    return [words.Separable(
        s.count("filters"), s.pair("kernel_size"), s.activation(), multiplier=s.count("depth_multiplier", 1),
        padding=s.padding(), stride=s.one("strides"), dilation=s.one("dilation_rate"), bias=s.flag("use_bias"),
        l1=l1, l2=l2,
    )]  # fmt: skip


def _dense(s: _Settings) -> list[Layer]:
    l1, l2 = s.penalties("kernel_regularizer")
    return [words.Dense(s.count("units"), s.activation(), bias=s.flag("use_bias"), l1=l1, l2=l2)]


def _pool(kind: type[words.MaxPool] | type[words.AvgPool]) -> Callable[[_Settings], list[Layer]]:
    def read(s: _Settings) -> list[Layer]:
        s.must_be("data_format", "channels_last", None)
        size = s.one("pool_size", 2)
        return [kind(size, stride=s.one("strides", size), padding=s.padding())]

    return read


def _global(kind: type[words.GlobalMaxPool] | type[words.GlobalAvgPool]) -> Callable[[_Settings], list[Layer]]:
    def read(s: _Settings) -> list[Layer]:
        s.must_be("data_format", "channels_last", None)
        s.must_be("keepdims", False)
        return [kind()]

    return read


def _batchnorm(s: _Settings) -> list[Layer]:
    s.must_be("axis", -1, [-1], 3, [3])
    _affine(s)
    return [words.BatchNorm(epsilon=s.number("epsilon", 0.001), momentum=s.number("momentum", 0.99, below=1))]


def _norm(s: _Settings) -> None:
    s.must_be("epsilon", 0.001)
    _affine(s)


def _affine(s: _Settings) -> None:
    s.must_be("center", True)
    s.must_be("scale", True)
    s.penalties()


def _layernorm(s: _Settings) -> list[Layer]:
    s.must_be("axis", -1, [-1])
    _norm(s)
    return [words.LayerNorm()]


def _groupnorm(s: _Settings) -> list[Layer]:
    s.must_be("axis", -1, [-1])
    _norm(s)
    return [words.InstanceNorm() if s.get("groups", 32) == -1 else words.GroupNorm(s.count("groups", 32))]


def _relu(s: _Settings) -> list[Layer]:
    s.must_be("max_value", None, 6, 6.0)
    s.must_be("threshold", 0)
    slope = s.get("negative_slope", 0)
    if s.get("max_value") is not None and not slope:
        return [words.Activate("relu6")]
    s.must_be("max_value", None)
    if slope not in (0, 0.2):
        raise _Unfit(f"negative_slope is {_short(slope)}", "leakyrelu has 0.2 here")
    return [words.Activate("leakyrelu" if slope else "relu")]


def _leaky(s: _Settings) -> list[Layer]:
    slope = s.get("negative_slope", s.get("alpha", 0.3))
    if slope != 0.2:
        raise _Unfit(f"its slope is {_short(slope)}", "leakyrelu has 0.2 here, as keras.activations.leaky_relu")
    return [words.Activate("leakyrelu")]


def _elu(s: _Settings) -> list[Layer]:
    s.must_be("alpha", 1.0)
    return [words.Activate("elu")]


def _softmax(s: _Settings) -> list[Layer]:
    s.must_be("axis", -1)
    return [words.Activate("softmax")]


_READERS: Mapping[str, Callable[[_Settings], list[Layer]]] = {
    "Conv2D": _conv,
    "Convolution2D": _conv,
    "DepthwiseConv2D": _depthwise,
    "SeparableConv2D": _separable,
    "Dense": _dense,
    "MaxPooling2D": _pool(words.MaxPool),
    "MaxPool2D": _pool(words.MaxPool),
    "AveragePooling2D": _pool(words.AvgPool),
    "AvgPool2D": _pool(words.AvgPool),
    "GlobalMaxPooling2D": _global(words.GlobalMaxPool),
    "GlobalMaxPool2D": _global(words.GlobalMaxPool),
    "GlobalAveragePooling2D": _global(words.GlobalAvgPool),
    "GlobalAvgPool2D": _global(words.GlobalAvgPool),
    "BatchNormalization": _batchnorm,
    "LayerNormalization": _layernorm,
    "GroupNormalization": _groupnorm,
    "Dropout": lambda s: [words.Dropout(s.number("rate", below=1))],
    "SpatialDropout2D": lambda s: [words.SpatialDropout(s.number("rate", below=1))],
    "Flatten": lambda s: [words.Flatten()],
    "Activation": lambda s: [words.Activate(s.activation())],
    "ReLU": _relu,
    "LeakyReLU": _leaky,
    "ELU": _elu,
    "Softmax": _softmax,
}

KINDS = frozenset({*_READERS, "Input", "InputLayer", "Rescaling"})


def of_keras(value: Any, *, file: str = "", depth: int = 0, source: tuple[str, ...] = ()) -> list[LayerConfig]:
    """The layers of a serialized Sequential model, those of Sequential models in it too.

    Args:
        value: As ``config.json`` in a ``.keras`` file has it, or ``keras.saving.serialize_keras_object`` gives it.
        file: For messages.
        depth: How deep it lies in others.
        source: The path of its weights in ``model.weights.h5``.

    Raises:
        SpecError: It is no Sequential model, or holds a layer that is not Keras's own.
    """
    if not isinstance(value, Mapping) or not isinstance(value.get("config"), Mapping):
        raise SpecError(Problem("it describes no Keras model", "save one with model.save(...)", file=file))
    kind = value.get("class_name")
    layers = value["config"].get("layers")
    if kind != "Sequential" or not _is_own(value) or not isinstance(layers, list):
        what = f"it is a {_short(kind)} model" if _is_own(value) else f"it is of the class {_short(_path(value))}"
        fix = "only Sequential models are read; write paths that part as residual or parallel blocks"
        raise SpecError(Problem(what, fix, file=file))
    if depth > _MOST_DEPTH or len(layers) > MOST_LAYERS:
        raise SpecError(Problem("its models lie too deep or are too long", "give a simpler one", file=file))
    found: list[LayerConfig] = []
    problems: list[Problem] = []
    numbers: dict[str, int] = {}
    for layer in layers:
        settings = layer.get("config") if isinstance(layer, Mapping) else None
        name = layer.get("class_name") if isinstance(layer, Mapping) else None
        if not isinstance(settings, Mapping) or not isinstance(name, str):
            raise SpecError(Problem("it describes a layer without a class or settings", "save it again", file=file))
        place = str(settings.get("name", name))[:80]
        if not _is_own(layer):
            what = f"{_short(_path(layer))} is no layer of Keras's own, and its code is never run"
            problems.append(Problem(what, "use layers that have words (docs/study-file.md)", place, file))
            continue
        number = numbers.get(name, 0)
        numbers[name] = number + (name != "InputLayer")
        inner = (*source, "layers", _snake(name) + (f"_{number}" if number else ""))
        if name == "Sequential":
            found += of_keras(layer, file=file, depth=depth + 1, source=inner)
        else:
            found.append(LayerConfig(name, settings, place, None, inner))
    if problems:
        raise SpecError(problems)
    return found


def _is_own(value: Mapping[str, Any]) -> bool:
    """Whether a class is Keras's, and not one that somebody registered or a module that would be imported."""
    module, registered = value.get("module"), value.get("registered_name")
    is_keras = isinstance(module, str) and (module == "keras" or module.startswith("keras."))
    return is_keras and registered in (None, value.get("class_name"))


def _path(value: Mapping[str, Any]) -> str:
    return value.get("registered_name") or f"{value.get('module')}.{value.get('class_name')}"


def _snake(name: str) -> str:
    """A class's name as Keras spells it in the file of weights."""
    import re

    plain = re.sub(r"\W+", "", name)
    plain = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", plain)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", plain).lower()
