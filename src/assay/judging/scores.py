"""Scores by arm and seed, wherever they come from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..errors import DataError, Problem
from ..store.predictions import KeptPredictions
from ..store.run_record import FAILED, State

MOST_NAMED = 8


@dataclass(frozen=True)
class Score:
    """One run's score.

    Args:
        arm: The arm's name.
        seed: What pairs it with another arm's run.
        value: The score; not a number for a run that has none.
        place: Where it stands, for messages: "row 7", "run 3f2a".
        fold: From 1; ``None`` where there are none.
        state: What became of the run.
        reason: Why it failed.
        data: The data set; empty where there is one only.
        metric: What was measured; empty where that is not said.
        run: The run's id; empty where it has none.
        levels: The arm's level of each factor.
        images: Which images it was scored on: a bit for each up to the last of them (``numpy.packbits``).
        hits: For each of these, in order, whether the run gets it right, likewise.
        predictions: What it says of each of these, where probabilities are known.
    """

    arm: str
    seed: int
    value: float
    place: str
    fold: int | None = None
    state: State = "finished"
    reason: str = ""
    data: str = ""
    metric: str = ""
    run: str = ""
    levels: Mapping[str, str] = field(default_factory=dict)
    images: bytes = b""
    hits: bytes = b""
    predictions: KeptPredictions | None = None


@dataclass(frozen=True)
class Scores:
    """Scores as they were read.

    Args:
        rows: In the order of their source.
        source: Where they come from, for sentences: "scores.csv", "MLflow experiment digits".
        name: A name for them, as a study has one.
        notes: What the reader must know: what was not used, and why. Sentences with full stops.
        updated: When they were last changed, in seconds since 1970.
        chance: The accuracy of guessing, where it is known.
        directions: By metric, whether more of it is better, where the source says so.
    """

    rows: tuple[Score, ...]
    source: str
    name: str
    notes: tuple[str, ...] = ()
    updated: float = 0.0
    chance: float | None = None
    directions: Mapping[str, bool] = field(default_factory=dict)

    def only(self, *, data: str | None = None, metric: str | None = None) -> Scores:
        """The rows of one data set, of one metric, or of both."""
        rows = tuple(row for row in self.rows if data in (None, row.data) and metric in (None, row.metric))
        return replace(self, rows=rows)

    @property
    def data_sets(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(row.data for row in self.rows))

    @property
    def metrics(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(row.metric for row in self.rows))

    @property
    def arms(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(row.arm for row in self.rows))

    def against(self, baseline: str | None) -> tuple[str, ...]:
        """The arms, the one that the others are compared with first."""
        return self.arms if baseline is None else (baseline, *(arm for arm in self.arms if arm != baseline))


def check_scores(scores: Scores, arms: Sequence[str]) -> None:
    """Refuses scores of one data set and metric that no verdict can be made of.

    Raises:
        DataError: There is none; two runs of an arm share a seed and fold; a score is missing or no number; some rows
            have a fold and others have none; or an arm shares no seed with the first. All problems are named.
    """
    if not scores.rows:
        raise DataError(Problem("there is no score", "give a row for each run", file=scores.source))
    problems = [*_twice(scores), *_without_number(scores), *_mixed_folds(scores)]
    if not problems:
        problems += _without_pairs(scores, arms)
    if problems:
        raise DataError(shortened(problems, scores.source))


def shortened(problems: Sequence[Problem], source: str) -> list[Problem]:
    """The first few problems, and how many more there are."""
    if len(problems) <= MOST_NAMED:
        return list(problems)
    more = Problem(f"{len(problems) - MOST_NAMED:,} more rows have such problems", file=source)
    return [*problems[:MOST_NAMED], more]


def _twice(scores: Scores) -> Iterable[Problem]:
    seen: dict[tuple[str, int, int | None], str] = {}
    for row in scores.rows:
        key = (row.arm, row.seed, row.fold)
        if key in seen:
            fold = f", fold {row.fold}" if row.fold else ""
            yield Problem(
                f'arm "{row.arm}" has two scores for seed {row.seed}{fold}: {seen[key]} and {row.place}',
                "keep the one that counts, or give each run a seed of its own",
                file=scores.source,
            )
        seen.setdefault(key, row.place)


def _without_number(scores: Scores) -> Iterable[Problem]:
    for row in scores.rows:
        if row.state == "finished" and not math.isfinite(row.value):
            yield Problem(
                f'the score of arm "{row.arm}", seed {row.seed} ({row.place}) is {row.value}, which is no number',
                'a run that diverged or failed is a result: write "diverged" or "failed" in a column "state"',
                file=scores.source,
            )


def _mixed_folds(scores: Scores) -> Iterable[Problem]:
    without = [row for row in scores.rows if row.fold is None]
    if without and len(without) < len(scores.rows):
        what = f"some scores have a fold, and {without[0].place} has none"
        yield Problem(what, "give every row a fold, or none", file=scores.source)


def _without_pairs(scores: Scores, arms: Sequence[str]) -> Iterable[Problem]:
    seeds: dict[str, set[int]] = {arm: set() for arm in arms}
    for row in scores.rows:
        if row.state == "finished" or row.state in FAILED:
            seeds[row.arm].add(row.seed)
    first = arms[0]
    for arm in arms[1:]:
        if seeds[arm] and seeds[first] and not seeds[arm] & seeds[first]:
            yield Problem(
                f'arms "{first}" and "{arm}" share no seed ({_few(seeds[first])} against {_few(seeds[arm])}), and a '
                "verdict compares runs in pairs",
                "run both with the same seeds; one number for what two runs share, such as a split, pairs them, too",
                file=scores.source,
            )


def _few(numbers: set[int]) -> str:
    ordered = sorted(numbers)
    return ", ".join(map(str, ordered[:3])) + (", ..." if len(ordered) > 3 else "")
