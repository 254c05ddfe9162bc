"""Which images each run of a study gets right, as bits, and the images of its seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..spec import DATA
from ..stats import shared_images
from ..store.records import StudyRecord
from .grid import Split

_WORD = 8  # bytes: bits are compared 64 at a time


@dataclass(frozen=True, eq=False)  # arrays have no truth value
class Hits:
    """Hits of all runs.

    Args:
        image_set: Which of ``sets`` a run was scored on; -1 of one without hits [runs].
        bits: A bit for each image of the set, in its order, the first in the highest bit; zeros behind [runs, bytes].
        sets: Images as ascending indices.
    """

    image_set: NDArray[np.int64]
    bits: NDArray[np.uint8]
    sets: tuple[NDArray[np.int64], ...]
    _images: dict[bytes, SeedImages] = field(default_factory=dict)

    @classmethod
    def of(cls, study: StudyRecord, split: Split) -> Hits:
        ids = study.columns.ids
        if split == "test":
            data = _data_of_runs(study)
            stored: Mapping[str, tuple[str, bytes]] = {
                run: (data.get(run, ""), bits) for run, bits in study.test_hits.items()
            }
            images = {name: np.arange(int(study.data_on(name).get("num_test", 0))) for name in study.sets or ("",)}
        else:
            stored = study.validation_hits
            names = dict.fromkeys(name for name, _ in stored.values())
            images = {name: study.image_sets[name] for name in names}
        number = {name: place for place, name in enumerate(images)}
        nothing = ("", b"")
        known = [stored.get(run, nothing) for run in ids]
        image_set = np.array([-1 if one is nothing else number[one[0]] for one in known], dtype=np.int64)
        packed = [bits for _, bits in known]
        sizes = set(map(len, packed))
        width = -(-max(sizes, default=0) // _WORD) * _WORD
        if len(sizes) > 1:
            packed = [bits.ljust(max(sizes), b"\0") for bits in packed]
        bits = np.zeros((len(ids), width), dtype=np.uint8)
        bits[:, : max(sizes, default=0)] = np.frombuffer(b"".join(packed), dtype=np.uint8).reshape(
            len(ids), max(sizes, default=0)
        )
        return cls(image_set, bits, tuple(images.values()))

    @cached_property
    def set_sizes(self) -> NDArray[np.int64]:
        """Images of each set [sets]."""
        return np.array([len(images) for images in self.sets], dtype=np.int64)

    @cached_property
    def _words(self) -> NDArray[np.uint64]:
        return self.bits.view(np.uint64)

    @cached_property
    def num_hits(self) -> NDArray[np.int64]:
        """Of each run [runs]."""
        return np.asarray(np.bitwise_count(self._words).sum(1, dtype=np.int64))

    def num_different(self, one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
        """Images that one run of each pair gets right and the other gets wrong [pairs]."""
        return np.asarray(np.bitwise_count(self._words[one] ^ self._words[other]).sum(1, dtype=np.int64))

    def unpacked(self, runs: NDArray[np.int64]) -> NDArray[np.uint8]:
        """1 for each hit, zeros behind the last image of a run [runs, images]."""
        return np.unpackbits(self.bits[runs], axis=1)

    def images_of(self, sets: NDArray[np.int64]) -> SeedImages:
        """The images of seeds with these sets, kept for the next who asks."""
        key = sets.tobytes()
        if key not in self._images:
            self._images[key] = SeedImages([self.sets[number] for number in sets.tolist()])
        return self._images[key]


def _data_of_runs(study: StudyRecord) -> dict[str, str]:
    """The data set that each run learns from, of a study on several."""
    if not study.sets:
        return {}
    by_arm = {arm.name: arm.levels.get(DATA, "") for arm in study.arms}
    columns = study.columns
    return {run: by_arm.get(columns.arms[arm], "") for run, arm in zip(columns.ids, columns.arm.tolist(), strict=True)}


class SeedImages:
    """The images of some seeds, and how they are shared.

    Args:
        images: Of each seed, as ascending indices [seeds][images].
    """

    def __init__(self, images: list[NDArray[np.int64]]) -> None:
        self._images = images
        self._centred: dict[bytes, NDArray[np.float64]] = {}
        self.counts = np.array([len(one) for one in images], dtype=np.float64)
        self.are_one = all(one is images[0] for one in images)

    @cached_property
    def _together(self) -> NDArray[np.int64]:
        return np.concatenate(self._images)

    @cached_property
    def _columns(self) -> NDArray[np.bool_]:
        """Where there is an image, of as many columns as the seed with the most has [seeds, images]."""
        return np.arange(int(self.counts.max())) < self.counts[:, None]

    @cached_property
    def shared(self) -> float:
        """As in ``stats.Crossing``."""
        return 1 / float(self.counts[0]) if self.are_one else shared_images(self._together, self.counts)

    def centred(self, hits: Hits, runs: NDArray[np.int64]) -> NDArray[np.float64]:
        """For each image the sum over runs, one a seed, of (hit - the run's mean) / images of the seed [images]."""
        key = runs.tobytes()
        if key not in self._centred:
            self._centred[key] = self._sums(hits, runs)
        return self._centred[key]

    def _sums(self, hits: Hits, runs: NDArray[np.int64]) -> NDArray[np.float64]:
        means = hits.num_hits[runs] / self.counts
        bits = hits.unpacked(runs)[:, : int(self.counts.max())]
        if self.are_one:
            return np.asarray((bits.sum(0, dtype=np.int64) - means.sum()) / self.counts[0])
        return self.by_image((bits - means[:, None]) / self.counts[:, None])

    def by_image(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """For each image the sum over seeds of values, those behind a seed's last image left out [seeds, images]."""
        if self.are_one:
            return np.asarray(values.sum(0))
        flat = values.ravel() if (self.counts == self.counts[0]).all() else values[self._columns]
        return np.asarray(np.bincount(self._together, flat), dtype=np.float64)


def hits_of(study: StudyRecord, split: Split) -> Hits:
    """The hits of a study's runs, made once."""
    key = (hits_of, split)
    if key not in study.cached:
        study.cached[key] = Hits.of(study, split)
    result: Hits = study.cached[key]
    return result
