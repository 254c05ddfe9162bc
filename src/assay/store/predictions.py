"""What a finished run's network says of its validation or test images: log-probabilities as float16, and the labels."""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Split = Literal["validation", "test"]
MAX_BYTES = 8 << 20  # of one run's values, before they are compressed: 10,000 images of 400 classes


@dataclass(frozen=True)
class KeptPredictions:
    """One run's predictions.

    Logarithms are kept, since float16 would round a probability of 0.9998 to 1: of a logarithm it keeps 11 bits
    whatever its size. What is the most probable class stays it.

    Args:
        labels: The images' labels, uint32, in their order.
        groups: The images' groups, uint32; empty where the data have none.
        num_classes: Classes.
        logs: Natural logarithms of probabilities, float16 [images, classes], compressed by zlib; empty where they
            would take more than ``MAX_BYTES``.
    """

    labels: bytes
    groups: bytes
    num_classes: int
    logs: bytes

    @classmethod
    def of(
        cls,
        log_probabilities: NDArray[np.floating],
        labels: NDArray[np.integer],
        groups: NDArray[np.integer] | None = None,
    ) -> KeptPredictions:
        """From logarithms [images, classes], labels [images] and groups [images]."""
        num_images, num_classes = log_probabilities.shape
        rounded = _rounded(log_probabilities)
        is_small = 2 * num_images * num_classes <= MAX_BYTES
        return cls(
            labels.astype("<u4").tobytes(),
            b"" if groups is None else groups.astype("<u4").tobytes(),
            num_classes,
            zlib.compress(rounded.astype("<f2").tobytes(), 6) if is_small else b"",
        )

    @property
    def is_kept(self) -> bool:
        """Whether there are values; there are none where they would take too much space."""
        return bool(self.logs)

    @property
    def label_set(self) -> str:
        """The id of labels and groups: equal for equal ones."""
        return hashlib.sha256(len(self.labels).to_bytes(8, "big") + self.labels + self.groups).hexdigest()[:32]

    def arrays(self) -> tuple[NDArray[np.float16], NDArray[np.int64], NDArray[np.int64] | None]:
        """Logarithms [images, classes], labels [images], and groups [images] where there are any.

        Raises:
            ValueError: They are not what was written.
        """
        try:
            values = np.frombuffer(zlib.decompress(self.logs), dtype="<f2").reshape(-1, self.num_classes)
        except zlib.error as error:
            raise ValueError(f"predictions cannot be read ({error})") from error
        labels = np.frombuffer(self.labels, dtype="<u4").astype(np.int64)
        groups = np.frombuffer(self.groups, dtype="<u4").astype(np.int64) if self.groups else None
        if len(values) != len(labels):
            raise ValueError(f"there are predictions of {len(values)} images and labels of {len(labels)}")
        return values, labels, groups

    def to_json(self) -> dict[str, Any]:
        """The same as plain values, for a message."""
        parts = {name: base64.b64encode(getattr(self, name)).decode() for name in ("labels", "groups", "logs")}
        return {**parts, "num_classes": self.num_classes}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> KeptPredictions:
        labels, groups, logs = (base64.b64decode(values[name]) for name in ("labels", "groups", "logs"))
        return cls(labels, groups, values["num_classes"], logs)


# Of some runs and a split: each run that has predictions, the id of its images ("" of test images), and these.
PredictionRows = Iterator[tuple[str, str, KeptPredictions]]
PredictionSource = Callable[[Collection[str], Split], PredictionRows]


def no_predictions(runs: Collection[str], split: Split) -> PredictionRows:
    """Of a record without any."""
    return iter(())


def _rounded(log_probabilities: NDArray[np.floating]) -> NDArray[np.float16]:
    """As float16, with the same most probable class of each image, the first of equal ones."""
    values = np.asarray(log_probabilities, dtype=np.float32)
    rounded = np.maximum(values, -65504.0).astype(np.float16)
    top = values.argmax(1)
    rows = np.flatnonzero(rounded.argmax(1) != top)
    if len(rows):  # an earlier class was rounded up to the same value
        best = rounded[rows, top[rows]][:, None]
        below = np.nextafter(best, np.float16(-np.inf))
        others = np.where(rounded[rows] >= best, below, rounded[rows])
        others[np.arange(len(rows)), top[rows]] = best[:, 0]
        rounded[rows] = others
    return rounded
