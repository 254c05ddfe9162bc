"""A study's runs as arrays over arms and seeds, which all verdicts are computed from."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..store.columns import RunColumns
from ..store.predictions import Split as Split
from ..store.records import ArmRecord, StudyRecord
from .measured import run_values

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)  # arrays have no truth value
class Grid:
    """Which run is where.

    Args:
        study: The study's record.
        columns: Its runs.
        arms: Names, in the study's order.
        seeds: All that a run of the study has or a look has seen, rising.
        runs: Which of the runs, -1 for none [arms, seeds, folds]; one fold where there are none.
    """

    study: StudyRecord
    columns: RunColumns
    arms: tuple[str, ...]
    seeds: NDArray[np.int64]
    runs: NDArray[np.int64]

    @classmethod
    def of(cls, study: StudyRecord) -> Grid:
        columns = study.columns
        arms = tuple(arm.name for arm in ordered_arms(study))
        place_of = {arm: place for place, arm in enumerate(arms)}
        place = np.array([place_of.get(arm, -1) for arm in columns.arms], dtype=np.int64)[columns.arm]
        seeds = np.unique([*np.unique(columns.seed), *_seeds_seen(study)]).astype(np.int64)
        seed = np.searchsorted(seeds, columns.seed)
        folds, fold = np.unique(columns.fold, return_inverse=True)
        runs = np.full((len(arms), len(seeds), max(len(folds), 1)), -1)
        asked = np.flatnonzero(place >= 0)
        runs[place[asked], seed[asked], fold[asked]] = asked
        return cls(study, columns, arms, seeds, runs)

    @cached_property
    def places(self) -> dict[str, int]:
        """Where an arm stands, by its name."""
        return {arm: place for place, arm in enumerate(self.arms)}

    @cached_property
    def is_planned(self) -> Mask:
        """Whether there is a run [arms, seeds, folds]."""
        return self.runs >= 0

    @cached_property
    def has_ended(self) -> Mask:
        """Whether all runs of a seed have finished or failed [arms, seeds]."""
        return self._of_whole_seeds(self.columns.has_ended)

    @cached_property
    def is_failed(self) -> Mask:
        """Whether a run failed [arms, seeds, folds]."""
        return self._at_runs(self.columns.is_failed, False)

    @cached_property
    def state(self) -> NDArray[np.int64]:
        """The state of each run, as in the columns, -1 where there is none [arms, seeds, folds]."""
        return self._at_runs(self.columns.state, -1)

    @cached_property
    def validation(self) -> Scores:
        """What runs score on validation images."""
        return self._scores(run_values(self.study, "validation"))

    @cached_property
    def test(self) -> Scores:
        """What runs score on test images."""
        return self._scores(run_values(self.study, "test"))

    def scores(self, split: Split) -> Scores:
        return self.validation if split == "validation" else self.test

    def _scores(self, values: NDArray[np.float64]) -> Scores:
        scores = self.columns.scores(values)
        # A seed that lacks a fold has no score: the mean of the others would be of other images.
        known = self._of_whole_seeds(~np.isnan(scores))
        return Scores(np.where(known[:, :, None], self._at_runs(scores, np.nan), np.nan), known)

    def _of_whole_seeds(self, is_so: Mask) -> Mask:
        """Where there are runs, and something is so of all [arms, seeds]."""
        return np.logical_and(self.is_planned.any(2), self._at_runs(is_so, True).all(2))

    def _at_runs(self, values: np.ndarray, without: float) -> np.ndarray:
        """A column's value for each run, and this where there is none [arms, seeds, folds]."""
        if not len(values):
            return np.full(self.runs.shape, without, dtype=values.dtype)
        return values[self.runs] if self.is_planned.all() else np.where(self.is_planned, values[self.runs], without)


@dataclass(frozen=True, eq=False)
class Scores:
    """What runs score, by the study's measure: accuracies as fractions.

    Args:
        folds: Not a number where there is none [arms, seeds, folds].
        known: Whether a seed has them all [arms, seeds].
    """

    folds: NDArray[np.float64]
    known: Mask

    @property
    def num_folds(self) -> int:
        return int(self.folds.shape[2])

    @cached_property
    def means(self) -> NDArray[np.float64]:
        """Over folds; not a number where there is none [arms, seeds]."""
        there = ~np.isnan(self.folds)
        totals = sum(np.where(there, self.folds, 0.0)[..., fold] for fold in range(self.num_folds))
        return np.where(self.known, totals / np.maximum(there.sum(2), 1), np.nan)


def sum_folds(folds: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean over folds [..., folds]; in this order, so that one fold's values stay as they are."""
    return np.asarray(sum(folds[..., fold] for fold in range(folds.shape[-1])) / folds.shape[-1])


def ordered_arms(study: StudyRecord) -> tuple[ArmRecord, ...]:
    """The arms in the study's order; the first is what the others are compared with."""
    return tuple(sorted(study.arms, key=lambda arm: arm.position))


def grid_of(study: StudyRecord) -> Grid:
    """The study's grid, made once."""
    if grid_of not in study.cached:
        study.cached[grid_of] = Grid.of(study)
    result: Grid = study.cached[grid_of]
    return result


def _seeds_seen(study: StudyRecord) -> set[int]:
    """The seeds that looks at the study name."""
    texts: set[str] = set()
    for look in study.verdict_looks:
        with contextlib.suppress(KeyError, TypeError, AttributeError):  # what cannot be read is refused with its look
            texts |= {arm[key] for arm in look.seen["arms"].values() for key in ("scored", "ended")}
    seen: set[int] = set()
    for text in texts:
        with contextlib.suppress(ValueError, AttributeError):
            seen.update(seeds_in(text))
    return seen


def ranges(seeds: Iterable[int]) -> str:
    """``0-9,11`` for seeds 0 to 9 and 11."""
    parts = []
    for _, group in itertools.groupby(enumerate(sorted(seeds)), key=lambda pair: pair[1] - pair[0]):
        run = [seed for _, seed in group]
        parts.append(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}")
    return ",".join(parts)


def seeds_in(text: str) -> Iterator[int]:
    """The seeds that ``ranges`` wrote.

    Raises:
        ValueError: It is no such text.
    """
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)
