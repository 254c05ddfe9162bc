"""Harder versions of a grey data set, drawn anew from a seed.

Larochelle, Erhan, Courville, Bergstra and Bengio (2007), "An empirical evaluation of deep architectures on problems
with many factors of variation", ICML: digits on noise, on pictures, rotated; 12,000 training and 50,000 test images.
Elastic: Simard, Steinkraus and Platt (2003), "Best practices for convolutional neural networks", ICDAR.

Every draw reads only the raw bits of its generator, which NumPy promises not to change.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DataError, Problem
from .readers.pictures import SUFFIXES
from .readers.trees import tree_of
from .types import Images, Labels

_TRIES = 20
_LEAST_TEXTURE = 10.0  # deviation in levels; a flatter patch is no background (Larochelle et al. 2007 leave it out too)


@dataclass(frozen=True, eq=False)
class Settings:
    """How strong a variation is.

    Args:
        shift: Pixels each way, for ``translated``.
        share: Share of training labels, for ``noisy-labels``.
        backgrounds: Grey pictures, uint8 [height, width] each, for ``image-background``.
    """

    shift: int = 4
    share: float = 0.2
    backgrounds: Sequence[Images] = ()


Draw = Callable[[Images, np.random.Generator, Settings], Images]


def random_background(images: Images, generator: np.random.Generator, settings: Settings) -> Images:
    """Noise behind the digit: each pixel is the larger of its own value and a byte drawn uniformly from 0 to 255.

    Args:
        images: uint8 [n, height, width, channels], bright on black.
        generator: Draws the noise.
        settings: Not used.
    """
    return np.maximum(images, random_bytes(generator, images.shape))


def rotated(images: Images, generator: np.random.Generator, settings: Settings) -> Images:
    """Turned about the centre by an angle drawn uniformly from 0 to 2 pi; bilinear, black outside."""
    turned = np.empty_like(images)
    centre = (np.array(images.shape[1:3]) - 1) / 2
    for image, target, angle in zip(images, turned, _uniform(generator, len(images)) * 2 * np.pi, strict=True):
        matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        _resample(image, target, matrix, centre - matrix @ centre)
    return turned


def image_background(images: Images, generator: np.random.Generator, settings: Settings) -> Images:
    """A patch of a picture behind the digit: each pixel is the larger of the two. Flat patches are drawn again."""
    height, width = images.shape[1:3]
    patched = np.empty_like(images)
    for image, target in zip(images, patched, strict=True):
        for _ in range(_TRIES):
            pick, down, right = _uniform(generator, 3)
            picture = settings.backgrounds[int(pick * len(settings.backgrounds))]
            top, left = int(down * (picture.shape[0] - height + 1)), int(right * (picture.shape[1] - width + 1))
            patch = picture[top : top + height, left : left + width]
            if patch.std() >= _LEAST_TEXTURE:
                break
        target[:] = np.maximum(image, patch[..., None])
    return patched


def rotated_image_background(images: Images, generator: np.random.Generator, settings: Settings) -> Images:
    """Turned like ``rotated``, then before a patch like ``image_background``."""
    return image_background(rotated(images, generator, settings), generator, settings)


def translated(images: Images, generator: np.random.Generator, settings: Settings) -> Images:
    """Moved by whole pixels, drawn uniformly from -shift to shift down and across; black comes in."""
    moved = np.zeros_like(images)
    height, width = images.shape[1:3]
    draws = (_uniform(generator, 2 * len(images)) * (2 * settings.shift + 1)).astype(int).reshape(
        -1, 2
    ) - settings.shift
    for image, target, (down, right) in zip(images, moved, draws.tolist(), strict=True):
        source = image[max(0, -down) : height - max(0, down), max(0, -right) : width - max(0, right)]
        target[max(0, down) : height + min(0, down), max(0, right) : width + min(0, right)] = source
    return moved


def elastic(images: Images, generator: np.random.Generator, settings: Settings) -> Images:
    """Bent by a smooth random field: uniform displacements, blurred and scaled as Simard et al. (2003) do for MNIST.

    Their deviation of 4 pixels and strength of 34 are for images of 28 pixels; other sizes scale both.
    """
    from scipy import ndimage

    height, width = images.shape[1:3]
    scale = max(height, width) / 28
    bent = np.empty_like(images)
    grid = np.mgrid[:height, :width].astype(float)
    for image, target in zip(images, bent, strict=True):
        field = _uniform(generator, 2 * height * width).reshape(2, height, width) * 2 - 1
        moved = [ndimage.gaussian_filter(plane, 4 * scale, mode="constant") * 34 * scale for plane in field]
        for channel in range(image.shape[2]):
            values = ndimage.map_coordinates(image[..., channel].astype(float), grid + moved, order=1, mode="constant")
            target[..., channel] = np.rint(values)
    return bent


def noisy_labels(
    labels: Labels, num_classes: int, generator: np.random.Generator, settings: Settings
) -> tuple[Labels, npt.NDArray[np.int64]]:
    """Exactly this share of the labels replaced, each by another class drawn uniformly; and which ones, sorted."""
    count = round(settings.share * len(labels))
    keys = np.asarray(generator.bit_generator.random_raw(len(labels)), np.uint64)
    chosen = np.sort(np.argsort(keys, kind="stable")[:count])
    steps = 1 + (_uniform(generator, count) * (num_classes - 1)).astype(np.int64)
    noisy = labels.copy()
    noisy[chosen] = (labels[chosen] + steps) % num_classes
    return noisy, chosen


VARIATIONS: dict[str, Draw | None] = {
    "rotated": rotated,
    "random-background": random_background,
    "image-background": image_background,
    "rotated-image-background": rotated_image_background,
    "translated": translated,
    "elastic": elastic,
    "noisy-labels": None,
}


def read_backgrounds(path: Path, height: int, width: int) -> list[Images]:
    """Grey pictures, uint8 [height, width] each, from a picture or a folder or archive of them.

    Raises:
        DataError: There is none that is large enough, or a file is no picture.
    """
    from PIL import Image

    if not path.exists():
        raise DataError(Problem("there is no such file or folder", "check its name", file=str(path)))
    if path.suffix.lower() in SUFFIXES:
        contents = [(path.name, path.read_bytes())]
    else:
        tree = tree_of(path)
        names = [name for name in tree.names() if name[-1].lower().endswith(SUFFIXES)]
        contents = [("/".join(names[index]), content) for index, content in tree.contents(names)]
    pictures = []
    for name, content in sorted(contents):
        try:
            with Image.open(io.BytesIO(content)) as picture:
                values = np.asarray(picture.convert("L"))
        except Exception as error:  # decoders of damaged images raise whatever comes to them
            raise DataError(Problem(f"{name} is no picture ({error})", "remove it", file=str(path))) from None
        if values.shape[0] >= height and values.shape[1] >= width:
            pictures.append(values)
    if not pictures:
        raise DataError(
            Problem(f"it holds no picture of at least {height} x {width}", "give larger ones", file=str(path))
        )
    return pictures


def random_bytes(generator: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """Uniform bytes of any shape, from a generator's raw bits."""
    count = int(np.prod(shape))
    words = np.asarray(generator.bit_generator.random_raw((count + 7) // 8), dtype="<u8")
    return words.view(np.uint8)[:count].reshape(shape)


def generator_of(seed: int, *words: Any) -> np.random.Generator:
    """An independent generator for each use of a seed, distinguished by words."""
    key = hashlib.sha256("/".join(map(str, ("assay data make", seed, *words))).encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(key[:8], "little")))


def _uniform(generator: np.random.Generator, count: int) -> npt.NDArray[np.float64]:
    """Uniform in [0, 1), in steps of 2^-53."""
    words = np.asarray(generator.bit_generator.random_raw(count), np.uint64)
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _resample(image: Images, target: Images, matrix: npt.NDArray[np.float64], offset: npt.NDArray[np.float64]) -> None:
    from scipy import ndimage

    for channel in range(image.shape[2]):
        values = ndimage.affine_transform(image[..., channel].astype(float), matrix, offset, order=1, mode="constant")
        target[..., channel] = np.rint(values)
