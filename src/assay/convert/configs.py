"""Layer configurations of Keras models, and the configurations in a serialized model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import Problem, SpecError
from ..nets.keras import short

MOST_LAYERS = 1000
_MOST_DEPTH = 16


@dataclass(frozen=True)
class LayerConfig:
    """One layer of a Keras model.

    Args:
        kind: Its class's name, such as ``Conv2D``.
        settings: Its configuration, as ``get_config`` gives it; what is left out has Keras's default.
        place: Its name or line, for messages.
        line: In the file that it was read from.
        source: Where its weights are: the layer itself, or its path in ``model.weights.h5``.
    """

    kind: str
    settings: Mapping[str, Any]
    place: str = ""
    line: int | None = None
    source: Any = None


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
        what = f"it is a {short(kind)} model" if _is_own(value) else f"it is of the class {short(_path(value))}"
        fix = "only Sequential models are read; write paths that part as residual or parallel blocks"
        raise SpecError(Problem(what, fix, file=file))
    if depth > _MOST_DEPTH or len(layers) > MOST_LAYERS:
        raise SpecError(Problem("its models lie too deep or are too long", "give a simpler one", file=file))
    configs: list[LayerConfig] = []
    problems: list[Problem] = []
    numbers: dict[str, int] = {}
    for layer in layers:
        settings = layer.get("config") if isinstance(layer, Mapping) else None
        name = layer.get("class_name") if isinstance(layer, Mapping) else None
        if not isinstance(settings, Mapping) or not isinstance(name, str):
            raise SpecError(Problem("it describes a layer without a class or settings", "save it again", file=file))
        place = str(settings.get("name", name))[:80]
        if not _is_own(layer):
            what = f"{short(_path(layer))} is no layer of Keras's own, and its code is never run"
            problems.append(Problem(what, "use layers that have words (docs/study-file.md)", place, file))
            continue
        number = numbers.get(name, 0)
        numbers[name] = number + (name != "InputLayer")
        inner = (*source, "layers", _snake(name) + (f"_{number}" if number else ""))
        if name == "Sequential":
            configs += of_keras(layer, file=file, depth=depth + 1, source=inner)
        else:
            configs.append(LayerConfig(name, settings, place, None, inner))
    if problems:
        raise SpecError(problems)
    return configs


def _is_own(value: Mapping[str, Any]) -> bool:
    """Whether a class is Keras's, and not one that somebody registered or a module that would be imported."""
    module, registered = value.get("module"), value.get("registered_name")
    is_keras = isinstance(module, str) and (module == "keras" or module.startswith("keras."))
    return is_keras and registered in (None, value.get("class_name"))


def _path(value: Mapping[str, Any]) -> str:
    return value.get("registered_name") or f"{value.get('module')}.{value.get('class_name')}"


def _snake(name: str) -> str:
    """A class's name as Keras spells it in the file of weights."""
    plain = re.sub(r"\W+", "", name)
    plain = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", plain)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", plain).lower()
