"""Variance of a mean difference from the images it was measured on, estimated from seeds crossed with images.

A seed s whose network is scored on image i gives a difference D_si = mean + seed_s + image_i + noise_si. Student's
interval over seeds covers the seeds and the noise. It does not cover the images that seeds share: those push every
seed's difference the same way, and no number of seeds averages them out. That part is estimated here and added to the
interval, for verdicts that speak of new images.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from ..errors import Problem, TooFewSeeds
from .intervals import finite_scores
from .power import MAX_PAIRS, POWER, fewest_pairs

Claim = Literal["new images", "these images", "new training sets"]
CROSSED_SOURCE = (
    'Gallas, Pennello and Myers (2007), "Multireader multicase variance analysis for binary data", JOSA A 24(12); '
    'Zou and Donner (2008), "Construction of confidence limits about effect measures", Statistics in Medicine 27; '
    'Satterthwaite (1946), "An approximate distribution of estimates of variance components", Biometrics Bulletin 2'
)
# Images on which arms differ for every seed may be so rare that none is in the sample. A quarter of one such image is
# added, as Agresti and Min (2005) add one in all to the two counts of a disagreement between matched pairs. Why a
# quarter: without it, 99 % accuracy on 180 images covers as little as 84 % (docs/evidence/statistics-simulations.md).
_ADDED_IMAGES = 0.25
_SMALLEST_P = 1e-15
MAX_IMAGES = 10**8
_FAR = 4  # so many times the images that would do with more seeds are too many to ask for


@dataclass(frozen=True)
class ImageSpread:
    """What an interval over seeds has to add for what is claimed.

    Args:
        extra: Variance of the mean difference that images add to what seeds show, 0 or above.
        df: Degrees of freedom of ``extra``.
        inflation: What training images that seeds share multiply the standard error over seeds by, 1 or above.
        noise: The part of one seed's variance that shrinks as 1/images: what a larger validation set averages out.
        images: Images that a seed is scored on, on average.
    """

    extra: float = 0.0
    df: float = math.inf
    inflation: float = 1.0
    noise: float = 0.0
    images: float = 0.0


def image_spread(
    rows: Sequence[npt.ArrayLike] | npt.NDArray[np.floating],
    images: Sequence[npt.ArrayLike] | npt.NDArray[np.integer],
    *,
    claim: Claim = "new images",
    num_training: int | None = None,
    num_left_out: float | None = None,
) -> ImageSpread:
    """Estimates what an interval over seeds has to add for a claim, from differences by seed and image.

    - "these images": nothing.
    - "new images": ``extra`` is the mean, over pairs of seeds, of the covariance that shared images give their two
      means: overlap * sigma² / m, sigma² the variance component of images, m the images of a seed and overlap the
      share that two seeds have in common (1 where all are scored on the same). The seed's own noise on an image is in
      no pair of seeds, so the estimate is unbiased before it is kept from falling below 0.
    - "new training sets": ``inflation`` is sqrt(1 + n * left out / trained on). With fresh splits that covers the
      validation images too; ``extra`` holds what it leaves, such as a test split that all seeds share.

    Args:
        rows: For each seed, b minus a on each of its images [seeds][images]: -1, 0 or 1 for two arms; for a factor's
            effect a weighted sum of what its arms get right.
        images: For each seed, the indices of these images in the data set, from 0; one row where all seeds share it.
        claim: Of what the verdict speaks.
        num_training: Images that a seed trains on; needed for "new training sets".
        num_left_out: Images that a seed's split keeps from training; as many as it is scored on unless given.

    Raises:
        TooFewSeeds: Fewer than two seeds.
        ValueError: Rows and images differ in shape, a value is not finite, the claim is unknown, or the number of
            training images is missing.

    Source: Gallas, Pennello and Myers (2007) for binary scores where readers (here: seeds) need not share all cases
    (here: images); Nadeau and Bengio (2003), "Inference for the generalization error", Machine Learning 52.
    """
    values = [np.asarray(row, dtype=np.float64) for row in rows]
    if len(values) < 2:
        raise TooFewSeeds(Problem(f"got {len(values)} seeds, crossing them with images needs 2", "run more seeds"))
    crossing = crossing_of_seeds(values, images)
    return spread_of_crossing(crossing, claim=claim, num_training=num_training, num_left_out=num_left_out)


@dataclass(frozen=True, eq=False)  # arrays have no truth value
class Crossing:
    """What ``image_spread`` needs of differences by seed and image.

    Args:
        counts: Images of each seed [seeds].
        sums: Of each seed's differences [seeds].
        squares: Sum of their squares [seeds].
        num_nonzero: How many of all differences are not 0; of measures to which images add unlike amounts, the
            effective number, (sum of squares)² over the sum of fourth powers.
        shared: Mean over ordered pairs of seeds s and t of |images of both| / (m_s m_t), m the images of a seed.
        by_image: For each image the sum, over the seeds that have it, of (difference - the seed's mean) / m_s.
    """

    counts: npt.NDArray[np.float64]
    sums: npt.NDArray[np.float64]
    squares: npt.NDArray[np.float64]
    num_nonzero: float
    shared: float
    by_image: npt.NDArray[np.float64]


def crossing_of_seeds(
    rows: Sequence[npt.ArrayLike] | npt.NDArray[np.floating],
    images: Sequence[npt.ArrayLike] | npt.NDArray[np.integer],
) -> Crossing:
    """The sums of differences (or of hits) by seed and image; arguments and errors are those of ``image_spread``."""
    values = [np.asarray(row, dtype=np.float64) for row in rows]
    return _crossing(values, _indices(values, images))


def spread_of_crossing(
    crossing: Crossing,
    *,
    claim: Claim = "new images",
    num_training: int | None = None,
    num_left_out: float | None = None,
) -> ImageSpread:
    """``image_spread`` of differences that are known by their sums."""
    if claim not in get_args(Claim):
        raise ValueError(f"claim is {claim!r}; give one of {', '.join(map(repr, get_args(Claim)))}")
    counts = crossing.counts
    mean_count = float(counts.mean())
    if claim == "these images":
        return ImageSpread(images=mean_count)
    shared, covariance, within, scale = components_of(crossing)
    overlap = shared * mean_count
    # Each row was centred by its own mean, which takes this share of the covariance with it.
    covariance /= 1 - (2 - overlap) / mean_count if mean_count > 2 else 1.0
    extra = min(max(covariance, 0.0), within * shared) + shared * _ADDED_IMAGES * scale / mean_count
    df, noise = max(mean_count - 1, 1.0), max(within / mean_count - extra, 0.0)
    if claim == "new images":
        return ImageSpread(extra, df, noise=noise, images=mean_count)
    if num_training is None or num_training < 1:
        raise ValueError(f"num_training is {num_training!r}; a claim on new training sets needs the images trained on")
    ratio = (mean_count if num_left_out is None else num_left_out) / num_training
    # Seeds show (1 - overlap) of what images do, and the inflation multiplies that.
    left = max(0.0, 1 - ratio * (1 - overlap) / overlap) if overlap > 0 else 0.0
    return ImageSpread(extra * left, df, math.sqrt(1 + len(counts) * ratio), noise, mean_count)


def crossed_interval(
    differences: npt.ArrayLike, spread: ImageSpread, *, confidence: float = 0.95
) -> tuple[float, float]:
    """Interval for a mean difference that covers seeds and, as far as ``spread`` says, images and training sets.

    Two intervals are known for a sum of two variances. Zou and Donner's adds the squared reach of each part at its own
    degrees of freedom: it is too wide at few seeds (by up to a third of the errors allowed at 6). Satterthwaite's,
    never narrower than Student's over seeds, is too narrow (by a tenth of the errors at 6). The squared reach used is
    the mean of both, which simulation finds between 95 and 95.6 % at 6 seeds and more. Without images it is Student's.

    Args:
        differences: b minus a, one per seed.
        spread: From ``image_spread`` on the same seeds.
        confidence: Long-run share of such intervals that hold the true mean difference, in (0, 1).

    Raises:
        TooFewSeeds: Fewer than two differences.
        ValueError: A difference is not finite, or confidence is not in (0, 1).

    Source: Zou and Donner (2008); Satterthwaite (1946).
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence!r}; give a share between 0 and 1, such as 0.95")
    mean, over_seeds, df = _parts(differences, spread)
    reach = _reach(1 - confidence, over_seeds, df, spread)
    return mean - reach, mean + reach


def crossed_p(differences: npt.ArrayLike, spread: ImageSpread) -> float:
    """The two-sided level at which ``crossed_interval`` just excludes zero; Student's p where nothing is added.

    Raises:
        TooFewSeeds: Fewer than two differences.
        ValueError: A difference is not finite.
    """
    from scipy.special import stdtr

    mean, over_seeds, df = _parts(differences, spread)
    if mean == 0:
        return 1.0
    if spread.extra == 0:
        return 2 * float(stdtr(df, -abs(mean) / math.sqrt(over_seeds))) if over_seeds > 0 else 0.0
    if _reach(_SMALLEST_P, over_seeds, df, spread) < abs(mean):
        return _SMALLEST_P

    def beyond(log_level: float) -> float:
        return _reach(math.exp(log_level), over_seeds, df, spread) - abs(mean)

    if beyond(0.0) >= 0:  # a mean of rounding errors: SciPy before 1.17 takes the median of Student's t for 1e-16
        return 1.0
    from scipy.optimize import brentq  # heavy: only where a root is wanted

    return math.exp(brentq(beyond, math.log(_SMALLEST_P), 0.0, xtol=1e-15))


@dataclass(frozen=True)
class ImagesNeeded:
    """Validation images that would decide a difference where more seeds will not, for power 0.8.

    Args:
        images: How many images a seed would be scored on.
        seeds: With how many seeds.
    """

    images: int
    seeds: int


def image_share(differences: npt.ArrayLike, spread: ImageSpread) -> float:
    """Share of the mean difference's variance, 0 to 1, that more seeds on the same images would leave.

    Raises:
        TooFewSeeds: Fewer than two differences.
        ValueError: A difference is not finite.
    """
    _, over_seeds, _ = _parts(differences, spread)
    left = _floor(over_seeds, spread)
    return left / (over_seeds + spread.extra) if left > 0 else 0.0


def seeds_needed(
    wanted: float, differences: npt.ArrayLike, spread: ImageSpread, *, alpha: float = 0.05, fewest: int = 2
) -> int | None:
    """About the fewest seeds that find a true difference of ``wanted`` with a chance of ``POWER`` on as many images.

    ``None`` where ``MAX_PAIRS`` do not: where images are the limit, ``images_needed`` says how many would do.

    Args:
        wanted: The true mean difference that is supposed, in the unit of the differences.
        differences: b minus a, one per seed, of the seeds there are.
        spread: From ``image_spread`` on the same seeds.
        alpha: The test's level.
        fewest: Never fewer than this.

    Raises:
        TooFewSeeds: Fewer than two differences.
        ValueError: A difference is not finite, or ``wanted`` is not.
    """
    _, over_seeds, df = _parts(_checked(wanted, differences), spread)
    floor = _floor(over_seeds, spread)
    shrinking = max(over_seeds + spread.extra - floor, 0.0) * (df + 1)

    def enough(num_seeds: int) -> bool:
        return _finds(wanted, shrinking / num_seeds, floor, num_seeds - 1.0, spread.df, alpha)

    return fewest_pairs(enough, fewest)


def images_needed(
    wanted: float, differences: npt.ArrayLike, spread: ImageSpread, *, alpha: float = 0.05
) -> ImagesNeeded | None:
    """About how many validation images would find a true difference of ``wanted`` where more seeds will not.

    ``None`` where more seeds (up to ``MAX_PAIRS``) would do, or where images are not what is missing. The part of the
    variance that images make shrinks as 1/images: ``extra``, and the ``noise`` of each seed. The seeds stay as many
    as they are if that does not ask for ``_FAR`` times the images that very many seeds would leave to ask for. Else
    they are doubled until it does not.

    Args:
        wanted: As for ``seeds_needed``.
        differences: As for ``seeds_needed``.
        spread: As for ``seeds_needed``.
        alpha: The test's level.

    Raises:
        TooFewSeeds: Fewer than two differences.
        ValueError: A difference is not finite, or ``wanted`` is not.
    """
    if wanted == 0 or spread.extra == 0 or seeds_needed(wanted, differences, spread, alpha=alpha) is not None:
        return None
    _, over_seeds, df = _parts(differences, spread)
    now = round(df + 1)
    fixed, noise = _split(over_seeds, spread, now)
    shared = 1 - 1 / spread.inflation**2  # of the seeds' variance: the training images that they share

    def fewest(seeds: int) -> int | None:
        left = shared + (1 - shared) * now / seeds

        def enough(num_images: int) -> bool:
            share = spread.images / num_images
            over_seeds = left * (fixed + noise * share)
            return _finds(wanted, over_seeds, spread.extra * share, seeds - 1.0, max(num_images - 1.0, 1.0), alpha)

        return fewest_pairs(enough, int(spread.images), limit=MAX_IMAGES)

    least = fewest(MAX_PAIRS)
    if least is None:
        return None
    seeds, images = now, fewest(now)
    while images is None or images > _FAR * least:
        seeds *= 2
        images = fewest(seeds)
    return ImagesNeeded(images, seeds)


def _checked(wanted: float, differences: npt.ArrayLike) -> npt.ArrayLike:
    if not math.isfinite(wanted):
        raise ValueError(f"the wanted difference is {wanted!r}; give a finite number")
    return differences


def _floor(over_seeds: float, spread: ImageSpread) -> float:
    """Variance that stays however many seeds there are: images', and what shared training images add."""
    return spread.extra + over_seeds * (1 - 1 / spread.inflation**2)


def _split(over_seeds: float, spread: ImageSpread, num_seeds: float) -> tuple[float, float]:
    """The seeds' variance: what no image averages out, and what shrinks as 1/images."""
    noise = min(spread.inflation**2 * spread.noise / num_seeds, over_seeds)
    return over_seeds - noise, noise


def _finds(wanted: float, over_seeds: float, extra: float, df: float, extra_df: float, alpha: float) -> bool:
    """Whether a difference is found with a chance of ``POWER``, at Satterthwaite's degrees of freedom."""
    from scipy.special import stdtrit

    total = over_seeds + extra
    if total == 0:
        return wanted != 0
    joint = min(total**2 / (over_seeds**2 / df + extra**2 / extra_df), 1e9)
    return abs(wanted) >= float(stdtrit(joint, 1 - alpha / 2) + stdtrit(joint, POWER)) * math.sqrt(total)


def _indices(
    values: Sequence[npt.NDArray[np.float64]], images: Sequence[npt.ArrayLike] | npt.NDArray[np.integer]
) -> list[npt.NDArray[np.int64]] | None:
    """Each seed's images, or ``None`` where all seeds share them."""
    if len(images) and np.ndim(images[0]) == 0:
        given = [np.asarray(images)] * len(values)
    else:
        given = [np.asarray(row) for row in images]
    if len(given) != len(values):
        raise ValueError(f"got {len(values)} rows of differences and {len(given)} of images; give one a seed")
    for row, ids in zip(values, given, strict=True):
        if row.ndim != 1 or row.shape != ids.shape or not len(row):
            raise ValueError(f"a seed has differences {row.shape} and images {ids.shape}; give one of each an image")
        if not np.all(np.isfinite(row)):
            raise ValueError("a difference on an image is not finite")
    if all(ids is given[0] or np.array_equal(ids, given[0]) for ids in given):
        return None
    if any(ids.dtype.kind not in "iu" or ids.min() < 0 for ids in given):
        raise ValueError("images are not indices into the data set; give integers from 0")
    return [ids.astype(np.int64) for ids in given]


def _crossing(values: Sequence[npt.NDArray[np.float64]], indices: Sequence[npt.NDArray[np.int64]] | None) -> Crossing:
    counts = np.array([len(row) for row in values], dtype=np.float64)
    together = np.concatenate([np.arange(len(values[0]))] * len(values) if indices is None else indices)
    return Crossing(
        counts,
        sums=np.array([row.sum() for row in values]),
        squares=np.array([np.sum(row**2) for row in values]),
        num_nonzero=sum(int(np.count_nonzero(row)) for row in values),
        shared=1 / float(counts[0]) if indices is None else shared_images(together, counts),
        by_image=np.asarray(
            np.bincount(together, np.concatenate([(row - row.mean()) / len(row) for row in values])), float
        ),
    )


def shared_images(together: npt.NDArray[np.int64], counts: npt.NDArray[np.float64]) -> float:
    """``Crossing.shared``.

    Args:
        together: Every seed's images, one seed after another, as indices from 0.
        counts: How many images each seed has [seeds].
    """
    times = np.bincount(together, np.repeat(1 / counts, counts.astype(np.int64)))
    shared = max(float(times @ times - (1 / counts).sum()), 0.0) / (len(counts) * (len(counts) - 1))
    # Rounding aside no two seeds share an image, as in folds of one seed.
    return 0.0 if shared * counts.mean() < 1e-9 else shared


def components_of(crossing: Crossing) -> tuple[float, float, float, float]:
    """Shared share over counts, covariance of two means, variance within a seed, and the square of one disagreement.

    The first two are means over ordered pairs of seeds s and t: of |both| / (m_s m_t), and of the sum over images that
    both have of r_si r_ti / (m_s m_t), r centred within its seed. Sums over pairs come from sums over seeds:
    (sum of x)² - sum of x².
    """
    counts, num_nonzero = crossing.counts, crossing.num_nonzero
    squares = np.maximum(crossing.squares - crossing.sums**2 / counts, 0.0)  # about each seed's mean
    within = float(np.mean(squares / np.maximum(counts - 1, 1)))
    scale = float(crossing.squares.sum()) / num_nonzero if num_nonzero else 1.0
    if crossing.shared == 0:
        return 0.0, 0.0, within, scale
    own = float((squares / counts**2).sum())
    pairs = len(counts) * (len(counts) - 1)
    return crossing.shared, float(crossing.by_image @ crossing.by_image - own) / pairs, within, scale


def _parts(differences: npt.ArrayLike, spread: ImageSpread) -> tuple[float, float, float]:
    """Mean, its variance as seeds show it, and that variance's degrees of freedom."""
    values = finite_scores(differences)
    if len(values) < 2:
        raise TooFewSeeds(Problem(f"got {len(values)} differences, an interval needs 2", "run more seeds"))
    return float(values.mean()), spread.inflation**2 * float(values.var(ddof=1)) / len(values), len(values) - 1.0


def _reach(level: float, over_seeds: float, df: float, spread: ImageSpread) -> float:
    """Half the width of the interval that misses with a chance of ``level``."""
    from scipy.special import stdtrit

    squared = (float(stdtrit(df, level / 2)) ** 2) * over_seeds
    if spread.extra == 0:
        return math.sqrt(squared)
    total = over_seeds + spread.extra
    joint = total**2 / (over_seeds**2 / df + spread.extra**2 / spread.df)
    added = squared + _quantile(spread.df, level) ** 2 * spread.extra
    satterthwaite = max(squared, _quantile(joint, level) ** 2 * total)
    return math.sqrt((added + satterthwaite) / 2)


def _quantile(df: float, level: float) -> float:
    from scipy.special import ndtri, stdtrit

    return float(ndtri(level / 2) if math.isinf(df) else stdtrit(df, level / 2))
