"""A finished network as plain arrays: what every format is written from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import Problem, SpecError
from ..nets import Summary
from ..spec.network import plain
from ..train.predictor import Predictor

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Portable:
    """A network, its weights and what stands before it.

    Args:
        summary: Its layers.
        lines: The layers as a study file writes them, as JSON values.
        weights: float32 by name, as ``nets.build.Network`` names and lays them out.
        offset, factor: The first layer sees (stored value - offset) * factor, by channel [channels].
        classes: Class names by label.
        dtype: Of the stored values: ``uint8`` (0 to 255) or ``float32`` (0 to 1).
    """

    summary: Summary
    lines: tuple[Any, ...]
    weights: dict[str, Floats]
    offset: Floats
    factor: Floats
    classes: tuple[str, ...]
    dtype: str = "uint8"

    @classmethod
    def of(cls, predictor: Predictor, lines: Sequence[Any], classes: Sequence[str], dtype: str = "uint8") -> Portable:
        """The network of a predictor.

        Raises:
            SpecError: It stands on a base.
        """
        if predictor.network.summary.base is not None:
            what = "it stands on a pretrained base, whose preparation of images no format holds yet"
            raise SpecError(Problem(what, "export a run without a base"))
        weights = {
            name: np.ascontiguousarray(value.detach().cpu().numpy())
            for name, value in predictor.network.state_dict().items()
        }
        offset, factor = predictor.scaling.offset.numpy(), predictor.scaling.factor.numpy()
        return cls(predictor.network.summary, tuple(map(plain, lines)), weights, offset, factor, tuple(classes), dtype)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an image."""
        return self.summary.input_shape

    @property
    def is_scaled(self) -> bool:
        """Whether stored values are changed before the first layer sees them."""
        return bool(self.offset.any() or (self.factor != 1).any())

    def of_layer(self, name: str) -> dict[str, Floats]:
        """A layer's weights by their own names, such as ``kernel``."""
        prefix = f"{name}."
        return {key.removeprefix(prefix): value for key, value in self.weights.items() if key.startswith(prefix)}
