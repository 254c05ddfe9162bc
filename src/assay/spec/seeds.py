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
    """The replicates of every arm: a fixed count, or as many as it takes to decide.

    Args:
        count: Seeds per arm; 10 unless given. Raising it adds runs and repeats none. With ``stop = "best"`` the most
            that an arm gets; 40 unless given.
        start: The first seed; the others are the integers after it. A later start: seeds that no choice was made on.
        vary: The streams that a seed changes; any other stream is the same for every seed.
        stop: ``"decided"``: after each batch of seeds, arms that are decided against the first stop and the others go
            on. ``"best"``: arms stop once another one is better, until the best is left.
        min: With ``stop``: seeds before the first look, 6 or more.
        max: With ``stop = "decided"``: seeds at which an arm ends, decided or not.
        margin: Accuracy differences smaller than this do not matter; in percentage points. Arms may then be found
            equivalent, and a search for the best ends where those that are left are not told apart within it.
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
        """Seeds of each arm before anything is decided."""
        return (self.min or 6) if self.stop else self.planned

    @property
    def planned(self) -> int:
        """How many seeds each arm has at most."""
        most = self.max if self.stop == "decided" else self.count
        return most or (_DEFAULT_COUNT if self.stop is None else _DEFAULT_MOST)
