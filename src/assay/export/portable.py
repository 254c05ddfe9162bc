"""A trained network as plain arrays, from which every format is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import Problem, SpecError
from ..nets import Preparation, Summary
from ..nets.ensemble import EnsembleNetwork, member_name
from ..nets.own.network import OwnNetwork
from ..spec.network import plain
from ..train.predictor import Predictor
from ..train.prepared import Prepared

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Portable:
    """A network, its weights and what stands before it.

    Args:
        summary: Its layers.
        lines: The layers as a study file writes them, as JSON values; on a base, those of the head.
        weights: float32 by name, as ``nets.build.Network`` names and lays them out; of an ensemble, behind the
            member's name: ``member1.conv1.kernel``.
        offset, factor: The first layer sees (value - offset) * factor, by channel [channels], of stored values, which
            ``resizing`` and ``channels`` come before.
        classes: Class names by label.
        dtype: Of the stored values: ``uint8`` (0 to 255) or ``float32`` (0 to 1).
        resizing: Where images are resized, what rows [new height, height] and columns [new width, width] are
            multiplied by.
        channels: Which stored channel each channel is that the first layer sees; ``None`` for the stored ones.
        own: The network itself, where it is a module of one's own: then weights have its own names.
    """

    summary: Summary
    lines: tuple[Any, ...]
    weights: dict[str, Floats]
    offset: Floats
    factor: Floats
    classes: tuple[str, ...]
    dtype: str = "uint8"
    resizing: tuple[Floats, Floats] | None = None
    channels: tuple[int, ...] | None = None
    own: OwnNetwork | None = None

    @classmethod
    def of(cls, predictor: Predictor, lines: Sequence[Any], classes: Sequence[str], dtype: str = "uint8") -> Portable:
        """The network of a predictor.

        Raises:
            SpecError: It is an ensemble of modules of one's own.
        """
        if isinstance(predictor.network, EnsembleNetwork) and predictor.network.summary.own is not None:
            what = "it is an ensemble of modules of your own, and a file holds one of them"
            raise SpecError(Problem(what, "export a run of one network"))
        own = predictor.network if isinstance(predictor.network, OwnNetwork) else None
        state = predictor.network.state_dict() if own is None else own.state()
        weights = {name: np.ascontiguousarray(value.detach().cpu().numpy()) for name, value in state.items()}
        summary, scaling = predictor.network.summary, predictor.scaling
        offset, factor = scaling.offset.numpy(), scaling.factor.numpy()
        network = (summary, tuple(map(plain, lines)), weights)
        if not isinstance(scaling, Prepared):
            return cls(*network, offset, factor, tuple(classes), dtype, own=own)
        if dtype == "float32":  # a base's preparation is for bytes
            offset, factor = offset / np.float32(255), factor * np.float32(255)
        preparation = scaling.preparation
        rows, columns = (matrix.numpy() for matrix in scaling.resizing())
        resizing = (rows, columns) if preparation.size != preparation.stored[:2] else None
        return cls(*network, offset, factor, tuple(classes), dtype, resizing, _channels(preparation))

    @property
    def members(self) -> tuple[Portable, ...]:
        """The networks that it is made of, each by itself: several of an ensemble."""
        if self.summary.members == 1:
            return (self,)
        members = []
        for index in range(self.summary.members):
            prefix = f"{member_name(index)}."
            own = {name.removeprefix(prefix): value for name, value in self.weights.items() if name.startswith(prefix)}
            members.append(replace(self, summary=replace(self.summary, members=1), weights=own))
        return tuple(members)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of a stored image."""
        base = self.summary.base
        return self.summary.input_shape if base is None else base.preparation.stored

    @property
    def frozen(self) -> frozenset[str]:
        """Names of the layers that were never trained, which are those of a base's frozen blocks."""
        blocks = self.summary.base.frozen if self.summary.base is not None else ()
        return frozenset(row.name for row in self.summary.layers if row.block in blocks)

    @property
    def is_scaled(self) -> bool:
        """Whether stored values are changed before the first layer sees them."""
        return bool(self.offset.any() or (self.factor != 1).any())

    def of_layer(self, name: str) -> dict[str, Floats]:
        """A layer's weights by their own names, such as ``kernel``."""
        prefix = f"{name}."
        return {key.removeprefix(prefix): value for key, value in self.weights.items() if key.startswith(prefix)}


def _channels(preparation: Preparation) -> tuple[int, ...] | None:
    stored, seen = preparation.stored[2], preparation.channels
    order = tuple(channel if stored == seen else 0 for channel in range(seen))
    chosen = order[::-1] if preparation.coding.is_reversed else order
    return None if chosen == tuple(range(stored)) else chosen
