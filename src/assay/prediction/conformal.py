"""Sets of classes that hold the truth as often as promised: split conformal prediction.

Images that a network has not learned from rank how unlike each image's true class looks to it. A class of a new image
is in its set unless it looks less like the image than the truth of all but a few of those did. Where new images are
drawn as the calibration images were, the set holds the truth with the promised probability, whatever the network
(Vovk, Gammerman and Shafer 2005; Papadopoulos et al. 2002).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ..errors import Problem, SpecError, nearest
from .ensemble import Floats

SetMethod = Literal["adaptive", "regularized", "threshold"]
_PENALTY, _FREE = 0.01, 2  # of classes beyond so many, in regularized sets


@dataclass(frozen=True)
class SetRule:
    """Which classes go into a set.

    Args:
        coverage: The promise: the share of sets that hold the truth.
        method: How scores are made of probabilities (``set_scores``).
        thresholds: The highest score that is in the set, of each class; one for all unless they are by class.
        is_by_class: Whether the promise holds for each class.
        never_empty: Whether the most probable class is put into sets that would be empty; the promise is then kept
            more often than promised.
        num_images: Images that it was calibrated on.
        mean_size, empty: Of their sets: classes on average, and the share without any, before ``never_empty``.
        accuracy: Share of them whose most probable class is true.
    """

    coverage: float
    method: SetMethod
    thresholds: tuple[float, ...]
    is_by_class: bool
    never_empty: bool
    num_images: int
    mean_size: float
    empty: float
    accuracy: float

    def sets(self, probabilities: Floats, draws: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether each class is in an image's set [n, classes].

        Args:
            probabilities: float32 [n, classes].
            draws: Uniform in 0 to 1, one for each image (``draws_of``).
        """
        chosen = set_scores(probabilities, draws, self.method) <= np.array(self.thresholds)
        if self.never_empty:
            chosen[np.arange(len(chosen)), probabilities.argmax(1)] |= ~chosen.any(1)
        return chosen


def set_scores(probabilities: Floats, draws: NDArray[np.float64], method: SetMethod) -> NDArray[np.float64]:
    """How unlike an image each class looks [n, classes]; the higher, the less.

    - ``adaptive``: the probability of all classes that are more probable, and a random part of its own. Sets grow where
      the network is in doubt.
    - ``regularized``: the same, and 0.01 for each class after the second: sets stay small where there are many classes.
    - ``threshold``: 1 minus its probability. The smallest sets on average, and the least adaptive.

    Source: Romano, Sesia and Candes (2020), "Classification with valid and adaptive coverage", NeurIPS; Angelopoulos
    et al. (2021), "Uncertainty sets for image classifiers using conformal prediction", ICLR; Sadinle, Lei and Wasserman
    (2019), "Least ambiguous set-valued classifiers with bounded error levels", JASA 114.
    """
    values = probabilities.astype(np.float64)
    if method == "threshold":
        return 1 - values
    order = np.argsort(-values, axis=1, kind="stable")
    ranked = np.take_along_axis(values, order, axis=1)
    scores = np.cumsum(ranked, axis=1) - ranked + draws[:, None] * ranked
    if method == "regularized":
        scores = scores + _PENALTY * np.maximum(np.arange(1, values.shape[1] + 1) - _FREE, 0)
    by_class = np.empty_like(scores)
    np.put_along_axis(by_class, order, scores, axis=1)
    return by_class


def fit_sets(
    probabilities: Floats,
    labels: NDArray[np.int64],
    draws: NDArray[np.float64],
    *,
    coverage: float = 0.9,
    method: SetMethod = "adaptive",
    by_class: bool = False,
    never_empty: bool = False,
    classes: Sequence[str] = (),
) -> SetRule:
    """The rule whose sets hold the truth of ``coverage`` of images that are drawn as these were.

    Over all calibration sets of n images the sets hold it with probability ceil((n + 1) coverage) / (n + 1), where
    scores have no ties: at least as promised, and at most 1 / (n + 1) more. By class the same holds within each class.

    Args:
        probabilities: Of images that the networks have not learned from, float32 [n, classes].
        labels: int64 [n].
        draws: Uniform in 0 to 1 [n].
        coverage: In (0, 1).
        method: As for ``set_scores``.
        by_class: Promise it for each class (Vovk 2012, "Conditional validity of inductive conformal predictors").
        never_empty: Put the most probable class into sets that would be empty.
        classes: Names, for messages.

    Raises:
        SpecError: The coverage is outside (0, 1), the method is not known, there is one class only, or there are too
            few images (of a class).
    """
    check_coverage(coverage)
    if method not in get_args(SetMethod):
        raise SpecError(Problem(f'there are no "{method}" sets', nearest(method, list(get_args(SetMethod)))))
    num_classes = probabilities.shape[1]
    if num_classes < 2:
        raise SpecError(Problem("sets of classes need two classes or more, and there is one", "leave sets out"))
    scores = set_scores(probabilities, draws, method)
    own = scores[np.arange(len(labels)), labels]
    if by_class:
        names = classes or [f"class {number}" for number in range(num_classes)]
        thresholds = tuple(
            _threshold(own[labels == label], coverage, f'calibration images of "{names[label]}"', "leave by class out")
            for label in range(num_classes)
        )
    else:
        fix = "ask for a lower coverage, or run with a larger validation split"
        thresholds = (_threshold(own, coverage, "calibration images", fix),) * num_classes
    sizes = (scores <= np.array(thresholds)).sum(1)
    accuracy = float((probabilities.argmax(1) == labels).mean())
    return SetRule(
        coverage, method, thresholds, by_class, never_empty, len(labels), float(sizes.mean()),
        float((sizes == 0).mean()), accuracy,
    )  # fmt: skip


def check_coverage(coverage: float, what: str = "coverage") -> None:
    """Raise SpecError for a share outside (0, 1)."""
    if not 0 < coverage < 1:
        raise SpecError(Problem(f"the {what} is {coverage:g}", "give a share between 0 and 1, such as 0.9"))


def conformal_quantile(scores: NDArray[np.float64], coverage: float) -> float:
    """The score that a new one stays below or meets with this probability: the ceil((n + 1) coverage)-th smallest;
    infinite where there are too few."""
    place = math.ceil((len(scores) + 1) * coverage - 1e-9)
    return math.inf if place > len(scores) else float(np.partition(scores, place - 1)[place - 1])


def draws_of(images: NDArray[np.uint8] | NDArray[np.float32]) -> NDArray[np.float64]:
    """A draw in 0 to 1 for each image, from its content: the same image always gets the same set [n]."""
    words = [hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=8).digest() for image in images]
    return np.frombuffer(b"".join(words), "<u8").astype(np.float64) / 2.0**64


def fewest_images(coverage: float) -> int:
    """The fewest calibration images with which a promise can be kept without holding every class."""
    return math.ceil(coverage / (1 - coverage) - 1e-9)


def _threshold(scores: NDArray[np.float64], coverage: float, what: str, fix: str) -> float:
    threshold = conformal_quantile(scores, coverage)
    if not math.isfinite(threshold):
        need = f"there are {len(scores)} {what}, and a coverage of {coverage:g} takes {fewest_images(coverage)}"
        raise SpecError(Problem(need, fix))
    return threshold
