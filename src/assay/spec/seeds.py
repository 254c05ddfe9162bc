"""Replicates: how many seeds each arm has, and what a seed changes."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from ..errors import Problem
from ..seeds import STREAMS, Stream
from .base import Problems, Spec
from .bounds import MAX_SEEDS

_DEFAULT_COUNT = 10
_DEFAULT_MOST = 40


class Seeds(Spec):
    """The replicates of each arm: a fixed number, or as many as the verdict needs.

    Args:
        count: Seeds for each arm, 1 to 100,000; 10 by default. Raising it adds runs and repeats none. With
            ``stop="best"`` it is the most that an arm gets; 40 by default.
        start: The first seed. The others are the integers after it.
        vary: The random streams that a seed changes, of ``split``, ``init``, ``order``, ``augment`` and ``dropout``.
            All by default. A stream that is left out is the same for all seeds.
        stop: ``"decided"``: after each batch of seeds, an arm stops once it is judged against the first arm.
            ``"best"``: an arm stops once another one is better, until the best is known. ``None``: all seeds are run.
        min: With ``stop``: seeds before the first look, 6 or more; 6 by default.
        max: With ``stop="decided"``: the most seeds of an arm, 6 to 1,000; 40 by default.
        margin: The smallest difference that matters, in percentage points, in (0, 100). Arms may then be judged
            equivalent, and a race for the best ends when the remaining arms are equal within it.

    Example:
        >>> seeds = assay.Seeds(stop="decided", max=20, margin=0.5)
        >>> seeds.first, seeds.planned
        (6, 20)
    """

    count: int | None = Field(default=None, ge=1, le=MAX_SEEDS, strict=True)
    start: int = Field(default=0, ge=0, le=1_000_000_000, strict=True)
    vary: tuple[Stream, ...] = STREAMS
    stop: Literal["decided", "best"] | None = None
    min: int | None = Field(default=None, ge=6, strict=True)
    max: int | None = Field(default=None, ge=6, le=1000, strict=True)
    margin: float | None = Field(default=None, gt=0, lt=100)

    @model_validator(mode="after")
    def _counts_agree(self) -> Self:
        problems = []
        if self.stop is None:
            problems += [
                Problem(f"{key} is for studies that stop when decided", 'add stop = "decided", or give count', key)
                for key in ("min", "max")
                if getattr(self, key) is not None
            ]
        elif self.stop == "best" and self.max is not None:
            problems.append(Problem('with stop = "best" count says how many seeds at most', "write count", "max"))
        elif self.stop == "best" and self.first > self.planned:
            problems.append(Problem(f"count is {self.count}, below min ({self.first})", "give a larger count", "count"))
        elif self.stop == "decided" and self.count is not None:
            problems.append(Problem("count is fixed beforehand, stop is not", "give min and max, or count", "count"))
        elif self.first > self.planned:
            problems.append(Problem(f"max is {self.max}, below min ({self.first})", "give a larger max", "max"))
        if self.stop is not None and self.start:
            problems.append(Problem("start is for a fixed count of seeds", "leave out start, or stop", "start"))
        if problems:
            raise Problems(problems)
        return self

    @property
    def first(self) -> int:
        """Seeds of each arm before anything is judged."""
        return (self.min or 6) if self.stop else self.planned

    @property
    def planned(self) -> int:
        """The most seeds of each arm."""
        most = self.max if self.stop == "decided" else self.count
        return most or (_DEFAULT_COUNT if self.stop is None else _DEFAULT_MOST)
