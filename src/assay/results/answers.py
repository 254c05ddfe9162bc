"""Answers beyond the most probable class: sets that hold the truth as often as promised, and refusal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, Problem, SpecError
from ..numerals import percent
from ..prediction.conformal import SetMethod, SetRule, check_coverage, draws_of, fit_sets
from ..prediction.refusal import Refusal, fit_refusal
from ..store import StudyRecord
from .model import Model
from .recorded import split_of_run

if TYPE_CHECKING:
    pass

REFUSED = 0.05  # of validation images, unless another share is asked for
_ASKED = 4  # networks of an ensemble that judge whether a picture is unlike the data


@dataclass(frozen=True)
class AnswerRequest:
    """What is asked for beside the most probable class.

    Args:
        sets: How often a set of classes is to hold the truth, in (0, 1); ``None`` for no sets.
        method: How sets are made (``prediction.conformal.set_scores``).
        by_class: Keep the promise for each class.
        never_empty: Put the most probable class into sets that would be empty.
        refuse: The share of validation images that is refused, in (0, 1); ``None`` to refuse nothing.

    Raises:
        SpecError: A share is outside (0, 1).
    """

    sets: float | None = None
    method: SetMethod = "adaptive"
    by_class: bool = False
    never_empty: bool = False
    refuse: float | None = None

    def __post_init__(self) -> None:
        if self.sets is not None:
            check_coverage(self.sets)
        if self.refuse is not None:
            check_coverage(self.refuse, "share of validation images that is refused")

    @property
    def is_plain(self) -> bool:
        """Whether nothing is asked for."""
        return self.sets is None and self.refuse is None


def answer_request(
    sets: float | None = None,
    set_method: SetMethod = "adaptive",
    by_class: bool = False,
    never_empty: bool = False,
    refuse: bool | float = False,
) -> AnswerRequest:
    """What is asked for, as ``assay.predict`` takes it.

    Raises:
        SpecError: A share is outside (0, 1).
    """
    share = None if refuse is False else REFUSED if refuse is True else refuse
    return AnswerRequest(sets, set_method, by_class, never_empty, share)


@dataclass(frozen=True, eq=False)
class Answers:
    """Fitted rules for a run or for runs that answer together.

    Args:
        sets: Which classes go into a set; ``None`` where none was asked for.
        refusals: The networks that judge whether a picture is unlike the data, each with its own rule.
        note: What they were fitted on, and what that means, as sentences.
    """

    sets: SetRule | None
    refusals: tuple[tuple[Model, Refusal], ...]
    note: str

    def set_of(
        self, probabilities: NDArray[np.float32], images: NDArray[np.uint8] | NDArray[np.float32]
    ) -> NDArray[np.bool_] | None:
        """Whether each class is in the set of an image [n, classes]; ``None`` where no sets were asked for.

        Args:
            probabilities: The networks' own, not calibrated [n, classes].
            images: The same images, as the networks take them.
        """
        return None if self.sets is None else self.sets.sets(probabilities, draws_of(images))

    def unlike(self, images: NDArray[np.uint8] | NDArray[np.float32]) -> NDArray[np.float64] | None:
        """How unlike the data each image is, refused above 1 [n]: the mean over networks; ``None`` where nothing is
        refused."""
        if not self.refusals:
            return None
        judged = [rule.unlike(model.predictor, images) for model, rule in self.refusals]
        return np.asarray(np.mean(judged, axis=0))


def fit_answers(
    models: Sequence[Model],
    request: AnswerRequest,
    held_out: tuple[NDArray[np.float32], NDArray[np.int64]] | None,
    *,
    is_best_arm: bool = False,
) -> Answers:
    """Rules for models that answer together, from their validation images.

    Args:
        models: The runs.
        request: What is asked for.
        held_out: Mean probabilities of validation images, of the runs that did not train on each, and which images of
            the training data these are; ``None`` where no sets are asked for.
        is_best_arm: Whether validation images also chose this arm among others, which the note then says.

    Raises:
        SpecError: There are too few validation images, or one class.
        DataError: The data are gone, or have changed.
    """
    record = models[0].study
    training = models[0].dataset.training()
    sets, notes = None, []
    if request.sets is not None:
        if held_out is None or not len(held_out[1]):
            raise SpecError(_no_images("sets of classes are"))
        probabilities, places = held_out
        labels = np.asarray(training.labels[places])
        draws = draws_of(training.images[places])
        sets = fit_sets(
            probabilities, labels, draws, coverage=request.sets, method=request.method, by_class=request.by_class,
            never_empty=request.never_empty, classes=models[0].classes,
        )  # fmt: skip
        notes.append(_set_note(sets, len(models)))
    refusals = []
    for model in models[:_ASKED] if request.refuse is not None else ():
        split = split_of_run(record, model.run, training)
        if not len(split.validation):
            raise SpecError(_no_images("the threshold of refusal is"))
        own = np.sort(split.training)
        learned = own[np.linspace(0, len(own) - 1, min(len(own), 5000)).astype(np.int64)]
        known = training.images[learned], np.asarray(training.labels[learned])
        assert request.refuse is not None
        rule = fit_refusal(model.predictor, known, training.images[np.sort(split.validation)], share=request.refuse)
        refusals.append((model, rule))
    if refusals:
        rule = refusals[0][1]
        each = "" if len(refusals) == 1 else f", by the mean of {len(refusals)} networks"
        notes.append(
            f"Pictures are refused that lie farther from the training images than {100 - 100 * rule.share:.4g} % of "
            f"{rule.num_images:,} validation images do{each}"
        )
    if selected := _selection_note(record, is_best_arm=is_best_arm):
        notes.append(selected)
    return Answers(sets, tuple(refusals), " ".join(f"{note}." for note in notes))


def answers_of(model: Model, request: AnswerRequest, *, is_best_arm: bool = False) -> Answers:
    """Rules for one run, from its own validation images.

    Raises:
        SpecError, DataError: As ``fit_answers`` does.
    """
    training = model.dataset.training()
    places = np.sort(split_of_run(model.study, model.run, training).validation)
    if not len(places):
        raise SpecError(_no_images("sets of classes and refusal are"))
    held_out = (model.probabilities(training.images[places]), places) if request.sets is not None else None
    return fit_answers([model], request, held_out, is_best_arm=is_best_arm)


def _no_images(what: str) -> Problem:
    fix = "name a run that has some (a retrained run has none), or leave --sets and --refuse out"
    return Problem(f"{what} fitted on validation images, and there are none", fix)


def _set_note(rule: SetRule, num_models: int) -> str:
    by_class = " of each class" if rule.is_by_class else ""
    text = (
        f"Sets hold the truth{by_class} {100 * rule.coverage:g} % of the time, where new images are drawn as the "
        f"{rule.num_images:,} validation images were that they were calibrated on; there they hold "
        f"{rule.mean_size:.2f} classes on average"
    )
    if rule.accuracy > rule.coverage and not rule.never_empty:
        text += (
            f", and {100 * rule.empty:.1f} % are empty: the most probable class is right on "
            f"{percent(rule.accuracy)}, so ask"
            " for more than that, or for sets that are never empty"
        )
    if num_models > 1:
        text += (
            f". Each validation image was judged by those of the {num_models} runs that did not train on it, new "
            "images are judged by all: the promise holds about"
        )
    return text


def _selection_note(record: StudyRecord, *, is_best_arm: bool) -> str:
    """What else validation images decided, so that they are not quite new to the networks."""
    from ..analysis.scores import is_epoch_chosen_by_score

    if record.is_leaky:
        return "The study's validation images are its test images"
    chosen = []
    if is_epoch_chosen_by_score(record):
        chosen.append("the epoch whose weights are kept")
    if any(arm.design.training.early_stopping not in (None, "none") for arm in record.arms):
        chosen.append("when training stopped")
    if is_best_arm and len(record.arms) > 1:
        chosen.append(f"this arm among {len(record.arms)}")
    if record.search is not None:
        chosen.append("the candidates that the search kept")
    if not chosen:
        return ""
    return f"Validation images also chose {' and '.join(chosen)}: coverage may fall a little short of the promise"


def set_names(chosen: NDArray[np.bool_], classes: Sequence[str]) -> list[tuple[str, ...]]:
    """Names of the classes in each set."""
    return [tuple(classes[label] for label in np.flatnonzero(row).tolist()) for row in chosen]


def plain_answers(answers: Answers, classes: Sequence[str]) -> dict[str, Any]:
    """The rules as JSON values: what another program needs to make the same sets.

    Raises:
        DataError: There is nothing to write.
    """
    if answers.sets is None and not answers.refusals:
        raise DataError(Problem("neither sets nor refusal were asked for", "ask for one"))
    values: dict[str, Any] = {"classes": list(classes), "note": answers.note}
    if answers.sets is not None:
        rule = answers.sets
        values["sets"] = {
            "coverage": rule.coverage,
            "method": rule.method,
            "thresholds": list(rule.thresholds),
            "by_class": rule.is_by_class,
            "never_empty": rule.never_empty,
            "calibration_images": rule.num_images,
            "mean_size": rule.mean_size,
            "empty": rule.empty,
        }
    if answers.refusals:
        rule_ = answers.refusals[0][1]
        values["refusal"] = {
            "output": "unlike",
            "refuse_above": 1.0,
            "share_of_validation_refused": rule_.share,
            "validation_images": rule_.num_images,
            "layers": list(rule_.layers),
        }
    return values
