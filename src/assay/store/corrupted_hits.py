"""What runs get right of corrupted images, kept in files beside the store's database: a second question is quick.

They can always be computed again, so a file that is missing, damaged or of other weights is as good as none.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .. import disk

_FOLDER = "robustness"
_LOOKS = "looks.json"


@dataclass(frozen=True, eq=False)
class CorruptedScores:
    """What a run scores by another measure than accuracy, on the images as they are and with each corruption.

    Args:
        metric: The measure's name.
        clean: Its value on the images as they are.
        values: With each corruption [corruptions, severities].
        influence: How far each image moves the mean over the severities, summing to 0 [corruptions, n]
            (``Measure.influence``).
    """

    metric: str
    clean: float
    values: NDArray[np.float64]
    influence: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class CorruptedHits:
    """Which images a run gets right, as they are and with each corruption; and what it scores by the study's measure.

    Args:
        run: Its id.
        weights_sha256: Of the weights that were asked.
        suite: Version of the suite of corruptions, and the seed of its draws.
        images: Indices of the images in their split, ascending [n].
        clean: Of the images as they are, bool [n].
        corruptions: Names.
        hits: bool [corruptions, severities, n].
        measured: The same by the study's measure, where that is not accuracy.
    """

    run: str
    weights_sha256: str
    suite: tuple[int, int]
    images: NDArray[np.int64]
    clean: NDArray[np.bool_]
    corruptions: tuple[str, ...]
    hits: NDArray[np.bool_]
    measured: CorruptedScores | None = None

    @property
    def metric(self) -> str:
        """The measure that scores are of."""
        return "accuracy" if self.measured is None else self.measured.metric

    @property
    def clean_score(self) -> float:
        """On the images as they are."""
        return float(self.clean.mean()) if self.measured is None else self.measured.clean

    def scores_of(self, corruption: str) -> NDArray[np.float64]:
        """After each severity of a corruption [severities]."""
        if self.measured is None:
            return np.asarray(self.of(corruption).mean(1))
        return np.asarray(self.measured.values[self.corruptions.index(corruption)])

    def by_image(self, corruption: str) -> NDArray[np.float64]:
        """What each image adds to the mean score over a corruption's severities: that is their mean [n]."""
        if self.measured is None:
            return np.asarray(self.of(corruption).mean(0))
        place = self.corruptions.index(corruption)
        return np.asarray(self.measured.values[place].mean() + self.measured.influence[place].astype(np.float64))

    def of(self, corruption: str) -> NDArray[np.bool_]:
        """[severities, n] of a corruption."""
        return np.asarray(self.hits[self.corruptions.index(corruption)], bool)

    def is_of(
        self, weights_sha256: str, suite: tuple[int, int], images: NDArray[np.int64], metric: str = "accuracy"
    ) -> bool:
        """Whether these weights were asked about these images, corrupted in this way, and scored by this measure."""
        is_same = self.weights_sha256 == weights_sha256 and self.suite == suite and self.metric == metric
        return is_same and np.array_equal(self.images, images)


@dataclass(frozen=True)
class CorruptedLook:
    """A look at a study's verdicts on corrupted images.

    Args:
        planned: How many seeds were planned.
        seeds: Which were compared.
        images: Images for each run that were asked for.
        draws: The seed of the corruptions' draws.
    """

    planned: int
    seeds: tuple[int, ...]
    images: int = 0
    draws: int = 0


def read_hits(store: Path, split: Literal["validation", "test"], run: str) -> CorruptedHits | None:
    """What is kept of a run; ``None`` where there is nothing that can be used."""
    try:
        content = io.BytesIO(_place(store, split, run).read_bytes())
        with np.load(content, allow_pickle=False) as arrays:
            facts = json.loads(str(arrays["facts"]))
            images, names = arrays["images"], tuple(facts["corruptions"])
            count, shape = len(images), (len(names), facts["severities"], len(images))
            clean = np.unpackbits(arrays["clean"], count=count).astype(bool)
            hits = np.unpackbits(arrays["hits"], count=int(np.prod(shape))).astype(bool).reshape(shape)
            suite = (int(facts["suite"]), int(facts["seed"]))
            measured = None
            if "metric" in facts:
                values, influence = arrays["values"].reshape(shape[:2]), arrays["influence"].reshape(len(names), count)
                measured = CorruptedScores(str(facts["metric"]), float(facts["clean"]), values, influence)
            return CorruptedHits(run, facts["weights"], suite, images.astype(np.int64), clean, names, hits, measured)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return None


def keep_hits(store: Path, split: Literal["validation", "test"], hits: CorruptedHits) -> None:
    """Keep what a run gets right.

    Raises:
        DataError: The store cannot be written.
        DiskFull: There is no space left.
    """
    facts: dict[str, Any] = {
        "suite": hits.suite[0],
        "seed": hits.suite[1],
        "weights": hits.weights_sha256,
        "corruptions": hits.corruptions,
        "severities": hits.hits.shape[1],
    }
    arrays: dict[str, Any] = {}
    if (measured := hits.measured) is not None:
        facts |= {"metric": measured.metric, "clean": measured.clean}
        arrays = {"values": measured.values, "influence": measured.influence}
    content = io.BytesIO()
    np.savez_compressed(
        content,
        **arrays,
        facts=np.array(json.dumps(facts)),
        images=hits.images,
        clean=np.packbits(hits.clean),
        hits=np.packbits(hits.hits),
    )
    disk.write(_place(store, split, hits.run), content.getvalue())


def read_looks(store: Path, study: str) -> tuple[CorruptedLook, ...]:
    """The looks at a study's verdicts on corrupted images, in their order."""
    try:
        kept = json.loads((store / _FOLDER / _LOOKS).read_text())[study]
        return tuple(
            CorruptedLook(int(look["planned"]), tuple(map(int, look["seeds"])), int(look["images"]), int(look["draws"]))
            for look in kept
        )
    except (OSError, ValueError, KeyError, TypeError):
        return ()


def keep_look(store: Path, study: str, look: CorruptedLook) -> None:
    """Write one more look down.

    Raises:
        DataError: The store cannot be written.
        DiskFull: There is no space left.
    """
    path = store / _FOLDER / _LOOKS
    try:
        known = json.loads(path.read_text())
    except (OSError, ValueError):
        known = {}
    known.setdefault(study, []).append(asdict(look))
    disk.write(path, json.dumps(known).encode())


def is_kept_here(store: Path) -> bool:
    """Whether the store can be written."""
    return os.access(store, os.W_OK)


def _place(store: Path, split: str, run: str) -> Path:
    return store / _FOLDER / split / f"{run}.npz"
