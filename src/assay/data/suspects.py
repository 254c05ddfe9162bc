"""Labels that an image's nearest neighbours contradict: a check that trains nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

NEIGHBOURS = 10
LEAST_VOTES = 9  # of them with one other label, and none with its own
LEAST_RECALL = 0.7  # of a class: below it, its neighbours say nothing of a label
_SIDE = 14  # pixels that images are averaged to
_DIMENSIONS = 32
_REFERENCES = 4000  # images that all others are first compared with
_CANDIDATES = 2000
_CHUNK = 1024
_SAMPLE = 4096


@dataclass(frozen=True)
class Suspect:
    """A training image whose nearest neighbours have another label.

    Args:
        index: Its place in the training data.
        label: Its label.
        neighbours_label: That of the neighbours.
        votes: How many of the nearest ``NEIGHBOURS`` have that label.
        neighbour: The nearest of them.
    """

    index: int
    label: int
    neighbours_label: int
    votes: int
    neighbour: int


@dataclass(frozen=True)
class Suspects:
    """Training images whose labels deserve a second look.

    Args:
        images: The clearest first.
        judged: Classes whose images are told apart by their neighbours well enough for a judgement.
        agreement: The share of all training images whose nearest neighbour, of a subset, has their own label.
    """

    images: tuple[Suspect, ...] = ()
    judged: tuple[int, ...] = ()
    agreement: float = 0.0


def find_suspects(images: npt.NDArray[Any], labels: npt.NDArray[np.int64], num_classes: int) -> Suspects:
    """Compares each training image with those that look most like it.

    Images are averaged to at most 14 x 14 pixels, freed of brightness and contrast, projected on their 32 principal
    components, and compared by the cosine of their angle. A first pass compares all with up to 4,000 images, in each
    class's share. It gives each class's recall by its nearest neighbour; classes below ``LEAST_RECALL`` are not judged,
    since their neighbours say nothing. The images that stand out most are then compared with all others: one is
    suspicious where at least 9 of its 10 nearest neighbours have one other label, and none has its own. Equal images
    count as one neighbour at most, so copies do not outvote others.

    Args:
        images: uint8 or float32 [n, height, width, channels].
        labels: int64 [n].
        num_classes: How many classes there are.

    Source: Wilson (1972), "Asymptotic properties of nearest neighbor rules using edited data", IEEE TSMC 2(3), whose
    rule (leave out what its k nearest neighbours contradict) is used here with near unanimity in place of a majority.
    """
    if len(images) <= NEIGHBOURS or num_classes < 2:
        return Suspects()
    features = _features(images)
    generator = np.random.default_rng(0)  # of which references are taken; no image is named by chance
    references = _spread(labels, generator)
    best = np.full((len(images), num_classes), -2, np.float32)
    order = references[np.argsort(labels[references], kind="stable")]
    classes, starts = np.unique(labels[order], return_index=True)
    known = np.ascontiguousarray(features[order].T)
    place = np.full(len(images), -1)
    place[order] = np.arange(len(order))
    for start in range(0, len(images), _CHUNK):
        rows = slice(start, start + _CHUNK)
        near = features[rows] @ known
        own = place[rows]
        at = np.flatnonzero(own >= 0)
        near[at, own[at]] = -2
        best[rows, classes] = np.maximum.reduceat(near, starts, axis=1)
    every = np.arange(len(images))
    own_best = best[every, labels]
    agrees = best.argmax(1) == labels
    counts = np.bincount(labels, minlength=num_classes)
    recall = np.bincount(labels[agrees], minlength=num_classes) / np.maximum(counts, 1)
    judged = np.flatnonzero((recall >= LEAST_RECALL) & (counts > NEIGHBOURS))
    is_judged = np.isin(labels, judged) & np.isin(best.argmax(1), judged) & ~agrees
    gap = np.where(is_judged, best.max(1) - own_best, -1)
    candidates = np.argsort(-gap, kind="stable")[: min(_CANDIDATES, int(is_judged.sum()))]
    suspects = sorted(_contradicted(features, labels, candidates), key=lambda one: (-one.votes, -gap[one.index]))
    return Suspects(tuple(suspects), tuple(judged.tolist()), float(agrees.mean()))


def _contradicted(
    features: npt.NDArray[np.float32], labels: npt.NDArray[np.int64], candidates: npt.NDArray[np.int64]
) -> Iterator[Suspect]:
    every = np.ascontiguousarray(features.T)
    step = max(1, (1 << 25) // len(features))
    most = min(2 * NEIGHBOURS, len(features) - 1)
    for start in range(0, len(candidates), step):
        rows = candidates[start : start + step]
        near = features[rows] @ every
        near[np.arange(len(rows)), rows] = -2
        nearest = _highest(near, most)
        for index, likeness, others in zip(rows, near, nearest, strict=True):
            others = others[np.argsort(-likeness[others], kind="stable")]
            _, first = np.unique(np.round(likeness[others], 6), return_index=True)
            others = others[np.sort(first)][:NEIGHBOURS]
            votes = np.bincount(labels[others])
            label = int(votes.argmax())
            has_own = labels[index] < len(votes) and votes[labels[index]] > 0
            if votes[label] >= LEAST_VOTES and not has_own:
                neighbour = int(others[labels[others] == label][0])
                yield Suspect(int(index), int(labels[index]), label, int(votes[label]), neighbour)


def _highest(values: npt.NDArray[np.float32], count: int) -> npt.NDArray[np.int64]:
    """Where the highest values of each row stand, in any order: they lie in the blocks with the highest maxima."""
    width = values.shape[1]
    if width <= 64 * count:
        return np.argpartition(-values, count - 1, axis=1)[:, :count]
    starts = np.arange(0, width, 64)
    blocks = np.argpartition(-np.maximum.reduceat(values, starts, axis=1), count - 1, axis=1)[:, :count]
    places = (64 * blocks[:, :, None] + np.arange(64)).reshape(len(values), -1)
    within = np.where(places < width, np.take_along_axis(values, np.minimum(places, width - 1), axis=1), -np.inf)
    return np.take_along_axis(places, np.argpartition(-within, count - 1, axis=1)[:, :count], axis=1)


def _spread(labels: npt.NDArray[np.int64], generator: np.random.Generator) -> npt.NDArray[np.int64]:
    """At most ``_REFERENCES`` indices, of each class in its share but at least 50."""
    if len(labels) <= _REFERENCES:
        return np.arange(len(labels))
    chosen = []
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        count = max(50, round(_REFERENCES * len(rows) / len(labels)))
        chosen.append(generator.permutation(rows)[:count])
    return np.sort(np.concatenate(chosen))


def _features(images: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """float32 [n, at most 32], of length 1."""
    down, across = (_averages(size) for size in images.shape[1:3])
    small = np.empty((len(images), len(down) * len(across) * images.shape[3]), np.float32)
    for start in range(0, len(images), _CHUNK):
        chunk = images[start : start + _CHUNK].astype(np.float32)
        chunk = np.moveaxis(chunk, 3, 1)  # channels beside images, so that two matrix products average
        values = (down @ chunk @ across.T).reshape(len(chunk), -1)
        values -= values.mean(axis=1, keepdims=True)
        small[start : start + _CHUNK] = values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-6)
    step = max(1, len(small) // _SAMPLE)
    sample = small[::step]
    _, vectors = np.linalg.eigh(sample.T @ sample)
    features: npt.NDArray[np.float32] = small @ vectors[:, -_DIMENSIONS:].astype(np.float32)
    features /= np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-6)
    return features


def _averages(size: int) -> npt.NDArray[np.float32]:
    """[at most 14, size]: each row averages the pixels that fall to one of the averaged image."""
    side = min(size, _SIDE)
    edges = np.linspace(0, size, side + 1)
    starts, ends = edges[:-1, None], edges[1:, None]
    pixels = np.arange(size)
    shares = np.clip(np.minimum(ends, pixels + 1) - np.maximum(starts, pixels), 0, 1)
    averages: npt.NDArray[np.float32] = (shares / shares.sum(1, keepdims=True)).astype(np.float32)
    return averages
