"""From a study's record to the scores of its arms, and to what has none."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ..measures import ACCURACY, Measure, is_higher_better, is_share
from ..numerals import counted
from ..spec import Best, is_module_line
from ..spec.data import Folds, Last
from ..spec.metric import is_of_validation
from ..spec.seeds import Seeds
from ..stats import Interval, mean_bands, mean_interval
from ..store.columns import STATES
from ..store.records import ArmRecord, RunRecord, StudyRecord
from .grid import Grid, grid_of
from .grid import Split as Split
from .grid import ordered_arms as ordered_arms
from .measured import measure_of

Row = npt.NDArray[np.float64]

LEAKY = (
    "Leaky: the validation images are the test images, as in the published protocol that this study repeats. "
    "Whatever was chosen by these figures was chosen on the test."
)


@dataclass(frozen=True)
class ArmScores:
    """What an arm scores with every seed that has a score; with folds, the mean of all of the seed's folds.

    Args:
        arm: The arm's name.
        seeds: The seeds that have a score.
        scores: By the study's measure, in the same order: accuracies as fractions.
        interval: Mean and 95 % interval; ``None`` below two scores.
        num_runs: Seeds planned for the arm, with a score or not.
        folds: What each score is the mean of, in the order of the folds; one number where there are no folds.
    """

    arm: str
    seeds: tuple[int, ...]
    scores: tuple[float, ...]
    interval: Interval | None
    num_runs: int
    folds: tuple[tuple[float, ...], ...] = ()

    @property
    def n(self) -> int:
        return len(self.scores)

    @property
    def mean(self) -> float | None:
        return sum(self.scores) / self.n if self.scores else None

    @property
    def deviation(self) -> float | None:
        """Standard deviation between seeds (n - 1); ``None`` below two scores."""
        if self.n < 2:
            return None
        mean = sum(self.scores) / self.n
        return math.sqrt(sum((score - mean) ** 2 for score in self.scores) / (self.n - 1))


def accuracy_interval(accuracies: Sequence[float]) -> Interval:
    """Mean accuracy with Student's interval, which ends at 0 and 1: nothing lies beyond, so it covers as much."""
    return metric_interval(accuracies, "accuracy")


def measure_interval(values: Sequence[float], measure: Measure) -> Interval:
    """The mean of a measure with Student's interval, which ends where the measure does."""
    interval, (least, most) = mean_interval(values), measure.bounds
    return replace(interval, low=min(max(interval.low, least), most), high=max(min(interval.high, most), least))


def metric_interval(values: Sequence[float], metric: str) -> Interval:
    """The mean of a metric with Student's interval within its range: of accuracies 0 to 1, of losses 0 and above.

    Args:
        values: One for each seed.
        metric: Its name: "accuracy", "loss", or as ``EpochRecord.value`` takes it.
    """
    interval, most = mean_interval(values), _most(metric)
    return replace(interval, low=min(max(interval.low, 0.0), most), high=min(interval.high, most))


def metric_bands(values: npt.ArrayLike, metric: str) -> tuple[Row, Row, Row]:
    """``metric_interval`` for each column of [seeds, columns]: the means and the ends of their intervals."""
    mean, low, high = mean_bands(values)
    return mean, np.clip(low, 0.0, _most(metric)), np.clip(high, 0.0, _most(metric))


def _most(metric: str) -> float:
    return 1.0 if metric == "accuracy" or is_share(metric) else math.inf


def score_of(run: RunRecord, split: Split = "validation") -> float | None:
    """A finished run's accuracy after the epoch that it kept; ``None`` where there is none, or none yet."""
    return kept_value(run, "validation_accuracy") if split == "validation" else _if_finite(run, run.test_accuracy)


def kept_value(run: RunRecord, metric: str) -> float | None:
    """What a finished run measured after the epoch that it kept; ``None`` where there is none, or none yet.

    Args:
        run: Its record.
        metric: As ``EpochRecord.value`` takes it.
    """
    return _if_finite(run, run.kept.value(metric) if run.kept else None)


def _if_finite(run: RunRecord, value: float | None) -> float | None:
    return value if run.state == "finished" and value is not None and math.isfinite(value) else None


def counted_epoch(study: StudyRecord) -> str:
    """After which epoch scores are taken, for a sentence."""
    if study.source:
        return f"as {study.source} has it"
    metrics = {_kept_by(arm) for arm in study.arms}
    if metrics <= {None}:
        return "after the last epoch"
    named = [str(metric).replace("_", " ") for metric in sorted(filter(None, metrics))]
    best = f"after the epoch with the best {' or '.join(named)}"
    return f"{best}, or the last" if None in metrics else best


def is_epoch_chosen_by_score(study: StudyRecord) -> bool:
    """Whether an arm's runs keep the epoch that was best on the validation images."""
    return any(is_of_validation(metric) for arm in study.arms if (metric := _kept_by(arm)) is not None)


def _kept_by(arm: ArmRecord) -> str | None:
    keep = arm.design.training.keep
    return keep.best if isinstance(keep, Best) else None


def arm_scores(study: StudyRecord, *, split: Split = "validation") -> tuple[ArmScores, ...]:
    """The scores of every arm, in the study's order."""
    cached: dict[object, tuple[ArmScores, ...]] = study.cached
    key = (arm_scores, split)
    if key not in cached:
        grid = grid_of(study)
        cached[key] = tuple(_scores(grid, arm, split, measure_of(study)) for arm in grid.arms)
    return cached[key]


def best_arm(study: StudyRecord) -> str | None:
    """The arm with the best mean score on validation images; ``None`` where none has a score.

    In a search it is the finalist with the best mean of what the search goes by. An arm most of whose runs failed is
    not the best while there is another: the mean is of those that were lucky.
    """
    metric = _searched(study)
    if metric is not None:
        values = {arm.name: _kept_values(study, arm.name, metric) for arm in ordered_arms(study)}
        sign = 1 if is_higher_better(metric) else -1
        known = {arm: sign * statistics.fmean(some) for arm, some in values.items() if some}
    else:
        sign = 1 if measure_of(study).higher_is_better else -1
        known = {arm.arm: sign * arm.mean for arm in arm_scores(study) if arm.mean is not None}
    return max(known, key=lambda arm: (not _has_mostly_failed(study, arm), known[arm]), default=None)


def _has_mostly_failed(study: StudyRecord, arm: str) -> bool:
    """Whether more than half of the seeds that ended did so with a failed run."""
    ended = [run for run in study.runs_of(arm) if run.state == "finished" or run.is_failed]
    return 2 * len({run.seed for run in ended if run.is_failed}) > len({run.seed for run in ended})


def best_by(study: StudyRecord) -> str:
    """What makes an arm ``best_arm``, for a sentence."""
    measure = measure_of(study)
    rule = f"{'highest' if measure.higher_is_better else 'lowest'} mean validation {measure.label}"
    if (metric := _searched(study)) is not None:
        name = metric.removeprefix("validation_").replace("_", " ")
        rule = f"{'highest' if is_higher_better(metric) else 'lowest'} mean validation {name}"
    has_failed = any(_has_mostly_failed(study, arm.name) for arm in study.arms)
    return f"{rule} of those most of whose runs did not fail" if has_failed else rule


def _searched(study: StudyRecord) -> str | None:
    """What a search goes by; ``None`` where that is what verdicts are of."""
    search = study.design.search
    if search is None or search.metric in ("validation_accuracy", study.design.metric):
        return None
    return search.metric


def _kept_values(study: StudyRecord, arm: str, metric: str) -> list[float]:
    values = [kept_value(run, metric) for run in study.runs_of(arm)]
    return [value for value in values if value is not None]


def rule_of(study: StudyRecord) -> Seeds:
    """The study's replicates: how many, what varies, when it stops."""
    return study.design.seeds


def chance_of(study: StudyRecord, data: str = "") -> float | None:
    """What guessing scores: of accuracy the share of the most common class, or of one class of equally many; ``None``
    for a measure of which that is not known.

    Args:
        study: Its record.
        data: Which of several data sets.
    """
    facts, measure = study.data_on(data), measure_of(study)
    classes = len(facts.get("classes", ()))
    if measure != ACCURACY:
        return measure.chance(classes) if classes else None
    share = facts.get("largest_class", 1 / classes if classes else None)
    return None if share is None else float(share)


def is_split_drawn(study: StudyRecord) -> bool:
    """Whether a seed decides which images a run learns from or is validated on."""
    data = study.design.data
    return any(one.is_drawn for one in data.members or (data,)) and "split" in rule_of(study).vary


def validates_on_same_images(study: StudyRecord) -> bool:
    """Whether every seed is validated on the same images; with folds, on all of them together."""
    validation = study.design.data.validation
    return isinstance(validation, Last | Folds) or validation in ("given", "test") or "split" not in rule_of(study).vary


def varied(study: StudyRecord) -> tuple[str, ...]:
    """What a seed changes, among what the study has: no dropout stream without dropout layers, no fixed split."""
    if varied not in study.cached:
        study.cached[varied] = _varied(study)
    result: tuple[str, ...] = study.cached[varied]
    return result


def _varied(study: StudyRecord) -> tuple[str, ...]:
    if study.source:
        return ("whatever the runs' own code drew from it",)
    arms = [arm.design for arm in study.arms]
    # A module of one's own may draw in training, too.
    has_dropout = any("dropout" in str(line) or is_module_line(line) for arm in arms for line in arm.layers)
    has_augmentation = any(arm.training.augmentation for arm in arms)
    used = {"dropout": has_dropout, "augment": has_augmentation, "split": is_split_drawn(study)}
    unused = {stream for stream, has in used.items() if not has}
    return tuple(stream for stream in rule_of(study).vary if stream not in unused)


def failures(study: StudyRecord) -> tuple[RunRecord, ...]:
    """The runs that ended without a score, in the study's order."""
    position = {arm.name: arm.position for arm in study.arms}
    failed = (run for run in study.runs if run.is_failed)
    return tuple(sorted(failed, key=lambda run: (position.get(run.arm, len(position)), run.seed)))


def failure_sentence(study: StudyRecord) -> str:
    """What a verdict must mention: the runs that have no score because they failed. Empty where none did."""
    num_failed = int(study.columns.is_failed.sum())
    if not num_failed:
        return ""
    have = f"{counted(num_failed, 'run')} {'has' if num_failed == 1 else 'have'}"
    parts = filter(None, (failed_in(study, arm.name) for arm in ordered_arms(study)))
    return f"{have} no score and no part in means: {'; '.join(parts)}"


def failed_in(study: StudyRecord, arm: str) -> str:
    """How many of an arm's runs failed, and how; empty where none did."""
    grid = grid_of(study)
    place = grid.places[arm]
    failed = grid.is_failed[place]
    if not failed.any():
        return ""
    states = sorted({STATES[state] for state in grid.state[place][failed]})
    how = " or ".join("ran out of memory" if state == "out of memory" else state for state in states)
    return f"{failed.sum()} of {grid.is_planned[place].sum()} of {arm} {how}"


def _scores(grid: Grid, arm: str, split: Split, measure: Measure) -> ArmScores:
    place, scores = grid.places[arm], grid.scores(split)
    known = scores.known[place]
    means: list[float] = scores.means[place][known].tolist()
    folds = scores.folds[place][known]
    by_seed = [tuple(row) for row in folds.tolist()]
    if np.isnan(folds).any():  # not every seed has every fold
        by_seed = [tuple(score for score in row if not math.isnan(score)) for row in by_seed]
    return ArmScores(
        arm,
        tuple(grid.seeds[known].tolist()),
        tuple(means),
        measure_interval(means, measure) if len(means) > 1 else None,
        int(grid.is_planned[place].any(1).sum()),
        tuple(by_seed),
    )
