"""Images that are there more than once: byte for byte, or nearly."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

LEAST_CORRELATION = 0.98
MOST_BITS = 6
_CHUNK = 2048
_PAIRS = 256  # compared at once: so many images stay in a core's cache
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


def copies_of(images: dict[str, npt.NDArray[Any]], labels: npt.NDArray[np.int64]) -> tuple[Copies, Copies]:
    """Exact copies and near ones.

    Args:
        images: uint8 or float32 [n, height, width, channels] of ``train``, and of ``test`` where there is one.
        labels: int64, of the training images.
    """
    digests = {
        split: [digest for chunk in chunks(values) for digest in _digests(chunk)] for split, values in images.items()
    }
    return _exact(digests, labels), _near(images, digests, labels)


def chunks(images: npt.NDArray[Any]) -> Iterator[npt.NDArray[Any]]:
    """The images, some thousand at a time."""
    for start in range(0, len(images), _CHUNK):
        yield np.ascontiguousarray(images[start : start + _CHUNK])


def perceptual_hash(images: npt.NDArray[Any]) -> npt.NDArray[np.uint64]:
    """64 bits an image that small changes of brightness, contrast and detail leave mostly as they are.

    The signs, against their median, of the 8 x 8 lowest frequencies of a cosine transform of the grey image, the
    constant one left out.

    Args:
        images: uint8 or float32 [n, height, width, channels].

    Source: Zauner (2010), "Implementation and benchmarking of perceptual image hash functions".
    """
    return _bits(_low(images))


def _low(images: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """The 8 x 8 lowest frequencies of the grey images, float32 [n, 64]."""
    grey = images.astype(np.float32).mean(axis=3)
    down, across = (_cosines(size) for size in grey.shape[1:])
    low: npt.NDArray[np.float32] = (down @ grey @ across.T).reshape(len(images), 64)
    low[:, 0] = 0
    return low


def _bits(low: npt.NDArray[np.float32]) -> npt.NDArray[np.uint64]:
    bits = low > np.median(low[:, 1:], axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view(np.uint64)[:, 0]


def _hashes_and_spectra(images: npt.NDArray[Any]) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.float32]]:
    """Perceptual hashes, and the low frequencies as coordinates of an orthonormal projection [n, 64].

    Of two images of mean 0 and length 1 that correlate by c, any such projections are at most (2 - 2c)^(1/2) apart:
    most pairs can be told apart by 64 numbers in place of all pixels.
    """
    low = _low(images)
    hashes = _bits(low)
    height, width, channels = images.shape[1:]
    scales = [np.where(np.arange(8) == 0, np.sqrt(1 / size), np.sqrt(2 / size)) for size in (height, width)]
    low = low * np.outer(*scales).ravel().astype(np.float32) * np.float32(np.sqrt(channels))
    flat = images.reshape(len(images), -1).astype(np.float32)
    lengths = flat.std(axis=1) * np.float32(np.sqrt(flat.shape[1]))
    return hashes, low / np.where(lengths > 0, lengths, np.inf)[:, None]


def _cosines(size: int) -> npt.NDArray[np.float32]:
    places = (np.arange(size) + 0.5) * np.pi / size
    return np.cos(np.arange(8)[:, None] * places).astype(np.float32)


def _digests(images: npt.NDArray[Any]) -> Iterator[bytes]:
    for image in images:
        yield hashlib.blake2b(image.data.cast("B"), digest_size=16).digest()


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
                counts["conflicting"] += seen_labels.setdefault(digest, int(labels[index])) != int(labels[index])
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
    hashed = [_hashes_and_spectra(chunk) for values in images.values() for chunk in chunks(values)]
    hashes, spectra = (np.concatenate(parts) for parts in zip(*hashed, strict=True))
    candidates = _candidates(hashes, np.flatnonzero(is_first))
    if min(images["train"].shape[1:3]) >= 8:  # of fewer pixels the frequencies are no projection
        candidates = candidates[_may_correlate(candidates, spectra)]
    num_training = len(images["train"])
    with ThreadPoolExecutor(2, "assay-copies") as pool:  # NumPy computes side by side
        batches = [*_batches(candidates)]
        likeness = pool.map(lambda chosen: _correlations(chosen, images), batches)
        pairs = [
            (int(first), int(second))
            for chosen, correlations in zip(batches, likeness, strict=True)
            for first, second in chosen[correlations >= LEAST_CORRELATION]
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


def _may_correlate(pairs: npt.NDArray[np.int64], spectra: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Which pairs [m] are near enough in their low frequencies to correlate by ``LEAST_CORRELATION``."""
    most = 2 - 2 * LEAST_CORRELATION + 1e-4  # and what rounding may add
    near = np.empty(len(pairs), dtype=bool)
    for start in range(0, len(pairs), _CHUNK):
        first, second = pairs[start : start + _CHUNK].T
        apart = spectra[first] - spectra[second]
        near[start : start + _CHUNK] = np.einsum("np,np->n", apart, apart) <= most
    return near


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
    both = np.concatenate(pairs)
    codes = np.unique(both[:, 0] * len(hashes) + both[:, 1])  # as one number each they are sorted faster
    return np.stack([codes // len(hashes), codes % len(hashes)], axis=1)


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
    for start in range(0, len(pairs), _PAIRS):
        yield pairs[start : start + _PAIRS]


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
