"""Networks of ``keras.applications`` that are bases here."""

from __future__ import annotations

from typing import Any

BASES = {"vgg16": "vgg16", "vgg19": "vgg19", "mobilenetv2": "mobilenetv2"}

# Networks that keras.applications made while their weights were left out, with what they are.
_MARKED: list[tuple[Any, dict[str, Any]]] = []


def mark(model: Any, base: dict[str, Any]) -> None:
    """Notes which network of ``keras.applications`` a model is: its class, its name here, its weights, its pooling."""
    _MARKED.append((model, base))


def marked() -> list[Any]:
    """The models that were marked."""
    return [model for model, _ in _MARKED]


def name_of_base(layer_name: str) -> str | None:
    """The base that a model's name speaks of: ``"vgg16"``, ``"mobilenetv2_1.00_224"``."""
    first, _, width = layer_name.lower().partition("_")
    is_narrow = first == "mobilenetv2" and not width.startswith("1.00")  # its width is another one
    return None if is_narrow else BASES.get(first)


def base_of(layer: Any, *, is_functional: bool = True) -> dict[str, Any] | None:
    """What a base is, where a layer is a network of ``keras.applications`` that is one here; else ``None``."""
    note = next((base for model, base in _MARKED if model is layer), None)
    name = name_of_base(str(getattr(layer, "name", "")))
    if note is None and (name is None or not is_functional):
        return None
    trained = [bool(inner.trainable) for inner in layer.layers if inner.weights]
    return {
        "name": name,
        "weights": "imagenet",
        "trained": trained,
        "trains": [str(inner.name) for inner in layer.layers if inner.weights and inner.trainable],
        "last": str(layer.layers[-1].name),
        "pooling": "global" in str(layer.layers[-1].name).lower(),
        **(note or {}),
    }
