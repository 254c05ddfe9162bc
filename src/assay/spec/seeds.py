"""How often each arm is repeated, and what changes between the repeats."""

from __future__ import annotations

from pydantic import Field

from ..seeds import STREAMS, Stream
from .base import Spec


class Seeds(Spec):
    """The replicates of every arm.

    Args:
        count: Seeds per arm: 0, 1, ... count - 1. Raising it adds runs and repeats none.
        vary: The streams that a seed changes; any other stream is the same for every seed.
    """

    count: int = Field(default=10, ge=1, strict=True)
    vary: tuple[Stream, ...] = STREAMS
