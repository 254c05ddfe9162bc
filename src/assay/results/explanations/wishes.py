"""What an explanation was asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ...errors import Problem, SpecError, nearest
from ...explain.picture import Picture
from ...explain.projection import Projection
from .subject import Subject


@dataclass(frozen=True, eq=False)
class Wishes:
    """What pictures are of.

    Args:
        layer: The layer of kernels and maps; those that serve best if ``None``.
        image: The image of activations and evidence; some mistakes and some hits if ``None``.
        projection: How the map of features is made flat.
    """

    layer: str | None = None
    image: int | str | Path | NDArray[Any] | None = None
    projection: Projection = "pca"


Maker = Callable[[Subject, Wishes], list[Picture]]


def counted(n: int, noun: str) -> str:
    """``1 image``, ``3 images``."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def chosen_of(only: str | list[str] | tuple[str, ...] | None, known: list[str]) -> list[str]:
    """The pictures that were asked for, in our order.

    Raises:
        SpecError: A name is none of ours.
    """
    if only is None:
        return known
    names = [name.strip() for name in only.split(",")] if isinstance(only, str) else list(only)
    problems = [
        Problem(f'there is no picture "{name}"', nearest(name, known), "only") for name in names if name not in known
    ]
    if problems:
        raise SpecError(problems)
    return [name for name in known if name in names]
