"""How much a score differs from seed to seed, and why: as predicted from what networks get right, and as measured.

Networks that differ by their seed alone make nearly independent errors: whether one errs on an image says nothing of
whether it errs on another one (Jordan 2024). Then the variance of their accuracy on n images is the mean of p (1 - p)
over n, where p is the chance that a network with a fresh seed gets an image right. Two runs are enough to estimate that
well, because every image counts; one run is, if its probabilities, or its errors alone, are those of a calibrated
ensemble. Networks that are far from the end of their training differ as wholes too: one knows all shirts and few coats,
the next the other way round. That shows in how much seeds differ class by class, and between a run's last epochs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from .crossed import Crossing, ImageSpread, components_of

JORDAN = (
    'Jordan (2024), "On the Variance of Neural Network Training with respect to Test Sets and Distributions", ICLR; '
    'Jiang, Nagarajan, Baek and Kolter (2022), "Assessing Generalization of SGD via Disagreement", ICLR'
)
# How many degrees of freedom the predicted variance counts as, beside those of the seeds: it is right within a factor
# of about two, as a variance with 4 is (docs/evidence/statistics-simulations.md).
PREDICTED_FREEDOM = 4
_ADDED_IMAGES = 0.25  # as a verdict's interval adds (crossed.py)
_MAX_TEMPERATURE = 20.0


@dataclass(frozen=True)
class SeedSpread:
    """What one seed's score, or its difference of two arms, varies by. Variances of fractions.

    Args:
        noise: On one image, drawn anew by every seed.
        image: Between images, the same for every seed.
        shift: Of a seed's accuracy as a whole, as it shows between the last epochs of a run; 0 where that is not known.
        classes: Of a seed's accuracy, if what happens to one class says nothing of another; ``None`` where labels are
            not known or there is one seed.
        images: Images that a seed is scored on.
        overlap: The share of them that two seeds have in common: 1 for one split.
        measured: Variance between seeds; ``None`` below two.
        seeds: How many that was measured on.
        scale: The square of one disagreement: 1 for two arms.
    """

    noise: float
    image: float
    images: float
    overlap: float
    shift: float = 0.0
    measured: float | None = None
    seeds: int = 1
    scale: float = 1.0
    classes: float | None = None

    @property
    def independent(self) -> float:
        """Variance between seeds if errors are independent."""
        return (self.noise + (1 - self.overlap) * self.image) / self.images

    @property
    def predicted(self) -> float:
        """Variance between seeds that is expected before many are measured.

        That of independent errors, or where networks differ by more the mean of what classes and epochs say.
        """
        wholes = self.shift if self.classes is None else (self.shift + self.classes) / 2
        return max(self.independent, wholes)

    @property
    def joined(self) -> float:
        """Variance between seeds as predicted and measured together, weighted by their degrees of freedom."""
        if self.measured is None:
            return self.predicted
        freedom = self.seeds - 1
        return (PREDICTED_FREEDOM * self.predicted + freedom * self.measured) / (PREDICTED_FREEDOM + freedom)

    def variance(self, images: float | None = None) -> float:
        """Variance of one seed's mean where it is scored on so many images: what is no image's stays."""
        if images is None:
            return self.joined
        whole = max(self.joined - self.independent, 0.0)
        return whole + (self.joined - whole) * self.images / images

    def extra(self, images: float | None = None) -> float:
        """Variance of the mean over any number of seeds that the images that seeds share leave.

        With a split of each seed's own the share that two have in common grows with their size, so that a larger split
        of the same images changes nothing.
        """
        count = self.images if images is None else images
        overlap = self.overlap if self.overlap >= 1 else min(self.overlap * count / self.images, 1.0)
        return overlap / count * (self.image + _ADDED_IMAGES * self.scale / count)

    def spread(self, images: float | None = None) -> ImageSpread:
        """What an interval would add for new images."""
        count = self.images if images is None else images
        return ImageSpread(self.extra(images), max(count - 1.0, 1.0), images=count)

    def on(self, images: float, overlap: float) -> SeedSpread:
        """The same spread on another number of images, as in another study."""
        share = self.independent
        moved = replace(self, images=images, overlap=overlap)
        return replace(
            moved, measured=None if self.measured is None else max(self.measured - share, 0.0) + moved.independent
        )


def spread_of_seeds(crossing: Crossing, *, shift: float = 0.0, classes: float | None = None) -> SeedSpread:
    """The spread of two seeds or more, from what each gets right on each of its images.

    Noise is what two seeds that see the same image do not share: with two seeds, half of the share of images on which
    one alone is right. Where seeds share too few images to tell, images count as noise.

    Args:
        crossing: Hits (or differences of two arms) by seed and image.
        shift: ``shift_of_epochs``, where epochs are known.
        classes: ``variance_by_class``, where labels are known.
    """
    shared, covariance, within, scale = components_of(crossing)
    images = float(crossing.counts.mean())
    image = min(max(covariance / shared, 0.0), within) if shared > 0 else 0.0
    means = crossing.sums / crossing.counts
    return SeedSpread(
        within - image, image, images, min(shared * images, 1.0), shift, float(means.var(ddof=1)), len(means), scale,
        classes,
    )  # fmt: skip


def spread_of_one(
    values: npt.ArrayLike, noise: float, *, overlap: float, shift: float = 0.0, scale: float = 1.0
) -> SeedSpread:
    """The spread of a single seed.

    Args:
        values: Its hits, or its differences of two arms, by image [images].
        noise: The variance on one image that a fresh seed draws, from ``noise_of_probabilities`` or
            ``noise_of_errors``; of a difference the sum of both arms'.
        overlap: The share of images that two seeds would have in common.
        shift: As for ``spread_of_seeds``.
        scale: As in ``SeedSpread``.

    Raises:
        ValueError: Fewer than two images.
    """
    known = np.asarray(values, dtype=np.float64)
    if known.ndim != 1 or len(known) < 2:
        raise ValueError(f"got values of shape {known.shape}; give one for each of two images or more")
    within = float(known.var(ddof=1))
    noise = min(noise, within)
    return SeedSpread(noise, within - noise, float(len(known)), overlap, shift, scale=scale)


def noise_of_errors(error: float) -> float:
    """p (1 - p) on an average image, from the error rate of one calibrated network: half of it.

    Where an ensemble is calibrated, two of its networks disagree on as many images as one of them gets wrong (Jiang et
    al. 2022). It is exact for two classes; with more, networks may be wrong in different ways, and it is too large.

    Raises:
        ValueError: The rate is outside 0 to 1.
    """
    if not 0 <= error <= 1:
        raise ValueError(f"the error rate is {error!r}; give a share of images, 0 to 1")
    return error / 2


def noise_of_probabilities(probabilities: npt.ArrayLike, accuracy: float) -> float:
    """p (1 - p) on an average image, from the class probabilities of one network.

    They stand for the shares of an ensemble's votes: the mean over images of the sum over classes of q² (1 - q). A
    single network is too sure of itself, so they are first softened or sharpened by one temperature, until their
    largest are on average as large as the accuracy is.

    Args:
        probabilities: [images, classes], each row summing to 1.
        accuracy: The network's, on these images.

    Raises:
        ValueError: They are no such array, or the accuracy is outside 0 to 1.

    Source: Jordan (2024), section 4; the temperature is that of Guo et al. (2017), "On calibration of modern neural
    networks".
    """
    given = np.asarray(probabilities, dtype=np.float64)
    if given.ndim != 2 or given.shape[1] < 2 or not len(given) or not np.isfinite(given).all() or given.min() < 0:
        raise ValueError(f"got shape {given.shape}; give probabilities as [images, classes], finite and 0 or above")
    if not 0 <= accuracy <= 1:
        raise ValueError(f"the accuracy is {accuracy!r}; give a share of images, 0 to 1")
    logs = np.log(np.maximum(given, 1e-12))
    low, high = 1 / _MAX_TEMPERATURE, _MAX_TEMPERATURE
    for _ in range(40):  # the largest probabilities fall as the temperature rises
        middle = (low * high) ** 0.5
        low, high = (middle, high) if _softened(logs, middle).max(1).mean() > accuracy else (low, middle)
    votes = _softened(logs, (low * high) ** 0.5)
    return float((votes**2 * (1 - votes)).sum(1).mean())


def variance_by_class(
    values: Sequence[npt.NDArray[np.floating]], labels: Sequence[npt.NDArray[np.integer]]
) -> float | None:
    """Variance between seeds of a mean over images, as the sum over classes of what each contributes.

    With ten classes two seeds give ten looks at it, where their accuracies give one. Classes that trade images with
    each other make it too large, a shift of all too small.

    Args:
        values: Hits, or differences of two arms, by seed and image [seeds][images].
        labels: The images' classes, from 0 [seeds][images].

    Returns:
        ``None`` below two seeds.
    """
    if len(values) < 2:
        return None
    num_classes = 1 + max(int(of_seed.max(initial=0)) for of_seed in labels)
    shares = np.array([
        np.bincount(of_seed, weights=hits, minlength=num_classes) / len(hits)
        for hits, of_seed in zip(values, labels, strict=True)
    ])  # fmt: skip
    return float(shares.var(axis=0, ddof=1).sum())


def shift_of_epochs(curves: npt.ArrayLike) -> float:
    """Variance of a network's accuracy as a whole, from how it jumps between the last epochs of each run.

    A sixth of the mean squared second difference, which a straight rise does not touch: the variance of a value whose
    neighbours in time are independent of it. 0 below three epochs.

    Args:
        curves: Accuracy after each epoch, or its difference of two arms [runs, epochs].

    Raises:
        ValueError: They are not [runs, epochs].
    """
    given = np.asarray(curves, dtype=np.float64)
    if given.ndim != 2:
        raise ValueError(f"got shape {given.shape}; give one row of epochs a run")
    epochs = given.shape[1]
    if epochs < 3 or not len(given) or not np.isfinite(given).all():
        return 0.0
    last = min(max(epochs // 2, 1), 5, epochs - 2) + 2
    return float(np.mean(np.diff(given[:, -last:], n=2, axis=1) ** 2) / 6)


def _softened(logs: npt.NDArray[np.float64], temperature: float) -> npt.NDArray[np.float64]:
    powers = np.exp((logs - logs.max(1, keepdims=True)) / temperature)
    return np.asarray(powers / powers.sum(1, keepdims=True))
