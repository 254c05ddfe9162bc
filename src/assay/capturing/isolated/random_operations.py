"""Random layers and ``tf.image.random_*`` in a pipeline's ``map``: recognised, and left out of its arrays.

They are augmentation, which a study says by itself. What else the function does to images is then the same every time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ...convert.configs import LayerConfig
from ...convert.front import Front, take
from ...nets.keras import Unfit
from ..patches import Patches, in_place_of
from ..places import place

# Layers of Keras that vary images and leave their size and their labels alone.
_LAYERS = (
    "RandomFlip", "RandomRotation", "RandomTranslation", "RandomZoom", "RandomContrast", "RandomBrightness",
    "RandomShear", "RandomHue", "RandomSaturation", "RandomGrayscale", "RandomInvert", "RandomPosterization",
    "RandomSharpness", "RandomColorJitter", "RandomColorDegeneration", "RandomGaussianBlur", "RandomErasing",
    "RandomPerspective", "RandomElasticTransform", "RandAugment", "AugMix",
)  # fmt: skip
_FLIPS = {"random_flip_left_right": "horizontal", "random_flip_up_down": "vertical"}

# What is collected now: None where random operations draw as ever.
_CALLED: list[dict[tuple[str, str], LayerConfig] | None] = [None]


@contextmanager
def collected(into: dict[tuple[str, str], LayerConfig]) -> Iterator[None]:
    """Lets random operations leave their images as they are; each is added once, by its kind and place."""
    before, _CALLED[0] = _CALLED[0], into
    try:
        yield
    finally:
        _CALLED[0] = before


def install(keras: Any, patches: Patches) -> None:
    """Lets Keras's random layers be collected."""
    for name in _LAYERS:
        kind = getattr(keras.layers, name, None)
        if kind is not None:
            patches.set(kind, "__call__", _layer(kind.__call__, keras))


def of_tensorflow(name: str, image: Any, settings: Mapping[str, Any]) -> bool:
    """Whether ``tf.image.NAME`` is collected, and so leaves its image as it is."""
    called = _CALLED[0]
    if called is None:
        return False
    where = place()
    if (name, where) not in called:
        is_flip = name in _FLIPS
        kind, given = ("RandomFlip", {"mode": _FLIPS[name]}) if is_flip else (f"tf.image.{name}", dict(settings))
        called[name, where] = LayerConfig(kind, given, where)
    return True


def _layer(original: Callable[..., Any], keras: Any) -> Callable[..., Any]:
    @in_place_of(original)
    def call(this: Any, images: Any, *args: Any, **kwargs: Any) -> Any:
        called = _CALLED[0]
        is_symbolic = isinstance(images, keras.KerasTensor)  # a model is being built of it
        if called is None or is_symbolic or isinstance(images, dict) or kwargs.get("training", True) is False:
            return original(this, images, *args, **kwargs)
        name, where = type(this).__name__, place()
        # A loop over layers calls several of one kind at one line; each has a name of its own.
        if (this.name, where) not in called:
            called[this.name, where] = LayerConfig(name, this.get_config(), where)
        return keras.ops.cast(images, this.compute_dtype)

    return call


def taken(called: Mapping[tuple[str, str], LayerConfig], front: Front) -> list[str]:
    """Notes on what the front has no word for; the rest becomes its augmentation."""
    notes: list[str] = []
    for config in called.values():
        try:
            take(config, front)
        except Unfit as unfit:
            notes.append(f"{config.place}: {config.kind}: {unfit.what}; it is left out.")
    notes += front.notes
    front.notes = []
    return notes


def name_of(function: Any) -> str:
    """A function's name, for a note."""
    name = getattr(function, "__name__", type(function).__name__)
    return "a lambda" if name == "<lambda>" else str(name)
