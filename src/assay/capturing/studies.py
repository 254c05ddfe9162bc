"""Recorded models as studies."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..convert.compiled import compiled_settings
from ..convert.dataset import Source
from ..convert.draft import Draft, assemble
from ..convert.front import Front
from ..convert.losses import name_of as loss_name
from ..convert.network import Words
from ..data import entry
from ..errors import InputError, Problem, SpecError
from ..numerals import counted
from .datasets import data_of
from .feed import Feed
from .known import fingerprint
from .recording import Fit, Recording
from .training import fit_settings


def drafts_of(recordings: Sequence[Recording], *, loaded: Sequence[str] = ()) -> list[Draft]:
    """The recorded models as studies, those that are equal as one.

    Args:
        recordings: In order.
        loaded: Known data sets that the file loads: what a model that is never fitted is taken to be for.
    """
    drafts: list[Draft] = []
    seen: dict[str, Draft] = {}
    counts: dict[str, int] = {}
    fitted = [one for one in recordings if one.fits]
    for recording in recordings:
        if not recording.fits and recording.words is None:
            continue
        if not recording.fits and fitted and not loaded:
            continue
        draft = draft_of(recording, loaded)
        key = json.dumps([draft.values, [str(problem.what) for problem in draft.problems]], sort_keys=True, default=str)
        key += "".join(f"{name}{fingerprint(array)}" for name, array in draft.arrays.items() if name.startswith("x"))
        if key in seen and draft.values:
            counts[key] = counts.get(key, 1) + 1
            continue
        seen[key] = draft
        drafts.append(draft)
    for key, count in counts.items():
        seen[key].notes.append(
            f"{seen[key].place}: the file makes and trains this network {counted(count, 'time')}; it is one arm."
        )
    return drafts


def draft_of(recording: Recording, loaded: Sequence[str] = (), *, source: Source | None = None) -> Draft:
    """One recorded model as a study.

    Args:
        recording: The model.
        loaded: As in ``drafts_of``.
        source: Its data, where they are known to be those of a model before it.
    """
    place = recording.fits[0].place if recording.fits else recording.compiled.place
    draft = Draft(recording.name, place, notes=list(recording.notes))
    try:
        if recording.fits:
            _fitted(draft, recording, source)
        else:
            _compiled_alone(draft, recording, loaded)
    except InputError as error:
        draft.problems = tuple(
            problem if problem.file or problem.key else problem.at(key=place) for problem in error.problems
        )
        draft.values, draft.arrays = {}, {}
    draft.notes = list(dict.fromkeys(draft.notes))
    return draft


def _fitted(draft: Draft, recording: Recording, known: Source | None) -> None:
    first, later = recording.fits[0], recording.fits[1:]
    problems: list[Problem] = []
    for part in (first.words, first.feed, first.validation):
        if isinstance(part, InputError):
            problems += part.problems
    if problems:
        raise SpecError(problems)
    words, feed = first.words, first.feed
    assert isinstance(words, Words)
    assert isinstance(feed, Feed)
    assert first.validation is None or isinstance(first.validation, Feed)
    source = known or data_of(
        feed, validation=first.validation, split=first.split, tests=recording.tests, hint=words.front.shape,
        place=first.place,
    )  # fmt: skip
    draft.source = source
    settings, notes = compiled_settings(first.compiled, words)
    learned = feed.num_images
    if learned is not None and first.split:
        learned = round(learned * (1 - first.split))
    training, more = fit_settings(first, settings, learned, source.classes)
    _repeated(training, first, later, draft)
    assemble(draft, words, source, training, [*feed.notes, *notes, *more], first.place, feed.front)


def _repeated(training: dict[str, Any], first: Fit, later: Sequence[Fit], draft: Draft) -> None:
    """Further calls of ``fit``: equal ones go on, others are named."""
    for fit in later:
        others = _differences(first, fit)
        if not others:
            training["epochs"] += fit.epochs
            continue
        what = f"fit goes on with other settings ({counted(fit.epochs, 'epoch')}; other {', '.join(others)})"
        draft.notes.append(f"{fit.place}: {what}; the study has the first call alone.")
    if training["epochs"] > first.epochs:
        draft.notes.append(
            f"{first.place}: fit is called several times with the same settings; their epochs are added."
        )


def _differences(first: Fit, fit: Fit) -> list[str]:
    """What a further call of ``fit`` has otherwise, in words; empty where it only goes on."""
    a, b = first.compiled, fit.compiled
    others = {
        f"learning rate, {b.rate:g}": a.rate == b.rate,
        f"optimizer, {b.optimizer}": (a.optimizer, dict(a.config)) == (b.optimizer, {**b.config, **_rates(a.config)}),
        "loss": loss_name(a.loss) == loss_name(b.loss),
        "callbacks": first.callbacks == fit.callbacks,
        "class weights": first.class_weight == fit.class_weight,
        "steps in an epoch": first.steps_per_epoch == fit.steps_per_epoch,
    }
    if isinstance(first.words, Words) and isinstance(fit.words, Words):
        others["layers"] = first.words.lines == fit.words.lines and _plain(first.words.front) == _plain(fit.words.front)
        others["part of the base that trains"] = first.words.base == fit.words.base
    else:
        others["layers"] = False
    if isinstance(first.feed, Feed) and isinstance(fit.feed, Feed):
        others["batch size"] = first.feed.batch_size == fit.feed.batch_size
        others["scaling or augmentation"] = _plain(first.feed.front) == _plain(fit.feed.front)
        others["images"] = _same_images(first.feed, fit.feed)
    else:
        others["images"] = False
    return [name for name, is_equal in others.items() if not is_equal]


def _rates(config: Mapping[str, Any]) -> dict[str, Any]:
    """The rate alone is compared by its number: it may be an object that describes a schedule."""
    return {key: value for key, value in config.items() if key in ("learning_rate", "name")}


def _plain(front: Front) -> tuple[Any, ...]:
    """What can be compared of it, for images of any one size."""
    return front.scale, front.offset, front.is_normalized, front.size, front.settings(32, 32)[0]


def _same_images(one: Feed, other: Feed) -> bool:
    if one.images is None or other.images is None:
        return (one.images, one.folder, one.subset) == (other.images, other.folder, other.subset)
    if one.images is other.images:
        return True
    same = (one.images.shape, one.images.dtype) == (other.images.shape, other.images.dtype)
    return same and fingerprint(one.images) == fingerprint(other.images)


def _compiled_alone(draft: Draft, recording: Recording, loaded: Sequence[str]) -> None:
    if isinstance(recording.words, InputError):
        raise recording.words
    words = recording.words
    assert words is not None
    shape = _shape(recording, words)
    fitting = [name for name in loaded if _fits(name, shape)]
    if len(set(fitting)) != 1:
        what = "the model is compiled and never sees fit, so its data are not known"
        raise SpecError(Problem(what, "call fit, or name the data in a study file", recording.compiled.place))
    name = fitting[0]
    source = Source({"name": name}, classes=entry(name).info.classes, shape=entry(name).info.shape)
    source.notes.append(
        f"{draft.place}: the model is compiled and never sees fit: the data are {name}, which the file loads; epochs, "
        "batch size and the images' scaling are Assay's own."
    )
    settings, notes = compiled_settings(recording.compiled, words)
    assemble(draft, words, source, settings, notes, draft.place)


def _shape(recording: Recording, words: Words) -> tuple[int | None, ...] | None:
    shape = getattr(recording.model, "input_shape", None) if getattr(recording.model, "built", False) else None
    return tuple(shape[1:]) if isinstance(shape, tuple) else None


def _fits(name: str, shape: tuple[int | None, ...] | None) -> bool:
    if shape is None:
        return True
    about = entry(name).info.shape
    sizes = [side for side in shape if side is not None]
    product = 1
    for side in sizes:
        product *= side
    return len(sizes) == len(shape) and product == about[0] * about[1] * about[2]
