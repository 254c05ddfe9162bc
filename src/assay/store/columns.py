"""Runs as arrays, one for each fact that verdicts are made of: a hundred thousand runs in a fraction of a second."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import get_args, overload

import numpy as np
from numpy.typing import NDArray

from ..train.epochs import EpochRecord
from .run_record import FAILED, RunRecord, State

STATES: tuple[State, ...] = get_args(State)
NONE = -1  # a whole number that is not known


@dataclass(frozen=True, eq=False)  # arrays have no truth value
class RunColumns:
    """What tells the states and the scores of runs, an entry for each run in every array.

    Args:
        ids: Fingerprints.
        arms: Names of arms.
        arm: Which of them.
        seed: Seeds.
        fold: From 1; 0 where a run is no fold.
        state: Which of ``STATES``.
        epochs_planned: As in ``RunRecord``.
        kept_epoch: As there; -1 for none.
        epoch: The epoch whose weights count, from 1; -1 before there is one.
        accuracy, loss: Of the validation images after that epoch; not a number where there is none.
        test_accuracy, test_loss: Not a number for a run that has none.
    """

    ids: Sequence[str]
    arms: Sequence[str]
    arm: NDArray[np.int64]
    seed: NDArray[np.int64]
    fold: NDArray[np.int64]
    state: NDArray[np.int64]
    epochs_planned: NDArray[np.int64]
    kept_epoch: NDArray[np.int64]
    epoch: NDArray[np.int64]
    accuracy: NDArray[np.float64]
    loss: NDArray[np.float64]
    test_accuracy: NDArray[np.float64]
    test_loss: NDArray[np.float64]

    @classmethod
    def of(cls, runs: Sequence[RunRecord]) -> RunColumns:
        """From records."""
        kept = [run.kept for run in runs]
        arms = {arm: number for number, arm in enumerate(dict.fromkeys(run.arm for run in runs))}
        return cls(
            ids=[run.id for run in runs],
            arms=list(arms),
            arm=wholes([arms[run.arm] for run in runs]),
            seed=wholes([run.seed for run in runs]),
            fold=wholes([run.fold or 0 for run in runs]),
            state=states_of(run.state for run in runs),
            epochs_planned=wholes([run.epochs_planned for run in runs]),
            kept_epoch=wholes([run.kept_epoch for run in runs]),
            epoch=wholes([None if one is None else one.epoch for one in kept]),
            accuracy=reals([None if one is None else one.validation_accuracy for one in kept]),
            loss=reals([None if one is None else one.validation_loss for one in kept]),
            test_accuracy=reals([run.test_accuracy for run in runs]),
            test_loss=reals([run.test_loss for run in runs]),
        )

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def is_finished(self) -> NDArray[np.bool_]:
        return np.asarray(self.state == STATES.index("finished"))

    @cached_property
    def is_failed(self) -> NDArray[np.bool_]:
        return np.isin(self.state, [STATES.index(state) for state in FAILED])

    @cached_property
    def has_ended(self) -> NDArray[np.bool_]:
        return self.is_finished | self.is_failed

    @property
    def has_test(self) -> bool:
        """Whether a run has been scored on the test split."""
        return not np.isnan(self.test_accuracy).all()

    @property
    def states(self) -> Counter[State]:
        """How many runs are in each state, the first run's state first."""
        numbers, first, counts = np.unique(self.state, return_index=True, return_counts=True)
        return Counter({STATES[numbers[at]]: int(counts[at]) for at in np.argsort(first)})

    def only(self, kept: NDArray[np.bool_]) -> RunColumns:
        """These runs alone [runs]."""
        names = [field.name for field in fields(self) if field.name not in ("ids", "arms")]
        ids = [self.ids[at] for at in np.flatnonzero(kept).tolist()]
        return replace(self, ids=ids, **{name: getattr(self, name)[kept] for name in names})

    def scores(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """These values of finished runs; not a number for the others, and where one is infinite."""
        return np.where(self.is_finished & np.isfinite(values), values, np.nan)


class BriefRuns(Sequence[RunRecord]):
    """Runs that were read as columns. Records, with little in them, are made when one is first asked for."""

    def __init__(self, columns: RunColumns) -> None:
        self.columns = columns

    @cached_property
    def _records(self) -> tuple[RunRecord, ...]:
        return tuple(_records(self.columns))

    def __len__(self) -> int:
        return len(self.columns)

    @overload
    def __getitem__(self, index: int) -> RunRecord: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[RunRecord, ...]: ...
    def __getitem__(self, index: int | slice) -> RunRecord | tuple[RunRecord, ...]:
        return self._records[index]

    def __iter__(self) -> Iterator[RunRecord]:
        return iter(self._records)


def wholes(values: Sequence[int | None]) -> NDArray[np.int64]:
    """Whole numbers, ``NONE`` where there is none."""
    numbers = reals(values)
    return np.where(np.isnan(numbers), NONE, numbers).astype(np.int64)


def reals(values: Sequence[float | None]) -> NDArray[np.float64]:
    """Numbers, not a number where there is none.

    Raises:
        ValueError, TypeError: One is something else.
    """
    return np.array(values, dtype=np.float64)


def states_of(names: Iterable[str]) -> NDArray[np.int64]:
    """States by their places in ``STATES``.

    Raises:
        KeyError: One is no state.
    """
    places = {state: place for place, state in enumerate(STATES)}
    return np.array([places[name] for name in names], dtype=np.int64)  # type: ignore[index]


def _records(columns: RunColumns) -> Iterator[RunRecord]:
    unknown = (math.nan, math.nan)
    names = ("arm", "seed", "fold", "state", "epochs_planned", "kept_epoch", "epoch", "accuracy", "loss",
             "test_accuracy", "test_loss")  # fmt: skip
    rows = zip(columns.ids, *(getattr(columns, name).tolist() for name in names), strict=True)
    for run, arm, seed, fold, state, planned, kept, epoch, accuracy, loss, test_accuracy, test_loss in rows:
        yield RunRecord(
            run, columns.arms[arm], seed, STATES[state], epochs_planned=planned, fold=fold or None,
            kept_epoch=None if kept == NONE else kept,
            counted=None if epoch == NONE else EpochRecord(epoch, *unknown, loss, accuracy, *unknown, *unknown),
            test_accuracy=None if math.isnan(test_accuracy) else test_accuracy,
            test_loss=None if math.isnan(test_loss) else test_loss,
        )  # fmt: skip
