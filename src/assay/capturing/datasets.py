"""Captured arrays as a study's data: a known data set by its name, anything else kept as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..convert.dataset import Source
from ..data import entry
from ..errors import DataError, Problem
from ..numerals import counted, percent
from .feed import Feed, as_array
from .known import Match, is_stand_in, match, stand_ins, test_part
from .pixels import Pixels, class_numbers, pixels_of, shape_of

Pair = tuple[Any, Any]
_NO_TEST = "there is no test split; give one under [data] test, or validate only"


def data_of(
    feed: Feed,
    *,
    validation: Feed | None,
    split: float,
    tests: Sequence[Pair],
    hint: Sequence[int | None] | None,
    place: str,
) -> Source:
    """What ``fit`` learned from, as a study's data.

    Args:
        feed: What it reads.
        validation: What it validates on.
        split: Its ``validation_split``.
        tests: Images and labels that ``evaluate`` got.
        hint: The shape that the model makes of a vector.
        place: Of the call.

    Raises:
        DataError: They are no images, or their labels are no classes.
    """
    if feed.folder is not None:
        return _folder(feed, validation, place)
    assert feed.images is not None
    shape = shape_of(feed.images, hint, place)
    labels = class_numbers(feed.labels, place)
    if len(labels) != len(feed.images):
        what = f"there are {len(feed.images):,} images and {len(labels):,} labels"
        raise DataError(Problem(what, "give one label for each image", place))
    pixels = pixels_of(_scaled(feed), shape, place)
    captured = Source({}, shape=shape, scaling=pixels.scaling, notes=[*pixels.notes])
    matched = match(pixels.stored, labels) if pixels.stored is not None else None
    other = _other(validation, shape, place)
    if matched is not None and _known(captured, matched, other, split, len(labels), place):
        _scaling(captured, pixels, feed, place)
        return captured
    if matched is not None and matched.repeats:
        captured.notes.append(
            f"{place}: its {counted(len(labels), 'image')} are drawn from {matched.name}, some more than once, "
            "and are kept as "
            "arrays."
        )
    elif matched is not None:
        captured.notes.append(
            f"{place}: its {counted(len(labels), 'image')} are a part of {matched.name} ({matched.training:,} "
            "of its training "
            f"and {matched.test:,} of its test images) and are kept as arrays."
        )
    if lacking := stand_ins():
        what = f"{' and '.join(lacking)} is not on this machine, and its images are changed or chosen before fit"
        raise DataError(Problem(what, f"run `assay data fetch {lacking[0]}` first", place))
    _kept(captured, pixels, labels, other, split, tests, shape, place)
    if matched is not None and not matched.test and "x_test" not in captured.arrays:
        _with_known_test(captured, matched.name, place)
    _scaling(captured, pixels, feed, place)
    return captured


def _with_known_test(captured: Source, name: str, place: str) -> None:
    """The data set's own test split, for a part of its training images."""
    part = test_part(name)
    if part is None or captured.arrays["x_train"].dtype != np.uint8:
        return
    images, labels = part
    captured.arrays |= {"x_test": images.reshape(-1, *captured.arrays["x_train"].shape[1:]), "y_test": labels}
    captured.classes = entry(name).info.classes
    captured.notes = [note for note in captured.notes if _NO_TEST not in note]
    captured.notes.append(f"{place}: the test split is that of {name}, which stays sealed.")


def _scaled(feed: Feed) -> NDArray[Any]:
    """The images as the generator hands them on."""
    assert feed.images is not None
    front = feed.front
    return feed.images * front.scale + front.offset if front.rescales else feed.images


@dataclass(frozen=True, eq=False)
class _Other:
    """Validation images."""

    pixels: Pixels
    labels: NDArray[np.int64]
    matched: Match | None


def _other(feed: Feed | None, shape: tuple[int, int, int], place: str) -> _Other | None:
    if feed is None or feed.images is None or feed.labels is None or not len(feed.images):
        return None
    pixels = pixels_of(_scaled(feed), shape, place)
    labels = class_numbers(feed.labels, place)
    return _Other(pixels, labels, match(pixels.stored, labels) if pixels.stored is not None else None)


def _known(captured: Source, matched: Match, other: _Other | None, split: float, count: int, place: str) -> bool:
    """Whether the study names a known data set, which ``captured`` then does."""
    about = entry(matched.name).info
    notes: list[str] = []
    values: dict[str, Any] = {"name": matched.name}
    beside = other.matched if other is not None and other.matched is not None else None
    beside = beside if beside is not None and beside.name == matched.name else None
    is_whole = matched.training == about.num_training
    rest = beside.training if beside is not None else 0
    if matched.repeats:
        return False
    if matched.test and not (is_whole and matched.test == about.num_test) and not entry(matched.name).is_bundled:
        return False
    if matched.test and entry(matched.name).is_bundled:
        used = count + (len(beside.rows) if beside is not None else 0)
        if used < 0.5 * (about.num_training + about.num_test):
            return False
        if used < about.num_training + about.num_test:
            notes.append(f"{place}: it trains and validates on {used:,} of the data set's images; here on "
                         f"{about.num_training:,}.")  # fmt: skip
    elif matched.test:
        notes.append(f"{place}: it trains on the {matched.test:,} test images too; here they stay sealed.")
    elif not is_whole and matched.training + rest != about.num_training:
        return False
    if matched.test and entry(matched.name).is_bundled:
        notes.append(f"{place}: {matched.name} has no test images of its own; {about.num_test:,} of its images are "
                     "set apart as the test split here.")  # fmt: skip
    if split and not matched.is_ordered and not entry(matched.name).is_bundled:
        values["validation"] = _plain(split)
        notes.append(f"{place}: the images were shuffled before fit took the last {percent(split, 0)}; here as many "
                     "are drawn, anew for each seed.")  # fmt: skip
    elif split:
        values["validation"] = {"last": _plain(split)}
    elif other is None:
        notes.append(f"{place}: fit has no validation images; 10 % of the training images validate here.")
    elif beside is not None and rest and not beside.test:
        is_last = beside.is_ordered and int(beside.rows[-1]) == about.num_training - 1
        values["validation"] = {"last": rest} if is_last else rest
        if not is_last:
            notes.append(f"{place}: its {rest:,} validation images are part of the training images; here as many are "
                         "drawn, anew for each seed.")  # fmt: skip
    elif matched.test and entry(matched.name).is_bundled and beside is not None:
        share = len(beside.rows) / (count + len(beside.rows))
        values["validation"] = round(share, 4)
        notes.append(f"{place}: its {counted(len(beside.rows), 'validation image')} are {percent(share, 0)} of the "
                     "images; here that "
                     "share of the training images is drawn, anew for each seed.")  # fmt: skip
    elif beside is not None:
        notes.append(f"{place}: it validates on the data set's test images. They stay sealed here until the study is "
                     "revealed; 10 % of the training images validate.")  # fmt: skip
    else:
        notes.append(f"{place}: its validation images are none of {matched.name}'s; 10 % of the training images "
                     "validate here.")  # fmt: skip
    if is_stand_in(matched.name):
        notes.append(f"{matched.name} is not on this machine: run `assay data fetch {matched.name}` before the study.")
    captured.values, captured.classes = values, about.classes
    captured.shape = about.shape
    captured.notes += notes
    return True


def _kept(
    captured: Source,
    pixels: Pixels,
    labels: NDArray[np.int64],
    other: _Other | None,
    split: float,
    tests: Sequence[Pair],
    shape: tuple[int, int, int],
    place: str,
) -> None:
    """Arrays of training, validation and test images, and how the study divides them."""
    images = pixels.images
    names = np.unique(labels)
    notes = captured.notes
    is_alike = other is not None and other.pixels.images.dtype == images.dtype
    if split:
        captured.values["validation"] = {"last": _plain(split)}
    elif other is not None and is_alike:
        images = np.concatenate([images, other.pixels.images])
        labels = np.concatenate([labels, other.labels])
        names = np.unique(labels)
        captured.values["validation"] = {"last": len(other.labels)}
        notes.append(
            f"{place}: its {len(other.labels):,} validation images are the last of x_train here, and validate."
        )
    else:
        notes.append(f"{place}: 10 % of the training images validate here, drawn anew for each seed.")
    captured.arrays = {"x_train": images, "y_train": labels}
    test = _test(tests, pixels, labels, other, shape, place)
    if test is not None:
        captured.arrays |= {"x_test": test[0], "y_test": test[1]}
        names = np.unique(np.concatenate([names, test[1]]))
        notes.append(
            f"{place}: the {counted(len(test[1]), 'image')} that evaluate got are the test split, which stays sealed."
        )
    else:
        notes.append(f"{place}: {_NO_TEST}.")
    captured.classes = tuple(map(str, names)) if len(names) == int(names.max()) + 1 else None


def _test(
    tests: Sequence[Pair],
    pixels: Pixels,
    labels: NDArray[np.int64],
    other: _Other | None,
    shape: tuple[int, int, int],
    place: str,
) -> tuple[NDArray[Any], NDArray[np.int64]] | None:
    """The images that ``evaluate`` got, unless they are those of training or validation."""
    used = [pixels.images] + ([other.pixels.images] if other is not None else [])
    for x, y in tests:
        try:
            values, targets = as_array(x), class_numbers(y, place)
            if tuple(shape_of(values, shape, place)) != tuple(shape) or len(values) != len(targets):
                continue
            images = pixels_of(values, shape, place).images
        except (DataError, ValueError, TypeError):
            continue
        is_used = any(len(images) == len(one) and np.array_equal(images[:16], one[:16]) for one in used)
        if images.dtype == pixels.images.dtype and not is_used:
            return images, targets
    return None


def _scaling(captured: Source, pixels: Pixels, feed: Feed, place: str) -> None:
    """The study's scaling, or a note that it is another one."""
    if feed.front.is_normalized:
        captured.scaling = "standard"
    elif pixels.scaling == "other" and pixels.stored is not None and _is_standardised(pixels):
        captured.scaling = "standard"
        captured.notes.append(
            f"{place}: images have mean 0 and deviation 1; here by channel, from the training images."
        )


def _is_standardised(pixels: Pixels) -> bool:
    stored = pixels.stored
    assert stored is not None
    values = pixels.images.reshape(-1, len(stored.low)).astype(np.float64) / 255
    seen = stored.low + values * (stored.high - stored.low)
    return bool(abs(seen.mean()) < 0.2 and abs(seen.std() - 1) < 0.2)


def _folder(feed: Feed, validation: Feed | None, place: str) -> Source:
    """Images in a folder, which the study reads from there."""
    assert feed.folder is not None
    assert feed.size is not None
    notes: list[str] = []
    values: dict[str, Any] = {"path": str(feed.folder.absolute())}
    read: dict[str, Any] = {"size": list(feed.size)}
    if feed.channels == 1:
        read["channels"] = 1
    values["read"] = read
    if feed.subset is not None:
        share, _ = feed.subset
        values["validation"] = _plain(share)
        notes.append(f"{place}: {percent(share, 0)} of the folder's images validate, drawn anew for each seed "
                     "here.")  # fmt: skip
    elif validation is not None and validation.folder is not None and validation.folder != feed.folder:
        values["test"] = str(validation.folder.absolute())
        notes.append(f"{place}: it validates on {validation.folder.name}, which is the sealed test split here; 10 % of "
                     "the training images validate.")  # fmt: skip
    elif validation is None:
        notes.append(f"{place}: fit has no validation images; 10 % of the training images validate here.")
    front = feed.front
    scale = "unit" if abs(front.scale - 1 / 255) < 1e-6 and not front.offset else "none"
    if front.rescales and scale == "none":
        scale = "tf" if abs(front.scale - 1 / 127.5) < 1e-6 and abs(front.offset + 1) < 1e-6 else "other"
    shape = (*feed.size, feed.channels)
    return Source(values, scaling=scale, shape=shape, notes=notes)


def _plain(share: Any) -> float | int:
    value = float(share)
    return int(value) if value >= 1 else round(value, 6)
