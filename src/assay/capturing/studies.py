"""Recorded models as studies."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from ..data import entry
from ..errors import InputError, Problem, SpecError
from ..nets import parse, summarize
from .datasets import Source, data_of
from .feed import Feed
from .known import fingerprint
from .network import Words
from .recording import Fit, Recording
from .scaling import scaling_settings
from .training import compiled_settings, fit_settings


@dataclass
class Draft:
    """A recorded model as a study in the making.

    Args:
        name: Of the model.
        place: Where it was fitted or compiled.
        values: Of ``spec.Study`` without name and question; empty where there are problems.
        arrays: Images and labels that are to be kept with it; empty where the data have a name or a folder.
        notes: What could not be taken over as it is, a sentence each, with its place.
        problems: Why there is no study.
        parameters: Of the network; ``None`` where that is not known.
    """

    name: str
    place: str
    values: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    problems: tuple[Problem, ...] = ()
    parameters: int | None = None
    classes: tuple[str, ...] | None = None


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
        draft = _draft(recording, loaded)
        key = json.dumps([draft.values, [str(problem.what) for problem in draft.problems]], sort_keys=True, default=str)
        key += "".join(f"{name}{fingerprint(array)}" for name, array in draft.arrays.items() if name.startswith("x"))
        if key in seen and draft.values:
            counts[key] = counts.get(key, 1) + 1
            continue
        seen[key] = draft
        drafts.append(draft)
    for key, count in counts.items():
        seen[key].notes.append(
            f"{seen[key].place}: the file makes and trains this network {count} times; it is one arm."
        )
    return drafts


def _draft(recording: Recording, loaded: Sequence[str]) -> Draft:
    place = recording.fits[0].place if recording.fits else recording.compiled.place
    draft = Draft(recording.name, place, notes=list(recording.notes))
    try:
        if recording.fits:
            _fitted(draft, recording)
        else:
            _compiled_alone(draft, recording, loaded)
    except InputError as error:
        draft.problems = tuple(
            problem if problem.file or problem.key else problem.at(key=place) for problem in error.problems
        )
        draft.values, draft.arrays = {}, {}
    draft.notes = list(dict.fromkeys(draft.notes))
    return draft


def _fitted(draft: Draft, recording: Recording) -> None:
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
    source = data_of(
        feed, validation=first.validation, split=first.split, tests=recording.tests, hint=words.front.shape,
        place=first.place,
    )  # fmt: skip
    settings, notes = compiled_settings(first.compiled, words)
    learned = feed.num_images
    if learned is not None and first.split:
        learned = round(learned * (1 - first.split))
    training, more = fit_settings(first, settings, learned, source.classes)
    _repeated(training, first, later, draft)
    _assemble(draft, words, source, training, [*feed.notes, *notes, *more], first.place, feed)


def _repeated(training: dict[str, Any], first: Fit, later: Sequence[Fit], draft: Draft) -> None:
    """Further calls of ``fit``: equal ones go on, others are named."""
    for fit in later:
        is_equal = (
            fit.compiled.rate == first.compiled.rate
            and fit.compiled.optimizer == first.compiled.optimizer
            and fit.callbacks == first.callbacks
            and isinstance(fit.feed, Feed)
            and isinstance(first.feed, Feed)
            and fit.feed.num_images == first.feed.num_images
            and fit.feed.batch_size == first.feed.batch_size
            and isinstance(fit.words, Words)
            and isinstance(first.words, Words)
            and fit.words.lines == first.words.lines
            and fit.words.base == first.words.base
        )
        if is_equal:
            training["epochs"] += fit.epochs
            continue
        what = f"fit goes on with other settings ({fit.epochs} epochs, learning rate {fit.compiled.rate:g})"
        draft.notes.append(f"{fit.place}: {what}; the study has the first call alone.")
    if training["epochs"] > first.epochs:
        draft.notes.append(
            f"{first.place}: fit is called several times with the same settings; their epochs are added."
        )


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
        f"{draft.place}: the model is compiled and never sees fit: the data are {name}, which the file loads; epochs "
        "and batch size are Assay's own."
    )
    settings, notes = compiled_settings(recording.compiled, words)
    _assemble(draft, words, source, settings, notes, draft.place, None)


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


def _assemble(
    draft: Draft,
    words: Words,
    source: Source,
    training: dict[str, Any],
    notes: Sequence[str],
    place: str,
    feed: Feed | None,
) -> None:
    """The study's values, checked as far as they can be without its data."""
    data, base, more = scaling_settings(source, words, place)
    lines = list(words.lines)
    if words.base is not None:
        words.base.update(base)
    size = words.front.size
    values: dict[str, Any] = {"data": {**source.values, **data}}
    if size is not None:
        more += _resized(values["data"], size, source, place, words)
    augmentation, remarks = _augmentation(words, source, feed)
    if augmentation:
        training = {**training, "augmentation": augmentation}
    values["network"] = {"layers": lines, **({"base": words.base} if words.base is not None else {})}
    values["training"] = training
    num_classes = len(source.classes) if source.classes is not None else words.num_classes
    if num_classes is not None and words.num_classes not in (None, num_classes):
        more.append(f"{place}: the network has {words.num_classes} outputs, and the data {num_classes} classes; here "
                    f"it has {num_classes}.")  # fmt: skip
    if words.is_binary and num_classes is not None and num_classes > 2:
        what = f"the network has one output, and its {num_classes} labels are no two classes"
        raise SpecError(Problem(what, "give a network one output for each class", place))
    shape = (*size, source.shape[2]) if size is not None and source.shape is not None else source.shape
    if shape is not None and words.base is None and num_classes is not None:
        draft.parameters = summarize(parse(lines), shape, num_classes).parameters
    elif words.base is None:
        parse(lines)
    draft.values, draft.arrays = values, source.arrays
    draft.classes = source.classes
    draft.notes += [*words.notes, *source.notes, *more, *remarks, *notes]


def _resized(data: dict[str, Any], size: tuple[int, int], source: Source, place: str, words: Words) -> list[str]:
    if words.base is not None:
        words.base["size"] = list(size)
        return []
    if "path" in data:
        data["read"] = {**data.get("read", {}), "size": list(size)}
        return []
    if source.shape is not None and source.shape[:2] == size:
        return []
    what = f"the network resizes its images to {size[0]} x {size[1]}"
    raise SpecError(Problem(what, "hand over images of that size, or give a folder", place))


def _augmentation(words: Words, source: Source, feed: Feed | None) -> tuple[dict[str, Any], list[str]]:
    height, width = source.shape[:2] if source.shape is not None else (0, 0)
    if words.front.size is not None:
        height, width = words.front.size
    settings: dict[str, Any] = {}
    notes: list[str] = []
    for front in (feed.front if feed is not None else None, words.front):
        if front is not None:
            own, remarks = front.settings(height, width)
            settings |= own
            notes += remarks
    return settings, notes
