"""What each image adds to each run's measure, where that is no mean over images of hits; and the images of seeds."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..stats import Crossing
from ..store.predictions import Split
from ..store.records import StudyRecord
from .hits import SeedImages
from .measured import measure_of, predictions_of, run_values
from .rows import Row


@dataclass(frozen=True, eq=False)  # arrays have no truth value
class Influences:
    """Influence values of all runs.

    Args:
        image_set: Which of ``sets`` a run was scored on; -1 of one without predictions [runs].
        scores: What each run scores [runs].
        values: Influence values of the set's images, in its order, zeros behind them [runs, images].
        sets: Images as ascending indices.
    """

    image_set: NDArray[np.int64]
    scores: NDArray[np.float64]
    values: NDArray[np.float32]
    sets: tuple[NDArray[np.int64], ...]
    _images: dict[bytes, SeedImages] = field(default_factory=dict)

    @classmethod
    def of(cls, study: StudyRecord, split: Split) -> Influences:
        measure, ids = measure_of(study), study.columns.ids
        known = {run: (images, measure.influence(one)) for run, images, one in predictions_of(study, split)}
        width = max((len(values) for _, values in known.values()), default=0)
        names = dict.fromkeys(images for images, _ in known.values())
        place = {name: number for number, name in enumerate(names)}
        image_set, values = np.full(len(ids), -1), np.zeros((len(ids), width), dtype=np.float32)
        for number, run in enumerate(ids):
            if run in known:
                images, mine = known[run]
                image_set[number] = place[images]
                values[number, : len(mine)] = mine
        sets = [study.image_sets[name] if name else np.arange(int(study.data.get("num_test", width))) for name in names]
        return cls(image_set, run_values(study, split), values, tuple(sets))

    def images_of(self, sets: NDArray[np.int64]) -> SeedImages:
        """The images of seeds with these sets, kept for the next who asks."""
        key = sets.tobytes()
        if key not in self._images:
            self._images[key] = SeedImages([self.sets[number] for number in sets.tolist()])
        return self._images[key]

    def crossing(self, row: Row, runs: NDArray[np.int64], images: SeedImages) -> Crossing:
        """The differences of a contrast by seed and image, as sums.

        To first order a measure is the mean over images of itself plus the image's influence value, so that is what is
        crossed with seeds where accuracy has hits. Images on which arms differ count by how much they do: for hits
        of equal weight that is their number.

        Args:
            row: The contrast.
            runs: Of its arms [arms, seeds].
            images: Of its seeds.
        """
        weights, counts = np.array(row.weights), images.counts
        differences = weights @ self.scores[runs]
        moved = np.zeros((runs.shape[1], self.values.shape[1]))
        for weight, of_arm in zip(row.weights, runs, strict=True):
            moved += weight * self.values[of_arm]
        moved = moved[:, : int(counts.max())]
        squares = np.square(moved).sum(1)
        fourth = float(np.square(np.square(moved)).sum())
        return Crossing(
            counts,
            sums=counts * differences,
            squares=squares + counts * np.square(differences),
            num_nonzero=float(squares.sum()) ** 2 / fourth if fourth > 0 else 0.0,
            shared=images.shared,
            by_image=images.by_image(moved / counts[:, None]),
        )


def influences_of(study: StudyRecord, split: Split) -> Influences:
    """The influence values of a study's runs, made once."""
    key = (influences_of, split)
    if key not in study.cached:
        study.cached[key] = Influences.of(study, split)
    result: Influences = study.cached[key]
    return result
