"""A base as it can be cut: blocks of layer lines and the pixels that it was trained with. JSON values in and out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ... import spec
from ...errors import Problem, SpecError, nearest
from ..foundation import Coding
from .definition import Definition, Layout, Pixels
from .mobilenet import MOBILENETV2
from .resnet import RESNET18
from .squeezenet import SQUEEZENET
from .vgg import VGG16, VGG19

DEFINITIONS: Mapping[str, Definition] = {
    definition.name: definition for definition in (VGG16, VGG19, SQUEEZENET, RESNET18, MOBILENETV2)
}
LAYOUTS: Mapping[str, Layout] = {
    ".h5": "keras", ".hdf5": "keras", ".npz": "keras", ".pth": "torch", ".pt": "torch", ".safetensors": "torch",
}  # fmt: skip
_BGR_MEAN = (103.939, 116.779, 123.68)
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def coding(pixels: Pixels, channels: int) -> Coding:
    """A named preprocessing. ImageNet's means and deviations are for three channels.

    Raises:
        SpecError: It is for three channels, and there are others.
    """
    if pixels in ("caffe", "torch") and channels != 3:
        what = f'preprocessing = "{pixels}" is for 3 channels, and the base sees {channels}'
        raise SpecError(Problem(what, 'give "own", "unit", "tf" or "none"', "base.preprocessing"))
    ones = (1.0,) * channels
    match pixels:
        case "caffe":
            text = "blue, green, red; minus 103.939, 116.779, 123.68"
            return Coding(text, _BGR_MEAN, ones, is_reversed=True)
        case "torch":
            offset, factor = tuple(255 * m for m in _MEAN), tuple(1 / (255 * d) for d in _DEVIATION)
            return Coding("over 255, minus 0.485, 0.456, 0.406, over 0.229, 0.224, 0.225", offset, factor)
        case "tf":
            return Coding("-1 to 1", (127.5,) * channels, (1 / 127.5,) * channels)
        case "unit":
            return Coding("0 to 1", (0.0,) * channels, (1 / 255,) * channels)
    return Coding("raw bytes, 0 to 255", (0.0,) * channels, ones)


@dataclass(frozen=True)
class Blueprint:
    """What a base is made of before it is cut.

    Args:
        title: What to call it.
        blocks: Names and layer lines, first to last, as JSON values.
        channels: Channels of the images that it sees.
        coding: Of the pixels that its weights were trained with.
        size: Height and width that it must see; any that fit if ``None``.
    """

    title: str
    blocks: tuple[tuple[str, tuple[Any, ...]], ...]
    channels: int
    coding: Coding
    size: tuple[int, int] | None = None

    def record(self) -> dict[str, Any]:
        """As JSON values; ``blueprint_of`` reads them back."""
        coding = self.coding
        return {
            "title": self.title,
            "blocks": [[name, list(lines)] for name, lines in self.blocks],
            "channels": self.channels,
            "coding": [coding.text, list(coding.offset), list(coding.factor), coding.is_reversed],
            "size": list(self.size) if self.size else None,
        }


def definition_of(base: spec.Base) -> Definition:
    """The network that a base names.

    Raises:
        SpecError: There is none of that name.
    """
    if base.name not in DEFINITIONS:
        what = f'"{base.name}" is no base'
        raise SpecError(Problem(what, nearest(base.name.lower(), list(DEFINITIONS)), "base.name"))
    return DEFINITIONS[base.name]


def layout_of(base: spec.Base) -> Layout:
    """The layout of a base's weights, by the name of their file.

    Raises:
        SpecError: Files of this kind are not read, or not for this base.
    """
    definition = definition_of(base)
    if not base.is_file:
        return definition.layouts[0]
    suffix = Path(base.weights).suffix.lower()
    layout = LAYOUTS.get(suffix)
    kinds = ", ".join(ending for ending, known in LAYOUTS.items() if known in definition.layouts)
    if layout is None:
        what = f'"{base.weights}" names no weights'
        fix = f'give "imagenet", "random", "run:" and the start of a run\'s id, or a file ({kinds})'
        raise SpecError(Problem(what, fix, "base.weights"))
    if layout not in definition.layouts:
        what = f"{definition.title} is not read from {suffix} files"
        raise SpecError(Problem(what, f"give one of {kinds}", "base.weights"))
    return layout


def blueprint_of(base: spec.Base) -> Blueprint:
    """What a base is made of, without reading its weights.

    Raises:
        SpecError: There is no such base, or its run has not been looked up.
    """
    if base.network is not None:
        network = base.network
        text, offset, factor, is_reversed = network["coding"]
        blocks = tuple((name, tuple(lines)) for name, lines in network["blocks"])
        size = tuple(network["size"]) if network["size"] else None
        coded = Coding(text, tuple(offset), tuple(factor), is_reversed)
        return Blueprint(network["title"], blocks, network["channels"], coded, size)
    if base.run is not None:
        what = f'run "{base.run}" has not been looked up'
        raise SpecError(Problem(what, "name the store that holds it with --store or ASSAY_STORE", "base.weights"))
    definition, layout = definition_of(base), layout_of(base)
    blocks = tuple((name, tuple(lines)) for name, lines in definition.blocks(layout).items())
    return Blueprint(definition.title, blocks, 3, coding(definition.pixels[layout], 3))
