"""Checks a data set before training: class counts, duplicates, blank images, conflicting labels."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .gallery import class_counts
from .prepare import Dataset

LEAST_CORRELATION = 0.98
MOST_BITS = 6
_CHUNK = 2048
_BITS = 16
_CROWD = 500  # images that are close to one image, on average
_STEPS = range(1, 9)


@dataclass(frozen=True)
class Copies:
    """Images that are there more than once; the first of each is not counted.

    Args:
        training: Within the training split.
        test: Within the test split.
        across: Test images that are training images too.
        conflicting: Training images that are there again with another label.
        pairs: The first pairs as (split, index, split, index), from which a person can check.
    """

    training: int
    test: int
    across: int
    conflicting: int
    pairs: tuple[tuple[str, int, str, int], ...]


@dataclass(frozen=True)
class Survey:
    """The results of a data set's checks. Test images are compared with others and counted, never shown.

    Args:
        counts: Training images of each class.
        minimum, maximum: Of the stored values.
        mean, deviation: Of the training images for each channel, on a scale from 0 to 1.
        exact: Copies that are the same byte for byte.
        near: Copies that are nearly the same: their perceptual hashes share one of four bands and differ in at most
            ``MOST_BITS`` of 64 bits, and their pixels correlate by ``LEAST_CORRELATION`` or more; exact ones left out.
        blank: Training images of a single value, and test images.
        imbalance: The largest class's images over the smallest's.
    """

    counts: tuple[int, ...]
    minimum: float
    maximum: float
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    exact: Copies
    near: Copies
    blank: tuple[int, int]
    imbalance: float

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings for the user, a sentence each."""
        notes = []
        if self.exact.across:
            notes.append(f"{self.exact.across:,} test images are training images too: a score on them says little.")
        if self.near.across:
            notes.append(f"{self.near.across:,} test images nearly equal a training image: are they copies?")
        if self.exact.conflicting:
            notes.append(f"{self.exact.conflicting:,} training images are there again with another label.")
        if sum(self.blank):
            notes.append(f"{self.blank[0]:,} training and {self.blank[1]:,} test images are blank: one value all over.")
        if min(self.counts) == 0:
            count = self.counts.count(0)
            notes.append(f"{count:,} {'class has' if count == 1 else 'classes have'} no training image.")
        elif self.imbalance >= 10:
            notes.append(
                f"The largest class has {self.imbalance:,.0f} times the images of the smallest: "
                "accuracy alone hides how the small classes fare."
            )
        return tuple(notes)


def survey(dataset: Dataset) -> Survey:
    """Reads a data set once and checks it for duplicates, blank images, conflicting labels and imbalance.

    Raises:
        DataError: The memory maps are damaged or gone.
    """
    training = dataset.training()
    images = {"train": training.images}
    if dataset.info.num_test:
        images["test"] = dataset.test_images()
    counts = class_counts(training.labels, dataset.info.num_classes)
    digests = {
        split: [digest for chunk in _chunks(values) for digest in _digests(chunk)] for split, values in images.items()
    }
    exact = _exact(digests, training.labels)
    smallest = int(counts.min())
    return Survey(
        counts=tuple(counts.tolist()),
        minimum=float(min(chunk.min() for chunk in _chunks(training.images))),
        maximum=float(max(chunk.max() for chunk in _chunks(training.images))),
        **_moments(training.images),
        exact=exact,
        near=_near(images, digests, training.labels),
        blank=(_blank(images["train"]), _blank(images["test"]) if "test" in images else 0),
        imbalance=float(counts.max() / smallest) if smallest else float("inf"),
    )


def perceptual_hash(images: npt.NDArray[Any]) -> npt.NDArray[np.uint64]:
    """64 bits an image that small changes of brightness, contrast and detail leave mostly as they are.

    The signs, against their median, of the 8 x 8 lowest frequencies of a cosine transform of the grey image, the
    constant one left out.

    Args:
        images: uint8 or float32 [n, height, width, channels].

    Source: Zauner (2010), "Implementation and benchmarking of perceptual image hash functions".
    """
    grey = images.astype(np.float32).mean(axis=3)
    down, across = (_cosines(size) for size in grey.shape[1:])
    low = np.einsum("ah,nhw,bw->nab", down, grey, across, optimize=True).reshape(len(images), 64)
    low[:, 0] = 0
    bits = low > np.median(low[:, 1:], axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view(np.uint64)[:, 0]


def _cosines(size: int) -> npt.NDArray[np.float32]:
    places = (np.arange(size) + 0.5) * np.pi / size
    return np.cos(np.arange(8)[:, None] * places).astype(np.float32)


def _chunks(images: npt.NDArray[Any]) -> Iterator[npt.NDArray[Any]]:
    for start in range(0, len(images), _CHUNK):
        yield np.ascontiguousarray(images[start : start + _CHUNK])


def _digests(images: npt.NDArray[Any]) -> Iterator[bytes]:
    for image in images:
        yield hashlib.blake2b(image.data.cast("B"), digest_size=16).digest()


def _moments(images: npt.NDArray[Any]) -> dict[str, tuple[float, ...]]:
    scale = 1.0 if images.dtype == np.float32 else 255.0
    total = np.zeros(images.shape[3])
    squares = np.zeros(images.shape[3])
    for chunk in _chunks(images):
        values = chunk.reshape(-1, images.shape[3]).astype(np.float64) / scale
        total += values.sum(0)
        squares += (values**2).sum(0)
    count = images.size // images.shape[3]
    mean = total / count
    deviation = np.sqrt(np.maximum(0, squares / count - mean**2))
    return {"mean": tuple(mean.tolist()), "deviation": tuple(deviation.tolist())}


def _blank(images: npt.NDArray[Any]) -> int:
    flat = (chunk.reshape(len(chunk), -1) for chunk in _chunks(images))
    return int(sum((values == values[:, :1]).all(axis=1).sum() for values in flat))


def _exact(digests: dict[str, list[bytes]], labels: npt.NDArray[np.int64]) -> Copies:
    first: dict[bytes, tuple[str, int]] = {}
    seen_labels: dict[bytes, int] = {}
    counts: dict[str, int] = {"train": 0, "test": 0, "across": 0, "conflicting": 0}
    pairs = []
    digests_seen: dict[str, set[bytes]] = {"train": set(), "test": set()}
    for split, values in digests.items():
        for index, digest in enumerate(values):
            if digest in digests_seen[split]:
                counts[split] += 1
            if split == "train":
                counts["conflicting"] += seen_labels.setdefault(digest, int(labels[index])) != labels[index]
            elif digest in digests_seen["train"]:
                counts["across"] += 1
            digests_seen[split].add(digest)
            if digest in first:
                pairs.append((*first[digest], split, index))
            else:
                first[digest] = (split, index)
    return Copies(counts["train"], counts["test"], counts["across"], counts["conflicting"], tuple(pairs))


def _near(
    images: dict[str, npt.NDArray[Any]], digests: dict[str, list[bytes]], labels: npt.NDArray[np.int64]
) -> Copies:
    """Nearly equal pairs, each unordered pair once; of exact copies only the first is looked at."""
    places = [(split, index) for split, values in digests.items() for index in range(len(values))]
    flat = [digest for values in digests.values() for digest in values]
    seen: set[bytes] = set()
    is_first = np.zeros(len(flat), dtype=bool)
    for index, digest in enumerate(flat):
        is_first[index] = digest not in seen
        seen.add(digest)
    hashes = np.concatenate([perceptual_hash(chunk) for values in images.values() for chunk in _chunks(values)])
    num_training = len(images["train"])
    pairs = [
        (int(first), int(second))
        for chosen in _batches(_candidates(hashes, np.flatnonzero(is_first)))
        for first, second in chosen[_correlations(chosen, images) >= LEAST_CORRELATION]
    ]
    counts: dict[str, set[int]] = defaultdict(set)
    for first, second in pairs:
        side = "train" if second < num_training else "test" if first >= num_training else "across"
        counts[side].add(second)
        if side == "train" and labels[first] != labels[second]:
            counts["conflicting"].add(second)
    shown = tuple((*places[first], *places[second]) for first, second in pairs)
    train, test, across, conflicting = (len(counts[side]) for side in ("train", "test", "across", "conflicting"))
    return Copies(train, test, across, conflicting, shown)


def _candidates(hashes: npt.NDArray[np.uint64], chosen: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Pairs [m, 2] that share a band of their hashes and differ in at most ``MOST_BITS``, sorted, each once."""
    pairs: list[npt.NDArray[np.int64]] = []
    for band in range(64 // _BITS):
        keys = (hashes[chosen] >> np.uint64(band * _BITS)) & np.uint64((1 << _BITS) - 1)
        order = np.argsort(keys, kind="stable")
        edges = np.flatnonzero(np.diff(keys[order])) + 1
        starts, ends = np.concatenate([[0], edges]), np.concatenate([edges, [len(order)]])
        for start, end in zip(starts[ends - starts > 1], ends[ends - starts > 1], strict=True):
            pairs.append(_close_pairs(chosen[order[start:end]], hashes))
    if not pairs:
        return np.empty((0, 2), np.int64)
    return np.unique(np.concatenate(pairs), axis=0)


def _close_pairs(group: npt.NDArray[np.int64], hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Pairs [m, 2] within a group whose hashes differ in at most ``MOST_BITS``.

    In a crowd of images that are all alike, such as frames of one film, that would be millions: each is then compared
    with those next to it in the order of hashes alone.
    """
    codes = hashes[group]
    pairs = []
    for first in range(0, len(group), _CHUNK):
        close = np.bitwise_count(codes[first : first + _CHUNK, None] ^ codes) <= MOST_BITS
        if np.count_nonzero(close) > _CROWD * len(close):
            break
        rows, columns = np.nonzero(close)
        upper = rows + first < columns
        pairs.append(np.stack([group[rows[upper] + first], group[columns[upper]]], axis=1))
    else:
        return np.concatenate(pairs)
    order = np.argsort(codes, kind="stable")
    group, codes = group[order], codes[order]
    near = [(np.flatnonzero(np.bitwise_count(codes[:-step] ^ codes[step:]) <= MOST_BITS), step) for step in _STEPS]
    return np.concatenate([np.sort(np.stack([group[at], group[at + step]], axis=1)) for at, step in near])


def _batches(pairs: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.int64]]:
    for start in range(0, len(pairs), _CHUNK):
        yield pairs[start : start + _CHUNK]


def _correlations(pairs: npt.NDArray[np.int64], images: dict[str, npt.NDArray[Any]]) -> npt.NDArray[np.float32]:
    """Correlation of the pixels of each pair [m]; 0 where an image is blank."""
    num_training = len(images["train"])
    sides = []
    for side in pairs.T:
        is_test = side >= num_training
        values = np.empty((len(side), *images["train"].shape[1:]), np.float32)
        values[~is_test] = images["train"][side[~is_test]]
        if is_test.any():
            values[is_test] = images["test"][side[is_test] - num_training]
        flat = values.reshape(len(side), -1)
        flat -= flat.mean(axis=1, keepdims=True)
        norms = np.linalg.norm(flat, axis=1, keepdims=True)
        flat /= np.where(norms > 0, norms, np.inf)
        sides.append(flat)
    correlations: npt.NDArray[np.float32] = np.einsum("np,np->n", *sides)
    return correlations
