"""What stands before a network's first layer and is said elsewhere in a study: scaling, sizes, augmentation."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..nets.keras import Unfit, short
from .configs import LayerConfig

FILLS = ("constant", "nearest", "reflect")
_INCIDENTAL = ("name", "trainable", "dtype", "seed", "data_format", "value_range", "data_type")


@dataclass
class Front:
    """What a model does to its images before it learns from them.

    Args:
        scale: What pixels are multiplied by, together.
        offset: What is added then.
        is_normalized: They are standardised by their own mean and deviation.
        size: Height and width that they are brought to.
        augmentation: Settings of ``spec.Augmentation``.
        augments: Settings that need the images' height and width: called with them.
        shape: Of an image, where a reshaping makes one of a vector.
        notes: A sentence each.
    """

    scale: float = 1.0
    offset: float = 0.0
    is_normalized: bool = False
    size: tuple[int, int] | None = None
    augmentation: dict[str, Any] = field(default_factory=dict)
    augments: list[Callable[[int, int], tuple[dict[str, Any], list[str]]]] = field(default_factory=list)
    shape: tuple[int, ...] | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def rescales(self) -> bool:
        return (self.scale, self.offset) != (1.0, 0.0)

    def settings(self, height: int, width: int) -> tuple[dict[str, Any], list[str]]:
        """The augmentation of images of this size, and what it leaves out."""
        settings, notes = dict(self.augmentation), []
        for augment in self.augments:
            more, remarks = augment(height, width)
            settings |= more
            notes += remarks
        return settings, notes


def take(config: LayerConfig, front: Front) -> bool:
    """Whether a layer belongs to the front, which then has it.

    Raises:
        Unfit: It is one of these kinds, with a setting that cannot be expressed.
    """
    settings, place = config.settings, config.place
    match config.kind:
        case "InputLayer" | "Input":
            return True
        case "Rescaling":
            scale, offset = settings.get("scale"), settings.get("offset", 0.0)
            if not isinstance(scale, int | float) or not isinstance(offset, int | float):
                raise Unfit(f"it scales by {short(scale)}, {short(offset)}", "give one number for all channels")
            front.scale, front.offset = front.scale * scale, front.offset * scale + offset
        case "Normalization":
            front.is_normalized = True
        case "Resizing":
            front.size = (int(settings["height"]), int(settings["width"]))
            kind = settings.get("interpolation", "bilinear")
            if kind != "bilinear" or settings.get("crop_to_aspect_ratio") or settings.get("pad_to_aspect_ratio"):
                front.notes.append(f"{place}: images are resized bilinearly to height and width here, stretched.")
        case "RandomFlip":
            mode = settings.get("mode", "horizontal_and_vertical")
            mode = {"horizontal_and_vertical": "both"}.get(mode, mode)
            front.augmentation["flip"] = mode if front.augmentation.get("flip", mode) == mode else "both"
        case "RandomRotation":
            _fill(front, settings, place)
            _vary(front, "rotation", 360 * _reach(settings["factor"], "rotation", front, place), place)
        case "RandomTranslation":
            _fill(front, settings, place)
            rows = _reach(settings["height_factor"], "shift", front, place)
            columns = _reach(settings["width_factor"], "shift", front, place)
            front.augments.append(lambda height, width: shift(rows * height, columns * width, place))
        case "RandomZoom":
            _fill(front, settings, place)
            zoom = _reach(settings["height_factor"], "zoom", front, place)
            across = settings.get("width_factor")
            if across is not None and _reach(across, "zoom", front, place) != zoom:
                front.notes.append(f"{place}: height and width zoom alike here, by {zoom:g}.")
            _vary(front, "zoom", zoom, place)
        case _ if config.kind.startswith("Random") or config.kind in (
            "AutoContrast",
            "Solarization",
            "MixUp",
            "CutMix",
            "RandAugment",
            "AugMix",
        ) or config.kind.startswith("tf.image."):  # fmt: skip
            front.notes.append(f"{place}: {config.kind}({_settings(settings)}) has no word here and is left out.")
        case _:
            return False
    return True


def _settings(settings: Mapping[str, Any]) -> str:
    """The settings that say what a layer does, for a note."""
    plain = {key: value for key, value in settings.items() if key not in _INCIDENTAL and value is not None}
    text = ", ".join(f"{key}={value}" for key, value in plain.items())
    return text if len(text) <= 100 else f"{text[:97]}..."


def _vary(front: Front, name: str, reach: float, place: str) -> None:
    """Sets how far a kind of variation goes; two of one kind are one here, the larger."""
    earlier = front.augmentation.get(name)
    if earlier is not None and earlier != reach:
        front.notes.append(f"{place}: {name} is varied twice, by {earlier:g} and {reach:g}; here once, by the larger.")
    front.augmentation[name] = reach if earlier is None else max(earlier, reach)


def shift(rows: float, columns: float, place: str) -> tuple[dict[str, Any], list[str]]:
    """The shift in pixels: one number for both axes."""
    if math.isclose(rows, columns):
        return {"shift": round(rows, 6)}, []
    note = f"{place}: they shift by {rows:g} rows and {columns:g} columns; here by {max(rows, columns):g} each."
    return {"shift": round(max(rows, columns), 6)}, [note]


def _reach(factor: Any, what: str, front: Front, place: str) -> float:
    """How far it goes to either side."""
    low, high = (-factor, factor) if isinstance(factor, int | float) else (factor[0], factor[1])
    reach = float(max(abs(low), abs(high)))
    if not math.isclose(-low, high):
        front.notes.append(f"{place}: its {what} goes from {low:g} to {high:g}; here from {-reach:g} to {reach:g}.")
    return reach


def _fill(front: Front, settings: Mapping[str, Any], place: str) -> None:
    mode, value = settings.get("fill_mode", "reflect"), settings.get("fill_value", 0.0)
    set_fill(front, mode, value, place)
    if settings.get("interpolation", "bilinear") == "nearest":
        front.augmentation["interpolation"] = "nearest"


def set_fill(front: Front, mode: str, value: float, place: str) -> None:
    """What stands outside the image, with a note where it is something else here."""
    if mode not in FILLS:
        front.notes.append(f'{place}: outside the image stands "{mode}"; here "nearest".')
        mode = "nearest"
    earlier = front.augmentation.get("fill", mode)
    if earlier != mode:
        front.notes.append(f'{place}: outside the image stands "{mode}"; here "{earlier}", as before it.')
    front.augmentation["fill"] = earlier
    if mode == "constant" and value:
        front.augmentation["fill_value"] = min(255, max(0, round(value * 255 if value <= 1 else value)))
