"""The configuration of one layer of a Keras model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MOST_LAYERS = 1000


@dataclass(frozen=True)
class LayerConfig:
    """One layer of a Keras model.

    Args:
        kind: Its class's name, such as ``Conv2D``.
        settings: Its configuration, as ``get_config`` gives it; what is left out has Keras's default.
        place: Its name or line, for messages.
        line: In the file that it was read from.
        source: Where its weights are: the layer itself, or its path in a file.
    """

    kind: str
    settings: Mapping[str, Any]
    place: str = ""
    line: int | None = None
    source: Any = None
