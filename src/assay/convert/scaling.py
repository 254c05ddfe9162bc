"""What a network sees of a stored byte, as a study says it."""

from __future__ import annotations

import math
from typing import Any

from .dataset import Source
from .network import Words

# What each scaling makes of a byte: factor and offset.
_MAPS = {"unit": (1 / 255, 0.0), "none": (1.0, 0.0), "tf": (1 / 127.5, -1.0)}


def scaling_settings(source: Source, words: Words, place: str) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """Settings of ``spec.Data`` and of the base, and what they leave out.

    Args:
        source: How ``fit`` saw the images.
        words: What the network itself does to them first.
        place: Of ``fit``.
    """
    front = words.front
    if words.base is not None:
        kind = _name(source.scaling, front.scale, front.offset) if source.scaling in _MAPS else source.scaling
        if kind in ("unit", "none", "tf", "caffe"):
            return {}, {"preprocessing": kind}, []
        note = f"{place}: its images are scaled in a way that has no word; the base's own preprocessing is written."
        return {}, {}, [note]
    if front.is_normalized:
        note = f"{place}: images are standardised, here with the training images' mean and deviation for each channel."
        return {"scaling": "standard"}, {}, [note]
    if source.scaling == "standard":
        return {"scaling": "standard"}, {}, []
    if source.scaling not in _MAPS:
        what = f"{place}: its images are scaled in a way that has no word; here they are 0 to 1."
        return {}, {}, [what]
    kind = _name(source.scaling, front.scale, front.offset)
    if kind == "unit":
        return {}, {}, []
    if kind == "none":
        return {"scaling": "none"}, {}, []
    factor, offset = _combined(source.scaling, front.scale, front.offset)
    low, high = sorted((offset, 255 * factor + offset))
    return {}, {}, [f"{place}: the network sees pixels from {low:.4g} to {high:.4g}; here they are 0 to 1."]


def _combined(scaling: str, scale: float, offset: float) -> tuple[float, float]:
    factor, start = _MAPS[scaling]
    return factor * scale, start * scale + offset


def _name(scaling: str, scale: float, offset: float) -> str:
    factor, start = _combined(scaling, scale, offset)
    for name, (other_factor, other_start) in _MAPS.items():
        if math.isclose(factor, other_factor, rel_tol=1e-3) and math.isclose(start, other_start, abs_tol=5e-3):
            return name
    return "other"
