"""The suite: every corruption with its amounts, what it needs of images, and its counterpart in MNIST-C."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...errors import Problem, SpecError, nearest
from ..variations import generator_of
from . import blur, cover, light, noise, place, storage, strokes
from .ground import Floats, Ground

VERSION = 1  # of what a name and a severity mean: results of another version are computed anew
SEVERITIES = (1, 2, 3, 4, 5)
GROUPS = ("noise", "blur", "light", "place", "strokes", "cover", "storage")
_CHUNK = 250  # images that are drawn together; part of what a seed means

Apply = Callable[[Floats, float, np.random.Generator, Ground], Floats]
Pixels = npt.NDArray[np.uint8] | npt.NDArray[np.float32]


@dataclass(frozen=True)
class Corruption:
    """One kind of corruption.

    Args:
        name: As users write it.
        group: Of ``GROUPS``.
        apply: What makes it.
        amounts: What the five severities hand to ``apply``.
        mnist_c: What MNIST-C calls it; empty for one that it does not have.
        smallest: Pixels of the shorter side from which on images can bear it.
        needs: ``ink``: grey characters on a plain ground; ``colour``: three channels; ``picture``: one channel or
            three; empty for none of these.
    """

    name: str
    group: str
    apply: Apply
    amounts: tuple[float, float, float, float, float]
    mnist_c: str = ""
    smallest: int = 4
    needs: str = ""

    def obstacle(self, shape: tuple[int, int, int], ground: Ground) -> str:
        """Why images of this shape and ground cannot bear it, as a sentence without its full stop; empty where they
        can."""
        height, width, channels = shape
        if min(height, width) < self.smallest:
            need = f"it needs {self.smallest} x {self.smallest} or more"
            return f"{self.name} is left out: images are {height} x {width} pixels, and {need}"
        if self.needs == "ink" and (channels != 1 or not ground.is_plain):
            what = "grey strokes on a plain ground, and these images are "
            return f"{self.name} is left out: it needs {what}{'in colour' if channels != 1 else 'whole scenes'}"
        if self.needs == "colour" and channels != 3:
            return f"{self.name} is left out: it needs colours, and these images have {_channels(channels)}"
        if self.needs == "picture" and channels not in (1, 3):
            return f"{self.name} is left out: it needs one channel or three, and these images have {channels}"
        return ""


def _channels(count: int) -> str:
    return "one channel" if count == 1 else f"{count} channels"


# Amounts are shares of the longer side where pixels are meant, so that they mean the same at any size.
CORRUPTIONS: tuple[Corruption, ...] = (
    Corruption("gaussian_noise", "noise", noise.gaussian_noise, (0.08, 0.12, 0.18, 0.26, 0.38)),
    Corruption("shot_noise", "noise", noise.shot_noise, (60, 25, 12, 5, 3), "shot noise"),
    Corruption("impulse_noise", "noise", noise.impulse_noise, (0.03, 0.06, 0.09, 0.17, 0.27), "impulse noise"),
    Corruption("gaussian_blur", "blur", blur.gaussian_blur, (0.02, 0.035, 0.05, 0.07, 0.1)),
    Corruption("glass_blur", "blur", blur.glass_blur, (0.015, 0.03, 0.05, 0.07, 0.1), "glass blur", smallest=8),
    Corruption("motion_blur", "blur", blur.motion_blur, (0.1, 0.18, 0.25, 0.36, 0.5), "motion blur", smallest=8),
    Corruption("brightness", "light", light.brightness, (0.1, 0.2, 0.3, 0.4, 0.5), "brightness"),
    Corruption("contrast", "light", light.contrast, (0.75, 0.5, 0.4, 0.3, 0.15)),
    Corruption("fog", "light", light.fog, (0.2, 0.35, 0.5, 0.65, 0.8), "fog", smallest=8),
    Corruption("saturation", "light", light.saturation, (0.7, 0.5, 0.3, 0.15, 0.0), needs="colour"),
    Corruption("translate", "place", place.translate, (0.04, 0.08, 0.12, 0.17, 0.22), "translate", smallest=8),
    Corruption("rotate", "place", place.rotate, (8, 16, 24, 32, 45), "rotate", smallest=8),
    Corruption("scale", "place", place.scale, (1.1, 1.2, 1.3, 1.45, 1.6), "scale", smallest=8),
    Corruption("shear", "place", place.shear, (0.1, 0.2, 0.3, 0.45, 0.6), "shear", smallest=8),
    Corruption("elastic", "place", place.elastic, (0.02, 0.035, 0.05, 0.07, 0.1), smallest=8),
    Corruption("thicker", "strokes", strokes.thicker, (0.015, 0.03, 0.045, 0.06, 0.08), smallest=12, needs="ink"),
    Corruption("thinner", "strokes", strokes.thinner, (0.008, 0.016, 0.024, 0.032, 0.042), smallest=12, needs="ink"),
    Corruption("canny_edges", "strokes", strokes.canny_edges, (0.2, 0.4, 0.6, 0.8, 1.0), "canny edges", smallest=12),
    Corruption("occlusion", "cover", cover.occlusion, (0.2, 0.28, 0.36, 0.44, 0.52), smallest=8),
    Corruption("stripe", "cover", cover.stripe, (0.07, 0.12, 0.18, 0.25, 0.35), "stripe", smallest=8),
    Corruption("dotted_line", "cover", cover.dotted_line, (1, 2, 2.5, 3.5, 5.5), "dotted line", smallest=12),
    Corruption("zigzag", "cover", cover.zigzag, (1, 1.5, 2, 2.5, 3.5), "zigzag", smallest=12),
    Corruption("spatter", "cover", cover.spatter, (0.03, 0.07, 0.12, 0.18, 0.27), "spatter", smallest=12,
               needs="picture"),
    Corruption("pixelate", "storage", storage.pixelate, (0.75, 0.6, 0.45, 0.35, 0.25), smallest=8),
    Corruption("jpeg", "storage", storage.jpeg, (50, 30, 18, 10, 5), smallest=8, needs="picture"),
)  # fmt: skip


def chosen(names: Sequence[str]) -> tuple[Corruption, ...]:
    """The corruptions of these names, in the suite's order; all of them for none.

    Raises:
        SpecError: A name is not known; one problem for each.
    """
    known = [corruption.name for corruption in CORRUPTIONS]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SpecError([Problem(f'there is no corruption "{name}"', nearest(name, known)) for name in unknown])
    return tuple(corruption for corruption in CORRUPTIONS if not names or corruption.name in names)


def bearable(
    corruptions: Sequence[Corruption], shape: tuple[int, int, int], ground: Ground
) -> tuple[tuple[Corruption, ...], tuple[str, ...]]:
    """Those that images of this shape and ground can bear, and why the others are left out, a sentence each.

    Raises:
        SpecError: They can bear none.
    """
    obstacles = {corruption.name: corruption.obstacle(shape, ground) for corruption in corruptions}
    left = tuple(corruption for corruption in corruptions if not obstacles[corruption.name])
    notes = tuple(note for note in obstacles.values() if note)
    if not left:
        raise SpecError([Problem(note, "name another corruption") for note in notes])
    return left, notes


def corrupted(images: Pixels, corruption: Corruption, severity: int, ground: Ground, *, seed: int = 0) -> Pixels:
    """Images with a corruption of a severity: of the same shape and type, the same for the same images and seed.

    Args:
        images: Stored values, uint8 or float32 in 0 to 1 [n, height, width, channels].
        corruption: One that they can bear.
        severity: 1 to 5.
        ground: Of the data set (``ground_of``).
        seed: Of the draws.

    Raises:
        ValueError: There is no such severity.
    """
    if severity not in SEVERITIES:
        raise ValueError(f"severity is {severity!r}; give 1 to 5")
    is_bytes = images.dtype == np.uint8
    amount = corruption.amounts[severity - 1]
    changed = np.empty_like(images)
    for start in range(0, len(images), _CHUNK):
        part: Floats = images[start : start + _CHUNK].astype(np.float32)
        part = part / np.float32(255) if is_bytes else part
        generator = generator_of(seed, "corruption", corruption.name, severity, start)
        values = np.clip(corruption.apply(part, amount, generator, ground), 0, 1)
        changed[start : start + _CHUNK] = np.rint(values * 255) if is_bytes else values
    return changed
