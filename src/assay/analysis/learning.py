"""How many more images: learning curves of a study whose number of training images is a factor."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import Problem, SpecError
from ..measures import Measure
from ..spec import DATA, Data
from ..spec.factors import placeholders
from ..stats.learning_curve import FAMILIES, MIN_SEEDS, MIN_SIZES, learning_curve
from ..store.records import ArmRecord, StudyRecord
from .arm_curve import ArmCurve, Size
from .diagnoses import num_validation_of
from .measured import measure_of
from .scores import ArmScores, arm_scores, chance_of, failures, ordered_arms
from .trades import Trade, trades_of

# The largest class beside its equal share: above it all images are another mixture than so many of each class.
_UNBALANCED = 1.25
_FARTHEST = 4.0  # times the largest size: where curves are drawn to
_PLACES = 60


@dataclass(frozen=True)
class LearningCurves:
    """What more training images would bring, as :meth:`assay.Result.curve` returns it.

    Args:
        study: The study's name.
        measure: The measure.
        more: The additional images of each class.
        curves: One for each network.
        trades: Comparisons of more images with a larger network.
        notes: What must be read with it, without full stops.
    """

    study: str
    measure: Measure
    more: int
    curves: tuple[ArmCurve, ...]
    trades: tuple[Trade, ...]
    notes: tuple[str, ...]

    @property
    def sentences(self) -> tuple[str, ...]:
        """The expected gain of each network, then the trades, without full stops."""
        return (*(self._promise(one) for one in self.curves), *(trade.sentence for trade in self.trades))

    @property
    def headline(self) -> str:
        """The first of the sentences."""
        return self.sentences[0]

    def _promise(self, one: ArmCurve) -> str:
        unit, lead = self.measure.unit, f"{one.label}: " if one.label else ""
        if one.gain is None:
            return f"{lead}{one.refusal}"
        written, ends = unit.within(one.gain.low, one.gain.high), unit.interval(one.gain.low, one.gain.high)
        images = f"{self.more:,} more images a class"
        verb = "bring" if self.measure.higher_is_better else f"change {self.measure.label} by"
        text = (
            f"{lead}{images} would {verb} {written.amount(one.gain.mean)} {ends}, from {_whole(one.largest)} a class on"
        )
        return f"{text}, if they are like these"

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON. Accuracies are fractions."""
        return {
            "study": self.study,
            "metric": self.measure.name,
            "more": self.more,
            "sentences": list(self.sentences),
            "curves": [_plain(one) for one in self.curves],
            "trades": [
                {
                    **trade.__dict__,
                    **{key: _finite(getattr(trade, key)) for key in ("images", "low", "high")},
                }
                for trade in self.trades
            ],
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        return "\n".join(f"{sentence}." for sentence in (*self.sentences, *self.notes))

    def _repr_html_(self) -> str:
        from ..markup import sentences

        return sentences([f"{one}." for one in self.sentences], [f"{note}." for note in self.notes])


def _whole(images: float) -> str:
    return f"{round(images):,}"


def drawn_at(one: ArmCurve) -> NDArray[np.float64]:
    """The sizes at which a curve is drawn."""
    smallest = min(size.images for size in one.sizes if not size.is_left_out)
    return np.geomspace(smallest, _FARTHEST * one.largest, _PLACES)


def has_sizes(study: StudyRecord) -> bool:
    """Whether the number of training images is a factor."""
    return not study.source and study.search is None and any(arm.design.images is not None for arm in study.arms)


def learning_curves(
    study: StudyRecord, *, more: int | None = None, parameters: Mapping[str, int] | None = None
) -> LearningCurves:
    """What so many more training images of each class would bring to each of the study's networks.

    Args:
        study: Its record.
        more: Images of each class; as many again as the largest size has unless given.
        parameters: Of each arm's network, by arm, where they are known.

    Raises:
        SpecError: Sizes are no factor of the study, the measure has no best value, no curve can be fitted, or ``more``
            is below 1.
    """
    if not has_sizes(study):
        what = f'the number of training images is no factor of study "{study.name}"'
        fix = 'write training = "{images} per class" under [data], and images = [50, 100, 200, 400] under [factors]'
        raise SpecError(Problem(what, fix, "data.training"))
    if more is not None and more < 1:
        raise SpecError(Problem(f"got {more} more images", "give 1 or more", "more"))
    measure = measure_of(study)
    best = measure.bounds[1 if measure.higher_is_better else 0]
    if not math.isfinite(best):
        what = f"nothing says what the best {measure.label} is, so no curve can lead there"
        raise SpecError(Problem(what, "name a metric of Assay's, such as accuracy", "metric"))
    groups = _groups(study)
    fitted = [_fitted(study, label, arms, best, parameters or {}) for label, arms in groups.items()]
    if all(one.curve is None for one in fitted):
        raise SpecError(
            Problem(f"{one.label}: {one.refusal}" if one.label else one.refusal, _fix(one), "factors") for one in fitted
        )
    largest = max(one.largest for one in fitted if one.curve is not None)
    more = round(largest) if more is None else more
    curves = tuple(one if one.curve is None else replace(one, gain=one.curve.gain(more)) for one in fitted)
    return LearningCurves(
        study.name,
        measure,
        more,
        curves,
        () if study.sets else trades_of(curves, measure),
        tuple(_notes(study, curves, measure, more)),
    )


def _groups(study: StudyRecord) -> dict[str, tuple[ArmRecord, ...]]:
    """The arms of each curve by what tells it from the others, in the study's order."""
    factor = next(iter(placeholders(study.design.data.training)), "")
    groups: dict[str, list[ArmRecord]] = {}
    for arm in ordered_arms(study):
        level = f"{factor}={arm.levels.get(factor, '')}"
        label = ", ".join(part for part in arm.name.split(", ") if part != level)
        groups.setdefault(label, []).append(arm)
    return {label: tuple(arms) for label, arms in groups.items()}


def _fitted(
    study: StudyRecord, label: str, arms: Sequence[ArmRecord], best: float, parameters: Mapping[str, int]
) -> ArmCurve:
    """The curve of arms that differ in their number of images."""
    scores = {one.arm: one for one in arm_scores(study)}
    sizes = sorted((_size(study, arm, scores[arm.name]) for arm in arms), key=lambda size: size.images)
    known = parameters.get(arms[-1].name)
    usable = [size for size in sizes if not size.is_left_out and len(size.scores) >= MIN_SEEDS]
    refusal = ""
    if len(sizes) - sum(size.is_left_out for size in sizes) < MIN_SIZES:
        refusal = f"a curve needs {MIN_SIZES} sizes, and here {_are(len(sizes) - sum(s.is_left_out for s in sizes))}"
    elif len(usable) < MIN_SIZES:
        refusal = f"a curve needs {MIN_SEEDS} finished seeds at {MIN_SIZES} sizes, and {_have(len(usable))} so many"
    elif twice := [size for size, after in itertools.pairwise(usable) if size.images == after.images]:
        refusal = f"two of its sizes have {_whole(twice[0].images)} images a class"
    data = arms[0].levels.get(DATA, "") if study.sets else ""
    guessing = _guessing(study, data)
    if guessing == best:
        refusal = "all images are of one class, so there is nothing to learn"
    if refusal:
        return ArmCurve(label, tuple(sizes), None, refusal, known)
    shared = set.intersection(*(set(size.seeds) for size in usable))
    is_shared = len(shared) >= MIN_SEEDS
    rows = [
        [score for seed, score in zip(size.seeds, size.scores, strict=True) if not is_shared or seed in shared]
        for size in usable
    ]
    images = num_validation_of(_data_on(study, data), study.data_on(data))
    curve = learning_curve(
        rows,
        [size.images for size in usable],
        guessing=_guessing(study, data),
        best=best,
        resolution=0.25 / images if images else 0.0,
    )
    return ArmCurve(label, tuple(sizes), curve, "", known)


def _size(study: StudyRecord, arm: ArmRecord, scores: ArmScores) -> Size:
    data = arm.levels.get(DATA, "") if study.sets else ""
    facts, per_class = study.data_on(data), _data_on(study, data).learning_from(arm.design.images).per_class
    is_all, classes = per_class is None, max(len(facts.get("classes", ())), 1)
    images = float(per_class or 0)
    if is_all:
        total = int(facts.get("num_training", 0)) - num_validation_of(_data_on(study, data), facts)
        images = total / classes
    mean = float(np.mean(scores.scores)) if scores.n else math.nan
    is_unbalanced = is_all and float(facts.get("largest_class", 0.0)) * classes > _UNBALANCED
    return Size(arm.name, images, scores.scores, scores.seeds, mean, is_all, is_unbalanced)


def _data_on(study: StudyRecord, data: str) -> Data:
    return study.design.data.on(data) if data else study.design.data


def _guessing(study: StudyRecord, data: str) -> float:
    """What a network without images scores, roughly: only curves that bend below it ask for it."""
    measure, chance = measure_of(study), chance_of(study, data)
    if chance is not None:
        return chance
    worst = measure.bounds[0 if measure.higher_is_better else 1]
    return worst if math.isfinite(worst) else math.log(max(len(study.data_on(data).get("classes", ())), 2))


def _notes(study: StudyRecord, curves: Sequence[ArmCurve], measure: Measure, more: int) -> list[str]:
    notes = []
    left_out = [size for one in curves for size in one.sizes if size.is_left_out]
    if left_out:
        notes.append(
            f"{left_out[0].arm} is left out of the curve: all images together are not balanced, and the other sizes are"
        )
    far = [one for one in curves if one.curve is not None and more > (_FARTHEST - 1) * one.largest]
    if far:
        notes.append(
            f"{more:,} more images a class lead to more than {_FARTHEST:.0f} times what was trained on: so far out "
            "bands have not been tried"
        )
    notes.append(
        "The band is of the mean over seeds with this training, on images like the validation images; it covers what "
        f"seeds differ by, {len(FAMILIES)} families of curves, and what none of them fits"
    )
    if failures(study):
        notes.append("Runs that failed are left out of the means")
    return notes


def _fix(one: ArmCurve) -> str:
    if "seeds" in one.refusal:
        return f"run {MIN_SEEDS} seeds or more"
    if "one class" in one.refusal:
        return "give images of two classes or more"
    return f"list {MIN_SIZES} sizes or more, each about twice the last"


def _are(number: int) -> str:
    return f"is {number}" if number == 1 else f"are {number}"


def _have(number: int) -> str:
    return "none has" if number == 0 else f"only {number} {'has' if number == 1 else 'have'}"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _plain(one: ArmCurve) -> dict[str, Any]:
    values: dict[str, Any] = {
        "label": one.label,
        "parameters": one.parameters,
        "refusal": one.refusal,
        "sizes": [
            {**size.__dict__, "scores": list(size.scores), "seeds": list(size.seeds), "mean": _finite(size.mean)}
            for size in one.sizes
        ],
    }
    if one.curve is None or one.gain is None:
        return values
    places = drawn_at(one)
    low, middle, high = one.curve.band(places)
    return {
        **values,
        "gain": {"mean": one.gain.mean, "low": one.gain.low, "high": one.gain.high},
        "families": dict(one.curve.weights),
        "band": {
            "images": places.tolist(), "low": low.tolist(), "middle": middle.tolist(), "high": high.tolist(),
        },
    }  # fmt: skip
