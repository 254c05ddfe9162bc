"""At which probability a class is called: a threshold chosen on validation images, and what it finds and spares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, Problem, SpecError, nearest
from ..measures import PERCENT, Predictions
from ..numerals import counted
from ..stats import crossed_interval, image_spread, share_interval
from ..store.records import StudyRecord
from .measured import predictions_of
from .scores import LEAKY, Split

FEW_IMAGES = 50  # of a class, below which a threshold is hardly known
_Rows = list[tuple[int, NDArray[np.int64], NDArray[np.bool_]]]


@dataclass(frozen=True)
class Rule:
    """How a threshold is chosen on validation images; exactly one is given.

    Args:
        sensitivity: The highest threshold at which this share of the class's images is found.
        specificity: The lowest one at which this share of the other images is left alone.
        cost: The one that costs least, where one that is missed costs as much as so many false alarms.

    Raises:
        SpecError: Not exactly one is given, a share is outside (0, 1), or the cost is not above 0.
    """

    sensitivity: float | None = None
    specificity: float | None = None
    cost: float | None = None

    def __post_init__(self) -> None:
        given = {name: value for name, value in asdict(self).items() if value is not None}
        if len(given) != 1:
            what = f"got {' and '.join(given)}" if given else "no rule for the threshold is given"
            raise SpecError(Problem(what, "give one of sensitivity (such as 0.95), specificity and cost"))
        (name, value), *_ = given.items()
        if name == "cost" and not 0 < value < float("inf"):
            raise SpecError(
                Problem(f"the cost is {value:g}", "give how many false alarms a missed one is worth, above 0")
            )
        if name != "cost" and not 0 < value < 1:
            raise SpecError(Problem(f"the {name} is {value:g}", "give a share between 0 and 1, such as 0.95"))

    @property
    def description(self) -> str:
        """The rule as a clause about validation images."""
        if self.sensitivity is not None:
            return f"so that {100 * self.sensitivity:g} % of the class is found there"
        if self.specificity is not None:
            return f"so that {100 * self.specificity:g} % of the others is left alone there"
        return f"so that it costs least there, one that is missed as much as {self.cost:g} false alarms"

    def threshold(self, probabilities: NDArray[np.floating], is_class: NDArray[np.bool_]) -> float:
        """The lowest probability at which the class is called, from validation images with their probabilities [n] and
        whether they are of the class [n]; both kinds are there."""
        own, others = np.sort(probabilities[is_class]), np.sort(probabilities[~is_class])
        if self.sensitivity is not None:
            return float(own[int((1 - self.sensitivity) * len(own) + 1e-9)])
        if self.specificity is not None:
            place = int(np.ceil(self.specificity * len(others) - 1e-9)) - 1
            return float(np.nextafter(others[place], np.inf))
        assert self.cost is not None
        candidates = np.append(np.unique(probabilities), np.inf)
        missed = np.searchsorted(own, candidates, "left")
        alarms = len(others) - np.searchsorted(others, candidates, "left")
        return float(candidates[int(np.argmin(self.cost * missed + alarms))])


@dataclass(frozen=True)
class Rate:
    """A share of images, the mean over runs, with a 95 % interval over seeds and images.

    Args:
        mean: The mean over runs.
        low: The lower end of the interval.
        high: The upper end of the interval.
        images: The number of images, on average over runs.
    """

    mean: float
    low: float
    high: float
    images: int

    def __str__(self) -> str:
        unit = PERCENT.within(self.low, self.high)
        return f"{unit.value(self.mean)} {unit.interval(self.low, self.high)}"


@dataclass(frozen=True)
class Point:
    """Sensitivity and specificity on one split.

    Args:
        split: ``"validation"`` or ``"test"``.
        sensitivity: The share of the class's images that are called.
        specificity: The share of the other images that are not called.
        plain_sensitivity: Sensitivity without a threshold: the most probable class is called.
        plain_specificity: Specificity without a threshold.
    """

    split: Split
    sensitivity: Rate
    specificity: Rate
    plain_sensitivity: Rate
    plain_specificity: Rate


@dataclass(frozen=True)
class OperatingPoint:
    """A class that is called above a threshold, chosen for each run on its validation images.

    :meth:`assay.Result.threshold` returns it.

    Args:
        study: The study's name.
        arm: The arm's name.
        class_name: The class.
        rule: How thresholds were chosen, in words.
        seeds: The runs' seeds.
        thresholds: The threshold of each run.
        points: On validation images, and on test images once they are revealed.
        notes: What must be read with them.
    """

    study: str
    arm: str
    class_name: str
    rule: str
    seeds: tuple[int, ...]
    thresholds: tuple[float, ...]
    points: tuple[Point, ...]
    notes: tuple[str, ...]

    @property
    def sentences(self) -> tuple[str, ...]:
        """The result in words, without full stops."""
        low, high = min(self.thresholds), max(self.thresholds)
        runs = counted(len(self.seeds), "run")
        whose = "each with a threshold of its own," if len(self.seeds) > 1 else "a threshold"
        span = f"{low:.3f}" if low == high else f"{low:.3f} to {high:.3f}"
        lines = [
            f'"{self.class_name}" is called where its probability is at least {span} ({runs} '
            f"of {self.arm}, {whose} chosen on its validation images {self.rule})"
        ]
        for point in self.points:
            own, others = point.sensitivity.images, point.specificity.images
            lines.append(
                f"On {point.split} images it is found in {point.sensitivity} of {own:,} (sensitivity), and "
                f"{point.specificity} of {others:,} others are left alone (specificity); without a threshold "
                f"{point.plain_sensitivity} and {point.plain_specificity}"
            )
        return tuple(lines)

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        return "\n".join(f"{line}." for line in (*self.sentences, *self.notes))

    def _repr_html_(self) -> str:
        from ..markup import sentences

        return sentences([f"{line}." for line in self.sentences], [f"{note}." for note in self.notes])


def operating_point(study: StudyRecord, arm: str, class_name: str, rule: Rule) -> OperatingPoint:
    """Thresholds of an arm's runs for a class, and what they find and spare.

    Each run has its own threshold, chosen on its own validation images; what it finds there is a little too good, since
    it was chosen there. Test images have no part in it: once they are revealed, they show what it is worth.

    Args:
        study: Its record.
        arm: The arm's name.
        class_name: The class that is called, or its label.
        rule: How thresholds are chosen.

    Raises:
        SpecError: There is no such class, no run with a score, or there are folds.
        DataError: Predictions were not kept, or validation images are all of the class, or none is.
    """
    label = _label_of(study, class_name)
    runs = {run.id: run for run in study.runs_of(arm) if run.state == "finished"}
    if not runs:
        raise SpecError(Problem(f"{arm} has no finished run", "run the study first"))
    if any(run.fold for run in runs.values()):
        what = "with folds each validation image has one network, and a network one part of the images"
        raise SpecError(Problem(what, "choose a threshold in a study that sets validation images aside without folds"))
    validation = {run: (images, one) for run, images, one in predictions_of(study, "validation") if run in runs}
    thresholds: dict[str, float] = {}
    fewest = len(next(iter(validation.values()))[1]) if validation else 0
    for run, (_, one) in validation.items():
        is_class = one.labels == label
        if is_class.all() or not is_class.any():
            have = "all" if is_class.all() else "none"
            what = f'{have} of the {len(is_class):,} validation images of {runs[run].label} are "{one.classes[label]}"'
            raise DataError(Problem(what, "a threshold needs images of the class and others: validate on more images"))
        thresholds[run] = rule.threshold(one.probabilities[:, label], is_class)
        fewest = min(fewest, int(is_class.sum()), int((~is_class).sum()))
    sets = study.image_sets
    parts = {
        run: (sets[images] if images in sets else np.arange(len(one)), one) for run, (images, one) in validation.items()
    }
    points = [_point("validation", parts, thresholds, label)]
    if study.columns.has_test:
        test = {run: (np.arange(len(one)), one) for run, _, one in predictions_of(study, "test") if run in thresholds}
        if test:
            points.append(_point("test", test, thresholds, label))
    notes = [LEAKY.rstrip(".")] if study.is_leaky else []
    if len(points) == 1:
        notes.append(
            "Thresholds were chosen on these validation images, which makes their figures a little too good; `assay "
            "reveal` shows them on the sealed test images"
        )
    if fewest < FEW_IMAGES:
        notes.append(f"A run has only {counted(fewest, 'validation image')} of one side: its threshold is hardly known")
    notes.append(
        "Intervals are at 95 % and speak of other seeds and other images of the same kind, not of another hospital, "
        "camera or year"
        if len(thresholds) > 1
        else "Intervals are at 95 % and speak of other images of the same kind; one run says nothing of other seeds"
    )
    ordered = sorted(thresholds, key=lambda run: runs[run].seed)
    names = next(iter(validation.values()))[1].classes
    return OperatingPoint(
        study.name, arm, names[label], rule.description, tuple(runs[run].seed for run in ordered),
        tuple(thresholds[run] for run in ordered), tuple(points), tuple(notes),
    )  # fmt: skip


def _label_of(study: StudyRecord, class_name: str) -> int:
    classes = [str(name) for name in study.data.get("classes", ())]
    if class_name in classes:
        return classes.index(class_name)
    if class_name.isdigit() and int(class_name) < len(classes):
        return int(class_name)
    raise SpecError(Problem(f'there is no class "{class_name}"', nearest(class_name, classes), "--class"))


def _point(
    split: Split,
    parts: dict[str, tuple[NDArray[np.int64], Predictions]],
    thresholds: dict[str, float],
    label: int,
) -> Point:
    rates = []
    for wanted in (True, False):
        called: list[NDArray[np.float64]] = []
        plain: list[NDArray[np.float64]] = []
        images = []
        for run, (places, one) in parts.items():
            chosen = (one.labels == label) == wanted
            is_called = one.probabilities[:, label] >= thresholds[run]
            called.append((is_called[chosen] == wanted).astype(np.float64))
            plain.append(((one.predicted == label)[chosen] == wanted).astype(np.float64))
            images.append(places[chosen])
        rates.append((_rate(called, images), _rate(plain, images)))
    (sensitivity, plain_sensitivity), (specificity, plain_specificity) = rates
    return Point(split, sensitivity, specificity, plain_sensitivity, plain_specificity)


def _rate(rows: Sequence[NDArray[np.float64]], images: Sequence[NDArray[np.int64]]) -> Rate:
    """The mean of runs' shares, with an interval over runs crossed with images; of one run, or of runs that agree on
    every image, Wilson's over images."""
    values = np.array([row.mean() for row in rows])
    number = round(float(np.mean([len(row) for row in rows])))
    mean = float(values.mean())
    wilson = share_interval(mean * number, number)
    if len(rows) < 2 or np.ptp(values) == 0:
        return Rate(mean, wilson.low, wilson.high, number)
    low, high = crossed_interval(values, image_spread(rows, images))
    return Rate(mean, min(max(low, 0.0), mean), max(min(high, 1.0), mean), number)
