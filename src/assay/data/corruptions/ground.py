"""What lies behind the things that images show: one level, as behind characters, or a whole scene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

_LOOKED_AT = 500
_NEAR = 0.1
_MOSTLY = 0.6  # Fashion-MNIST's things touch the rim here and there; a photograph's rim has all levels


@dataclass(frozen=True)
class Ground:
    """The ground of a data set's images.

    Args:
        level: Of each channel, 0 to 1, where most of the images' rims are of it; ``None`` for scenes.
        channels: Of an image.
    """

    level: tuple[float, ...] | None
    channels: int

    @property
    def is_plain(self) -> bool:
        """Whether things stand on one level."""
        return self.level is not None

    @property
    def ink(self) -> Floats:
        """The level farthest from the ground [channels]; white for scenes."""
        level = np.zeros(self.channels) if self.level is None else np.array(self.level)
        return np.where(level < 0.5, 1, 0).astype(np.float32)


def ground_of(images: npt.NDArray[np.uint8] | npt.NDArray[np.float32]) -> Ground:
    """The ground of images, uint8 or float32 in 0 to 1 [n, height, width, channels], by the rims of some of them."""
    some = images[np.linspace(0, len(images) - 1, min(len(images), _LOOKED_AT)).astype(np.int64)]
    values = some.astype(np.float32) / (255 if images.dtype == np.uint8 else 1)
    channels = values.shape[3]
    sides = (values[:, 0], values[:, -1], values[:, :, 0], values[:, :, -1])
    rim = np.concatenate([side.reshape(-1, channels) for side in sides])
    middle = np.median(rim, axis=0)
    is_near = (np.abs(rim - middle) < _NEAR).all(1).mean() >= _MOSTLY
    return Ground(tuple(float(level) for level in middle) if is_near else None, channels)
