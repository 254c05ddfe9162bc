"""A converted model as a study in the making."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from ..errors import Problem, SpecError
from ..nets import parse, summarize
from .dataset import Source
from .front import Front
from .network import Words
from .scaling import scaling_settings


@dataclass
class Draft:
    """A model as a study in the making.

    Args:
        name: Of the model.
        place: Where it was fitted or compiled.
        values: Of ``spec.Study`` without name and question; empty where there are problems.
        arrays: Images and labels that are to be kept with it; empty where the data have a name or a folder.
        notes: What could not be taken over as it is, a sentence each, with its place.
        problems: Why there is no study.
        parameters: Of the network; ``None`` where that is not known.
        classes: Names in the order of their labels, where they are known.
        source: Its data, once they are looked at.
    """

    name: str
    place: str
    values: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    problems: tuple[Problem, ...] = ()
    parameters: int | None = None
    classes: tuple[str, ...] | None = None
    source: Source | None = None


def assemble(
    draft: Draft,
    words: Words,
    source: Source,
    training: dict[str, Any],
    notes: Sequence[str],
    place: str,
    around: Front | None = None,
) -> None:
    """Writes the study's values into a draft, checked as far as they can be without its data.

    Args:
        draft: Gets values, arrays, notes and parameters.
        words: Its network.
        source: Its data.
        training: ``[training]`` so far.
        notes: On training, a sentence each.
        place: Of ``fit``, for messages.
        around: What is done to images before the network sees them.

    Raises:
        SpecError: The layers do not go together, or with the data.
    """
    data, base, more = scaling_settings(source, words, place)
    lines = list(words.lines)
    if words.base is not None:
        words.base.update(base)
    size = words.front.size
    values: dict[str, Any] = {"data": {**source.values, **data}}
    if size is not None:
        more += _resized(values["data"], size, source, place, words)
    augmentation, remarks = _augmentation(words, source, around, place)
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


def _augmentation(words: Words, source: Source, around: Front | None, place: str) -> tuple[dict[str, Any], list[str]]:
    height, width = source.shape[:2] if source.shape is not None else (0, 0)
    if words.front.size is not None:
        height, width = words.front.size
    settings: dict[str, Any] = {}
    notes: list[str] = []
    for front in (around, words.front):
        if front is not None:
            own, remarks = front.settings(height, width)
            twice = [key for key, value in own.items() if settings.get(key, value) != value]
            notes += [*remarks, *(f"{place}: the network's own layers vary images too; of {key}, which both set, "
                                  f"{own[key]} is written and {settings[key]} left out." for key in twice)]  # fmt: skip
            settings |= own
    return settings, notes
