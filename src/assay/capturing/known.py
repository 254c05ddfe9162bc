"""Recognises the images of known data sets in arrays, however they were scaled, shaped, shuffled or divided."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data import entry, is_available, known, prepare
from ..errors import InputError

Hashes = NDArray[np.uint64]
_CHUNK = 4096


@dataclass(frozen=True, eq=False)
class Bytes:
    """Arrays as stored bytes, and what was done to them.

    Args:
        images: uint8 [n, values].
        low: What byte 0 became, for each channel.
        high: What byte 255 became, for each channel.
        levels: 255, or 16 for digits.
    """

    images: NDArray[np.uint8]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    levels: int

    @property
    def scaling(self) -> str:
        """``unit`` (0 to 1), ``none`` (as stored), ``tf`` (-1 to 1), or ``other``."""
        for name, low, high in (("unit", 0, 1), ("none", 0, 255), ("tf", -1, 1)):
            if np.allclose(self.low, low, atol=1e-3 * high) and np.allclose(self.high, high, rtol=1e-3):
                return name
        return "other"

    @property
    def description(self) -> str:
        """The range, for a note."""
        low, high = float(self.low.min()), float(self.high.max())
        return f"{low:.4g} to {high:.4g}"


@dataclass(frozen=True)
class Match:
    """Which rows of which known data set some images are.

    Args:
        name: In the registry.
        training: How many of its training images are among them.
        test: How many of its test images are.
        rows: Where each stands: 0 and on in the training images, -1 and down in the test images.
    """

    name: str
    training: int
    test: int
    rows: NDArray[np.int64]

    @property
    def is_ordered(self) -> bool:
        """Whether they stand as in the data set's file."""
        return bool((np.diff(self.rows) == 1).all())

    @property
    def repeats(self) -> bool:
        """Whether images were drawn more than once; a few stand twice in some data sets themselves."""
        return len(np.unique(self.rows)) < 0.98 * len(self.rows)


def as_bytes(images: NDArray[Any]) -> Bytes | None:
    """The stored bytes that these values were made of by one scaling for each channel; ``None`` for none."""
    values = np.asarray(images)
    if values.dtype.kind not in "biuf" or not len(values):
        return None
    channels = values.shape[-1] if values.ndim == 4 and values.shape[-1] == 3 else 1
    rows = values.reshape(-1, channels)
    if values.dtype == np.uint8 and int(rows.max()) > 16:
        full = np.full(channels, 255.0)
        return Bytes(values.reshape(len(values), -1), np.zeros(channels), full, 255)
    low, high = rows.min(0).astype(np.float64), rows.max(0).astype(np.float64)
    if not (np.isfinite(low).all() and np.isfinite(high).all()) or (high <= low).any():
        return None
    sample = rows[:: max(1, len(rows) // 200_000)].astype(np.float64)
    for levels in (16, 255):
        low_used, high_used = _ends(low, high, levels)
        steps = (sample - low_used) / (high_used - low_used) * levels
        if np.abs(steps - np.rint(steps)).max() < 0.05:
            break
    else:
        return None
    stored = np.empty((len(values), math.prod(values.shape[1:])), np.uint8)
    for at in range(0, len(values), _CHUNK):
        part = values[at : at + _CHUNK].reshape(-1, channels).astype(np.float64)
        part = np.rint((part - low_used) / (high_used - low_used) * levels)
        stored[at : at + _CHUNK] = np.rint(part * (255 / levels)).astype(np.uint8).reshape(-1, stored.shape[1])
    return Bytes(stored, low_used, high_used, levels)


def _ends(low: NDArray[Any], high: NDArray[Any], levels: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """What bytes 0 and 255 became: known scalings where the values fit one, else the ends of the values themselves."""
    for bottom, top in ((0, levels), (0, 1), (-1, 1)):
        is_inside = (low >= bottom - 1e-6).all() and (high <= top * (1 + 1e-6)).all()
        if is_inside and (high > (bottom + top) / 2).all():
            return np.full_like(low, bottom), np.full_like(high, top)
    return low, high


def match(stored: Bytes, labels: NDArray[np.integer]) -> Match | None:
    """The known data set that these images come from, with the labels that it gives them; ``None`` for none."""
    size = stored.images.shape[1]
    for name in known():
        about = entry(name).info
        if math.prod(about.shape) != size:
            continue
        try:
            reference = _reference(name)
        except InputError:
            continue
        if reference is None:
            continue
        result = _match_in(name, reference, stored, labels)
        if result is not None:
            return result
    return None


def _match_in(name: str, reference: _Reference, stored: Bytes, labels: NDArray[np.integer]) -> Match | None:
    ordered, order = reference.sorted_hashes, reference.order
    first = _hashes(stored.images[:64])
    if not np.isin(first, ordered).all():
        return None
    hashes = _hashes(stored.images)
    places = np.minimum(np.searchsorted(ordered, hashes), len(ordered) - 1)
    if not (ordered[places] == hashes).all():
        return None
    rows = order[places]
    count = reference.num_training
    start = int(rows[0])
    run = np.arange(start, start + len(rows))  # images that stand twice in the data set are told apart by their order
    if run[-1] < len(reference.hashes) and (reference.hashes[run] == hashes).all():
        rows = run
    if labels.shape != (len(rows),) or np.mean(reference.labels[rows] != labels) > 1e-3:
        return None
    signed = np.where(rows < count, rows, count - rows - 1)
    is_test = signed < 0
    return Match(name, int((~is_test).sum()), int(is_test.sum()), signed.astype(np.int64))


@dataclass(frozen=True, eq=False)
class _Reference:
    """Hashes and labels of a known data set: training images, then test images."""

    hashes: Hashes
    labels: NDArray[np.int64]
    num_training: int
    sorted_hashes: Hashes
    order: NDArray[np.int64]


@lru_cache(maxsize=4)
def _reference(name: str) -> _Reference | None:
    parts = reference_arrays(name)
    if parts is None:
        return None
    images, labels, num_training = parts
    hashes = _hashes(images)
    order = np.argsort(hashes, kind="stable")
    return _Reference(hashes, labels, num_training, hashes[order], order)


def reference_arrays(name: str) -> tuple[NDArray[np.uint8], NDArray[np.int64], int] | None:
    """A known data set's images [n, values] and labels, training first, and how many those are.

    Where its files are not on this machine, the images that stand in for them (``stand_in``), if this process uses
    any, else ``None``.
    """
    if name in _STAND_INS:
        (x, y), (xt, yt) = stand_in(name)
        return np.concatenate([x, xt]).reshape(len(x) + len(xt), -1), np.concatenate([y, yt]), len(x)
    if not is_available(name):
        return None
    dataset = prepare(name)
    training, test = dataset.training(), dataset.test()
    if training.images.dtype != np.uint8:
        return None
    images = np.concatenate([np.asarray(training.images), np.asarray(test.images)])
    labels = np.concatenate([np.asarray(training.labels), np.asarray(test.labels)])
    return images.reshape(len(images), -1), labels, len(training.labels)


_STAND_INS: set[str] = set()


@lru_cache(maxsize=2)
def stand_in(name: str) -> Any:
    """Images and labels of a known data set's shape, whose files are not on this machine: noise that is recognised.

    Returns:
        (training images, labels), (test images, labels): uint8 [n, height, width, channels] and int64 [n].
    """
    about = entry(name).info
    generator = np.random.default_rng(list(name.encode()))
    count = about.num_training + about.num_test
    images = generator.integers(0, 256, (count, *about.shape), dtype=np.uint8)
    labels = np.arange(count, dtype=np.int64) % about.num_classes
    _STAND_INS.add(name)
    _reference.cache_clear()
    at = about.num_training
    return (images[:at], labels[:at]), (images[at:], labels[at:])


def is_stand_in(name: str) -> bool:
    """Whether this process uses noise in place of that data set."""
    return name in _STAND_INS


def stand_ins() -> tuple[str, ...]:
    """The data sets that noise stands in for in this process: what is made of their images is nothing to keep."""
    return tuple(sorted(_STAND_INS))


def clear_stand_ins() -> None:
    """No noise stands in for any data set any more."""
    _STAND_INS.clear()
    stand_in.cache_clear()
    _reference.cache_clear()


def test_part(name: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]] | None:
    """A known data set's test images [n, height, width, channels] and labels; ``None`` where they are not here."""
    parts = reference_arrays(name)
    if parts is None or is_stand_in(name):
        return None
    images, labels, num_training = parts
    return images[num_training:].reshape(-1, *entry(name).info.shape), labels[num_training:]


def fingerprint(images: NDArray[Any]) -> int:
    """A number that is equal for the same images in any order."""
    rows = np.ascontiguousarray(images).reshape(len(images), -1)
    return int(_hashes(rows.view(np.uint8)).sum()) if len(rows) else 0


def _hashes(images: NDArray[np.uint8]) -> Hashes:
    """One number for each row, equal for equal rows [n]."""
    size = -(-images.shape[1] // 8)
    factors = np.random.default_rng(size).integers(1, 2**63, size, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    hashes = np.empty(len(images), np.uint64)
    for at in range(0, len(images), _CHUNK):
        rows = images[at : at + _CHUNK]
        padded = np.zeros((len(rows), 8 * size), np.uint8)
        padded[:, : rows.shape[1]] = rows
        hashes[at : at + _CHUNK] = padded.view(np.uint64) @ factors
    return hashes
