"""What a converted study learns from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray


@dataclass
class Source:
    """What a study learns from.

    Args:
        values: Of ``spec.Data``, without ``path`` where the arrays are still to be kept.
        arrays: ``x_train``, ``y_train`` and, where there is a test split, ``x_test``, ``y_test``; empty for known data.
        classes: Names in the order of their labels, where they are known.
        scaling: How ``fit`` saw them: ``unit``, ``none``, ``tf`` or ``other``.
        shape: Of an image; ``None`` for a folder without a size.
        notes: A sentence each.
    """

    values: dict[str, Any]
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    classes: tuple[str, ...] | None = None
    scaling: str = "unit"
    shape: tuple[int, int, int] | None = None
    notes: list[str] = field(default_factory=list)
