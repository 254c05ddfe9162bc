"""Converts the layers of a Keras Sequential model to layer words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import Problem, SpecError, nearest
from ..nets import Layer, word_of
from ..nets import layers as words
from ..nets.keras import Settings, Signature, Unfit, short
from ..nets.kinds import spelled
from ..nets.layers import KERAS
from ..nets.shapes import outline
from .configs import MOST_LAYERS, LayerConfig

_UNIT = 1 / 255
# Layers of Keras that a study has elsewhere than among its layer words.
_ELSEWHERE = (
    Signature("Input(shape=None, batch_size=None)"),
    Signature("InputLayer(input_shape=None, batch_size=None)"),
    Signature("Rescaling(scale, offset=0.0)"),
)
SIGNATURES: Mapping[str, Signature] = {
    **{name: signature for name, (signature, _) in KERAS.items()},
    **{signature.name: signature for signature in _ELSEWHERE},
}


@dataclass(frozen=True)
class Converted:
    """A Sequential model in layer words.

    Args:
        lines: The words.
        shape: Height, width and channels of an image, where the model gives them.
        num_classes: Units of its last layer.
        sources: The ``LayerConfig.source`` of each line's layer.
        notes: What a study says elsewhere than in its layers, a sentence each.
    """

    lines: tuple[str, ...]
    shape: tuple[int, int, int] | None
    num_classes: int | None
    sources: tuple[Any, ...]
    notes: tuple[str, ...]


def convert(layers: Sequence[LayerConfig], *, file: str = "") -> Converted:
    """A Sequential model's layers as words.

    Raises:
        SpecError: Some have no words here; a problem for each.
    """
    converted: list[tuple[Layer, LayerConfig]] = []
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
                notes.append(_rescaling(config, is_first=not converted))
                continue
            converted.append((layer_of(config), config))
            notes += initial_notes(config)
        except Unfit as unfit:
            place = config.place or config.kind
            problems.append(Problem(f"{config.kind}: {unfit.what}", unfit.fix, place, file, config.line))
    if problems:
        raise SpecError(problems)
    if not converted:
        raise SpecError(Problem("the model has no layers", "give one with layers", file=file))
    return _ended(converted, shape, notes, file)


def _ended(
    converted: list[tuple[Layer, LayerConfig]], shape: tuple[int, int, int] | None, notes: list[str], file: str
) -> Converted:
    """The words, with what ends a network here."""
    layers = [layer for layer, _ in converted]
    last, config = converted[-1]
    num_classes = _num_classes(layers, shape)
    lines = [word_of(layer) for layer in layers]
    if isinstance(last, words.Dense):
        if last.activation == "sigmoid" and last.units == 1:
            fix = "two classes are two units with a softmax here: Dense(2, activation='softmax')"
            raise SpecError(Problem("it ends in one sigmoid unit", fix, config.place, file, config.line))
        if last.activation == "linear":
            notes.append("Its last layer has no softmax, so its loss works on logits: here the softmax is written.")
        elif last.activation != "softmax":
            what = f"it ends in {last.activation}"
            raise SpecError(Problem(what, "end with a softmax", config.place, file, config.line))
        ending = words.Dense("classes", "softmax", bias=last.bias, l1=last.l1, l2=last.l2)
        lines[-1] = word_of(ending)
    elif not (isinstance(last, words.Activate) and last.activation == "softmax"):
        raise SpecError(Problem(f"it ends in {word_of(last)}", "end with a dense layer and a softmax", file=file))
    elif len(layers) > 1 and isinstance(layers[-2], words.Dense) and layers[-2].activation == "linear":
        lines[-2] = lines[-2].replace(f"dense {layers[-2].units}", "dense classes", 1)
    sources = tuple(config.source for _, config in converted)
    return Converted(tuple(lines), shape, num_classes, sources, tuple(dict.fromkeys(notes)))


def _num_classes(layers: Sequence[Layer], shape: tuple[int, int, int] | None) -> int | None:
    """How many values the network puts out; ``None`` where that depends on an image of unknown shape."""
    last = layers[-1]
    if shape is not None and isinstance(last, words.Activate) and (rows := outline(layers[:-1], shape)):
        return rows[-1].output_shape[-1]
    shaping = ("dense", "convolution", "form")
    deciding = next((layer for layer in reversed(layers) if layer.role in shaping), None)
    return deciding.units if isinstance(deciding, words.Dense) and isinstance(deciding.units, int) else None


def _input_shape(config: LayerConfig) -> tuple[int, int, int] | None:
    settings = config.settings
    shape = settings.get("batch_shape") or settings.get("batch_input_shape")
    without_batch = settings.get("shape") or settings.get("input_shape")
    shape = list(shape)[1:] if isinstance(shape, Sequence) else without_batch
    if not isinstance(shape, Sequence) or isinstance(shape, str):
        return None
    if len(shape) == 2:
        shape = [*shape, 1]
    if len(shape) != 3 or not all(isinstance(side, int) and side > 0 for side in shape):
        if config.kind in ("InputLayer", "Input"):
            raise Unfit(f"its input is {short(shape)}", "give images: (height, width, channels)")
        return None
    height, width, channels = shape
    return height, width, channels


def _rescaling(config: LayerConfig, *, is_first: bool) -> str:
    scale, offset = config.settings.get("scale"), config.settings.get("offset", 0)
    numbers = isinstance(scale, int | float) and isinstance(offset, int | float)
    if not is_first or not numbers or abs(scale - _UNIT) > 1e-6 or offset:  # type: ignore[operator]
        what = f"it scales by {short(scale)}, {short(offset)}"
        raise Unfit(what, 'scaling stands under [data]: scaling = "unit" is 1/255, "standard" and "none" are others')
    return 'Its Rescaling(1/255) is scaling = "unit" under [data].'


def initial_notes(config: LayerConfig) -> list[str]:
    """A note on initial kernels that are drawn otherwise here, as they have no words."""
    given = config.settings.get("kernel_initializer") or config.settings.get("depthwise_initializer")
    name = given.get("class_name") if isinstance(given, Mapping) else given
    if not isinstance(name, str) or spelled(name) in ("glorotuniform", "xavieruniform"):
        return []
    return [f"Kernels that begin as {name[:40]} begin as Glorot-uniform here."]


def layer_of(config: LayerConfig) -> Layer:
    """The layer that one of Keras's means.

    Raises:
        Unfit: There are no words for it, or for one of its settings.
    """
    if config.kind not in KERAS:
        raise Unfit(*_unknown(config.kind))
    signature, layer_class = KERAS[config.kind]
    settings = Settings(signature, config.settings)
    layer = layer_class.from_keras(settings)
    settings.refuse_unread()
    return layer


def _unknown(kind: str) -> tuple[str, str]:
    if kind == "Lambda":
        return "it holds code, which is never run", "use layers that have words (docs/study-file.md)"
    if kind in ("Functional", "Model"):
        return "only Sequential models are read", "write paths that part as residual or parallel blocks"
    if kind.startswith("Random") or kind in ("CenterCrop", "Resizing"):
        return "it varies images", "augmentation stands under [training] (docs/study-file.md)"
    return "there are no words for this layer", nearest(kind, list(KERAS))
